//! The instructions of BPF (RFC 9669), as far as they are used here, and what they are made of.

/// One instruction, as the kernel reads it (RFC 9669 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub(super) opcode: u8,
    /// Destination register in the lower four bits, source register in the upper ones.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

/// A register. R1 to R5 are lost in a call, R0 is its answer; R10 points to the end of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "registers have no other names")]
pub enum Register {
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
    R10,
}

/// How many bytes a load or store moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 1 byte.
    Byte = 0x10,
    /// 2 bytes.
    Half = 0x08,
    /// 4 bytes.
    Word = 0x00,
    /// 8 bytes.
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
pub enum If {
    Equal = 0x10,
    Greater = 0x20,
    /// They have a bit in common.
    AnyBit = 0x40,
    NotEqual = 0x50,
    Less = 0xa0,
}

/// The second operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// What is in this register.
    Register(Register),
    /// This number, its sign extended.
    Number(i32),
}

impl From<Register> for Operand {
    fn from(register: Register) -> Self {
        Self::Register(register)
    }
}

impl<N: Into<i32>> From<N> for Operand {
    fn from(number: N) -> Self {
        Self::Number(number.into())
    }
}

/// Helper functions of the kernel, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// The address of a map's value.
    MapLookup = 1,
    /// Nanoseconds of the monotonic clock.
    KtimeGetNs = 5,
    /// Copies bytes from memory into a frame that the kernel has taken. Classifiers only, as those down to `PullData`.
    StoreBytes = 9,
    /// Puts a VLAN tag in front of those that are there.
    PushTag = 18,
    /// Takes the first VLAN tag off.
    PopTag = 19,
    /// Sends the frame out of the device with this number.
    Redirect = 23,
    /// Has so many bytes of a frame stand in one piece, where they can be read directly.
    PullData = 39,
    /// Makes room behind the Ethernet header, or takes bytes away there.
    AdjustRoom = 50,
    /// Hands the frame to what a map has under this key.
    RedirectMap = 51,
    /// Copies bytes of the frame. Since Linux 5.18.
    LoadBytes = 189,
}
