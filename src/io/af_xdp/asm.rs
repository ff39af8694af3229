//! A small assembler for BPF (RFC 9669): the instructions that a packet filter needs, and jumps to named places.
//!
//! Values compared with what stands in a frame are given in the frame's byte order: a load leaves the bytes as they
//! are, so a big-endian field is compared with the constant's bytes, not with its number.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::bpf::Instruction;

/// A register. R1 to R5 are lost in a call, R0 is its answer; R10 points to the end of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R6 = 6,
    R7,
    R8,
    R9,
    R10,
}

/// How much a load or store moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Byte,
    Half,
    Word,
}

impl Width {
    const fn code(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
        }
    }
}

/// When a jump is taken: its register, as an unsigned number, against a constant or another register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum If {
    Equal,
    NotEqual,
    Less,
    Greater,
    /// They have a bit in common.
    AnyBit,
}

impl If {
    const fn code(self) -> u8 {
        match self {
            Self::Equal => 0x10,
            Self::Greater => 0x20,
            Self::AnyBit => 0x40,
            Self::NotEqual => 0x50,
            Self::Less => 0xa0,
        }
    }
}

/// A place in the program that can be jumped to, once it is [placed](Assembler::place).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Label(usize);

/// Helper functions of the kernel, by their numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Helper {
    MapLookup = 1,
    RedirectMap = 51,
    /// Since Linux 5.18.
    LoadBytes = 189,
}

/// A program under construction.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    instructions: Vec<Instruction>,
    labels: usize,
    places: HashMap<Label, usize>,
    jumps: Vec<(usize, Label)>,
}

/// A program that cannot be: it jumps to no place, back, or farther than an instruction can say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Assembler {
    fn add(&mut self, code: u8, dst: Register, src: u8, offset: i16, immediate: i32) {
        let registers = dst as u8 | src << 4;
        self.instructions.push(Instruction { code, registers, offset, immediate });
    }

    /// A label that is placed later.
    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels)
    }

    /// The next instruction is where this label stands.
    pub(super) fn place(&mut self, label: Label) {
        self.places.insert(label, self.instructions.len());
    }

    /// Whether anything jumps to this label so far.
    pub(super) fn is_used(&self, label: Label) -> bool {
        self.jumps.iter().rev().any(|(_, used)| *used == label)
    }

    /// `dst = constant`
    pub(super) fn set(&mut self, dst: Register, constant: i32) {
        self.add(0xb7, dst, 0, 0, constant);
    }

    /// `dst = src`
    pub(super) fn copy(&mut self, dst: Register, src: Register) {
        self.add(0xbf, dst, src as u8, 0, 0);
    }

    /// `dst += constant`
    pub(super) fn add_constant(&mut self, dst: Register, constant: i32) {
        self.add(0x07, dst, 0, 0, constant);
    }

    /// `dst += src`
    pub(super) fn add_register(&mut self, dst: Register, src: Register) {
        self.add(0x0f, dst, src as u8, 0, 0);
    }

    /// `dst &= constant`
    pub(super) fn and(&mut self, dst: Register, constant: i32) {
        self.add(0x57, dst, 0, 0, constant);
    }

    /// `dst <<= bits`
    pub(super) fn shift_left(&mut self, dst: Register, bits: i32) {
        self.add(0x67, dst, 0, 0, bits);
    }

    /// Between network byte order and the machine's, 16 bits.
    pub(super) fn big_endian(&mut self, dst: Register) {
        self.add(0xdc, dst, 0, 0, 16);
    }

    /// `dst = *(base + offset)`
    pub(super) fn load(&mut self, width: Width, dst: Register, base: Register, offset: i16) {
        self.add(0x61 | width.code(), dst, base as u8, offset, 0);
    }

    /// `*(base + offset) = src`, 32 bits.
    pub(super) fn store(&mut self, base: Register, offset: i16, src: Register) {
        self.add(0x63, base, src as u8, offset, 0);
    }

    /// `dst = map`
    pub(super) fn load_map(&mut self, dst: Register, map: BorrowedFd<'_>) {
        const MAP_FD: u8 = 1;
        self.add(0x18, dst, MAP_FD, 0, map.as_raw_fd());
        self.add(0, Register::R0, 0, 0, 0);
    }

    /// `R0 = helper(R1, R2, R3, ..)`
    pub(super) fn call(&mut self, helper: Helper) {
        self.add(0x85, Register::R0, 0, 0, helper as i32);
    }

    /// Ends with R0.
    pub(super) fn exit(&mut self) {
        self.add(0x95, Register::R0, 0, 0, 0);
    }

    /// Jumps.
    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.add(0x05, Register::R0, 0, 0, 0);
    }

    /// Jumps if the register compares so with a constant, all 64 bits; a load leaves the upper ones zero.
    pub(super) fn jump_if(&mut self, dst: Register, when: If, constant: i32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.add(0x05 | when.code(), dst, 0, 0, constant);
    }

    /// The same for the lower 32 bits, so that a constant with its highest bit set is what was loaded.
    pub(super) fn jump_if_word(&mut self, dst: Register, when: If, constant: u32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.add(0x06 | when.code(), dst, 0, 0, constant.cast_signed());
    }

    /// Jumps if the two registers compare so.
    pub(super) fn jump_if_register(&mut self, dst: Register, when: If, src: Register, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.add(0x0d | when.code(), dst, src as u8, 0, 0);
    }

    /// The program, with every jump resolved.
    ///
    /// # Errors
    /// When a label was not placed behind its jumps, or is farther away than 32767 instructions.
    pub(super) fn finish(mut self) -> Result<Vec<Instruction>, TooLong> {
        for (at, label) in &self.jumps {
            let place = *self.places.get(label).ok_or(TooLong)?;
            // Counted from the instruction behind the jump.
            let distance = place.checked_sub(at + 1).ok_or(TooLong)?;
            let instruction = self.instructions.get_mut(*at).ok_or(TooLong)?;
            instruction.offset = i16::try_from(distance).map_err(|_| TooLong)?;
        }
        Ok(self.instructions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_written_as_the_standard_has_them() {
        let mut asm = Assembler::default();
        let end = asm.label();
        asm.load(Width::Half, Register::R1, Register::R9, 12);
        asm.jump_if(Register::R1, If::NotEqual, 8, end);
        asm.set(Register::R0, 2);
        asm.place(end);
        asm.exit();
        let bytes: Vec<_> =
            asm.finish().unwrap().iter().map(|i| (i.code, i.registers, i.offset, i.immediate)).collect();
        // As `llvm-objdump` reads them: r1 = *(u16 *)(r9 + 12); if r1 != 8 goto +1; r0 = 2; exit.
        assert_eq!(bytes, [(0x69, 0x91, 12, 0), (0x55, 0x01, 1, 8), (0xb7, 0x00, 0, 2), (0x95, 0, 0, 0)]);
    }

    #[test]
    fn a_jump_to_nowhere_or_too_far_is_no_program() {
        let mut asm = Assembler::default();
        let label = asm.label();
        asm.jump(label);
        assert_eq!(asm.finish(), Err(TooLong));

        let mut asm = Assembler::default();
        let label = asm.label();
        asm.jump(label);
        (0..=i16::MAX as usize).for_each(|_| asm.exit());
        asm.place(label);
        asm.exit();
        assert_eq!(asm.finish(), Err(TooLong));
    }
}
