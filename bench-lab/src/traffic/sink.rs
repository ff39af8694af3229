//! Where the frames end: an XDP program on the last device that knows ours by their mark and the right tenant ID,
//! counts them, and sorts the time each was under way into a histogram. Everything else passes to the kernel.

use std::io;

use transload_interop_tests::peers::Namespace;

use super::frame::{self, MARK, MARK_AT, TIME_AT};
use super::histogram::{BUCKETS, Histogram};
use crate::bpf::asm::{Alu, Assembler, Helper, Instruction, Jump, Label, Reg, Size};
use crate::bpf::{Attached, Map, Program};
use crate::path::{Encapsulation, Side};

/// Words of its memory: frames of ours, others, and the histogram behind them.
const OURS: i16 = 0;
const OTHERS: i16 = 8;
const HISTOGRAM: usize = 2;

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;

/// A sink on one side's outside device.
#[derive(Debug)]
pub struct Sink {
    memory: Map,
    _attached: Attached,
}

/// What arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Frames of ours, rightly encapsulated.
    pub frames: u64,
    /// Anything else.
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
        let memory = Map::new(HISTOGRAM + BUCKETS)?;
        let program = Program::load(&assemble(side.encap, memory.number()))?;
        let attached = place.enter(|| program.attach(side.outside))?;
        Ok(Self { memory, _attached: attached })
    }

    /// Forgets what arrived.
    ///
    /// # Errors
    /// When the kernel says so.
    pub fn clear(&self) -> io::Result<()> {
        self.memory.write(&[])
    }

    /// What arrived since.
    ///
    /// # Errors
    /// When the kernel says so.
    pub fn arrived(&self) -> io::Result<Arrived> {
        let words = self.memory.read()?;
        Ok(Arrived { frames: words[0], others: words[1], latency: Histogram::from_buckets(&words[HISTOGRAM..]) })
    }
}

fn assemble(encap: Encapsulation, memory: i32) -> Vec<Instruction> {
    let inner = frame::overhead(encap) as i16;
    let mut asm = Assembler::default();
    let other = asm.label();
    asm.load(Size::Word, Reg::R6, Reg::R1, 0);
    asm.load(Size::Word, Reg::R7, Reg::R1, 4);
    asm.map_value(Reg::R8, memory);
    asm.mov(Reg::R2, Reg::R6);
    asm.alu(Alu::Add, Reg::R2, i32::from(inner) + frame::MIN as i32);
    asm.jump(Jump::Greater, Reg::R2, Reg::R7, other);
    asm.load(Size::Double, Reg::R1, Reg::R6, inner + MARK_AT as i16);
    asm.wide(Reg::R2, MARK);
    asm.jump(Jump::NotEqual, Reg::R1, Reg::R2, other);
    for (at, word) in frame::signature(encap) {
        asm.load(Size::Word, Reg::R1, Reg::R6, at as i16);
        asm.wide(Reg::R2, u64::from(u32::from_ne_bytes(word)));
        asm.jump(Jump::NotEqual, Reg::R1, Reg::R2, other);
    }
    asm.call(Helper::KtimeGetNs);
    asm.load(Size::Double, Reg::R1, Reg::R6, inner + TIME_AT as i16);
    asm.alu(Alu::Sub, Reg::R0, Reg::R1);
    sort(&mut asm);
    count(&mut asm, OURS);
    leave(&mut asm, XDP_DROP);
    asm.bind(other);
    count(&mut asm, OTHERS);
    leave(&mut asm, XDP_PASS);
    asm.finish()
}

fn count(asm: &mut Assembler, what: i16) {
    asm.mov(Reg::R1, 1);
    asm.atomic_add(Reg::R8, what, Reg::R1);
}

fn leave(asm: &mut Assembler, verdict: i32) {
    asm.mov(Reg::R0, verdict);
    asm.exit();
}

/// Counts the nanoseconds in R0 in their bucket, as [`Histogram`] has them.
fn sort(asm: &mut Assembler) {
    // R0: what is left of the number; R2: 16 times how often it was halved.
    asm.mov(Reg::R2, 0);
    for bits in [16, 8, 4, 2, 1] {
        let small: Label = asm.label();
        asm.mov(Reg::R1, Reg::R0);
        asm.alu(Alu::RightShift, Reg::R1, bits + 4);
        asm.jump(Jump::Equal, Reg::R1, 0, small);
        asm.alu(Alu::RightShift, Reg::R0, bits);
        asm.alu(Alu::Add, Reg::R2, 16 * bits);
        asm.bind(small);
    }
    asm.alu(Alu::Add, Reg::R2, Reg::R0);
    // Proves to the kernel what holds anyway below a minute.
    asm.alu(Alu::And, Reg::R2, BUCKETS as i32 - 1);
    asm.alu(Alu::LeftShift, Reg::R2, 3);
    asm.mov(Reg::R3, Reg::R8);
    asm.alu(Alu::Add, Reg::R3, Reg::R2);
    asm.mov(Reg::R1, 1);
    asm.atomic_add(Reg::R3, 8 * HISTOGRAM as i16, Reg::R1);
}
