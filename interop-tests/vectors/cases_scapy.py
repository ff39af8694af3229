#!/usr/bin/python3
"""Frames for cases that no peer at hand sends, or not at will, by scapy, an independent builder. Names choose cases."""
import os, sys
from scapy.all import (ARP, GRE, IP, LLC, STP, TCP, UDP, Dot1Q, Ether,
                       ICMPv6PacketTooBig, IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN, Raw,
                       conf)
from scapy.layers.vxlan import VXLAN
from case import write

S = 10**9  # nanoseconds
A, B, C, D = (f"02:00:00:00:00:0{n}" for n in "abcd")
ALL = "ff:ff:ff:ff:ff:ff"
DATA = bytes(range(256)) * 8
OUTER = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")


def v4(source="192.0.2.2", **more):
    return OUTER / IP(src=source, dst="192.0.2.1", flags="DF", **more)


def v6(source="fd00::2", **more):
    return OUTER / IPv6(src=source, dst="fd00::1", **more)


def vxlan(inner, under=None, vni=100, port=4789, checksum=0, **header):
    udp = UDP(sport=50000, dport=port) if checksum is None else UDP(sport=50000, dport=port, chksum=checksum)
    return (under or v4()) / udp / VXLAN(**{"vni": vni, "flags": 0x08, **header}) / inner


def gre(inner, under=None, key=48879, **header):
    keyed = {} if key is None else {"key_present": 1, "key": key}
    return (under or v4("192.0.2.99")) / GRE(proto=0x6558, **keyed, **header) / inner


def nvgre(inner, under=None, vsid=5100, flow=0, **header):
    return gre(inner, under or v4("192.0.2.77"), key=vsid << 8 | flow, **header)


def hello(source=A):
    """A broadcast, by which a host makes itself known."""
    n = int(source[-1], 16)
    return Ether(src=source, dst=ALL) / ARP(hwsrc=source, psrc=f"10.1.0.{n}", pdst="10.1.0.99") / Raw(bytes(18))


def talk(source=A, to=B, size=46, **ip):
    n = [int(mac[-1], 16) for mac in (source, to)]
    return Ether(src=source, dst=to) / IP(src=f"10.1.0.{n[0]}", dst=f"10.1.0.{n[1]}", **ip) / UDP(sport=1000, dport=2000) / Raw(DATA[:size])


def talk6(source=A, to=B, size=46, **ip):
    n = [source[-1], to[-1]]
    return Ether(src=source, dst=to) / IPv6(src=f"fd10::{n[0]}", dst=f"fd10::{n[1]}", **ip) / UDP(sport=1000, dport=2000) / Raw(DATA[:size])


def tagged(frame, *tags, tpid=0x88A8):
    """The frame behind these (VID, priority) tags: the outermost under `tpid`, the others under 0x8100."""
    payload = frame.payload
    kind = frame.type if isinstance(frame.type, int) else Ether(bytes(frame)).type
    for vid, priority in reversed(tags):
        payload = Dot1Q(vlan=vid, prio=priority, type=kind) / payload
        kind = 0x8100
    return Ether(src=frame.src, dst=frame.dst, type=tpid) / payload


def wrong(packet, at, mask=0x01):
    """The packet with bits of one byte turned over after every checksum was made."""
    packet = bytearray(bytes(packet))
    packet[at] ^= mask
    return bytes(packet)


def tcp(source, to, mss, flags="S"):
    n = [int(mac[-1], 16) for mac in (source, to)]
    return Ether(src=source, dst=to) / IP(src=f"10.1.0.{n[0]}", dst=f"10.1.0.{n[1]}") / TCP(sport=1000, dport=80, flags=flags, options=[("MSS", mss), ("NOP", None), ("WScale", 7)])


def ecn_table(under):
    """RFC 6040 figure 4: every inner mark below every outer one."""
    return [vxlan(talk(tos=inner), under(outer)) for inner in range(4) for outer in range(4)]


def bpdu():
    return Ether(src=A, dst="01:80:c2:00:00:00", type=38) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP()


def lldp():
    return Ether(src=A, dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(bytes.fromhex("020704020000000000040704020000000000060200780000") + bytes(22))


def fragments(packet):
    """An IPv4 packet in two parts."""
    header, payload = packet[IP].copy(), bytes(packet[IP].payload)
    header.remove_payload()
    first, second = (header.copy() for _ in range(2))
    first.flags, second.flags, second.frag = "MF", 0, 16
    for part in (first, second):
        part.len = None
    return [OUTER / first / Raw(payload[:128]), OUTER / second / Raw(payload[128:])]


def moves(times):
    """Host A speaks here, then there."""
    return [(2 * n * S, hello()) for n in range(times)], [((2 * n + 1) * S, hello()) for n in range(times)]


def cases():
    yield "vxlan-reserved-bits", {"up": [vxlan(hello()), vxlan(talk(), flags=0x88, gpid=5), vxlan(talk(), flags=0x0A), vxlan(talk(), flags=0x08, reserved1=0x800000), vxlan(talk(), reserved2=1)]}
    yield "vxlan-reserved-bits-strict", {"up": [vxlan(hello()), vxlan(talk(), flags=0x88, gpid=5), vxlan(talk(), flags=0x0A), vxlan(talk(), reserved2=1)]}
    yield "vxlan-without-a-vni", {"up": [vxlan(hello(), flags=0x00), vxlan(hello(), flags=0xF7), vxlan(hello())]}
    yield "vxlan-vni-ends", {"up": [vxlan(hello(), vni=0), vxlan(hello(), vni=0xFFFFFF), vxlan(hello(), vni=0xFFFFFE)]}
    yield "vxlan-bad-udp-checksum", {"up": [vxlan(hello(), checksum=None), wrong(vxlan(hello(), checksum=None), 70), vxlan(hello(), v6(), checksum=None), wrong(vxlan(hello(), v6(), checksum=None), 90)]}
    yield "vxlan-of-an-unknown-peer", {"up": [vxlan(hello()), vxlan(hello(), v4("192.0.2.3")), vxlan(hello(), v4("192.0.2.4"))]}
    yield "vxlan-fragments", {"up": fragments(vxlan(talk(size=200))) + [vxlan(hello())]}
    yield "vxlan-ip-options", {"up": [vxlan(hello(), OUTER / IP(src="192.0.2.2", dst="192.0.2.1", options=[IPOption_Router_Alert()])), vxlan(hello(), v6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]), checksum=None), vxlan(hello(), v6() / IPv6ExtHdrFragment(m=1, id=7), checksum=None)]}
    yield "outer-vlan", {"up": [vxlan(hello(), OUTER / Dot1Q(vlan=5) / v4()[IP]), vxlan(hello(), OUTER / Dot1Q(vlan=6) / v4()[IP]), vxlan(hello())]}
    yield "outer-corruption", {"up": [wrong(vxlan(hello()), 24), vxlan(hello())[Ether], bytes(vxlan(hello()))[:-10], bytes(vxlan(hello())) + bytes(4)]}
    yield "outer-other-mac", {"up": [vxlan(hello()), Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:55") / vxlan(hello())[IP]]}
    yield "nvgre-flags", {"up": [nvgre(hello()), nvgre(hello(), chksum_present=1), nvgre(hello(), seqnum_present=1, sequence_number=1), nvgre(hello(), version=1), gre(hello(), v4("192.0.2.77"), key=None)]}
    yield "nvgre-reserved-bits", {"up": [nvgre(hello()), nvgre(talk(), flags=1), nvgre(talk(), recursion_control=1)]}
    yield "nvgre-reserved-vsids", {"up": [nvgre(hello(), vsid=0xFFF), nvgre(hello(), vsid=0xFFFFFF), nvgre(hello())]}
    yield "nvgre6-flow-id", {"up": [nvgre(hello(), v6("fd00::77"), flow=0x5A), nvgre(talk6(), v6("fd00::77"), flow=0xA5)]}
    yield "gre-routing-bits-and-version", {"up": [gre(hello()), wrong(gre(hello()), 34, 0x40), wrong(gre(hello()), 34, 0x08), gre(hello(), recursion_control=4), gre(hello(), version=1)]}
    yield "gre-reserved-bits", {"up": [gre(hello()), gre(talk(), recursion_control=1), gre(talk(), flags=1)]}
    yield "gre-reserved-bits-strict", {"up": [gre(hello()), gre(talk(), recursion_control=1), gre(talk(), flags=1)]}
    yield "gre-checksum", {"up": [gre(hello(), chksum_present=1), wrong(gre(talk(), chksum_present=1), 60), gre(talk(), chksum_present=1, seqnum_present=1, sequence_number=7)]}
    yield "gre-out-of-order", {"up": [gre(hello() if n == 3 else talk(), seqnum_present=1, sequence_number=n) for n in (3, 4, 4, 2, 5, 1, 9)]}
    yield "gre-sequence-wraps", {"up": [gre(hello() if n == 0xFFFFFFFE else talk(), seqnum_present=1, sequence_number=n) for n in (0xFFFFFFFE, 0xFFFFFFFF, 0, 0xFFFFFFFF, 1)]}
    yield "gre-other-payload", {"up": [v4("192.0.2.99") / GRE(key_present=1, key=48879, proto=0x0800) / talk()[IP], gre(hello()), gre(bytes(hello())[:10])]}
    yield "gre-accept-from", {"up": [gre(hello()), gre(talk(), v4("192.0.2.98")), gre(talk(), v4("192.0.2.97"))]}
    yield "inner-tags-keep-strip-drop", {"up": [vxlan(hello(), vni=vni) for vni in (100, 200, 300)] + [vxlan(tagged(talk(), (9, 5), tpid=0x8100), vni=vni) for vni in (100, 200, 300)]}
    yield "qinq-shapes", {"access": [tagged(hello(), (100, 0), (7, 0)), tagged(hello(), (100, 0)), tagged(hello(), (100, 0), (8, 0)), tagged(hello(), (200, 0), (1, 0), (2, 0)), tagged(hello(), (300, 0), tpid=0x8100), tagged(hello(), (300, 0), (1, 0), tpid=0x8100), tagged(hello(), (0xFFF, 0)), hello()]}
    yield "qinq-tpids", {"access": [tagged(hello(), (100, 0), tpid=tpid) for tpid in (0x88A8, 0x9100, 0x9200, 0x8100)], "up": [(S, vxlan(hello(B)))]}
    yield "qinq-short-frames", {"up": [vxlan(Ether(src=A, dst=ALL, type=0x88B5) / Raw(bytes(range(1, 11))))], "access": [(S, tagged(Ether(src=B, dst=A, type=0x88B5) / Raw(bytes(range(1, 39))), (100, 0), (7, 0)))]}
    yield "ecn-figure-4", {"up": ecn_table(lambda outer: v4(tos=outer))}
    yield "ecn-figure-4-v6", {"up": ecn_table(lambda outer: v6(tc=outer))}
    yield "ecn-behind-tags", {"up": [vxlan(tagged(talk(tos=2), (9, 0), (10, 0), tpid=0x8100), v4(tos=3)), vxlan(hello(), v4(tos=3)), vxlan(tagged(talk6(tc=2), (9, 0), tpid=0x8100), v4(tos=3))]}
    yield "too-big", {"access": [tagged(talk(size=1400, flags="DF"), (100, 0), (7, 0)), tagged(talk(size=1472, flags="DF"), (100, 0), (7, 0)), tagged(talk(size=1472), (100, 0), (7, 0)), tagged(Ether(src=A, dst=B, type=0x88B5) / Raw(bytes(1500)), (100, 0), (7, 0))], "up": [(S, vxlan(hello(B)))]}
    yield "too-big-v6", {"access": [(2 * S, tagged(talk6(size=1452), (100, 0), (7, 0))), (3 * S, tagged(Ether(src=A, dst=B) / IPv6(src="fd10::a", dst="fd10::b") / ICMPv6PacketTooBig(mtu=1280) / Raw(bytes(1452)), (100, 0), (7, 0)))], "up": [(S, vxlan(hello(B)))]}
    yield "too-big-back-into-a-tunnel", {"up": [vxlan(hello(A)), gre(hello(B), v6("fd00::99")), vxlan(talk(size=1425, flags="DF")), vxlan(talk6(size=1425))]}
    yield "mss-clamp", {"access": [tagged(tcp(A, B, 1460), (100, 0), (7, 0)), tagged(tcp(A, B, 536), (100, 0), (7, 0))], "up": [vxlan(hello(B)), (S, vxlan(tcp(B, A, 1460, "SA")))]}
    yield "bridge-control-frames", {"access": [tagged(bpdu(), (100, 0), (7, 0)), tagged(lldp(), (100, 0), (7, 0)), tagged(bpdu(), (200, 0)), tagged(lldp(), (200, 0))]}
    yield "split-horizon-of-a-group", {"up": [vxlan(hello(A)), vxlan(hello(B), v4("192.0.2.3")), vxlan(talk(A, B)), vxlan(talk(A, D)), (S, gre(talk(C, A)))]}
    yield "split-horizon-by-name", {"up": [vxlan(hello(A)), nvgre(talk(B, A)), (S, gre(hello(C)))]}
    yield "broadcast-reaches-everyone-once", {"up": [vxlan(hello(A)), vxlan(Ether(src=A, dst="01:00:5e:00:00:fb") / IP(src="10.1.0.10", dst="224.0.0.251", ttl=1) / UDP(sport=5353, dport=5353) / Raw(bytes(30)))]}
    yield "storm-limit", {"up": [(n * S // 100, vxlan(hello())) for n in range(20)] + [(2 * S, vxlan(hello()))]}
    yield "static-address", {"up": [vxlan(hello(B)), gre(hello(B)), vxlan(talk(A, B)), vxlan(talk(A, B), v4("192.0.2.3"))]}
    yield "unknown-unicast-off", {"up": [vxlan(talk(A, B)), gre(hello(B)), vxlan(talk(A, B))]}
    yield "learning", {"up": [vxlan(talk(A, B)), gre(talk(B, A)), vxlan(talk(A, B)), nvgre(talk(C, A))]}
    yield "learning-off", {"up": [vxlan(talk(A, B)), gre(talk(B, A)), vxlan(talk(A, B))]}
    yield "ageing", {"up": [vxlan(hello(A)), (5 * S, gre(talk(B, A))), (9 * S, gre(talk(B, A))), (25 * S, gre(talk(B, A)))]}
    yield "a-host-moves", {"up": [vxlan(hello(A)), (S, gre(talk(B, A))), (2 * S, nvgre(hello(A))), (3 * S, gre(talk(B, A)))]}
    here, there = moves(5)
    yield "an-address-that-two-hosts-have", {"up": sorted([(at, vxlan(frame)) for at, frame in here] + [(at, nvgre(frame)) for at, frame in there], key=lambda pair: pair[0]) + [(20 * S, gre(talk(B, A)))]}
    yield "addresses-nobody-may-have", {"up": [vxlan(Ether(src="01:00:5e:00:00:01", dst=ALL, type=0x88B5) / Raw(bytes(46))), vxlan(Ether(src="00:00:00:00:00:00", dst=ALL, type=0x88B5) / Raw(bytes(46))), vxlan(talk(A, A))]}
    yield "tenants-do-not-meet", {"up": [vxlan(hello(A)), gre(hello(A), key=2), (S, vxlan(talk(B, A), vni=200)), (S, gre(talk(B, A), key=1))]}
    yield "a-loop-is-cut", {"up": [(0, vxlan(hello())), (10**6, gre(hello())), (2 * 10**6, vxlan(hello())), (3 * 10**6, gre(hello())), (4 * 10**6, vxlan(hello())), (5 * 10**6, gre(hello())), (6 * 10**6, vxlan(hello())), (S, vxlan(hello(B)))]}
    yield "mapping-holes", {"up": [vxlan(hello(), vni=vni) for vni in (0x100001, 0x101000, 0x101FFF, 0x1FF001, 0x200001)], "access": [(S, tagged(hello(B), (1, 0), (0xFFF, 0))), (S, tagged(hello(B), (1, 0), (2, 0)))]}
    yield "mapping-nvgre-to-gre", {"up": [nvgre(hello(), vsid=0x5123, flow=9), gre(talk(B, A), key=0xABC123), gre(talk(B, A), key=0xABD123)]}
    yield "pattern-override", {"up": [vxlan(hello(), vni=20000 + n) for n in (1, 2, 3, 4)]}


def main(wanted):
    maker = f"scapy {conf.version}; recipe {os.path.basename(__file__)}"
    for name, ports in cases():
        if wanted and name not in wanted:
            continue
        for port, frames in ports.items():
            plain = [frame[1] if isinstance(frame, tuple) else frame for frame in frames]
            about = "\n".join(frame.summary() if not isinstance(frame, bytes) else "one of these, with bits turned over or cut" for frame in plain)
            write(name, port, [(frame[0], bytes(frame[1])) if isinstance(frame, tuple) else bytes(frame) for frame in frames], f"{maker}\n{about}")


if __name__ == "__main__":
    main(sys.argv[1:])
