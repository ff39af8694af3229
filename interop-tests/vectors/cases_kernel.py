#!/usr/bin/python3
"""Frames for cases from the running kernel's VXLAN devices, in a namespace (needs root). Names choose cases."""
import os, sys
from case import ALL, ARP, PING, PING6, host, pings, waiting, write
from peers import Namespace, run

V4 = "local 192.0.2.2 remote 192.0.2.1"
V6 = "local fd00::2 remote fd00::1"
ECN = pings("-Q 0", "-Q 1", "-Q 2", "-Q 3")

# case, device options, what the tenant's host does
CASES = [
    ("vxlan-to-nvgre", f"id 100 {V4} dstport 4789", ALL),
    ("nvgre-to-linux", f"id 100 {V4} dstport 4789", f"{ARP}; {PING}"),
    ("vxlan-to-qinq", f"id 100 {V4} dstport 4789", ALL),
    ("vxlan6-to-gre6", f"id 100 {V6} dstport 4789", ALL),
    ("vxlan-8472-to-vxlan6", f"id 777216 {V4} dstport 8472", ALL),
    ("vxlan-udp-checksum", f"id 100 {V4} dstport 4789 udpcsum", f"{ARP}; {PING}"),
    ("vxlan6-zero-checksum", f"id 100 {V6} dstport 4789 udp6zerocsumtx", f"{ARP}; {PING6}"),
    ("vxlan6-zero-checksum-refused", f"id 100 {V6} dstport 4789 udp6zerocsumtx", f"{ARP}; {PING6}"),
    ("vxlan-unclaimed-vni", f"id 101 {V4} dstport 4789", f"{ARP}; {PING}"),
    ("ecn-of-a-sender", f"id 100 {V4} dstport 4789", ECN),
    ("ecn-of-a-sender-v6", f"id 100 {V6} dstport 4789", ECN),
    ("ecn-compatibility", f"id 100 {V4} dstport 4789", ECN),
    ("dscp-uniform", f"id 100 {V4} dstport 4789 tos inherit", pings("-Q 0xb8", "-Q 0x28")),
    ("dscp-pipe", f"id 100 {V4} dstport 4789 tos inherit", pings("-Q 0xb8", "-Q 0x28")),
    ("pattern", f"id 20007 {V4} dstport 4789", f"{ARP}; {PING}"),
    ("mapping-vxlan-to-qinq", f"id {0x103007} {V4} dstport 4789", ALL),
]


def main(wanted):
    with Namespace("cases") as ns:
        # Without offloads a checksum is on the wire as it would be on a cable.
        ns.sh("ip link add eth0 address 02:00:00:00:00:02 type veth peer name wire address 02:00:00:00:00:01;"
              "ethtool -K eth0 tx off > /dev/null; ip link set wire up; ip link set eth0 up;"
              "ip addr add 192.0.2.2/24 dev eth0; ip addr add fd00::2/64 dev eth0 nodad;"
              "ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0; ip neigh add fd00::1 lladdr 02:00:00:00:00:01 dev eth0")
        tool = f"Linux {os.uname().release} vxlan, {run('ip -V').strip()}; recipe {os.path.basename(__file__)}"
        wire = ns.socket("wire")
        for name, options, traffic in CASES:
            if wanted and name not in wanted:
                continue
            command = f"ip link add vx0 type vxlan {options}"
            ns.sh(f"{command}; ethtool -K vx0 tx off > /dev/null; {host('vx0')}")
            waiting(wire)
            ns.sh(traffic)
            write(name, "up", waiting(wire), f"{tool}\n{command}\n{traffic.replace('; ', chr(10))}")
            ns.sh("ip link del vx0")


if __name__ == "__main__":
    main(sys.argv[1:])
