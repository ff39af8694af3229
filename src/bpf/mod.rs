//! BPF without a compiler: programs are put together by an [`Assembler`], loaded as XDP programs, attached to devices
//! or run on frames at hand, and look into maps that this process sees too.

mod asm;
mod instruction;
mod sys;
#[cfg(test)]
mod tests;

pub use asm::{Assembler, BadJump, Label};
pub use instruction::{Alu, Helper, If, Instruction, Operand, Register, Width};
pub use sys::{Hook, Link, Map, MapKind, Program};
