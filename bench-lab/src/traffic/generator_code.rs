//! The generator's program.

use transload::bpf::Register::{R0, R1, R2, R3, R6, R7, R8, R9};
use transload::bpf::{Alu, Assembler, BadJump, Helper, If, Instruction, Label, Map, Width};

/// Its memory, in words.
pub(super) type State = [u64; 7];
/// Frames sent.
pub(super) const SENT: usize = 0;
/// The last random number.
const RANDOM: i16 = 8;
/// When the next frame is due, in the clock's nanoseconds times [`FRACTION`].
const DUE: i16 = 16;
/// Between two frames, in the same unit; zero for no pace.
const GAP: i16 = 24;
/// Times that the program ran.
pub(super) const TURNS: usize = 4;
/// When it ran first, in the clock's nanoseconds, and last.
pub(super) const FIRST: usize = 5;
pub(super) const LAST: usize = 6;
/// Parts of a nanosecond that a gap is told in.
pub(super) const FRACTION: u64 = 16;
const FRACTION_BITS: i32 = 4;
/// A generator that was held up catches up on so many frames at most.
const CATCH_UP: i32 = 64;

const XDP_DROP: i32 = 1;
/// Offsets into `struct xdp_md`.
const DATA: i16 = 0;
const DATA_END: i16 = 4;

/// What the memory must hold at the start.
pub(super) fn initial(gap: u64) -> State {
    [0, 0, 0, gap, 0, 0, 0]
}

/// What a picked number is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The number, as four bytes in network order.
    Word { at: usize },
    /// The number and a base, as two bytes in network order.
    Port { at: usize, base: u16 },
}

/// A number below `count`, drawn anew for every frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) count: u32,
    pub(super) places: Vec<Place>,
}

/// The frames that the generator sends, as its program makes them.
#[derive(Debug)]
pub(super) struct Script {
    /// What every frame begins with.
    pub(super) header: Vec<u8>,
    /// Where the time goes.
    pub(super) time_at: usize,
    pub(super) picks: Vec<Pick>,
    /// One number after the other rather than at random.
    pub(super) in_turn: bool,
    /// The device.
    pub(super) out: u32,
}

pub(super) fn assemble(script: &Script, state: &Map<State>) -> Result<Vec<Instruction>, BadJump> {
    let mut asm = Assembler::default();
    let leave = asm.label();
    asm.load(Width::Word, R6, R1, DATA);
    asm.load(Width::Word, R7, R1, DATA_END);
    asm.load_map_value(R8, state);
    asm.call(Helper::KtimeGetNs);
    asm.mov(R9, R0);
    count(&mut asm, TURNS);
    date(&mut asm);
    pace(&mut asm, leave);
    asm.mov(R2, R6);
    asm.alu(Alu::Add, R2, script.header.len() as i32);
    asm.jump_if(R2, If::Greater, R7, leave);
    write_header(&mut asm, &script.header);
    asm.store(Width::Double, R6, script.time_at as i16, R9);
    for pick in &script.picks {
        draw(&mut asm, pick, script.in_turn);
    }
    count(&mut asm, SENT);
    asm.mov(R1, script.out.cast_signed());
    asm.mov(R2, 0);
    asm.call(Helper::Redirect);
    asm.exit();
    asm.place(leave);
    asm.mov(R0, XDP_DROP);
    asm.exit();
    asm.finish()
}

fn word(number: usize) -> i16 {
    8 * number as i16
}

fn count(asm: &mut Assembler, what: usize) {
    let at = word(what);
    asm.load(Width::Double, R1, R8, at);
    asm.alu(Alu::Add, R1, 1);
    asm.store(Width::Double, R8, at, R1);
}

/// Notes the time, which is in R9. The first frame is due at once.
fn date(asm: &mut Assembler) {
    let ran_before = asm.label();
    asm.store(Width::Double, R8, word(LAST), R9);
    asm.load(Width::Double, R1, R8, word(FIRST));
    asm.jump_if(R1, If::NotEqual, 0, ran_before);
    asm.store(Width::Double, R8, word(FIRST), R9);
    asm.mov(R1, R9);
    asm.alu(Alu::LeftShift, R1, FRACTION_BITS);
    asm.store(Width::Double, R8, DUE, R1);
    asm.place(ran_before);
}

/// Leaves unless a frame is due; the time is in R9.
fn pace(asm: &mut Assembler, leave: Label) {
    let (unpaced, on_time) = (asm.label(), asm.label());
    asm.load(Width::Double, R3, R8, GAP);
    asm.jump_if(R3, If::Equal, 0, unpaced);
    asm.mov(R1, R9);
    asm.alu(Alu::LeftShift, R1, FRACTION_BITS);
    asm.load(Width::Double, R2, R8, DUE);
    asm.jump_if(R2, If::Greater, R1, leave);
    asm.alu(Alu::Add, R2, R3);
    // The earliest that is remembered.
    asm.alu(Alu::Mul, R3, CATCH_UP);
    asm.alu(Alu::Sub, R1, R3);
    asm.jump_if(R2, If::Greater, R1, on_time);
    asm.mov(R2, R1);
    asm.place(on_time);
    asm.store(Width::Double, R8, DUE, R2);
    asm.place(unpaced);
}

/// Four bytes an instruction, the rest one by one.
fn write_header(asm: &mut Assembler, header: &[u8]) {
    let words = header.chunks_exact(4);
    let rest = words.remainder();
    for (at, word) in words.enumerate() {
        let number = i32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
        asm.store(Width::Word, R6, 4 * at as i16, number);
    }
    for (at, &byte) in (header.len() - rest.len()..).zip(rest) {
        asm.store(Width::Byte, R6, at as i16, byte);
    }
}

fn draw(asm: &mut Assembler, pick: &Pick, in_turn: bool) {
    if in_turn {
        asm.load(Width::Double, R2, R8, word(SENT));
    } else {
        asm.load(Width::Double, R1, R8, RANDOM);
        // Knuth's multiplier of MMIX; the upper bits are the random ones.
        asm.wide(R2, 6_364_136_223_846_793_005);
        asm.alu(Alu::Mul, R1, R2);
        asm.wide(R2, 1_442_695_040_888_963_407);
        asm.alu(Alu::Add, R1, R2);
        asm.store(Width::Double, R8, RANDOM, R1);
        asm.mov(R2, R1);
        asm.alu(Alu::RightShift, R2, 33);
    }
    asm.alu(Alu::Mod, R2, pick.count.cast_signed());
    for &place in &pick.places {
        asm.mov(R3, R2);
        match place {
            Place::Word { at } => {
                asm.big_endian(R3, 32);
                asm.store(Width::Word, R6, at as i16, R3);
            }
            Place::Port { at, base } => {
                asm.alu(Alu::Add, R3, base);
                asm.big_endian(R3, 16);
                asm.store(Width::Half, R6, at as i16, R3);
            }
        }
    }
}
