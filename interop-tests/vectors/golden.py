"""How a golden frame is written down: comments that say who made it and how, then words and hexadecimal."""
import os

VECTORS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "encaps", "vectors")

# A tenant's frame: broadcast, 02:00:00:00:00:0a, IEEE 802 local experimental type, 46 bytes that differ.
TENANT = bytes.fromhex("ffffffffffff02000000000a88b5") + bytes(range(1, 47))


def write(kind, name, about, tool, command, spec, ids, wire, inner=TENANT, **more):
    """One file: `spec` is the encapsulation as JSON, `ids` its ID fields, `wire` and `inner` whole frames."""
    lines = [f"# {about}", f"# made by: {tool}"]
    lines += [f"# {line}" for line in command.strip().splitlines()]
    lines += [f"spec {spec}", f"ids {ids}".rstrip()]
    lines += [f"{word} {value}" for word, value in more.items()]
    lines += [f"wire {wire.hex()}", f"inner {inner.hex()}"]
    path = os.path.join(VECTORS, kind, name + ".hex")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    print(f"{kind}/{name}: {len(wire)} bytes")
