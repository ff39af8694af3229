"""How the frames of a case are written down: `cases/NAME/in/PORT.pcap`, and beside it who made them and how."""
import os, select, socket, struct
from peers import receive

CASES = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "cases")
# What hosts say of themselves to all the world as soon as IPv6 is on: listener reports, solicitations.
CHATTER = [bytes.fromhex(to) for to in ("333300000016", "333300000002", "3333ff")]


def write(name, port, frames, maker, step=1_000_000):
    """One capture: frames a millisecond apart, or (nanoseconds, frame) pairs counted from a fixed date."""
    directory = os.path.join(CASES, name, "in")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, port + ".pcap"), "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for at, frame in enumerate(frames):
            stamp, frame = frame if isinstance(frame, tuple) else (at * step, frame)
            file.write(struct.pack("<IIII", 1_700_000_000 + stamp // 10**9, stamp % 10**9, len(frame), len(frame)) + frame)
    with open(os.path.join(directory, port + ".txt"), "w") as file:
        file.write(maker.strip() + "\n")
    print(f"{name}/in/{port}.pcap: {len(frames)} frames")


def waiting(s):
    """Every frame that waits at a socket, but for chatter and questions asked again."""
    frames = []
    while select.select([s], [], [], 0.3)[0]:
        frame = receive(s, lambda _: True)
        if not any(chatter in frame for chatter in CHATTER) and not any(frame[-60:] == other[-60:] for other in frames):
            frames.append(frame)
    return frames


# A tenant's host 02:00:00:00:00:0a asks for 10.1.0.12, then talks to 10.1.0.11 and fd10::b at 02:00:00:00:00:0b.
def host(device):
    return (f"ip link set {device} address 02:00:00:00:00:0a addrgenmode none; ip link set {device} up;"
            f"ip addr add 10.1.0.10/24 dev {device}; ip addr add fd10::a/64 dev {device} nodad;"
            f"ip neigh add 10.1.0.11 lladdr 02:00:00:00:00:0b dev {device} nud permanent;"
            f"ip neigh add fd10::b lladdr 02:00:00:00:00:0b dev {device} nud permanent")


ARP = "ping -n -c 1 -W 0.2 10.1.0.12 > /dev/null 2>&1 || true"
PING = "ping -n -c 1 -W 0.2 10.1.0.11 > /dev/null 2>&1 || true"
PING6 = "ping -n -c 1 -W 0.2 fd10::b > /dev/null 2>&1 || true"
ALL = f"{ARP}; {PING}; {PING6}"


def pings(*options):
    """One ping for each of these options."""
    return "; ".join(PING.replace("-n", f"-n {option}") for option in options)
