//! Decapsulation and encapsulation alone: outer walk, tunnel header off, other header on, outer headers stamped.
//!
//! One frame, over and over in the same chunk, so that nothing but the code is timed.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use transload_encaps::ethernet::HEADER_LEN;
use transload_encaps::underlay::{
    Dscp, EcnMode, LinkAddresses, SourcePorts, Summing, UdpChecksum, Underlay, UnderlaySpec,
};
use transload_encaps::{Carrier, Compiled, Frame, HEADROOM, Kind, Mac, Segment, Spec, ecn, flow, outer};

const US: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const LINK: LinkAddresses = LinkAddresses { dst: Mac([2, 0xbb, 0, 0, 0, 1]), src: Mac([2, 0xaa, 0, 0, 0, 1]) };

/// A peer with its outer headers, if it has any.
struct Side {
    compiled: Compiled,
    underlay: Option<Underlay>,
    segment: Segment,
}

fn side(kind: Kind, segment: Segment, them: Ipv4Addr) -> Side {
    let mut compiled = Spec::default_of(kind).compile().expect("defaults are good");
    compiled.claim(segment).expect("the first claim");
    compiled.carry_state(None);
    let spec = UnderlaySpec {
        src: US,
        dst: them.into(),
        vlan: None,
        carrier: compiled.carrier(),
        ttl: 64,
        df: true,
        dscp: Dscp::Pipe(0),
        ecn: EcnMode::Normal,
        udp_checksum: UdpChecksum::Zero,
        source_ports: SourcePorts::DYNAMIC,
    };
    let underlay = (compiled.carrier() != Carrier::Port).then(|| Underlay::compile(&spec));
    Side { compiled, underlay, segment }
}

impl Side {
    fn wrap(&self, frame: &mut Frame<'_>) {
        let (entropy, class) = (flow::hash(frame.bytes()), ecn::traffic_class(frame.bytes()).unwrap_or(0));
        self.compiled.encap(frame, self.segment, entropy).expect("room");
        if let Some(underlay) = &self.underlay {
            underlay.stamp(frame, LINK, entropy, class, Summing::Here).expect("room");
        }
    }

    fn unwrap(&self, frame: &mut Frame<'_>) {
        if self.underlay.is_some() {
            let outer = outer::walk(frame.bytes(), HEADER_LEN).expect("a whole packet");
            frame.truncate(outer.end as usize);
            frame.advance(outer.at.into()).expect("a whole packet");
        }
        black_box(self.compiled.decap(frame)).expect("our own frame");
    }
}

fn inner(len: usize) -> Vec<u8> {
    let mut frame = vec![0; len];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..18].copy_from_slice(&[0x45, 0, ((len - 14) >> 8) as u8, (len - 14) as u8]);
    frame[23] = 17;
    frame
}

fn translate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("translate");
    group.throughput(Throughput::Elements(1));
    let vxlan = || side(Kind::Vxlan, Segment(1), Ipv4Addr::new(192, 0, 2, 9));
    let qinq = Kind::QinQ.segment(&transload_encaps::Ids::of(&[("s_vid", 100), ("c_vid", 7)])).expect("two tags");
    let pairs = [
        ("vxlan-nvgre", vxlan(), side(Kind::Nvgre, Segment(5001), Ipv4Addr::new(192, 0, 2, 77))),
        ("qinq-vxlan", side(Kind::QinQ, qinq, Ipv4Addr::UNSPECIFIED), vxlan()),
        ("gre-vxlan", side(Kind::Gre, Segment(3), Ipv4Addr::new(192, 0, 2, 99)), vxlan()),
    ];
    for (name, from, to) in &pairs {
        for len in [64, 1400] {
            let mut chunk = vec![0; HEADROOM + 2048];
            let mut frame = Frame::new(&mut chunk);
            assert!(frame.fill(HEADROOM, &inner(len)));
            from.wrap(&mut frame);
            let arriving = frame.bytes().to_vec();
            group.bench_function(BenchmarkId::new(*name, format!("{len}B")), |bencher| {
                bencher.iter(|| {
                    black_box(frame.fill(HEADROOM, &arriving));
                    from.unwrap(&mut frame);
                    to.wrap(&mut frame);
                    black_box(frame.bytes());
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, translate);
criterion_main!(benches);
