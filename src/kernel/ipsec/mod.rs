//! The machine's IPsec policies, and what they say of tunnel packets, which the kernel itself never shows to them.

pub mod packets;
pub mod policies;
pub mod watch;

use packets::PacketSet;
use policies::{IpsecPolicy, Treatment, Way};

use crate::kernel::tables::LinkIndex;

/// The policy that would not let some of these packets pass as they are, if there is one. `policies` are in the order
/// in which the kernel tries them; the packets come or leave by one of `devices`.
#[must_use]
pub fn objection<'p>(
    policies: &'p [IpsecPolicy],
    way: Way,
    packets: &PacketSet,
    devices: &[LinkIndex],
) -> Option<&'p IpsecPolicy> {
    let mut passing: Vec<&PacketSet> = Vec::new();
    for policy in policies.iter().filter(|policy| policy.way == way) {
        let Some(selected) = policy.packets.meet(packets) else { continue };
        if policy.device.is_some_and(|device| !devices.contains(&device)) {
            continue;
        }
        if policy.treatment != Treatment::Pass {
            if !passing.iter().any(|before| before.covers(&selected)) {
                return Some(policy);
            }
        } else if policy.device.is_none() || devices.len() == 1 {
            passing.push(&policy.packets);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use transload_encaps::Carrier;
    use transload_encaps::underlay::SourcePorts;

    use super::packets::{PortBits, host};
    use super::*;
    use crate::config::Prefix;

    fn prefix(text: &str) -> Prefix {
        let (address, len) = text.split_once('/').unwrap();
        Prefix::around(address.parse().unwrap(), len.parse().unwrap())
    }

    fn packets(src: &str, dst: &str) -> PacketSet {
        let (src, dst) = (prefix(src), prefix(dst));
        PacketSet { src, dst, protocol: None, src_port: PortBits::ANY, dst_port: PortBits::ANY }
    }

    fn policy(priority: u32, treatment: Treatment, packets: PacketSet) -> IpsecPolicy {
        IpsecPolicy { packets, device: None, way: Way::Out, priority, treatment, is_default: false }
    }

    fn vxlan() -> PacketSet {
        let (ours, theirs) = (host("192.0.2.1".parse().unwrap()), host("192.0.2.9".parse().unwrap()));
        PacketSet::sent(ours, theirs, Carrier::Udp(4789), SourcePorts::DYNAMIC).unwrap()
    }

    fn objects(policies: &[IpsecPolicy]) -> Option<u32> {
        objection(policies, Way::Out, &vxlan(), &[2]).map(|policy| policy.priority)
    }

    #[test]
    fn a_policy_applies_by_addresses_protocol_and_ports() {
        let block = |packets| objects(&[policy(7, Treatment::Block, packets)]).is_some();
        let wide = packets("192.0.2.0/24", "0.0.0.0/0");
        assert!(block(wide));
        assert!(!block(packets("192.0.2.0/24", "192.0.2.8/32")));
        assert!(!block(packets("::/0", "::/0")));
        assert!(block(PacketSet { protocol: Some(17), ..wide }));
        assert!(!block(PacketSet { protocol: Some(47), ..wide }));
        assert!(block(PacketSet { dst_port: PortBits::only(4789), ..wide }));
        assert!(!block(PacketSet { dst_port: PortBits::only(8472), ..wide }));
        assert!(block(PacketSet { dst_port: PortBits { value: 4788, mask: 0xfff8 }, ..wide }));
        assert!(!block(PacketSet { src_port: PortBits::only(4789), ..wide }), "the gateway sends from 49152 upwards");
        assert!(block(PacketSet { src_port: PortBits::only(60_000), ..wide }));
    }

    #[test]
    fn one_that_lets_pass_counts_if_it_comes_first_and_is_as_wide() {
        let (all, host) = (packets("0.0.0.0/0", "0.0.0.0/0"), packets("192.0.2.1/32", "192.0.2.9/32"));
        let other = packets("192.0.2.1/32", "192.0.2.10/32");
        let protect = |priority, packets| policy(priority, Treatment::Protect(50), packets);
        let pass = |priority, packets| policy(priority, Treatment::Pass, packets);
        assert_eq!(objects(&[protect(2, all)]), Some(2));
        assert_eq!(objects(&[pass(1, host), protect(2, all)]), None);
        assert_eq!(objects(&[pass(1, other), protect(2, all)]), Some(2));
        assert_eq!(objects(&[protect(1, all), pass(2, host)]), Some(1));
        let narrow = PacketSet { src_port: PortBits::only(60_000), ..host };
        assert_eq!(objects(&[pass(1, narrow), protect(2, all)]), Some(2), "it lets only one of our ports pass");
        assert_eq!(objects(&[pass(1, narrow), protect(2, narrow)]), None);
    }

    #[test]
    fn a_policy_of_another_device_or_direction_does_not_matter() {
        let all = packets("0.0.0.0/0", "0.0.0.0/0");
        let of_device = |device| IpsecPolicy { device, ..policy(1, Treatment::Block, all) };
        assert_eq!(objects(&[of_device(Some(2))]), Some(1));
        assert_eq!(objects(&[of_device(Some(3))]), None);
        assert_eq!(objects(&[IpsecPolicy { way: Way::In, ..of_device(None) }]), None);
        let pass = IpsecPolicy { treatment: Treatment::Pass, ..of_device(Some(2)) };
        let two_ways = objection(&[pass, policy(3, Treatment::Block, all)], Way::Out, &vxlan(), &[2, 3]).cloned();
        assert_eq!(two_ways.map(|policy| policy.priority), Some(3), "packets by the other device are blocked");
    }
}
