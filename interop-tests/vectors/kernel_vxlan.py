#!/usr/bin/python3
"""VXLAN frames from the running kernel, in a namespace (needs root)."""
import os
from golden import TENANT, write
from peers import Namespace, receive, run

V4 = "local 192.0.2.2 remote 192.0.2.1"
V6 = "local fd00::2 remote fd00::1"

# name, about, device options, spec, vni
DEVICES = [
    ("linux-v4", "VXLAN over IPv4 without a UDP checksum, Linux's default", f"{V4} dstport 4789", "{}", 100),
    ("linux-v4-udpcsum", "VXLAN over IPv4 with a UDP checksum", f"{V4} dstport 4789 udpcsum", "{}", 0xffffff),
    ("linux-v4-8472", "VXLAN on Linux's old port", f"{V4} dstport 8472", '{"udp_port": 8472}', 100),
    ("linux-v6", "VXLAN over IPv6 with a UDP checksum, Linux's default", f"{V6} dstport 4789", "{}", 100),
    ("linux-v6-zerocsum", "VXLAN over IPv6 without a UDP checksum", f"{V6} dstport 4789 udp6zerocsumtx", "{}", 1),
]


def main():
    with Namespace("vxlan") as ns:
        # Without offloads a checksum is on the wire as it would be on a cable.
        ns.sh("ip link add eth0 address 02:00:00:00:00:02 type veth peer name wire address 02:00:00:00:00:01;"
              "ethtool -K eth0 tx off > /dev/null; ip link set wire up; ip link set eth0 up;"
              "ip addr add 192.0.2.2/24 dev eth0; ip addr add fd00::2/64 dev eth0 nodad;"
              "ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0; ip neigh add fd00::1 lladdr 02:00:00:00:00:01 dev eth0")
        tool = f"Linux {os.uname().release} vxlan, {run('ip -V').strip()}; recipe {os.path.basename(__file__)}"
        wire_socket = ns.socket("wire")
        for name, about, options, spec, vni in DEVICES:
            command = f"ip link add vx0 type vxlan id {vni} {options}"
            ns.sh(f"{command}; ethtool -K vx0 tx off > /dev/null; ip link set vx0 up")
            ns.socket("vx0").send(TENANT)
            wire = receive(wire_socket, lambda frame: TENANT in frame)
            write("vxlan", name, about, tool, command, f'{{"vxlan": {spec}}}', f"vni={vni}", wire)
            ns.sh("ip link del vx0")


if __name__ == "__main__":
    main()
