//! The tunnel headers.

use transload_encaps::{Kind, ethernet};

use super::Cursor;

impl Cursor<'_> {
    /// The tunnel's header; false when it is not whole, or carries no Ethernet.
    pub(super) fn tunnel(&mut self, kind: Kind) -> bool {
        let done = match kind.info().tag {
            "vxlan" => self.vxlan(),
            "gre" => self.gre(),
            "nvgre" => self.nvgre(),
            _ => None,
        };
        done.unwrap_or(false)
    }

    fn vxlan(&mut self) -> Option<bool> {
        let [flags, r1, r2, r3, v1, v2, v3, r4] = self.take()?;
        let mut fields = vec![("flags", format!("{flags:#04x}"))];
        if [r1, r2, r3] != [0; 3] {
            fields.push(("reserved", format!("{r1:02x}{r2:02x}{r3:02x}")));
        }
        fields.push(("vni", u32::from_be_bytes([0, v1, v2, v3]).to_string()));
        if r4 != 0 {
            fields.push(("reserved 2", format!("{r4:#04x}")));
        }
        self.layer("VXLAN", 8, fields);
        Some(true)
    }

    fn nvgre(&mut self) -> Option<bool> {
        let [f1, f2, t1, t2, v1, v2, v3, flow_id] = self.take()?;
        let fields = vec![
            ("flags", format!("{:#06x}", u16::from_be_bytes([f1, f2]))),
            ("type", super::type_words(u16::from_be_bytes([t1, t2]))),
            ("vsid", u32::from_be_bytes([0, v1, v2, v3]).to_string()),
            ("flow id", format!("{flow_id:#04x}")),
        ];
        self.layer("NVGRE", 8, fields);
        Some([t1, t2] == ethernet::BRIDGING.to_be_bytes())
    }

    fn gre(&mut self) -> Option<bool> {
        let [f1, f2, t1, t2] = self.take()?;
        let flags = u16::from_be_bytes([f1, f2]);
        let mut fields =
            vec![("flags", format!("{flags:#06x}")), ("type", super::type_words(u16::from_be_bytes([t1, t2])))];
        let mut at = 4;
        for (bit, name) in [(0x8000, "checksum"), (0x2000, "key"), (0x1000, "sequence")] {
            if flags & bit != 0 {
                let word = u32::from_be_bytes(*self.rest().get(at..)?.first_chunk()?);
                fields.push((
                    name,
                    match name {
                        "checksum" => format!("{:#06x}", word >> 16),
                        "key" => format!("{word:#010x}"),
                        _ => word.to_string(),
                    },
                ));
                at += 4;
            }
        }
        self.layer("GRE", at, fields);
        Some([t1, t2] == ethernet::BRIDGING.to_be_bytes())
    }
}
