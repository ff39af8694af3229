//! A frame in words: every header with its fields by name, from the outer Ethernet to what the tenant sent.

mod network;

use serde::{Serialize, Serializer};
use transload_encaps::words::type_name;
use transload_encaps::{Kind, Mac, ethernet};

/// A header of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// The name of the header.
    pub name: &'static str,
    /// Where it begins in the frame.
    pub at: usize,
    /// How many bytes it has.
    pub len: usize,
    /// Its fields, in the order of the wire.
    #[serde(serialize_with = "as_map")]
    pub fields: Vec<(&'static str, String)>,
}

fn as_map<S: Serializer>(fields: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
}

/// A frame taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Decoded {
    /// The headers, the outermost first.
    pub layers: Vec<Layer>,
    /// Where the tenant's frame begins, if there is one in a tunnel.
    pub inner_at: Option<usize>,
}

/// What may be inside the outer IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// A tunnel of this encapsulation.
    Tunnel(Kind),
    /// Whatever the carrier is usually used for.
    Unknown,
    /// The frame is a tenant's own.
    Nothing,
}

/// Takes a frame apart, as far as it goes.
pub(super) fn decode(frame: &[u8], inside: Inside) -> Decoded {
    let mut cursor = Cursor { frame, at: 0, layers: Vec::new() };
    let mut decoded = Decoded::default();
    let Some(ether_type) = cursor.ethernet() else {
        decoded.layers = cursor.layers;
        return decoded;
    };
    let carrier = cursor.network(ether_type);
    let kind = match (inside, carrier) {
        (Inside::Tunnel(kind), Some(_)) => Some(kind),
        (Inside::Unknown, Some(carrier)) => Kind::on(carrier).find(|kind| !kind.fields(cursor.rest()).is_empty()),
        _ => None,
    };
    if let Some(inner_at) = kind.and_then(|kind| cursor.tunnel(kind)) {
        decoded.inner_at = Some(inner_at);
        cursor.at = inner_at;
        if let Some(ether_type) = cursor.ethernet() {
            cursor.network(ether_type);
        }
    }
    decoded.layers = cursor.layers;
    decoded
}

/// A place in a frame, and what has been read before it.
struct Cursor<'f> {
    frame: &'f [u8],
    at: usize,
    layers: Vec<Layer>,
}

impl<'f> Cursor<'f> {
    fn rest(&self) -> &'f [u8] {
        self.frame.get(self.at..).unwrap_or_default()
    }

    fn take<const N: usize>(&self) -> Option<[u8; N]> {
        self.rest().first_chunk().copied()
    }

    fn layer(&mut self, name: &'static str, len: usize, fields: Vec<(&'static str, String)>) {
        self.layers.push(Layer { name, at: self.at, len, fields });
        self.at += len;
    }

    /// The tunnel's header; returns where the frame in it begins, if the header is whole and carries one.
    fn tunnel(&mut self, kind: Kind) -> Option<usize> {
        let (at, packet) = (self.at, self.rest());
        let fields = kind.fields(packet);
        let len = fields.last()?.at.end;
        let shown = fields.iter().filter(|field| !field.is_blank);
        self.layer(kind.info().title, len, shown.map(|field| (field.name, field.text())).collect());
        kind.inner_at(packet).map(|inner| at + inner)
    }

    /// Addresses, tags and the type behind them.
    fn ethernet(&mut self) -> Option<u16> {
        let [d1, d2, d3, d4, d5, d6, s1, s2, s3, s4, s5, s6, t1, t2] = self.take()?;
        let (dst, src) = (Mac([d1, d2, d3, d4, d5, d6]), Mac([s1, s2, s3, s4, s5, s6]));
        let mut ether_type = u16::from_be_bytes([t1, t2]);
        let mut fields = vec![("destination", dst.to_string()), ("source", src.to_string())];
        let is_tagged = ethernet::is_tag(ether_type);
        if !is_tagged {
            fields.push(("type", type_words(ether_type)));
        }
        self.layer("Ethernet", if is_tagged { ethernet::ADDRESSES_LEN } else { ethernet::HEADER_LEN }, fields);
        while ethernet::is_tag(ether_type) {
            let [_, _, c1, c2, n1, n2] = self.take()?;
            let tci = u16::from_be_bytes([c1, c2]);
            let next = u16::from_be_bytes([n1, n2]);
            let mut fields = vec![
                ("tpid", format!("{ether_type:#06x}")),
                ("pcp", (tci >> 13).to_string()),
                ("dei", (tci >> 12 & 1).to_string()),
                ("vid", (tci & 0x0fff).to_string()),
            ];
            let is_last = !ethernet::is_tag(next);
            if is_last {
                fields.push(("type", type_words(next)));
            }
            self.layer("VLAN tag", if is_last { 6 } else { 4 }, fields);
            ether_type = next;
        }
        Some(ether_type)
    }
}

fn type_words(ether_type: u16) -> String {
    match type_name(ether_type) {
        Some(name) => format!("{ether_type:#06x} ({name})"),
        None => format!("{ether_type:#06x}"),
    }
}
