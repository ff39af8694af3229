#!/usr/bin/python3
"""Frames from Open vSwitch's userspace datapath, in a namespace (needs root and openvswitch-switch)."""
import os, shutil, tempfile, time
from golden import TENANT, write
from peers import Namespace, receive, run

# name, kind, about, port options, flow, spec, ids
TUNNELS = [
    ("ovs-v4", "vxlan", "VXLAN over IPv4", "type=vxlan options:remote_ip=192.0.2.1 options:key=100", "output:t0", '{"vxlan": {}}', "vni=100"),
    ("ovs-v4-csum", "vxlan", "VXLAN over IPv4 with a UDP checksum", "type=vxlan options:remote_ip=192.0.2.1 options:key=101 options:csum=true", "output:t0", '{"vxlan": {}}', "vni=101"),
    ("ovs-v6", "vxlan", "VXLAN over IPv6", "type=vxlan options:remote_ip=fd00::1 options:key=100", "output:t0", '{"vxlan": {}}', "vni=100"),
    ("ovs-v4-key", "gre", "GRE over IPv4 with a key", "type=gre options:remote_ip=192.0.2.1 options:key=48879", "output:t0", '{"gre": {}}', "key=48879"),
    ("ovs-v4-key-csum", "gre", "GRE over IPv4 with key and checksum", "type=gre options:remote_ip=192.0.2.1 options:key=48879 options:csum=true", "output:t0", '{"gre": {"checksum": true}}', "key=48879"),
    ("ovs-v4-key-csum-seq", "gre", "GRE over IPv4 with everything, and wrong: this version sums before it writes the sequence number", "type=gre options:remote_ip=192.0.2.1 options:key=48879 options:csum=true options:seq=true", "output:t0", '{"gre": {"checksum": true, "sequence": true}}', "key=48879"),
    ("ovs-v4-key-seq", "gre", "GRE over IPv4 with key and sequence number", "type=gre options:remote_ip=192.0.2.1 options:key=48879 options:seq=true", "output:t0", '{"gre": {"sequence": true}}', "key=48879"),
    ("ovs-v6-key", "gre", "GRE over IPv6 with a key", "type=ip6gre options:remote_ip=fd00::1 options:key=48879", "output:t0", '{"gre": {}}', "key=48879"),
    ("ovs-v4-flow-id", "nvgre", "NVGRE with FlowID 0x7f: a GRE key of VSID * 256 + FlowID, set flow by flow", "type=gre options:remote_ip=192.0.2.1 options:key=flow", "set_tunnel:0x13ec7f,output:t0", '{"nvgre": {}}', "vsid=5100"),
]


class OpenVswitch:
    """ovsdb-server and ovs-vswitchd with their state in a directory of their own."""

    def __init__(self, ns):
        self.ns = ns

    def __enter__(self):
        d = self.dir = tempfile.mkdtemp(prefix="ovs-")
        env = f"OVS_RUNDIR={d} OVS_LOGDIR={d} OVS_DBDIR={d}"
        run(f"ovsdb-tool create {d}/conf.db /usr/share/openvswitch/vswitch.ovsschema")
        self.ns.sh(f"{env} ovsdb-server {d}/conf.db --remote=punix:{d}/db.sock --pidfile={d}/ovsdb.pid --unixctl={d}/ovsdb.ctl --log-file={d}/ovsdb.log -vconsole:off --detach --no-chdir")
        self.vsctl("--no-wait init")
        self.vsctl("--no-wait set Open_vSwitch . other_config:vlan-limit=2")
        self.ns.sh(f"{env} ovs-vswitchd unix:{d}/db.sock --pidfile={d}/vs.pid --unixctl={d}/vs.ctl --log-file={d}/vs.log -vconsole:off --detach --no-chdir")
        return self

    def __exit__(self, *_):
        for daemon in ("vs", "ovsdb"):
            pid = int(open(f"{self.dir}/{daemon}.pid").read())
            os.kill(pid, 15)
            while os.path.exists(f"/proc/{pid}"):
                time.sleep(0.02)
        shutil.rmtree(self.dir)

    def vsctl(self, command):
        return run(f"ovs-vsctl --db=unix:{self.dir}/db.sock {command}")

    def appctl(self, command):
        return run(f"ovs-appctl -t {self.dir}/vs.ctl {command}")

    def flow(self, bridge, flow):
        self.ns.sh(f"ovs-ofctl add-flow {self.dir}/{bridge}.mgmt {flow}")


def tunnels(ns, ovs, host, wire_socket, tool):
    ovs.vsctl("add-br brp -- set bridge brp datapath_type=netdev fail-mode=standalone other-config:hwaddr=02:00:00:00:00:02 -- add-port brp under")
    ovs.vsctl("add-br brt -- set bridge brt datapath_type=netdev fail-mode=secure -- add-port brt h0")
    ns.sh("ip addr add 192.0.2.2/24 dev brp; ip addr add fd00::2/64 dev brp nodad; ip link set brp up")
    for address in ("192.0.2.1", "fd00::1"):
        ovs.appctl(f"tnl/neigh/set brp {address} 02:00:00:00:00:01")
    for name, kind, about, options, actions, spec, ids in TUNNELS:
        command = f"ovs-vsctl add-port brt t0 -- set interface t0 {options}"
        ovs.vsctl(command.removeprefix("ovs-vsctl "))
        ovs.flow("brt", f"in_port=h0,actions={actions}")
        ovs.appctl("revalidator/purge")
        more = {}
        for _ in range(3 if "seq=" in options else 1):
            host.send(TENANT)
            wire = receive(wire_socket, lambda frame: TENANT in frame)
        if "csum=" in options and "seq=" in options:
            more["drop"] = "gre_checksum"
        if "seq=" in options:
            more["frames_before"] = int.from_bytes(wire[wire.index(TENANT) - 4:wire.index(TENANT)], "big")
        if actions != "output:t0":
            command += f"\novs-ofctl add-flow brt in_port=h0,actions={actions}"
            more["entropy"] = 0x7f
        write(kind, name, about, tool, command, spec, ids, wire, **more)
        ovs.vsctl("del-port brt t0")
    ovs.vsctl("del-br brt -- del-br brp")


def tags(ns, ovs, host, wire_socket, tool):
    command = ("ovs-vsctl set Open_vSwitch . other_config:vlan-limit=2\n"
               "ovs-vsctl add-port br h0 tag=100 vlan_mode=dot1q-tunnel other_config:qinq-ethtype=802.1ad\n"
               "ovs-vsctl add-port br under")
    ovs.vsctl("add-br br -- set bridge br datapath_type=netdev fail-mode=standalone")
    for line in command.splitlines()[1:]:
        ovs.vsctl(line.removeprefix("ovs-vsctl ").replace(" tag=", " -- set port h0 tag="))
    tagged = TENANT[:12] + bytes.fromhex("81006007") + TENANT[12:]
    for name, about, frame, ids, inner in [
        ("ovs-88a8-8100", "802.1ad by dot1q-tunnel around a customer's 802.1Q tag with priority 3", tagged, "s_vid=100 c_vid=7", TENANT),
        ("ovs-88a8-payload", "the same, where only the S-tag is the segment and the customer's tag is payload", tagged, "s_vid=100", tagged),
    ]:
        host.send(frame)
        wire = receive(wire_socket, lambda frame: TENANT[14:] in frame)
        write("qinq", name, about, tool, command, '{"qinq": {}}', ids, wire, inner)
    ovs.vsctl("del-br br")


def main():
    with Namespace("ovs") as ns:
        ns.sh("for pair in under:wire h0:host; do ip link add ${pair%:*} type veth peer name ${pair#*:};"
              "ethtool -K ${pair%:*} tx off > /dev/null; ethtool -K ${pair#*:} tx off > /dev/null;"
              "ip link set ${pair%:*} up; ip link set ${pair#*:} up; done")
        with OpenVswitch(ns) as ovs:
            version = run("ovs-vswitchd --version").splitlines()[0]
            tool = f"{version}, userspace datapath; recipe {os.path.basename(__file__)}"
            host, wire = ns.socket("host"), ns.socket("wire")
            tunnels(ns, ovs, host, wire, tool)
            tags(ns, ovs, host, wire, tool)


if __name__ == "__main__":
    main()
