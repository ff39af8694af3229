#!/usr/bin/python3
"""Frames for cases from Open vSwitch's userspace datapath, in a namespace (needs root, openvswitch-switch and
python3-scapy for the tenant's frames). Names choose cases."""
import os, sys
from scapy.all import ARP, ICMP, IP, Dot1Q, Ether, ICMPv6EchoRequest, IPv6
from case import waiting, write
from ovs import OpenVswitch
from peers import Namespace, run

HOST = "02:00:00:00:00:0a"
ASK = Ether(src=HOST, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=HOST, psrc="10.1.0.10", pdst="10.1.0.12") / bytes(18)
UNICAST = Ether(src=HOST, dst="02:00:00:00:00:0b")
ECHO = UNICAST / IP(src="10.1.0.10", dst="10.1.0.11") / ICMP(id=7, seq=1) / bytes(range(56))
ECHO6 = UNICAST / IPv6(src="fd10::a", dst="fd10::b") / ICMPv6EchoRequest(id=7, seq=1, data=bytes(range(56)))
TALK = [bytes(ASK), bytes(ECHO), bytes(ECHO6)]
TAGGED = [bytes(frame[Ether].__class__(src=frame.src, dst=frame.dst) / Dot1Q(vlan=7, prio=3) / frame.payload) for frame in (ASK, ECHO)]

# case, port options, flow actions, frames
TUNNELS = [
    ("vxlan-of-ovs-to-gre", "type=vxlan options:remote_ip=192.0.2.1 options:key=100", ["output:t0"], TALK),
    ("vxlan6-of-ovs-to-nvgre6", "type=vxlan options:remote_ip=fd00::1 options:key=100", ["output:t0"], TALK),
    ("vxlan-of-ovs-with-a-tag", "type=vxlan options:remote_ip=192.0.2.1 options:key=100", ["output:t0"], TAGGED),
    ("gre-of-ovs-to-vxlan", "type=gre options:remote_ip=192.0.2.1 options:key=48879 options:csum=true", ["output:t0"], TALK),
    ("gre6-of-ovs-to-qinq", "type=ip6gre options:remote_ip=fd00::1 options:key=48879", ["output:t0"], TALK),
    ("gre-sequence-is-skipped", "type=gre options:remote_ip=192.0.2.1 options:key=48879 options:seq=true", ["output:t0"], TALK),
    ("gre-wrong-checksum-of-ovs", "type=gre options:remote_ip=192.0.2.1 options:key=48879 options:csum=true options:seq=true", ["output:t0"], TALK),
    ("nvgre-to-vxlan", "type=gre options:remote_ip=192.0.2.1 options:key=flow", [f"set_tunnel:{5100 << 8 | 0x7f},output:t0"], TALK),
    ("nvgre-any-flow-id", "type=gre options:remote_ip=192.0.2.1 options:key=flow", [f"set_tunnel:{5100 << 8 | flow},output:t0" for flow in (0, 1, 0x7f, 0xff)], TALK[1:2]),
    ("nvgre-flow-id-of-a-gre-key", "type=gre options:remote_ip=192.0.2.1 options:key=flow", [f"set_tunnel:{5100 << 8 | flow},output:t0" for flow in (0, 1)], TALK[1:2]),
    ("nvgre-inner-tag", "type=gre options:remote_ip=192.0.2.1 options:key=flow", [f"set_tunnel:{5100 << 8},output:t0"], TALK[:1] + TAGGED),
]


def main(wanted):
    with Namespace("cases") as ns:
        ns.sh("for pair in under:wire h0:host; do ip link add ${pair%:*} type veth peer name ${pair#*:};"
              "ethtool -K ${pair%:*} tx off > /dev/null; ethtool -K ${pair#*:} tx off > /dev/null;"
              "sysctl -q -w net.ipv6.conf.${pair%:*}.disable_ipv6=1 net.ipv6.conf.${pair#*:}.disable_ipv6=1;"
              "ip link set ${pair%:*} up; ip link set ${pair#*:} up; done")
        with OpenVswitch(ns) as ovs:
            version = run("ovs-vswitchd --version").splitlines()[0]
            tool = f"{version}, userspace datapath; tenant frames by scapy; recipe {os.path.basename(__file__)}"
            host, wire = ns.socket("host"), ns.socket("wire")
            tunnels(ns, ovs, host, wire, tool, wanted)
            tags(ovs, host, wire, tool, wanted)


def tunnels(ns, ovs, host, wire, tool, wanted):
    ovs.vsctl("add-br brp -- set bridge brp datapath_type=netdev fail-mode=standalone other-config:hwaddr=02:00:00:00:00:02 -- add-port brp under")
    ovs.vsctl("add-br brt -- set bridge brt datapath_type=netdev fail-mode=secure -- add-port brt h0")
    ns.sh("ip addr add 192.0.2.2/24 dev brp; ip addr add fd00::2/64 dev brp nodad; ip link set brp up")
    for address in ("192.0.2.1", "fd00::1"):
        ovs.appctl(f"tnl/neigh/set brp {address} 02:00:00:00:00:01")
    for name, options, flows, frames in TUNNELS:
        if wanted and name not in wanted:
            continue
        command = f"ovs-vsctl add-port brt t0 -- set interface t0 {options}"
        ovs.vsctl(command.removeprefix("ovs-vsctl "))
        sent = []
        for actions in flows:
            ovs.flow("brt", f"in_port=h0,actions={actions}")
            ovs.appctl("revalidator/purge")
            waiting(wire)
            command += f"\novs-ofctl add-flow brt in_port=h0,actions={actions}"
            for frame in frames:
                host.send(frame)
            sent += [frame for frame in waiting(wire) if bytes.fromhex("02000000000a") in frame]
        write(name, "up", sent, f"{tool}\n{command}")
        ovs.vsctl("del-port brt t0")
    ovs.vsctl("del-br brt -- del-br brp")


def tags(ovs, host, wire, tool, wanted):
    name = "qinq-of-ovs-to-gre6"
    if wanted and name not in wanted:
        return
    command = ("ovs-vsctl set Open_vSwitch . other_config:vlan-limit=2\n"
               "ovs-vsctl add-port br h0 tag=100 vlan_mode=dot1q-tunnel other_config:qinq-ethtype=802.1ad\n"
               "ovs-vsctl add-port br under")
    ovs.vsctl("add-br br -- set bridge br datapath_type=netdev fail-mode=standalone")
    for line in command.splitlines()[1:]:
        ovs.vsctl(line.removeprefix("ovs-vsctl ").replace(" tag=", " -- set port h0 tag="))
    waiting(wire)
    for frame in TAGGED:
        host.send(frame)
    write(name, "access", [frame for frame in waiting(wire) if bytes.fromhex("02000000000a") in frame], f"{tool}\n{command}")
    ovs.vsctl("del-br br")


if __name__ == "__main__":
    main(sys.argv[1:])
