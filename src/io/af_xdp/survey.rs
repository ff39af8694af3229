//! What can be known of a device before anything is opened: whether XDP sockets would work there, and get packets that
//! are complete.

use transload_encaps::Mac;

use super::open::missing;
use crate::io::{LinkLayer, ethtool, sys};

/// What a device looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Number of queues that it receives by.
    pub queues: u32,
    /// Number of queues that it sends by: of a queue without one of these the kernel sends nothing, and says nothing.
    pub senders: u32,
    /// Its MAC address.
    pub mac: Option<Mac>,
    /// Most bytes of an IP packet on it; 0 where there is no such device.
    pub mtu: u32,
    layer: LinkLayer,
    driver: String,
    bus: String,
}

impl Survey {
    /// Looks at a device; one that is not there has one queue and no driver.
    #[must_use]
    pub fn of(device: &str) -> Self {
        let (driver, bus) =
            ethtool::driver(device).map_or_else(|_| (String::new(), String::new()), |driver| (driver.name, driver.bus));
        let found = sys::device(device);
        let (mac, mtu, layer) =
            found.map_or((None, 0, LinkLayer::Ethernet), |device| (device.mac, device.mtu, device.layer));
        let (queues, senders) = ethtool::queues(device);
        Self { queues, senders, mac, mtu, layer, driver, bus }
    }

    /// Most workers that can have a queue each to receive and to send by.
    #[must_use]
    pub fn most_workers(&self) -> usize {
        self.queues.min(self.senders) as usize
    }

    /// Whether `io: auto` may choose XDP sockets for so many workers. Returns the reason to, in words.
    ///
    /// # Errors
    /// The reason not to, in words.
    pub fn suits(&self, workers: usize) -> Result<String, String> {
        let Self { queues, driver, bus, layer, .. } = self;
        let most = self.most_workers();
        let what = if driver.is_empty() { String::new() } else { format!(" ({driver})") };
        if *layer != LinkLayer::Ethernet {
            return Err(format!("the device{what} carries IP packets without Ethernet headers"));
        }
        if driver == "veth" {
            return Err(
                "the far end of a veth may leave checksums, segmentation and VLAN tags to its device, and such \
                        packets arrive incomplete on XDP sockets; where that is turned off, write `io: af_xdp`"
                    .into(),
            );
        }
        if bus.is_empty() || matches!(bus.as_str(), "tap" | "N/A") {
            return Err(format!("the device is made by software{what}, and has no queues of its own to read from"));
        }
        if most < workers {
            return Err(format!("{workers} workers want a queue each, and the device has {most}"));
        }
        let missing = missing(true);
        if !missing.is_empty() {
            return Err(format!("XDP sockets would take {}", missing.join(" and ")));
        }
        Ok(format!("a network card ({driver} at {bus}) with {queues} queue{}", if *queues == 1 { "" } else { "s" }))
    }
}

#[cfg(test)]
impl Survey {
    /// A device that nobody has.
    pub(crate) fn made_up(driver: &str, bus: &str, queues: u32, senders: u32) -> Self {
        let (driver, bus) = (driver.into(), bus.into());
        Self { queues, senders, mac: None, mtu: 1500, layer: LinkLayer::Ethernet, driver, bus }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(driver: &str, bus: &str, queues: u32) -> Survey {
        Survey::made_up(driver, bus, queues, queues)
    }

    #[test]
    fn a_veth_is_left_to_packet_sockets_since_nobody_knows_what_its_sender_leaves_undone() {
        assert!(survey("veth", "", 4).suits(1).unwrap_err().contains("far end of a veth"));
    }

    #[test]
    fn what_only_software_makes_is_left_to_packet_sockets() {
        for (driver, bus) in [("", ""), ("tun", "tap"), ("bridge", "N/A"), ("bonding", "")] {
            assert!(survey(driver, bus, 4).suits(1).unwrap_err().contains("made by software"), "{driver}");
        }
    }

    #[test]
    fn what_carries_no_ethernet_is_left_to_packet_sockets_whatever_bus_it_says_it_is_on() {
        let tun = Survey { layer: LinkLayer::Ip, ..survey("tun", "tun", 1) };
        assert_eq!(tun.suits(1).unwrap_err(), "the device (tun) carries IP packets without Ethernet headers");
    }

    #[test]
    fn a_card_with_fewer_queues_than_workers_is_left_to_packet_sockets() {
        let told = survey("ice", "0000:3b:00.0", 2).suits(4).unwrap_err();
        assert_eq!(told, "4 workers want a queue each, and the device has 2");
    }
}
