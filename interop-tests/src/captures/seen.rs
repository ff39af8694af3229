//! What a dissector sees in a frame, in words that do not depend on which dissector looked; one frame is one line of
//! a case's `out/PORT.txt`.

use std::fmt::{self, Display};
use std::net::IpAddr;

/// A VLAN tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its `EtherType`.
    pub tpid: u16,
    /// Priority, 0 to 7.
    pub pcp: u8,
    /// Drop eligible.
    pub dei: bool,
    /// VLAN ID.
    pub vid: u16,
}

/// A checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksum {
    /// There is none, or a zero that means none.
    #[default]
    Absent,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
}

/// An IP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ip {
    /// Source.
    pub from: IpAddr,
    /// Destination.
    pub to: IpAddr,
    /// DSCP and ECN: the type of service, or the traffic class.
    pub class: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Its own checksum; absent in IPv6.
    pub checksum: Checksum,
}

/// A tunnel's header behind the outer IP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shim {
    /// UDP and VXLAN.
    Vxlan {
        /// The UDP destination port.
        port: u16,
        /// UDP's checksum.
        checksum: Checksum,
        /// The first 16 bits, with the I flag.
        flags: u16,
        /// The VNI.
        vni: u32,
    },
    /// GRE, which NVGRE is too.
    Gre {
        /// The first 16 bits.
        flags: u16,
        /// Its checksum.
        checksum: Checksum,
        /// The key, if there is one.
        key: Option<u32>,
        /// The sequence number, if there is one.
        sequence: Option<u32>,
    },
}

/// The frame that a tunnel or a tag carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its tags: those that no one claims as the tenant's ID.
    pub tags: Vec<Tag>,
    /// The whole frame without any tags.
    pub bytes: Vec<u8>,
    /// Its IP header, if it has one.
    pub ip: Option<Ip>,
    /// What is in it, in a word or three.
    pub content: String,
    /// The checksum of what is in it.
    pub checksum: Checksum,
}

/// A frame, as one dissector sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The tags of the frame itself.
    pub tags: Vec<Tag>,
    /// Its tunnel, if it is in one.
    pub tunnel: Option<(Ip, Shim)>,
    /// The tenant's frame.
    pub tenant: Tenant,
}

impl Seen {
    /// The line about this frame; `like` says which frame that came in has the same bytes.
    #[must_use]
    pub fn line(&self, like: &str) -> String {
        let mut words: Vec<String> = self.tags.iter().map(Tag::to_string).collect();
        words.extend(self.tunnel.iter().map(|(ip, shim)| format!("{ip}, {shim}")));
        let outside = if words.is_empty() { "untagged".to_owned() } else { words.join(", ") };
        format!("{outside} | {}, {like}", self.tenant)
    }
}

impl Tenant {
    /// Whether it has these bytes, perhaps followed by padding; how many bytes of that.
    #[must_use]
    pub fn padding_behind(&self, other: &[u8]) -> Option<usize> {
        let rest = self.bytes.strip_prefix(other)?;
        rest.iter().all(|byte| *byte == 0).then_some(rest.len())
    }
}

impl Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tag {:04x}:{}", self.tpid, self.vid)?;
        if self.pcp != 0 {
            write!(f, " priority {}", self.pcp)?;
        }
        if self.dei { f.write_str(" dei") } else { Ok(()) }
    }
}

impl Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} class {:02x} ttl {}", self.from, self.to, self.class, self.ttl)?;
        if self.checksum == Checksum::Bad { f.write_str(" BAD IP CHECKSUM") } else { Ok(()) }
    }
}

impl Display for Shim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vxlan { port, checksum, flags, vni } => {
                write!(f, "udp {port} {}, vxlan flags {flags:04x} vni {vni}", checksum.word())
            }
            Self::Gre { flags, checksum, key, sequence } => {
                write!(f, "gre flags {flags:04x}")?;
                if *checksum != Checksum::Absent {
                    write!(f, " {}", checksum.word())?;
                }
                key.map_or(Ok(()), |key| write!(f, " key {key:08x}"))?;
                sequence.map_or(Ok(()), |sequence| write!(f, " sequence {sequence}"))
            }
        }
    }
}

impl Checksum {
    fn word(self) -> &'static str {
        match self {
            Self::Absent => "no checksum",
            Self::Good => "good checksum",
            Self::Bad => "BAD CHECKSUM",
        }
    }
}

impl Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to, from) = (mac(self.bytes.get(..6)), mac(self.bytes.get(6..12)));
        write!(f, "{from} > {to}")?;
        for tag in &self.tags {
            write!(f, " {tag}")?;
        }
        if let Some(ip) = &self.ip {
            write!(f, " {ip}")?;
        }
        write!(f, " {}", self.content)?;
        if self.checksum == Checksum::Bad {
            f.write_str(" BAD CHECKSUM")?;
        }
        write!(f, ", {} bytes", self.bytes.len())
    }
}

fn mac(bytes: Option<&[u8]>) -> String {
    let bytes = bytes.unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
