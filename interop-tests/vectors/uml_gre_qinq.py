#!/usr/bin/python3
"""GRE, NVGRE and QinQ frames from a Linux kernel that runs as a process (needs user-mode-linux, no privilege)."""
import os
from golden import TENANT, write
from peers import Uml, receive, run

V4 = "local 192.0.2.2 remote 192.0.2.1"
V6 = "local fd00::2 remote fd00::1"

# name, kind, about, device, spec, ids
TUNNELS = [
    ("linux-v4-bare", "gre", "GRE over IPv4 without any option", f"gretap {V4}", '{"gre": {}}', ""),
    ("linux-v4-key", "gre", "GRE over IPv4 with a key", f"gretap {V4} key 48879", '{"gre": {}}', "key=48879"),
    ("linux-v4-key-0", "gre", "GRE over IPv4 with key 0, which is not the same as none", f"gretap {V4} key 0", '{"gre": {}}', "key=0"),
    ("linux-v4-csum", "gre", "GRE over IPv4 with a checksum", f"gretap {V4} csum", '{"gre": {"checksum": true}}', ""),
    ("linux-v4-key-csum-seq", "gre", "GRE over IPv4 with everything", f"gretap {V4} key 48879 csum seq", '{"gre": {"checksum": true, "sequence": true}}', "key=48879"),
    ("linux-v6-key", "gre", "GRE over IPv6 with a key", f"ip6gretap {V6} key 48879 encaplimit none", '{"gre": {}}', "key=48879"),
    ("linux-v6-key-encaplimit", "gre", "GRE over IPv6 behind destination options, Linux's default (RFC 2473 tunnel encapsulation limit)", f"ip6gretap {V6} key 48879", '{"gre": {}}', "key=48879"),
    ("linux-v6-csum-seq", "gre", "GRE over IPv6 with checksum and sequence number", f"ip6gretap {V6} csum seq encaplimit none", '{"gre": {"checksum": true, "sequence": true}}', ""),
    ("linux-v4-gretap", "nvgre", "NVGRE as Linux speaks it: a gretap key of VSID * 256, so FlowID 0", f"gretap {V4} key {5100 << 8}", '{"nvgre": {"flow_id": "zero"}}', "vsid=5100"),
    ("linux-v6-gretap", "nvgre", "NVGRE over IPv6 as Linux speaks it", f"ip6gretap {V6} key {0xfffffe << 8} encaplimit none", '{"nvgre": {"flow_id": "zero"}}', f"vsid={0xfffffe}"),
]

# name, about, device stack, spec, ids
STACKS = [
    ("linux-88a8-8100", "802.1ad and 802.1Q tags", "s100:802.1ad:100 c7:802.1q:7", '{"qinq": {}}', "s_vid=100 c_vid=7"),
    ("linux-88a8", "an 802.1ad tag alone", "s100:802.1ad:100", '{"qinq": {}}', "s_vid=100"),
    ("linux-8100", "a single 802.1Q tag", "v300:802.1q:300", '{"qinq": {}}', "vid=300"),
    ("linux-8100-8100", "stacked 802.1Q tags, as devices older than 802.1ad send them", "v100:802.1q:100 w7:802.1q:7", '{"qinq": {"tpids": [33024]}}', "s_vid=100 c_vid=7"),
]


def main():
    with Uml() as uml:
        tool = f"Linux {uml.sh('uname -r')} (User-Mode Linux), {run('ip -V').strip()}; recipe {os.path.basename(__file__)}"
        uml.sh("ip addr add 192.0.2.2/24 dev vec0; ip addr add fd00::2/64 dev vec0 nodad")
        uml.sh("ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev vec0; ip neigh add fd00::1 lladdr 02:00:00:00:00:01 dev vec0")
        for name, kind, about, device, spec, ids in TUNNELS:
            command = f"ip link add t0 type {device}"
            uml.sh(f"{command}; ip link set t0 up")
            more = {}
            for number in range(3 if " seq" in device else 1):
                uml.send("t0", TENANT)
                wire = receive(uml.wire, lambda frame: TENANT in frame)
            if " seq" in device:
                more["frames_before"] = int.from_bytes(wire[wire.index(TENANT) - 4:wire.index(TENANT)], "big")
            write(kind, name, about, tool, command, spec, ids, wire, **more)
            uml.sh("ip link del t0")
        for name, about, stack, spec, ids in STACKS:
            below, commands = "vec0", []
            for device, protocol, vid in (layer.split(":") for layer in stack.split()):
                commands.append(f"ip link add link {below} name {device} type vlan protocol {protocol} id {vid} egress-qos-map 0:5")
                uml.sh(f"{commands[-1]}; ip link set {device} up")
                below = device
            uml.send(below, TENANT)
            wire = receive(uml.wire, lambda frame: TENANT[14:] in frame)
            write("qinq", name, about, tool, "\n".join(commands), spec, ids, wire)
            uml.sh(f"ip link del {stack.split(':')[0]}")


if __name__ == "__main__":
    main()
