//! IP, ARP and what IP carries.

use std::net::{Ipv4Addr, Ipv6Addr};

use transload_encaps::{Carrier, Mac, ethernet};

use super::Cursor;

impl Cursor<'_> {
    /// Reads the network layer and the one above it. Returns the carrier of a tunnel, if one may follow.
    pub(super) fn network(&mut self, ether_type: u16) -> Option<Carrier> {
        let protocol = match ether_type {
            ethernet::IPV4 => self.ipv4()?,
            ethernet::IPV6 => self.ipv6()?,
            ethernet::ARP => return self.arp(),
            _ => return None,
        };
        match protocol {
            17 => self.udp(),
            6 => self.tcp(),
            1 | 58 => self.icmp(if protocol == 1 { "ICMP" } else { "ICMPv6" }),
            _ => Some(Carrier::Ip(protocol)),
        }
    }

    fn ipv4(&mut self) -> Option<u8> {
        let header: [u8; 20] = self.take()?;
        let [first, class, l1, l2, i1, i2, f1, f2, ttl, protocol, c1, c2, s1, s2, s3, s4, d1, d2, d3, d4] = header;
        let flags = u16::from_be_bytes([f1, f2]);
        let mut fields = vec![
            ("source", Ipv4Addr::new(s1, s2, s3, s4).to_string()),
            ("destination", Ipv4Addr::new(d1, d2, d3, d4).to_string()),
            ("dscp", (class >> 2).to_string()),
            ("ecn", ecn(class)),
            ("length", u16::from_be_bytes([l1, l2]).to_string()),
            ("id", u16::from_be_bytes([i1, i2]).to_string()),
            ("df", (flags >> 14 & 1).to_string()),
        ];
        let is_fragment = flags & 0x3fff != 0;
        if is_fragment {
            fields.push(("mf", (flags >> 13 & 1).to_string()));
            fields.push(("offset", ((flags & 0x1fff) * 8).to_string()));
        }
        fields.push(("ttl", ttl.to_string()));
        fields.push(("protocol", protocol.to_string()));
        fields.push(("checksum", format!("{:#06x}", u16::from_be_bytes([c1, c2]))));
        let len = (usize::from(first & 15) * 4).clamp(20, self.rest().len());
        self.layer("IPv4", len, fields);
        (flags << 3 == 0).then_some(protocol)
    }

    fn ipv6(&mut self) -> Option<u8> {
        let header: [u8; 40] = self.take()?;
        let first = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        let address =
            |from: usize| header.get(from..)?.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).to_string());
        let class = (first >> 20) as u8;
        let fields = vec![
            ("source", address(8)?),
            ("destination", address(24)?),
            ("dscp", (class >> 2).to_string()),
            ("ecn", ecn(class)),
            ("flow label", format!("{:#07x}", first & 0xf_ffff)),
            ("payload", u16::from_be_bytes([header[4], header[5]]).to_string()),
            ("next header", header[6].to_string()),
            ("hop limit", header[7].to_string()),
        ];
        self.layer("IPv6", 40, fields);
        let mut next = header[6];
        while matches!(next, 0 | 43 | 60) {
            let [following, units] = self.take()?;
            let len = 8 * (1 + usize::from(units));
            self.layer("IPv6 extension", len.min(self.rest().len()), vec![("next header", following.to_string())]);
            next = following;
        }
        Some(next)
    }

    fn udp(&mut self) -> Option<Carrier> {
        let [s1, s2, d1, d2, l1, l2, c1, c2] = self.take()?;
        let destination = u16::from_be_bytes([d1, d2]);
        let fields = vec![
            ("source", u16::from_be_bytes([s1, s2]).to_string()),
            ("destination", destination.to_string()),
            ("length", u16::from_be_bytes([l1, l2]).to_string()),
            ("checksum", format!("{:#06x}", u16::from_be_bytes([c1, c2]))),
        ];
        self.layer("UDP", 8, fields);
        Some(Carrier::Udp(destination))
    }

    fn tcp(&mut self) -> Option<Carrier> {
        let header: [u8; 20] = self.take()?;
        let [s1, s2, d1, d2, n1, n2, n3, n4, a1, a2, a3, a4, offset, flags, ..] = header;
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let set: Vec<_> =
            names.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0).map(|(_, name)| *name).collect();
        let fields = vec![
            ("source", u16::from_be_bytes([s1, s2]).to_string()),
            ("destination", u16::from_be_bytes([d1, d2]).to_string()),
            ("sequence", u32::from_be_bytes([n1, n2, n3, n4]).to_string()),
            ("acknowledged", u32::from_be_bytes([a1, a2, a3, a4]).to_string()),
            ("flags", set.join(" ")),
        ];
        let len = (usize::from(offset >> 4) * 4).clamp(20, self.rest().len());
        self.layer("TCP", len, fields);
        None
    }

    fn icmp(&mut self, name: &'static str) -> Option<Carrier> {
        let [kind, code, c1, c2] = self.take()?;
        let fields = vec![
            ("type", kind.to_string()),
            ("code", code.to_string()),
            ("checksum", format!("{:#06x}", u16::from_be_bytes([c1, c2]))),
        ];
        self.layer(name, 4, fields);
        None
    }

    fn arp(&mut self) -> Option<Carrier> {
        let body: [u8; 28] = self.take()?;
        let ip = |from: usize| body.get(from..)?.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).to_string());
        let mac = |from: usize| body.get(from..)?.first_chunk::<6>().map(|bytes| Mac(*bytes).to_string());
        let operation = match u16::from_be_bytes([body[6], body[7]]) {
            1 => "request".to_owned(),
            2 => "reply".to_owned(),
            other => other.to_string(),
        };
        let fields = vec![
            ("operation", operation),
            ("sender", format!("{} {}", mac(8)?, ip(14)?)),
            ("target", format!("{} {}", mac(18)?, ip(24)?)),
        ];
        self.layer("ARP", 28, fields);
        None
    }
}

fn ecn(class: u8) -> String {
    match class & 3 {
        0 => "Not-ECT",
        1 => "ECT(1)",
        2 => "ECT(0)",
        _ => "CE",
    }
    .to_owned()
}
