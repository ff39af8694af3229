//! Next hops from a real kernel, in namespaces of this process. Needs the right to make them.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use transload::forwarding::{PeerId, PortId, Slab};
use transload::kernel::resolver::Resolver;
use transload::kernel::tables::Neighbour;
use transload::rib::facts::{PortLink, Tunnel};
use transload_encaps::Mac;
use transload_lab::Namespace;

#[path = "common/furnish.rs"]
mod furnish;

use furnish::Furnish;

const PATIENCE: Duration = Duration::from_secs(30);
const LEAF1: Mac = Mac([2, 0, 0, 0, 0x10, 1]);
const LEAF2: Mac = Mac([2, 0, 0, 0, 0x10, 2]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A gateway's namespace with up1 and up2, cabled to a leaf's namespace that answers as 10.0.1.2 and 10.0.2.2.
struct Lab {
    gateway: Namespace,
    leaf: Namespace,
}

impl Lab {
    /// `None`, said loudly, where namespaces cannot be made.
    fn new(test: &str) -> Option<Self> {
        match Self::build() {
            Ok(lab) => Some(lab),
            Err(error) => {
                eprintln!("SKIPPED: {test}: network namespaces cannot be made here ({error}); run as root");
                None
            }
        }
    }

    fn build() -> io::Result<Self> {
        let lab = Self { gateway: Namespace::new()?, leaf: Namespace::new()? };
        lab.gateway.netlink(async |netlink| {
            netlink.add_address("lo", ip("192.0.2.1"), 32).await?;
            for (n, mac) in [(1, LEAF1), (2, LEAF2)] {
                let (near, far) = (format!("up{n}"), format!("leaf{n}"));
                netlink.add_veth(&near, &far).await?;
                netlink.set_mac(&far, mac).await?;
                netlink.move_to(&far, lab.leaf.as_fd()).await?;
                netlink.add_address(&near, ip(&format!("10.0.{n}.1")), 24).await?;
                netlink.add_address(&near, ip(&format!("2001:db8:{n}::1")), 64).await?;
                netlink.set_up(&near, true).await?;
            }
            Ok(())
        })?;
        lab.leaf.netlink(async |netlink| {
            for n in [1, 2] {
                netlink.add_address(&format!("leaf{n}"), ip(&format!("10.0.{n}.2")), 24).await?;
                netlink.add_address(&format!("leaf{n}"), ip(&format!("2001:db8:{n}::2")), 64).await?;
                netlink.set_up(&format!("leaf{n}"), true).await?;
            }
            Ok(())
        })?;
        Ok(lab)
    }

    fn route(&self, to: &str, via: &[(&str, &str)]) {
        let via: Vec<_> = via.iter().map(|(device, gateway)| (*device, ip(gateway))).collect();
        let prefix = if ip(to).is_ipv4() { 32 } else { 128 };
        self.gateway.netlink(async |netlink| netlink.add_route((ip(to), prefix), &via).await).unwrap();
    }
}

/// Drives this to its end in a namespace.
fn enter_async<T, F>(namespace: &Namespace, work: impl FnOnce() -> F + Send) -> io::Result<T>
where
    T: Send,
    F: Future<Output = io::Result<T>>,
{
    namespace.enter(|| tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work()))
}

fn tunnel(local: &str, remote: &str) -> Tunnel {
    Tunnel {
        peer: PeerId::new(0),
        name: "leaf-9".into(),
        endpoint: "fabric".into(),
        local: ip(local),
        remote: ip(remote),
        ports: vec![PortId::new(0), PortId::new(1)],
        vlan: None,
    }
}

fn ports() -> Slab<PortId, PortLink> {
    let port = |name: &str| PortLink { name: name.into(), device: Some(name.into()), ..PortLink::default() };
    [(PortId::new(0), port("up1")), (PortId::new(1), port("up2"))].into_iter().collect()
}

fn next_macs(resolver: &Resolver) -> Vec<(PortId, Mac)> {
    resolver.resolution(PeerId::new(0)).unwrap().hops.iter().map(|hop| (hop.port, hop.link.dst)).collect()
}

#[test]
fn the_kernel_resolves_every_equal_cost_next_hop_when_asked() {
    let Some(lab) = Lab::new("the_kernel_resolves_every_equal_cost_next_hop_when_asked") else { return };
    lab.route("203.0.113.9", &[("up1", "10.0.1.2"), ("up2", "10.0.2.2")]);
    let found = enter_async(&lab.gateway, || async {
        let mut resolver = Resolver::start(vec![tunnel("192.0.2.1", "203.0.113.9")], ports()).await?;
        resolver.settle(PATIENCE).await;
        Ok(next_macs(&resolver))
    });
    assert_eq!(found.unwrap(), [(PortId::new(0), LEAF1), (PortId::new(1), LEAF2)]);
}

#[test]
fn ipv6_peers_and_ipv4_peers_behind_ipv6_next_hops_are_resolved() {
    let Some(lab) = Lab::new("ipv6_peers_and_ipv4_peers_behind_ipv6_next_hops_are_resolved") else { return };
    lab.route("2001:db8:9::9", &[("up1", "2001:db8:1::2"), ("up2", "2001:db8:2::2")]);
    lab.route("203.0.113.9", &[("up2", "2001:db8:2::2")]);
    let found = enter_async(&lab.gateway, || async {
        let mut v6 = Resolver::start(vec![tunnel("2001:db8:1::1", "2001:db8:9::9")], ports()).await?;
        v6.settle(PATIENCE).await;
        let mut mixed = Resolver::start(vec![tunnel("192.0.2.1", "203.0.113.9")], ports()).await?;
        mixed.settle(PATIENCE).await;
        Ok((next_macs(&v6), next_macs(&mixed)))
    });
    assert_eq!(found.unwrap(), (vec![(PortId::new(0), LEAF1), (PortId::new(1), LEAF2)], vec![(PortId::new(1), LEAF2)]));
}

/// What a running resolver publishes: the ports and next hops of the only tunnel.
struct Running {
    task: tokio::task::JoinHandle<()>,
    seen: tokio::sync::watch::Receiver<Vec<(PortId, Mac)>>,
}

impl Running {
    fn start(resolver: Resolver) -> Self {
        let (published, seen) = tokio::sync::watch::channel(Vec::new());
        let publish = move |resolver: &mut Resolver| drop(published.send_replace(next_macs(resolver)));
        Self { task: tokio::spawn(resolver.run(tokio::sync::mpsc::unbounded_channel().1, publish)), seen }
    }

    async fn wait_for(&mut self, hops: &[(PortId, Mac)]) {
        let waited = tokio::time::timeout(PATIENCE, self.seen.wait_for(|now| now == hops)).await.map(|_| ());
        assert!(waited.is_ok(), "want {hops:?}, have {:?}", self.seen.borrow());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[test]
fn a_link_that_fails_takes_its_hop_away_and_brings_it_back() {
    let Some(lab) = Lab::new("a_link_that_fails_takes_its_hop_away_and_brings_it_back") else { return };
    lab.route("203.0.113.9", &[("up1", "10.0.1.2"), ("up2", "10.0.2.2")]);
    let up2 = |up| lab.leaf.netlink(async |netlink| netlink.set_up("leaf2", up).await);
    let followed = enter_async(&lab.gateway, || async {
        let mut running = Running::start(Resolver::start(vec![tunnel("192.0.2.1", "203.0.113.9")], ports()).await?);
        running.wait_for(&[(PortId::new(0), LEAF1), (PortId::new(1), LEAF2)]).await;
        up2(false)?;
        running.wait_for(&[(PortId::new(0), LEAF1)]).await;
        up2(true)?;
        running.wait_for(&[(PortId::new(0), LEAF1), (PortId::new(1), LEAF2)]).await;
        Ok(())
    });
    followed.unwrap();
}

#[test]
fn a_neighbour_that_changes_its_address_is_followed() {
    let Some(lab) = Lab::new("a_neighbour_that_changes_its_address_is_followed") else { return };
    let followed = enter_async(&lab.gateway, || async {
        let mut running = Running::start(Resolver::start(vec![tunnel("192.0.2.1", "10.0.1.2")], ports()).await?);
        running.wait_for(&[(PortId::new(0), LEAF1)]).await;
        let other = Mac([2, 0, 0, 0, 0x10, 0x99]);
        lab.leaf.netlink(async |netlink| netlink.set_mac("leaf1", other).await)?;
        // The kernel forgets, as it does when memory is short; it is asked again.
        lab.gateway.netlink(async |netlink| netlink.delete_neighbour("up1", ip("10.0.1.2")).await)?;
        running.wait_for(&[(PortId::new(0), other)]).await;
        Ok(())
    });
    followed.unwrap();
}

#[test]
fn a_neighbour_set_by_hand_stays_what_it_is() {
    let Some(lab) = Lab::new("a_neighbour_set_by_hand_stays_what_it_is") else { return };
    let address = ip("10.0.1.77");
    let entry = lab.gateway.netlink(async |netlink| {
        netlink.add_neighbour("up1", address, LEAF1).await?;
        let link = netlink.index("up1").await?;
        netlink.probe(link, address).await?;
        let all = netlink.neighbours().await?;
        Ok(all.into_iter().find(|(key, _)| *key == (link, address)).map(|(_, entry)| entry))
    });
    assert_eq!(entry.unwrap(), Some(Neighbour { mac: Some(LEAF1), fixed: true, has_failed: false }));
}

#[test]
fn what_an_overrun_swallowed_is_read_again() {
    let Some(lab) = Lab::new("what_an_overrun_swallowed_is_read_again") else { return };
    let followed = enter_async(&lab.gateway, || async {
        let mut running = Running::start(Resolver::start(vec![tunnel("192.0.2.1", "10.0.1.77")], ports()).await?);
        tokio::time::sleep(Duration::from_millis(100)).await;
        // This thread, and the resolver on it, read nothing while another one makes more news than the socket holds.
        lab.gateway.netlink(async |netlink| {
            for n in 0..4000_u16 {
                let [high, low] = n.to_be_bytes();
                netlink.add_neighbour("up2", IpAddr::from([10, 9, high, low]), LEAF2).await?;
            }
            netlink.add_neighbour("up1", ip("10.0.1.77"), LEAF1).await
        })?;
        running.wait_for(&[(PortId::new(0), LEAF1)]).await;
        Ok(())
    });
    followed.unwrap();
}

/// Keeps this thread busy, so that each question to the kernel takes a second or two, as on a machine that has no time for us.
async fn be_busy(seconds: u32) {
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_route_is_seen_soon_also_after_reading_them_has_taken_long() {
    let Some(lab) = Lab::new("a_route_is_seen_soon_also_after_reading_them_has_taken_long") else { return };
    let followed = enter_async(&lab.gateway, || async {
        let mut running = Running::start(Resolver::start(vec![tunnel("192.0.2.1", "203.0.113.9")], ports()).await?);
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Another's route has all be read again, and meanwhile there is no time for it.
        lab.route("203.0.113.77", &[("up2", "10.0.2.2")]);
        be_busy(6).await;
        lab.route("203.0.113.9", &[("up1", "10.0.1.2")]);
        running.wait_for(&[(PortId::new(0), LEAF1)]).await;
        Ok(())
    });
    followed.unwrap();
}
