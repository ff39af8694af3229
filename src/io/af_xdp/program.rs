//! The redirect program of a port: from a [`Filter`] to BPF.
//!
//! The gateway's frames go to the XDP socket of their queue; for everything else the program answers `XDP_PASS` and
//! the kernel goes on as if it were not there. A frame is taken
//!
//! * when it has exactly the outer tag of one of our tunnel addresses (for one without a tag, it may be one that only
//!   carries a priority), is sent to that address and to the port's MAC, and its IP protocol, or UDP destination port, is one that tunnels ride on. IPv4 options and up to four IPv6
//!   extension headers are stepped over, as the gateway does. Of a fragmented UDP packet only the first piece says
//!   its port and is taken, to be counted as what it is; the others stay with the kernel;
//! * else when its first tag is claimed by a tenant, or all tags are.
//!
//! Whatever is too short, or broken, to tell stays with the kernel. If a queue has no socket, all of it does.
//!
//! Registers: R6 is the context, R9 the frame's first byte, R8 the one behind its last, R7 how far behind the first
//! one a header is. What is at a place known beforehand is read directly; what is not, behind options, by a helper,
//! since without `CAP_PERFMON` the kernel lets nobody add a number it does not know to a pointer.

use std::net::IpAddr;

use transload_encaps::{Carrier, Mac};

use super::filter::{Claims, Entrance, Filter, Tags};
use crate::bpf::Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};
use crate::bpf::{Alu, Assembler, BadJump, Helper, If, Instruction, Label, Map, Register, Width};

/// `XDP_PASS`.
pub(super) const PASS: i32 = 2;

/// In the map of tags, by VLAN ID: claimed as an outer tag.
pub(super) const OUTER: u32 = 1;
/// In the map of tags: claimed as a 0x8100 tag that stands alone.
pub(super) const SINGLE: u32 = 2;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const C_TAG: u16 = 0x8100;
const S_TAG: u16 = 0x88a8;
const VID: u16 = 0x0fff;
const UDP: u8 = 17;
/// Hop-by-hop, routing and destination options.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
const MOST_EXTENSIONS: usize = 4;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// IPv6's extension header of a fragment, and where in its second half-word the offset is (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;
const IPV6_FRAGMENT_OFFSET: u16 = 0xfff8;
/// Where on the stack a helper reads from or writes to: four bytes.
const SCRATCH: i16 = -4;

/// The maps a program looks into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps<'map> {
    /// By queue: the socket.
    pub(super) sockets: &'map Map<u32>,
    /// By VLAN ID: [`OUTER`] and [`SINGLE`].
    pub(super) tags: Option<&'map Map<u32>>,
}

/// The program for a filter. What it answers for a frame whose queue has no socket is `PASS`, but for tests.
pub(super) fn assemble(filter: &Filter, maps: Maps<'_>, without_socket: i32) -> Result<Vec<Instruction>, BadJump> {
    let mut asm = Assembler::default();
    let (take, pass) = (asm.label(), asm.label());
    let mut program = RedirectAssembler { asm, take, pass, sockets: maps.sockets, without_socket };
    program.section(RedirectAssembler::begin);
    // RFC 1112 §6.4, RFC 2464 §7: a multicast group has a MAC address of its own.
    let mac_of = |to: IpAddr| if to.is_multicast() { Some(Mac::of_group(to)) } else { filter.mac };
    let entrances = || filter.entrances.iter().map(|entrance| (entrance, mac_of(entrance.address)));
    for (entrance, mac) in entrances() {
        let tag = entrance.vlan.map(|vid| OuterTag { tpids: &[C_TAG], vid });
        program.section(|program, next| program.entrance(entrance, tag, mac, next));
    }
    // Behind all the others, since these are rare.
    for (entrance, mac) in entrances().filter(|(entrance, _)| entrance.vlan.is_none()) {
        program.section(|program, next| program.entrance(entrance, Some(PRIORITY), mac, next));
    }
    program.section(|program, _| match &filter.tags {
        Tags::None => program.asm.jump(program.pass),
        Tags::Some(claims) => program.claims(claims, maps.tags),
        Tags::Tagged(tpids) => program.tagged(tpids),
        Tags::All => program.asm.jump(program.take),
    });
    program.asm.finish()
}

/// The outer tag of an entrance's packets.
#[derive(Clone, Copy)]
struct OuterTag {
    tpids: &'static [u16],
    vid: u16,
}

/// IEEE 802.1Q §6.9.1: what has VLAN ID 0 belongs to the VLAN of untagged frames.
const PRIORITY: OuterTag = OuterTag { tpids: &[C_TAG, S_TAG], vid: 0 };

struct RedirectAssembler<'map> {
    asm: Assembler,
    /// Where the section's frames are taken, and where they are left to the kernel.
    take: Label,
    pass: Label,
    sockets: &'map Map<u32>,
    without_socket: i32,
}

/// A number of 16 bits as a load finds it in a frame.
const fn in_frame(number: u16) -> i32 {
    u16::from_ne_bytes(number.to_be_bytes()) as i32
}

impl RedirectAssembler<'_> {
    /// A part of the program with ends of its own, since a jump reaches only so far. The body ends with a jump, and
    /// is given where the next part begins.
    fn section(&mut self, body: impl FnOnce(&mut Self, Label)) {
        (self.take, self.pass) = (self.asm.label(), self.asm.label());
        let next = self.asm.label();
        body(self, next);
        self.ends();
        self.asm.place(next);
    }

    fn begin(&mut self, next: Label) {
        self.asm.mov(R6, R1);
        // struct xdp_md: data and data_end.
        self.asm.load(Width::Word, R9, R6, 0);
        self.asm.load(Width::Word, R8, R6, 4);
        self.need(R9, 14, self.pass);
        self.asm.jump(next);
    }

    /// Goes on only if so many bytes stand behind a register.
    fn need(&mut self, from: Register, bytes: i32, otherwise: Label) {
        self.asm.mov(R2, from);
        self.asm.alu(Alu::Add, R2, bytes);
        self.asm.jump_if(R2, If::Greater, R8, otherwise);
    }

    /// Goes on only if 16 bits of the frame are this number.
    fn need_half(&mut self, at: i16, number: u16, otherwise: Label) {
        self.asm.load(Width::Half, R1, R9, at);
        self.asm.jump_if(R1, If::NotEqual, in_frame(number), otherwise);
    }

    /// Goes on only if these bytes stand in the frame; their number is a multiple of four.
    fn need_words(&mut self, at: i16, bytes: &[u8], otherwise: Label) {
        let (words, _) = bytes.as_chunks::<4>();
        for (at, word) in (at..).step_by(4).zip(words) {
            self.asm.load(Width::Word, R1, R9, at);
            self.asm.jump_if_word(R1, If::NotEqual, u32::from_ne_bytes(*word), otherwise);
        }
    }

    /// Takes what is sent to one of our tunnel addresses and rides on what tunnels ride on.
    fn entrance(&mut self, entrance: &Entrance, tag: Option<OuterTag>, mac: Option<Mac>, next: Label) {
        let ether_type = if entrance.address.is_ipv4() { IPV4 } else { IPV6 };
        let ip: i16 = match tag {
            None => {
                self.need_half(12, ether_type, next);
                14
            }
            Some(OuterTag { tpids, vid }) => {
                let tagged = self.asm.label();
                self.asm.load(Width::Half, R1, R9, 12);
                for &tpid in tpids {
                    self.asm.jump_if(R1, If::Equal, in_frame(tpid), tagged);
                }
                self.asm.jump(next);
                self.asm.place(tagged);
                self.need(R9, 18, next);
                self.asm.load(Width::Half, R1, R9, 14);
                self.asm.alu(Alu::And, R1, in_frame(VID));
                self.asm.jump_if(R1, If::NotEqual, in_frame(vid), next);
                self.need_half(16, ether_type, next);
                18
            }
        };
        match entrance.address {
            IpAddr::V4(address) => {
                self.need(R9, i32::from(ip) + 20, next);
                self.need_words(ip + 16, &address.octets(), next);
                self.need_mac(mac);
                self.behind_ipv4(ip);
                self.carriers(entrance, ip, ip + 20);
            }
            IpAddr::V6(address) => {
                self.need(R9, i32::from(ip) + 40, next);
                self.need_words(ip + 24, &address.octets(), next);
                self.need_mac(mac);
                self.behind_ipv6(ip);
                self.carriers(entrance, ip, ip + 40);
            }
        }
    }

    /// A packet to our address with another MAC is no tenant's frame either.
    fn need_mac(&mut self, mac: Option<Mac>) {
        let Some(Mac([first @ .., high, low])) = mac else { return };
        self.need_words(0, &first, self.pass);
        self.need_half(4, u16::from_be_bytes([high, low]), self.pass);
    }

    /// R7 is then where the IPv4 header ends, and R3 the protocol.
    fn behind_ipv4(&mut self, ip: i16) {
        self.asm.load(Width::Byte, R7, R9, ip);
        self.asm.alu(Alu::And, R7, 0x0f);
        self.asm.alu(Alu::LeftShift, R7, 2);
        self.asm.jump_if(R7, If::Less, 20, self.pass);
        self.asm.alu(Alu::Add, R7, ip);
        self.asm.load(Width::Byte, R3, R9, ip + 9);
    }

    /// R7 is then where the IPv6 header and its extensions end, and R3 the header that stands there.
    fn behind_ipv6(&mut self, ip: i16) {
        self.asm.load(Width::Byte, R3, R9, ip + 6);
        self.asm.mov(R7, i32::from(ip) + 40);
        let done = self.asm.label();
        for _ in 0..MOST_EXTENSIONS {
            let extension = self.asm.label();
            for kind in EXTENSIONS {
                self.asm.jump_if(R3, If::Equal, kind, extension);
            }
            self.asm.jump(done);
            self.asm.place(extension);
            self.fetch(2);
            // Its length counts eight bytes, but for the first eight.
            self.asm.load(Width::Byte, R3, R10, SCRATCH);
            self.asm.load(Width::Byte, R1, R10, SCRATCH + 1);
            self.asm.alu(Alu::Add, R1, 1);
            self.asm.alu(Alu::LeftShift, R1, 3);
            self.asm.alu(Alu::Add, R7, R1);
        }
        self.asm.place(done);
        self.behind_fragment_header();
    }

    /// Steps over an IPv6 fragment header, if it is R3 and stands at R7.
    fn behind_fragment_header(&mut self) {
        let whole = self.asm.label();
        self.asm.jump_if(R3, If::NotEqual, FRAGMENT, whole);
        self.fetch(4);
        self.asm.load(Width::Byte, R3, R10, SCRATCH);
        self.asm.alu(Alu::Add, R7, 8);
        self.asm.jump_if(R3, If::NotEqual, UDP, whole);
        self.asm.load(Width::Half, R1, R10, SCRATCH + 2);
        self.asm.jump_if(R1, If::AnyBit, in_frame(IPV6_FRAGMENT_OFFSET), self.pass);
        self.asm.place(whole);
    }

    /// Copies so many bytes of the frame, from R7 on, to the scratch space. R1 to R5 are lost.
    fn fetch(&mut self, bytes: i32) {
        self.asm.mov(R1, R6);
        self.asm.mov(R2, R7);
        self.asm.mov(R3, R10);
        self.asm.alu(Alu::Add, R3, SCRATCH);
        self.asm.mov(R4, bytes);
        self.asm.call(Helper::LoadBytes);
        self.asm.jump_if(R0, If::NotEqual, 0, self.pass);
    }

    /// Takes what tunnels ride on: R3 is the IP protocol, R7 where its header is, `usual` where it is without options.
    /// All else stays with the kernel.
    fn carriers(&mut self, entrance: &Entrance, ip: i16, usual: i16) {
        let mut ports = Vec::new();
        for carrier in &entrance.carriers {
            match *carrier {
                Carrier::Ip(protocol) => self.asm.jump_if(R3, If::Equal, protocol, self.take),
                Carrier::Udp(port) => ports.push(port),
                Carrier::Port => {}
            }
        }
        if !ports.is_empty() {
            self.asm.jump_if(R3, If::NotEqual, UDP, self.pass);
            if entrance.address.is_ipv4() {
                self.asm.load(Width::Half, R1, R9, ip + 6);
                self.asm.jump_if(R1, If::AnyBit, in_frame(FRAGMENT_OFFSET), self.pass);
            }
            self.udp_port(usual);
            for port in ports {
                self.asm.jump_if(R1, If::Equal, in_frame(port), self.take);
            }
        }
        self.asm.jump(self.pass);
    }

    /// R1 is then the destination port of the UDP header at R7.
    fn udp_port(&mut self, usual: i16) {
        let (options, done) = (self.asm.label(), self.asm.label());
        self.asm.jump_if(R7, If::NotEqual, usual, options);
        self.need(R9, i32::from(usual) + 4, self.pass);
        self.asm.load(Width::Half, R1, R9, usual + 2);
        self.asm.jump(done);
        self.asm.place(options);
        self.fetch(4);
        self.asm.load(Width::Half, R1, R10, SCRATCH + 2);
        self.asm.place(done);
    }

    /// Takes frames by their first tag, or for want of one.
    fn claims(&mut self, claims: &Claims, map: Option<&Map<u32>>) {
        let tagged = self.asm.label();
        self.asm.load(Width::Half, R7, R9, 12);
        let tpids = claims.tpids.iter().copied().chain([C_TAG]);
        for tpid in tpids {
            self.asm.jump_if(R7, If::Equal, in_frame(tpid), tagged);
        }
        self.asm.jump(if claims.untagged { self.take } else { self.pass });

        self.asm.place(tagged);
        self.need(R9, 18, self.pass);
        self.asm.load(Width::Half, R1, R9, 14);
        self.asm.big_endian(R1, 16);
        self.asm.alu(Alu::And, R1, VID);
        if claims.untagged {
            self.asm.jump_if(R1, If::Equal, 0, self.take);
        }
        let Some(map) = map else { return self.asm.jump(self.pass) };
        self.asm.store(Width::Word, R10, SCRATCH, R1);
        self.asm.mov(R2, R10);
        self.asm.alu(Alu::Add, R2, SCRATCH);
        self.asm.load_map(R1, map);
        self.asm.call(Helper::MapLookup);
        self.asm.jump_if(R0, If::Equal, 0, self.pass);
        self.asm.load(Width::Word, R1, R0, 0);
        for &tpid in &claims.tpids {
            self.claimed(tpid, OUTER);
        }
        self.claimed(C_TAG, SINGLE);
        self.asm.jump(self.pass);
    }

    /// Takes what has a VLAN ID. A 0x8100 tag without one is only a priority.
    fn tagged(&mut self, tpids: &[u16]) {
        self.asm.load(Width::Half, R7, R9, 12);
        for &tpid in tpids.iter().filter(|tpid| **tpid != C_TAG) {
            self.asm.jump_if(R7, If::Equal, in_frame(tpid), self.take);
        }
        self.asm.jump_if(R7, If::NotEqual, in_frame(C_TAG), self.pass);
        self.need(R9, 18, self.pass);
        self.asm.load(Width::Half, R1, R9, 14);
        self.asm.alu(Alu::And, R1, in_frame(VID));
        self.asm.jump_if(R1, If::Equal, 0, self.pass);
        self.asm.jump(self.take);
    }

    /// Takes the frame if its first tag has this TPID, in R7, and its claims, in R1, are of this kind.
    fn claimed(&mut self, tpid: u16, kind: u32) {
        let next = self.asm.label();
        self.asm.jump_if(R7, If::NotEqual, in_frame(tpid), next);
        self.asm.jump_if(R1, If::AnyBit, kind.cast_signed(), self.take);
        self.asm.place(next);
    }

    /// The ends of a section that are used: the kernel refuses code that is not reachable.
    fn ends(&mut self) {
        if self.asm.is_used(self.pass) {
            self.asm.place(self.pass);
            self.asm.mov(R0, PASS);
            self.asm.exit();
        }
        if self.asm.is_used(self.take) {
            self.asm.place(self.take);
            self.asm.load_map(R1, self.sockets);
            // struct xdp_md: rx_queue_index.
            self.asm.load(Width::Word, R2, R6, 16);
            self.asm.mov(R3, self.without_socket);
            self.asm.call(Helper::RedirectMap);
            self.asm.exit();
        }
    }
}
