#!/usr/bin/python3
"""What no real peer at hand sends, drawn from the RFCs by scapy and read back by tshark (python3-scapy, tshark)."""
import os
from scapy.all import GRE, IP, UDP, Dot1Q, Ether, IPOption_Router_Alert, IPv6, Raw, conf, wrpcap
from scapy.layers.vxlan import VXLAN
from golden import TENANT, write
from peers import run

OUTER = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
V4 = OUTER / IP(src="192.0.2.2", dst="192.0.2.1", flags="DF")
V6 = OUTER / IPv6(src="fd00::2", dst="fd00::1")
INNER = Ether(TENANT)

# name, kind, about, packet, spec, ids, words that tshark must say, more
DRAWINGS = [
    ("drawing-flow-id", "nvgre", "RFC 7637 figure 1 with FlowID 0x7f", V4 / GRE(key_present=1, proto=0x6558, key=0x12345600 | 0x7F) / INNER,
     '{"nvgre": {}}', f"vsid={0x123456}", ["0x1234567f"], {"entropy": 0x7F}),
    ("drawing-flow-id-v6", "nvgre", "the same over IPv6", V6 / GRE(key_present=1, proto=0x6558, key=0x12345600 | 0xFF) / INNER,
     '{"nvgre": {}}', f"vsid={0x123456}", ["0x123456ff"], {"entropy": 0xFF}),
    ("drawing-ip-options", "vxlan", "RFC 7348 figure 1 behind an IPv4 router alert option", OUTER / IP(src="192.0.2.2", dst="192.0.2.1", options=[IPOption_Router_Alert()]) / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=0x123456, flags=0x08) / INNER,
     '{"vxlan": {}}', f"vni={0x123456}", [str(0x123456)], {}),
    ("drawing-outer-vlan", "vxlan", "RFC 7348 figure 1 with an outer 802.1Q tag", OUTER / Dot1Q(vlan=5) / V4[IP] / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=100, flags=0x08) / INNER,
     '{"vxlan": {}}', "vni=100", ["100"], {"vlan": 5}),
    ("drawing-key-seq", "gre", "RFC 2890 section 2 with key and sequence number 9", V4 / GRE(key_present=1, seqnum_present=1, proto=0x6558, key=77, sequence_number=9) / INNER,
     '{"gre": {"sequence": true}}', "key=77", ["0x0000004d", "9"], {"frames_before": 9}),
]


def read_back(wire, words):
    """tshark's own reading of the tunnel's ID; an error if it sees anything else."""
    path = f"/tmp/drawing-{os.getpid()}.pcap"
    wrpcap(path, Ether(wire))
    fields = run(f"tshark -r {path} -T fields -E separator=, -e vxlan.vni -e gre.key -e gre.sequence_number").strip()
    os.remove(path)
    if [field for field in fields.split(",") if field] != words:
        raise RuntimeError(f"tshark reads {fields}, not {words}")


def main():
    tool = f"scapy {conf.version}, read back by {run('tshark --version').splitlines()[0]}; recipe {os.path.basename(__file__)}"
    for name, kind, about, packet, spec, ids, words, more in DRAWINGS:
        wire = bytes(packet)
        read_back(wire, words)
        write(kind, name, about, tool, packet.summary(), spec, ids, wire, **more)


if __name__ == "__main__":
    main()
