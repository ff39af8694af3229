//! Where the frames end: an XDP program on the last device that knows ours by their mark and the right tenant ID,
//! counts them, and sorts the time each was under way into a histogram. Everything else passes to the kernel.

use std::io;

use transload::bpf::Register::{R0, R1, R2, R3, R6, R7, R8};
use transload::bpf::{
    Alu, Assembler, AttachedProgram, BadJump, Helper, Hook, If, Instruction, Label, Map, MapKind, Program, ProgramKind,
    Width,
};
use transload_lab::Namespace;

use super::frame::{self, MARK, MARK_AT, TIME_AT};
use super::histogram::{BUCKETS, Histogram};
use super::index_of;
use crate::path::{Encapsulation, Side};

/// The words of its memory: frames of ours, others, and the histogram behind them.
type Memory = [u64; HISTOGRAM + BUCKETS];
/// Offsets of the first two.
const OURS: i16 = 0;
const OTHERS: i16 = 8;
const HISTOGRAM: usize = 2;

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;

/// A sink on one side's outside device.
#[derive(Debug)]
pub struct Sink {
    memory: Map<Memory>,
    _attached: AttachedProgram,
}

/// The frames that arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Frames of ours, rightly encapsulated.
    pub frames: u64,
    /// Number of other frames.
    pub others: u64,
    /// How long ours were under way, in nanoseconds.
    pub latency: Histogram,
}

impl Sink {
    /// Takes whatever arrives at this side.
    ///
    /// # Errors
    /// Without the right to load programs, or when the device takes none.
    pub fn new(place: &Namespace, side: &Side) -> io::Result<Self> {
        let memory = Map::new(MapKind::Array, 1)?;
        let program = Program::load(&assemble(side.encap, &memory)?, ProgramKind::Xdp)?;
        let attached = place.enter(|| program.attach(index_of(side.outside)?, Hook::Native))?;
        Ok(Self { memory, _attached: attached })
    }

    /// Forgets what arrived.
    ///
    /// # Errors
    /// When the kernel says so.
    pub fn clear(&self) -> io::Result<()> {
        self.memory.set(&0, &[0; HISTOGRAM + BUCKETS])
    }

    /// What arrived since.
    ///
    /// # Errors
    /// When the kernel says so.
    pub fn arrived(&self) -> io::Result<Arrived> {
        let words = self.memory.get(&0)?;
        Ok(Arrived { frames: words[0], others: words[1], latency: Histogram::from_buckets(&words[HISTOGRAM..]) })
    }
}

fn assemble(encap: Encapsulation, memory: &Map<Memory>) -> Result<Vec<Instruction>, BadJump> {
    let inner = frame::overhead(encap) as i16;
    let mut asm = Assembler::default();
    let other = asm.label();
    asm.load(Width::Word, R6, R1, 0);
    asm.load(Width::Word, R7, R1, 4);
    asm.load_map_value(R8, memory);
    asm.mov(R2, R6);
    asm.alu(Alu::Add, R2, i32::from(inner) + frame::MIN as i32);
    asm.jump_if(R2, If::Greater, R7, other);
    asm.load(Width::Double, R1, R6, inner + MARK_AT as i16);
    asm.wide(R2, MARK);
    asm.jump_if(R1, If::NotEqual, R2, other);
    for (at, word) in frame::signature(encap) {
        asm.load(Width::Word, R1, R6, at as i16);
        asm.wide(R2, u64::from(u32::from_ne_bytes(word)));
        asm.jump_if(R1, If::NotEqual, R2, other);
    }
    asm.call(Helper::KtimeGetNs);
    asm.load(Width::Double, R1, R6, inner + TIME_AT as i16);
    asm.alu(Alu::Sub, R0, R1);
    sort(&mut asm);
    count(&mut asm, OURS);
    leave(&mut asm, XDP_DROP);
    asm.place(other);
    count(&mut asm, OTHERS);
    leave(&mut asm, XDP_PASS);
    asm.finish()
}

fn count(asm: &mut Assembler, what: i16) {
    asm.mov(R1, 1);
    asm.atomic_add(R8, what, R1);
}

fn leave(asm: &mut Assembler, verdict: i32) {
    asm.mov(R0, verdict);
    asm.exit();
}

/// Counts the nanoseconds in R0 in their bucket, as [`Histogram`] has them.
fn sort(asm: &mut Assembler) {
    // R0: what is left of the number; R2: 16 times how often it was halved.
    asm.mov(R2, 0);
    for bits in [16, 8, 4, 2, 1] {
        let small: Label = asm.label();
        asm.mov(R1, R0);
        asm.alu(Alu::RightShift, R1, bits + 4);
        asm.jump_if(R1, If::Equal, 0, small);
        asm.alu(Alu::RightShift, R0, bits);
        asm.alu(Alu::Add, R2, 16 * bits);
        asm.place(small);
    }
    asm.alu(Alu::Add, R2, R0);
    // Proves to the kernel what holds anyway below a minute.
    asm.alu(Alu::And, R2, BUCKETS as i32 - 1);
    asm.alu(Alu::LeftShift, R2, 3);
    asm.mov(R3, R8);
    asm.alu(Alu::Add, R3, R2);
    asm.mov(R1, 1);
    asm.atomic_add(R3, 8 * HISTOGRAM as i16, R1);
}
