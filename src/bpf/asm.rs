//! A small assembler for BPF (RFC 9669): instructions as methods, and jumps to named places.
//!
//! A load leaves a frame's bytes as they are: a big-endian field is compared with the constant's bytes, not with its
//! number, or turned round first.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::instruction::{Alu, Helper, If, Instruction, Operand, Register, Width};

// RFC 9669 §3: classes, modes, and what else an opcode is made of.
const CLASS_LD: u8 = 0x00;
const CLASS_LDX: u8 = 0x01;
const CLASS_ST: u8 = 0x02;
const CLASS_STX: u8 = 0x03;
const CLASS_ALU: u8 = 0x04;
const CLASS_JMP: u8 = 0x05;
const CLASS_JMP32: u8 = 0x06;
const CLASS_ALU64: u8 = 0x07;
const MODE_IMM: u8 = 0x00;
const MODE_MEM: u8 = 0x60;
const MODE_ATOMIC: u8 = 0xc0;
const SOURCE_REGISTER: u8 = 0x08;
const END_TO_BIG: u8 = 0xd0 | SOURCE_REGISTER;
const ALWAYS: u8 = 0x00;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
// RFC 9669 §5.4: in the source register of a wide load, what its number is.
const NUMBER: u8 = 0;
const MAP: u8 = 1;
const MAP_VALUE: u8 = 2;

/// A place in the program that can be jumped to, once it is [placed](Assembler::place).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// A jump that no instruction can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadJump {
    /// Its label was never placed.
    #[error("a BPF program jumps to a place that it does not have")]
    Nowhere,
    /// Its label is more than 32767 instructions away.
    #[error("a BPF program is too long for one of its jumps")]
    TooFar,
}

impl From<BadJump> for io::Error {
    fn from(bad: BadJump) -> Self {
        Self::other(bad)
    }
}

/// A program under construction.
#[derive(Debug, Default)]
pub struct Assembler {
    instructions: Vec<Instruction>,
    /// By label, which instruction it stands at, once it does.
    places: Vec<Option<usize>>,
    /// Which instructions jump, and where to.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn emit(&mut self, opcode: u8, dst: Register, src: u8, offset: i16, immediate: i32) {
        self.instructions.push(Instruction { opcode, registers: dst as u8 | src << 4, offset, immediate });
    }

    fn operate(&mut self, opcode: u8, dst: Register, operand: Operand) {
        match operand {
            Operand::Register(src) => self.emit(opcode | SOURCE_REGISTER, dst, src as u8, 0, 0),
            Operand::Number(number) => self.emit(opcode, dst, 0, 0, number),
        }
    }

    fn wide_load(&mut self, dst: Register, kind: u8, low: i32, high: i32) {
        self.emit(CLASS_LD | MODE_IMM | Width::Double as u8, dst, kind, 0, low);
        self.emit(0, Register::R0, 0, 0, high);
    }

    /// `dst = dst <op> operand`
    pub fn alu(&mut self, op: Alu, dst: Register, operand: impl Into<Operand>) {
        self.operate(CLASS_ALU64 | op as u8, dst, operand.into());
    }

    /// `dst = operand`
    pub fn mov(&mut self, dst: Register, operand: impl Into<Operand>) {
        self.alu(Alu::Mov, dst, operand);
    }

    /// `dst = number`, all 64 bits of it.
    pub fn wide(&mut self, dst: Register, number: u64) {
        self.wide_load(dst, NUMBER, number as i32, (number >> 32) as i32);
    }

    /// `dst = map`, for helpers.
    pub fn load_map(&mut self, dst: Register, map: impl AsFd) {
        self.wide_load(dst, MAP, map.as_fd().as_raw_fd(), 0);
    }

    /// `dst =` the address of the first value of an array.
    pub fn load_map_value(&mut self, dst: Register, map: impl AsFd) {
        self.wide_load(dst, MAP_VALUE, map.as_fd().as_raw_fd(), 0);
    }

    /// Turns the lower 16 or 32 bits between network byte order and the machine's, and clears the rest.
    pub fn big_endian(&mut self, dst: Register, bits: i32) {
        self.emit(CLASS_ALU | END_TO_BIG, dst, 0, 0, bits);
    }

    /// `dst = *(base + offset)`
    pub fn load(&mut self, width: Width, dst: Register, base: Register, offset: i16) {
        self.emit(CLASS_LDX | MODE_MEM | width as u8, dst, base as u8, offset, 0);
    }

    /// `*(base + offset) = operand`
    pub fn store(&mut self, width: Width, base: Register, offset: i16, operand: impl Into<Operand>) {
        match operand.into() {
            Operand::Register(src) => self.emit(CLASS_STX | MODE_MEM | width as u8, base, src as u8, offset, 0),
            Operand::Number(number) => self.emit(CLASS_ST | MODE_MEM | width as u8, base, 0, offset, number),
        }
    }

    /// `*(base + offset) += src` on eight bytes, whoever else does the same.
    pub fn atomic_add(&mut self, base: Register, offset: i16, src: Register) {
        self.emit(CLASS_STX | MODE_ATOMIC | Width::Double as u8, base, src as u8, offset, 0);
    }

    /// `R0 = helper(R1, R2, R3, ..)`
    pub fn call(&mut self, helper: Helper) {
        self.emit(CLASS_JMP | CALL, Register::R0, 0, 0, helper as i32);
    }

    /// Ends the program with the verdict in R0.
    pub fn exit(&mut self) {
        self.emit(CLASS_JMP | EXIT, Register::R0, 0, 0, 0);
    }

    /// A label that is placed later.
    pub fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// The next instruction is where this label stands.
    pub fn place(&mut self, label: Label) {
        if let Some(place) = self.places.get_mut(label.0) {
            *place = Some(self.instructions.len());
        }
    }

    /// Whether anything jumps to this label so far.
    #[must_use]
    pub fn is_used(&self, label: Label) -> bool {
        self.jumps.iter().rev().any(|(_, used)| *used == label)
    }

    /// Jumps to a label.
    pub fn jump(&mut self, to: Label) {
        self.jump_when(CLASS_JMP | ALWAYS, Register::R0, 0.into(), to);
    }

    /// Jumps if the operands compare so, all 64 bits; a load leaves the upper ones zero.
    pub fn jump_if(&mut self, left: Register, when: If, right: impl Into<Operand>, to: Label) {
        self.jump_when(CLASS_JMP | when as u8, left, right.into(), to);
    }

    /// The same for the lower 32 bits, so that a constant with its highest bit set is what was loaded.
    pub fn jump_if_word(&mut self, left: Register, when: If, right: u32, to: Label) {
        self.jump_when(CLASS_JMP32 | when as u8, left, right.cast_signed().into(), to);
    }

    fn jump_when(&mut self, opcode: u8, left: Register, right: Operand, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.operate(opcode, left, right);
    }

    /// The program, with every jump resolved.
    ///
    /// # Errors
    /// When a label that is jumped to was not placed, or is too far away.
    pub fn finish(mut self) -> Result<Vec<Instruction>, BadJump> {
        for (at, label) in self.jumps {
            let place = self.places.get(label.0).copied().flatten().ok_or(BadJump::Nowhere)?;
            // Counted from the instruction behind the jump.
            let distance = place.checked_signed_diff(at + 1).ok_or(BadJump::TooFar)?;
            let offset = i16::try_from(distance).map_err(|_| BadJump::TooFar)?;
            if let Some(jump) = self.instructions.get_mut(at) {
                jump.offset = offset;
            }
        }
        Ok(self.instructions)
    }
}

#[cfg(test)]
mod tests {
    use super::Register::{R0, R1, R2, R6, R7, R9};
    use super::*;

    /// Opcode, registers, offset and immediate of every instruction.
    fn fields(asm: Assembler) -> Vec<(u8, u8, i16, i32)> {
        asm.finish().unwrap().iter().map(|i| (i.opcode, i.registers, i.offset, i.immediate)).collect()
    }

    #[test]
    fn instructions_are_written_as_the_standard_has_them() {
        let mut asm = Assembler::default();
        asm.mov(R6, R1);
        asm.alu(Alu::And, R7, 0x0f_u8);
        asm.load(Width::Word, R7, R6, 4);
        asm.store(Width::Word, R6, 16, -1);
        asm.big_endian(R2, 32);
        asm.atomic_add(R1, 8, R2);
        asm.wide(R1, 0x1_0000_0002);
        asm.call(Helper::Redirect);
        asm.exit();
        let expected = [
            (0xbf, 0x16, 0, 0),
            (0x57, 0x07, 0, 15),
            (0x61, 0x67, 4, 0),
            (0x62, 0x06, 16, -1),
            (0xdc, 0x02, 0, 32),
            (0xdb, 0x21, 8, 0),
            (0x18, 0x01, 0, 2),
            (0x00, 0x00, 0, 1),
            (0x85, 0x00, 0, 23),
            (0x95, 0x00, 0, 0),
        ];
        assert_eq!(fields(asm), expected);
    }

    #[test]
    fn a_jump_leads_to_its_label_whichever_comes_first() {
        let mut asm = Assembler::default();
        let (start, end) = (asm.label(), asm.label());
        asm.place(start);
        asm.jump_if(R2, If::Greater, R7, end);
        asm.jump_if_word(R9, If::NotEqual, u32::MAX, end);
        asm.jump(start);
        asm.place(end);
        asm.exit();
        // As `llvm-objdump` reads them: if r2 > r7 goto +2; if w9 != -1 goto +1; goto -3; exit.
        assert_eq!(fields(asm), [(0x2d, 0x72, 2, 0), (0x56, 0x09, 1, -1), (0x05, 0, -3, 0), (0x95, 0, 0, 0)]);
    }

    #[test]
    fn a_jump_to_nowhere_or_too_far_is_no_program() {
        let mut asm = Assembler::default();
        let label = asm.label();
        asm.jump(label);
        assert_eq!(asm.finish(), Err(BadJump::Nowhere));

        let jump_over = |instructions| {
            let mut asm = Assembler::default();
            let label = asm.label();
            asm.jump(label);
            (0..instructions).for_each(|_| asm.mov(R0, 0));
            asm.place(label);
            asm.exit();
            asm.finish().map(|_| ())
        };
        assert_eq!(jump_over(32767), Ok(()));
        assert_eq!(jump_over(32768), Err(BadJump::TooFar));
    }
}
