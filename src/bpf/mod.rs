//! Programs for the kernel (BPF): compiled from C and committed beside their source, or put together by an
//! [`Assembler`]. They are loaded, attached to devices or run on frames at hand, and look into maps that this process sees
//! too.

mod asm;
mod instruction;
mod kinds;
pub mod object;
mod rights;
mod sys;
#[cfg(test)]
mod tests;

pub use asm::{Assembler, BadJump, Label};
pub use instruction::{Alu, Helper, If, Instruction, Operand, Register, Width};
pub use kinds::{Direction, Hook, MapKind, ProgramKind};
pub use rights::rights;
pub use sys::{AttachedProgram, Map, Program};
