//! The generator's program.

use crate::bpf::asm::{Alu, Assembler, Helper, Instruction, Jump, Label, Reg, Size};

/// Words of its memory.
pub(super) const STATE: usize = 7;
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
pub(super) fn initial(gap: u64) -> [u64; STATE] {
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

/// What is sent.
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

pub(super) fn assemble(script: &Script, state: i32) -> Vec<Instruction> {
    let mut asm = Assembler::default();
    let leave = asm.label();
    asm.load(Size::Word, Reg::R6, Reg::R1, DATA);
    asm.load(Size::Word, Reg::R7, Reg::R1, DATA_END);
    asm.map_value(Reg::R8, state);
    asm.call(Helper::KtimeGetNs);
    asm.mov(Reg::R9, Reg::R0);
    count(&mut asm, TURNS);
    date(&mut asm);
    pace(&mut asm, leave);
    asm.mov(Reg::R2, Reg::R6);
    asm.alu(Alu::Add, Reg::R2, script.header.len() as i32);
    asm.jump(Jump::Greater, Reg::R2, Reg::R7, leave);
    write_header(&mut asm, &script.header);
    asm.store(Size::Double, Reg::R6, script.time_at as i16, Reg::R9);
    for pick in &script.picks {
        draw(&mut asm, pick, script.in_turn);
    }
    count(&mut asm, SENT);
    asm.mov(Reg::R1, script.out.cast_signed());
    asm.mov(Reg::R2, 0);
    asm.call(Helper::Redirect);
    asm.exit();
    asm.bind(leave);
    asm.mov(Reg::R0, XDP_DROP);
    asm.exit();
    asm.finish()
}

fn word(number: usize) -> i16 {
    8 * number as i16
}

fn count(asm: &mut Assembler, what: usize) {
    let at = word(what);
    asm.load(Size::Double, Reg::R1, Reg::R8, at);
    asm.alu(Alu::Add, Reg::R1, 1);
    asm.store(Size::Double, Reg::R8, at, Reg::R1);
}

/// Notes the time, which is in R9. The first frame is due at once.
fn date(asm: &mut Assembler) {
    let ran_before = asm.label();
    asm.store(Size::Double, Reg::R8, word(LAST), Reg::R9);
    asm.load(Size::Double, Reg::R1, Reg::R8, word(FIRST));
    asm.jump(Jump::NotEqual, Reg::R1, 0, ran_before);
    asm.store(Size::Double, Reg::R8, word(FIRST), Reg::R9);
    asm.mov(Reg::R1, Reg::R9);
    asm.alu(Alu::LeftShift, Reg::R1, FRACTION_BITS);
    asm.store(Size::Double, Reg::R8, DUE, Reg::R1);
    asm.bind(ran_before);
}

/// Leaves unless a frame is due; the time is in R9.
fn pace(asm: &mut Assembler, leave: Label) {
    let (unpaced, on_time) = (asm.label(), asm.label());
    asm.load(Size::Double, Reg::R3, Reg::R8, GAP);
    asm.jump(Jump::Equal, Reg::R3, 0, unpaced);
    asm.mov(Reg::R1, Reg::R9);
    asm.alu(Alu::LeftShift, Reg::R1, FRACTION_BITS);
    asm.load(Size::Double, Reg::R2, Reg::R8, DUE);
    asm.jump(Jump::Greater, Reg::R2, Reg::R1, leave);
    asm.alu(Alu::Add, Reg::R2, Reg::R3);
    // The earliest that is remembered.
    asm.alu(Alu::Mul, Reg::R3, CATCH_UP);
    asm.alu(Alu::Sub, Reg::R1, Reg::R3);
    asm.jump(Jump::Greater, Reg::R2, Reg::R1, on_time);
    asm.mov(Reg::R2, Reg::R1);
    asm.bind(on_time);
    asm.store(Size::Double, Reg::R8, DUE, Reg::R2);
    asm.bind(unpaced);
}

/// Four bytes an instruction, the rest one by one.
fn write_header(asm: &mut Assembler, header: &[u8]) {
    let words = header.chunks_exact(4);
    let rest = words.remainder();
    for (at, word) in words.enumerate() {
        let number = i32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
        asm.store(Size::Word, Reg::R6, 4 * at as i16, number);
    }
    for (at, &byte) in (header.len() - rest.len()..).zip(rest) {
        asm.store(Size::Byte, Reg::R6, at as i16, i32::from(byte));
    }
}

fn draw(asm: &mut Assembler, pick: &Pick, in_turn: bool) {
    if in_turn {
        asm.load(Size::Double, Reg::R2, Reg::R8, word(SENT));
    } else {
        asm.load(Size::Double, Reg::R1, Reg::R8, RANDOM);
        // Knuth's multiplier of MMIX; the upper bits are the random ones.
        asm.wide(Reg::R2, 6_364_136_223_846_793_005);
        asm.alu(Alu::Mul, Reg::R1, Reg::R2);
        asm.wide(Reg::R2, 1_442_695_040_888_963_407);
        asm.alu(Alu::Add, Reg::R1, Reg::R2);
        asm.store(Size::Double, Reg::R8, RANDOM, Reg::R1);
        asm.mov(Reg::R2, Reg::R1);
        asm.alu(Alu::RightShift, Reg::R2, 33);
    }
    asm.alu(Alu::Mod, Reg::R2, pick.count.cast_signed());
    for &place in &pick.places {
        asm.mov(Reg::R3, Reg::R2);
        match place {
            Place::Word { at } => {
                asm.to_big(Reg::R3, 32);
                asm.store(Size::Word, Reg::R6, at as i16, Reg::R3);
            }
            Place::Port { at, base } => {
                asm.alu(Alu::Add, Reg::R3, i32::from(base));
                asm.to_big(Reg::R3, 16);
                asm.store(Size::Half, Reg::R6, at as i16, Reg::R3);
            }
        }
    }
}
