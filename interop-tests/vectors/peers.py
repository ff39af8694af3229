"""The peers that make vectors: namespaces of the running kernel, and User-Mode Linux on a socket pair."""
import ctypes, os, select, shutil, socket, subprocess, tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
UML = "/usr/bin/linux.uml"
CLONE_NEWNET = 0x40000000


def run(command):
    """Runs a shell line; its output, or an error that shows it."""
    done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


class Namespace:
    """A network namespace, deleted at the end of the block."""

    def __init__(self, name):
        self.name = f"vectors-{name}-{os.getpid()}"

    def __enter__(self):
        run(f"ip netns add {self.name}; ip -n {self.name} link set lo up")
        return self

    def __exit__(self, *_):
        run(f"ip netns del {self.name}")

    def sh(self, command):
        return run(f"ip netns exec {self.name} sh -ec '{command}'")

    def socket(self, device):
        """A packet socket on a device of this namespace."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        setns(there)
        try:
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            s.bind((device, 0))
            s.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the tag that the kernel takes off
        finally:
            setns(own)
            os.close(own)
            os.close(there)
        return s


def setns(namespace):
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def receive(s, wanted, seconds=3):
    """The first frame that is wanted, with its outer tag put back."""
    while select.select([s], [], [], seconds)[0]:
        frame, extra, _, address = s.recvmsg(70000, 256)
        if s.family == socket.AF_PACKET and address[2] == socket.PACKET_OUTGOING:
            continue
        for level, kind, data in extra:
            status, tci, tpid = (int.from_bytes(data[a:b], "little") for a, b in ((0, 4), (16, 18), (18, 20)))
            if (level, kind) == (263, 8) and status & 16:
                tpid = tpid if status & 64 else 0x8100
                frame = frame[:12] + tpid.to_bytes(2, "big") + tci.to_bytes(2, "big") + frame[12:]
        if wanted(frame):
            return frame
    raise TimeoutError("the peer sent nothing that was wanted")


class Uml:
    """A Linux kernel as a process, its network card the other end of `wire`: one frame per datagram."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="uml-")
        for script in ("init.sh", "modprobe.sh"):
            shutil.copy(f"{HERE}/../uml/{script}", self.dir)
        os.makedirs(f"{self.dir}/modules/lib")
        os.symlink("/usr/lib/uml/modules", f"{self.dir}/modules/lib/modules")
        self.wire, card = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.process = subprocess.Popen(
            [UML, "mem=192M", "root=/dev/root", "rootfstype=hostfs", "ro", f"init={self.dir}/init.sh",
             f"uml_dir={self.dir}", "con=null", "con0=fd:0,fd:1", "quiet", f"vec0:transport=fd,fd={card.fileno()},depth=64"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(card.fileno(),), start_new_session=True)
        card.close()
        self._until("@READY")
        self.sh("modprobe ipv6; ip link set vec0 address 02:00:00:00:00:02 up")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        os.killpg(self.process.pid, 9)  # now and then one of its helpers stays stopped
        self.process.wait()
        shutil.rmtree(self.dir)

    def _until(self, mark):
        lines = []
        for line in iter(self.process.stdout.readline, b""):
            line = line.decode(errors="replace").rstrip()
            if line.startswith(mark):
                return lines, line[len(mark):]
            lines.append(line)
        raise EOFError("\n".join(lines))

    def sh(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        lines, code = self._until("@RC ")
        if int(code):
            raise RuntimeError(f"{command}: {lines}")
        return "\n".join(lines)

    def send(self, device, frame):
        """Sends a frame from inside, out of one of its devices."""
        self.sh("/usr/bin/python3 -c 'import socket; s = socket.socket(17, 3); "
                f"s.bind((\"{device}\", 0)); s.send(bytes.fromhex(\"{frame.hex()}\"))'")
