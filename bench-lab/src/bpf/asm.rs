//! A small assembler for BPF: instructions as methods, jumps to labels, and what needs a look at RFC 9669 in one place.

/// One instruction as the kernel reads it (RFC 9669 §3): opcode, registers, offset, immediate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Instruction {
    opcode: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "registers have no other names")]
pub enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
}

/// How many bytes a load or store moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// 1.
    Byte = 0x10,
    /// 2.
    Half = 0x08,
    /// 4.
    Word = 0x00,
    /// 8.
    Double = 0x18,
}

/// Arithmetic on 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Alu {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    And = 0x50,
    LeftShift = 0x60,
    RightShift = 0x70,
    Mod = 0x90,
    Mov = 0xb0,
}

/// When a jump is taken; numbers are unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Jump {
    Always = 0x00,
    Equal = 0x10,
    Greater = 0x20,
    NotEqual = 0x50,
    Less = 0xa0,
}

/// The second operand: a register or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// What is in this register.
    Reg(Reg),
    /// This number, its sign extended.
    Imm(i32),
}

impl From<Reg> for Operand {
    fn from(register: Reg) -> Self {
        Self::Reg(register)
    }
}

impl From<i32> for Operand {
    fn from(number: i32) -> Self {
        Self::Imm(number)
    }
}

/// A place in the program to jump to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// Helper functions of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// Nanoseconds of the monotonic clock.
    KtimeGetNs = 5,
    /// Sends the frame out of the device with this number.
    Redirect = 23,
}

const CLASS_LD: u8 = 0x00;
const CLASS_LDX: u8 = 0x01;
const CLASS_ST: u8 = 0x02;
const CLASS_STX: u8 = 0x03;
const CLASS_ALU: u8 = 0x04;
const CLASS_JMP: u8 = 0x05;
const CLASS_ALU64: u8 = 0x07;
const MODE_IMM: u8 = 0x00;
const MODE_MEM: u8 = 0x60;
const MODE_ATOMIC: u8 = 0xc0;
const SOURCE_REG: u8 = 0x08;
const END_TO_BIG: u8 = 0xd0 | SOURCE_REG;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
/// The source register of a wide load whose number is a map's descriptor, and whose second one an offset in its value.
const PSEUDO_MAP_VALUE: u8 = 2;

/// A program under construction.
#[derive(Debug, Default)]
pub struct Assembler {
    code: Vec<Instruction>,
    /// Where labels are, once they are.
    labels: Vec<Option<usize>>,
    /// Jumps to be finished: which instruction, to which label.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn emit(&mut self, opcode: u8, dst: u8, src: u8, offset: i16, immediate: i32) {
        self.code.push(Instruction { opcode, registers: dst | src << 4, offset, immediate });
    }

    /// `dst = dst <op> operand`.
    pub fn alu(&mut self, op: Alu, dst: Reg, operand: impl Into<Operand>) {
        match operand.into() {
            Operand::Reg(src) => self.emit(CLASS_ALU64 | op as u8 | SOURCE_REG, dst as u8, src as u8, 0, 0),
            Operand::Imm(number) => self.emit(CLASS_ALU64 | op as u8, dst as u8, 0, 0, number),
        }
    }

    /// `dst = operand`.
    pub fn mov(&mut self, dst: Reg, operand: impl Into<Operand>) {
        self.alu(Alu::Mov, dst, operand);
    }

    /// `dst = number`, all 64 bits of it.
    pub fn wide(&mut self, dst: Reg, number: u64) {
        self.wide_load(dst, 0, number as i32, (number >> 32) as i32);
    }

    /// `dst =` the address of the only value of this map.
    pub fn map_value(&mut self, dst: Reg, map: i32) {
        self.wide_load(dst, PSEUDO_MAP_VALUE, map, 0);
    }

    fn wide_load(&mut self, dst: Reg, src: u8, low: i32, high: i32) {
        self.emit(CLASS_LD | MODE_IMM | Size::Double as u8, dst as u8, src, 0, low);
        self.emit(0, 0, 0, 0, high);
    }

    /// Turns the lower 16 or 32 bits of `dst` into network order and clears the rest.
    pub fn to_big(&mut self, dst: Reg, bits: i32) {
        self.emit(CLASS_ALU | END_TO_BIG, dst as u8, 0, 0, bits);
    }

    /// `dst = *(base + offset)`.
    pub fn load(&mut self, size: Size, dst: Reg, base: Reg, offset: i16) {
        self.emit(CLASS_LDX | MODE_MEM | size as u8, dst as u8, base as u8, offset, 0);
    }

    /// `*(base + offset) = operand`.
    pub fn store(&mut self, size: Size, base: Reg, offset: i16, operand: impl Into<Operand>) {
        match operand.into() {
            Operand::Reg(src) => self.emit(CLASS_STX | MODE_MEM | size as u8, base as u8, src as u8, offset, 0),
            Operand::Imm(number) => self.emit(CLASS_ST | MODE_MEM | size as u8, base as u8, 0, offset, number),
        }
    }

    /// `*(base + offset) += src` on eight bytes, whoever else does the same.
    pub fn atomic_add(&mut self, base: Reg, offset: i16, src: Reg) {
        self.emit(CLASS_STX | MODE_ATOMIC | Size::Double as u8, base as u8, src as u8, offset, 0);
    }

    /// Calls the kernel; R1 to R5 are lost.
    pub fn call(&mut self, helper: Helper) {
        self.emit(CLASS_JMP | CALL, 0, 0, 0, helper as i32);
    }

    /// Returns R0.
    pub fn exit(&mut self) {
        self.emit(CLASS_JMP | EXIT, 0, 0, 0, 0);
    }

    /// A label for a place that [`bind`](Self::bind) will name.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label is here.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.code.len());
    }

    /// Goes to the label if `left <condition> right`.
    pub fn jump(&mut self, condition: Jump, left: Reg, right: impl Into<Operand>, to: Label) {
        self.jumps.push((self.code.len(), to));
        match right.into() {
            Operand::Reg(src) => self.emit(CLASS_JMP | condition as u8 | SOURCE_REG, left as u8, src as u8, 0, 0),
            Operand::Imm(number) => self.emit(CLASS_JMP | condition as u8, left as u8, 0, 0, number),
        }
    }

    /// Goes to the label.
    pub fn goto(&mut self, to: Label) {
        self.jump(Jump::Always, Reg::R0, 0, to);
    }

    /// The program.
    ///
    /// # Panics
    /// If a label that is jumped to was never bound, or the program has more than 32767 instructions.
    #[must_use]
    pub fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let target = self.labels[label.0].expect("every label is bound");
            let (target, next) = (i16::try_from(target), i16::try_from(at + 1));
            self.code[at].offset = target.expect("a short program") - next.expect("a short program");
        }
        self.code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(code: &[Instruction]) -> Vec<[u8; 8]> {
        let word = |i: &Instruction| {
            let mut bytes = [i.opcode, i.registers, 0, 0, 0, 0, 0, 0];
            bytes[2..4].copy_from_slice(&i.offset.to_le_bytes());
            bytes[4..].copy_from_slice(&i.immediate.to_le_bytes());
            bytes
        };
        code.iter().map(word).collect()
    }

    #[test]
    fn instructions_are_encoded_as_rfc_9669_says() {
        let mut asm = Assembler::default();
        asm.mov(Reg::R6, Reg::R1);
        asm.load(Size::Word, Reg::R7, Reg::R6, 4);
        asm.store(Size::Word, Reg::R6, 16, -1);
        asm.to_big(Reg::R2, 32);
        asm.atomic_add(Reg::R1, 8, Reg::R2);
        asm.exit();
        let expected = [
            [0xbf, 0x16, 0, 0, 0, 0, 0, 0],
            [0x61, 0x67, 4, 0, 0, 0, 0, 0],
            [0x62, 0x06, 16, 0, 0xff, 0xff, 0xff, 0xff],
            [0xdc, 0x02, 0, 0, 32, 0, 0, 0],
            [0xdb, 0x21, 8, 0, 0, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(bytes(&asm.finish()), expected);
    }

    #[test]
    fn a_jump_leads_to_its_label_whichever_comes_first() {
        let mut asm = Assembler::default();
        let (start, end) = (asm.label(), asm.label());
        asm.bind(start);
        asm.jump(Jump::Greater, Reg::R2, Reg::R7, end);
        asm.wide(Reg::R1, 0x1_0000_0002);
        asm.goto(start);
        asm.bind(end);
        asm.exit();
        let code = bytes(&asm.finish());
        assert_eq!(code[0], [0x2d, 0x72, 3, 0, 0, 0, 0, 0]);
        assert_eq!(code[1..3], [[0x18, 1, 0, 0, 2, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0]]);
        assert_eq!(code[3], [0x05, 0, 0xfc, 0xff, 0, 0, 0, 0]);
    }
}
