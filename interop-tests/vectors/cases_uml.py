#!/usr/bin/python3
"""Frames for cases from a Linux kernel that runs as a process (needs user-mode-linux, no privilege). Names choose
cases."""
import os, sys
from case import ALL, ARP, PING, PING6, host, pings, waiting, write
from peers import Uml, run

V4 = "local 192.0.2.2 remote 192.0.2.1"
V6 = "local fd00::2 remote fd00::1"

# case, device, what the tenant's host does
TUNNELS = [
    ("gre-to-vxlan", f"gretap {V4} key 48879", ALL),
    ("gre-to-qinq", f"gretap {V4} key 48879", ALL),
    ("gre-keyless-to-gre-key", f"gretap {V4}", ALL),
    ("gre-key-zero-is-a-key", f"gretap {V4} key 0", f"{ARP}; {PING}"),
    ("gre-wrong-key", f"gretap {V4} key 48878", f"{ARP}; {PING}"),
    ("gre-checksum-and-sequence-to-vxlan6", f"gretap {V4} key 48879 csum seq", ALL),
    ("gre6-to-nvgre", f"ip6gretap {V6} key 48879", ALL),
    ("gre6-checksum-to-qinq", f"ip6gretap {V6} csum seq encaplimit none", ALL),
    ("nvgre-of-linux-to-gre", f"gretap {V4} key {5100 << 8}", ALL),
    ("nvgre6-to-gre6", f"ip6gretap {V6} key {5100 << 8} encaplimit none", ALL),
    ("ecn-of-a-gre-sender", f"gretap {V4} key 48879", pings("-Q 0", "-Q 1", "-Q 2", "-Q 3")),
]

# case, device stack as name:protocol:vid, what the tenant's host does
STACKS = [
    ("qinq-to-vxlan", "s100:802.1ad:100 c7:802.1q:7", ALL),
    ("qinq-to-nvgre6", "s100:802.1ad:100 c7:802.1q:7", ALL),
    ("qinq-8100-8100-to-vxlan", "v100:802.1q:100 w7:802.1q:7", f"{ARP}; {PING}"),
    ("qinq-priorities-stay", "s100:802.1ad:100 c7:802.1q:7", f"{ARP}; {PING6}"),
    ("vlan-to-gre", "v300:802.1q:300", ALL),
    ("untagged-to-vxlan", "", ALL),
    ("untagged-with-a-priority-tag", "v0:802.1q:0", f"{ARP}; {PING}"),
]


def main(wanted):
    with Uml() as uml:
        tool = f"Linux {uml.sh('uname -r')} (User-Mode Linux), {run('ip -V').strip()}; recipe {os.path.basename(__file__)}"
        uml.sh("ip addr add 192.0.2.2/24 dev vec0; ip addr add fd00::2/64 dev vec0 nodad")
        uml.sh("ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev vec0; ip neigh add fd00::1 lladdr 02:00:00:00:00:01 dev vec0")
        for name, device, traffic in TUNNELS:
            if wanted and name not in wanted:
                continue
            command = f"ip link add t0 type {device}"
            uml.sh(f"{command}; {host('t0')}")
            record(uml, name, "up", tool, command, traffic)
            uml.sh("ip link del t0")
        uml.sh("ip addr flush dev vec0")
        for name, stack, traffic in STACKS:
            if wanted and name not in wanted:
                continue
            below, commands = "vec0", []
            for device, protocol, vid in (layer.split(":") for layer in stack.split()):
                commands.append(f"ip link add link {below} name {device} type vlan protocol {protocol} id {vid} egress-qos-map 0:5")
                uml.sh(f"{commands[-1]}; ip link set {device} up")
                below = device
            uml.sh(host(below))
            record(uml, name, "access", tool, "\n".join(commands), traffic)
            if stack:
                uml.sh(f"ip link del {stack.split(':')[0]}")
            else:
                uml.sh("ip addr flush dev vec0")


def record(uml, name, port, tool, command, traffic):
    waiting(uml.wire)
    uml.sh(traffic)
    write(name, port, waiting(uml.wire), f"{tool}\n{command}\n{traffic.replace('; ', chr(10))}")


if __name__ == "__main__":
    main(sys.argv[1:])
