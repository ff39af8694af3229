//! The programs of a tunnel's end.
//!
//! ```text
//! GRE, NVGRE, on the cable   Ethernet 14 | IPv4 20 | GRE 4 | key 4 | Ethernet 14 | tenant's packet
//!             for the host   Ethernet 14 | tenant's packet
//! QinQ, on the cable         MACs 12 | 0x88a8, S-VID | 0x8100, C-VID | tenant's packet
//! ```
//!
//! With outer addresses, the Ethernet header that the host sees is the cable's, and that of the tenant is checked when
//! it is taken off. Only whole IPv4 packets are taken, without options outside; whatever else arrives or leaves passes
//! untouched.
//!
//! Registers: R6 is the context, R7 the frame's first byte.

use std::io;

use transload::bpf::Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};
use transload::bpf::{Alu, Assembler, Helper, If, Instruction, Label, Width};
use transload_encaps::checksum;

use super::frame;
use super::tunnel::Tunnel;
use crate::path::Encapsulation;

/// `TCX_PASS` and `TCX_DROP`.
const PASS: i32 = 0;
const DROP: i32 = 2;

// Offsets into `struct __sk_buff`.
const LEN: i16 = 0;
const TAG_PRESENT: i16 = 20;
const TAG_TCI: i16 = 24;
const TAG_TPID: i16 = 28;
const DATA: i16 = 76;
const DATA_END: i16 = 80;

const ETHERNET: i16 = 14;
/// What a tunnel with outer addresses adds: IPv4, GRE with a key, Ethernet.
const ADDED: i16 = 42;
const IPV4: u16 = 0x0800;
const S_TAG: u16 = 0x88a8;
const C_TAG: u16 = 0x8100;
const VID: u16 = 0x0fff;
const GRE: u8 = 47;
const NO_OPTIONS: u8 = 0x45;
/// The bit that says more fragments follow, and where this one belongs.
const FRAGMENT: u16 = 0x3fff;
/// Where on the stack the headers are put together; a multiple of eight that holds them.
const SCRATCH: i16 = -48;

/// `BPF_ADJ_ROOM_MAC`: behind the Ethernet header.
const BEHIND_MAC: i32 = 1;
/// `BPF_F_ADJ_ROOM_*`: segments of a super-frame keep their size.
const FIXED_GSO: u64 = 1 << 0;
/// They say what the room is for, so that the kernel can cut a super-frame: IPv4, GRE, and Ethernet of 14 bytes.
const FOR_GRE: u64 = 1 << 1 | 1 << 3 | 1 << 6 | 14 << 56;

/// What is put on and taken off.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Outer addresses and this GRE key.
    Keyed(u32),
    /// An S-tag and a C-tag.
    Tags { s_vid: u16, c_vid: u16 },
}

impl Shape {
    fn of(encap: Encapsulation) -> io::Result<Self> {
        match encap {
            Encapsulation::Vxlan { .. } => Err(io::Error::other("VXLAN is left to the kernel's devices")),
            Encapsulation::Nvgre { vsid } => Ok(Self::Keyed(vsid << 8)),
            Encapsulation::Gre { key } => Ok(Self::Keyed(key)),
            Encapsulation::QinQ { s_vid, c_vid } => Ok(Self::Tags { s_vid, c_vid }),
        }
    }
}

/// Takes the tunnel's headers off what arrives.
pub(super) fn decap(tunnel: &Tunnel) -> io::Result<Vec<Instruction>> {
    let shape = Shape::of(tunnel.encap)?;
    assemble(|program| match shape {
        Shape::Keyed(_) => program.take_headers_off(tunnel),
        Shape::Tags { s_vid, c_vid } => program.take_tags_off(s_vid, c_vid),
    })
}

/// Puts them on what the tenant's host sends.
pub(super) fn encap(tunnel: &Tunnel) -> io::Result<Vec<Instruction>> {
    let shape = Shape::of(tunnel.encap)?;
    assemble(|program| {
        program.need_source(tunnel);
        match shape {
            Shape::Keyed(key) => program.put_headers_on(tunnel, key),
            Shape::Tags { s_vid, c_vid } => {
                program.put_tag_on(C_TAG, c_vid);
                program.put_tag_on(S_TAG, s_vid);
            }
        }
    })
}

struct Program {
    asm: Assembler,
    /// Where frames go on, and where they end.
    pass: Label,
    drop: Label,
}

/// A program that leaves its frame to go on, unless it says otherwise.
fn assemble(body: impl FnOnce(&mut Program)) -> io::Result<Vec<Instruction>> {
    let mut asm = Assembler::default();
    let (pass, drop) = (asm.label(), asm.label());
    asm.mov(R6, R1);
    let mut program = Program { asm, pass, drop };
    body(&mut program);
    let Program { mut asm, .. } = program;
    for (label, verdict) in [(pass, PASS), (drop, DROP)] {
        asm.place(label);
        asm.mov(R0, verdict);
        asm.exit();
    }
    Ok(asm.finish()?)
}

/// A number of 16 bits as a load finds it in a frame.
fn in_frame(number: u16) -> i32 {
    u16::from_ne_bytes(number.to_be_bytes()).into()
}

impl Program {
    /// Calls a helper with the context and what is in its other registers; drops the frame if it fails.
    fn must(&mut self, helper: Helper) {
        self.asm.mov(R1, R6);
        self.asm.call(helper);
        self.asm.jump_if(R0, If::NotEqual, 0, self.drop);
    }

    /// Has R7 point to so many bytes of the frame; a shorter one passes.
    fn look_at(&mut self, bytes: i16) {
        self.asm.mov(R1, R6);
        self.asm.mov(R2, bytes);
        self.asm.call(Helper::PullData);
        self.asm.jump_if(R0, If::NotEqual, 0, self.pass);
        self.asm.load(Width::Word, R7, R6, DATA);
        self.asm.load(Width::Word, R8, R6, DATA_END);
        self.asm.mov(R2, R7);
        self.asm.alu(Alu::Add, R2, bytes);
        self.asm.jump_if(R2, If::Greater, R8, self.pass);
    }

    fn need_byte(&mut self, at: i16, byte: u8, otherwise: Label) {
        self.asm.load(Width::Byte, R1, R7, at);
        self.asm.jump_if(R1, If::NotEqual, byte, otherwise);
    }

    fn need_half(&mut self, at: i16, number: u16, otherwise: Label) {
        self.asm.load(Width::Half, R1, R7, at);
        self.asm.jump_if(R1, If::NotEqual, in_frame(number), otherwise);
    }

    fn need_word(&mut self, at: i16, bytes: [u8; 4], otherwise: Label) {
        self.asm.load(Width::Word, R1, R7, at);
        self.asm.jump_if_word(R1, If::NotEqual, u32::from_ne_bytes(bytes), otherwise);
    }

    fn take_headers_off(&mut self, tunnel: &Tunnel) {
        let inner = ETHERNET + 28;
        self.look_at(inner + ETHERNET);
        self.need_half(12, IPV4, self.pass);
        self.need_byte(14, NO_OPTIONS, self.pass);
        self.asm.load(Width::Half, R1, R7, 20);
        self.asm.jump_if(R1, If::AnyBit, in_frame(FRAGMENT), self.pass);
        self.need_byte(23, GRE, self.pass);
        self.need_word(26, tunnel.remote.octets(), self.pass);
        self.need_word(30, tunnel.local.octets(), self.pass);
        for (at, word) in frame::signature(tunnel.encap) {
            self.need_word(at as i16, word, self.pass);
        }
        let [first @ .., high, low] = tunnel.here.mac;
        self.need_word(inner, first, self.drop);
        self.need_half(inner + 4, u16::from_be_bytes([high, low]), self.drop);
        self.need_half(inner + 12, IPV4, self.drop);
        self.adjust_room(-ADDED, FIXED_GSO);
    }

    fn adjust_room(&mut self, bytes: i16, flags: u64) {
        self.asm.mov(R2, bytes);
        self.asm.mov(R3, BEHIND_MAC);
        self.asm.wide(R4, flags);
        self.must(Helper::AdjustRoom);
    }

    /// Goes on only with IPv4 packets that the tenant's host sends.
    fn need_source(&mut self, tunnel: &Tunnel) {
        self.look_at(ETHERNET + 20);
        self.need_half(12, IPV4, self.pass);
        self.need_word(26, tunnel.here.address.octets(), self.pass);
    }

    fn put_headers_on(&mut self, tunnel: &Tunnel, key: u32) {
        let headers = headers(tunnel, key);
        let (words, rest) = headers.as_chunks::<4>();
        for (at, word) in (SCRATCH..).step_by(4).zip(words) {
            self.asm.store(Width::Word, R10, at, i32::from_ne_bytes(*word));
        }
        self.asm.store(Width::Half, R10, SCRATCH + 40, i32::from(u16::from_ne_bytes([rest[0], rest[1]])));
        // R9 is the outer packet's length.
        self.asm.load(Width::Word, R9, R6, LEN);
        self.asm.alu(Alu::Add, R9, ADDED - ETHERNET);
        self.adjust_room(ADDED, FIXED_GSO | FOR_GRE);
        self.asm.mov(R2, R9);
        self.asm.big_endian(R2, 16);
        self.asm.store(Width::Half, R10, SCRATCH + 2, R2);
        self.add_checksum(&headers[..20]);
        self.asm.mov(R2, ETHERNET);
        self.asm.mov(R3, R10);
        self.asm.alu(Alu::Add, R3, SCRATCH);
        self.asm.mov(R4, ADDED);
        self.asm.mov(R5, 0);
        self.must(Helper::StoreBytes);
    }

    /// RFC 1071: the one's complement of the one's complement sum; R9 is the word that was zero in this header.
    fn add_checksum(&mut self, header: &[u8]) {
        self.asm.alu(Alu::Add, R9, i32::from(!checksum::of(header)));
        // One carry at most.
        self.asm.mov(R2, R9);
        self.asm.alu(Alu::RightShift, R2, 16);
        self.asm.alu(Alu::And, R9, 0xffff);
        self.asm.alu(Alu::Add, R9, R2);
        self.asm.mov(R2, 0xffff);
        self.asm.alu(Alu::Sub, R2, R9);
        self.asm.big_endian(R2, 16);
        self.asm.store(Width::Half, R10, SCRATCH + 10, R2);
    }

    /// The kernel has taken the S-tag out of the frame when the program runs; the C-tag it has left.
    fn take_tags_off(&mut self, s_vid: u16, c_vid: u16) {
        self.asm.load(Width::Word, R1, R6, TAG_PRESENT);
        self.asm.jump_if(R1, If::Equal, 0, self.pass);
        self.asm.load(Width::Word, R1, R6, TAG_TPID);
        self.asm.jump_if(R1, If::NotEqual, in_frame(S_TAG), self.pass);
        self.asm.load(Width::Word, R1, R6, TAG_TCI);
        self.asm.alu(Alu::And, R1, VID);
        self.asm.jump_if(R1, If::NotEqual, s_vid, self.pass);
        self.look_at(ETHERNET + 4);
        self.need_half(12, C_TAG, self.pass);
        self.asm.load(Width::Half, R1, R7, 14);
        self.asm.alu(Alu::And, R1, in_frame(VID));
        self.asm.jump_if(R1, If::NotEqual, in_frame(c_vid), self.pass);
        self.must(Helper::PopTag);
        self.must(Helper::PopTag);
    }

    fn put_tag_on(&mut self, tpid: u16, vid: u16) {
        self.asm.mov(R2, in_frame(tpid));
        self.asm.mov(R3, vid);
        self.must(Helper::PushTag);
    }
}

/// What is put in front of the tenant's packet; the outer IPv4 header's length and checksum are zero.
fn headers(tunnel: &Tunnel, key: u32) -> Vec<u8> {
    let mut ip = frame::ipv4(GRE, 0, tunnel.local.octets(), tunnel.remote.octets());
    for at in [2, 3, 10, 11] {
        ip[at] = 0;
    }
    [&ip[..], &frame::keyed(key), &tunnel.there.mac, &tunnel.here.mac, &IPV4.to_be_bytes()].concat()
}
