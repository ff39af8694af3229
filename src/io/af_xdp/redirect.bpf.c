/* The redirect program of a port: the gateway's frames go to the XDP socket of their queue, and the kernel goes on with
 * all others as if it were not there. A frame is taken
 *
 *   - when it has exactly the outer tag of one of our tunnel addresses (for one without a tag, it may be one that only
 *     carries a priority), is sent to that address and to the port's MAC address, rides on what tunnels ride on, and is
 *     from a peer. IPv4 options and up to four IPv6 extension headers are stepped over, as the gateway does. Of a
 *     fragmented UDP packet only the first piece says its port, and is taken, to be counted as what it is;
 *   - else when its first tag is claimed by a tenant, or all tags are.
 *
 * What rides on tunnels and is from nobody we know ends here, so that it takes no room from the peers'. All else, and
 * whatever is too short or broken to tell, stays with the kernel. What was sent to one of our tunnel addresses and is not
 * taken is counted, by the gateway's names. If a queue has no socket, all of its frames stay with the kernel.
 *
 * `program.rs` makes the maps, and `rows.rs` has these structures too. Headers behind the first tag are copied by a helper, since
 * without CAP_PERFMON the kernel lets nobody add a number that it does not know to a pointer. */

#include "../../bpf/kernel.h"

#define IPV4 IN_FRAME(0x0800)
#define IPV6 IN_FRAME(0x86dd)
#define C_TAG IN_FRAME(0x8100)
#define S_TAG IN_FRAME(0x88a8)
#define VID 0x0fff
#define UDP 17
#define HOP_BY_HOP 0
#define ROUTING 43
#define FRAGMENT 44
#define ICMPV6 58
#define DESTINATION_OPTIONS 60
#define MOST_EXTENSIONS 4
#define MOST_TAGS 8

/* What is counted of the frames that are not taken, in the order of `REASONS` in `rows.rs`. */
enum reason {
    HOST_TRAFFIC,
    NOT_FOR_US,
    NOT_OUR_MAC,
    OUTER_FRAGMENT,
    UNKNOWN_PEER,
    UNCLAIMED_TAGS,
    UNDERLAY_CONTROL,
    TRUNCATED,
    BAD_IP_HEADER,
    EXTENSION_HEADERS,
    /* No reason to leave it. */
    WHOLE,
};

/* Which tags belong to tenants. */
enum tags {
    NO_TAGS,
    /* Those in the map of tags. */
    CLAIMED,
    /* Every tag that has a VLAN ID. */
    TAGGED,
    /* Every frame. */
    ALL,
};

/* In the map of tags, by VLAN ID: claimed as an outer tag, and as a 0x8100 tag that stands alone. */
#define OUTER 1
#define SINGLE 2

/* An IP protocol, or a UDP port with this bit. */
#define UDP_PORT 0x10000
/* In the place of a carrier: whichever. */
#define ANY_CARRIER 0x20000
/* In the place of an endpoint: nobody's in particular. */
#define NO_ENDPOINT 0
/* What UDP port may be one that a peer's tunnel was moved to: none that is well known or that answers come to. */
#define FIRST_MOVED 1024
#define LAST_MOVED 32767

/* In the map of carriers. */
enum carrier {
    /* Tunnels ride on it. */
    TUNNEL = 1,
    /* It is something else's, whoever it is from. */
    NO_TUNNEL = 2,
};

struct mac {
    u8 bytes[6];
    /* 0: any other is as good. */
    u16 is_set;
};

struct port {
    struct mac mac;
    /* `enum tags` */
    u32 tags;
    /* Whether frames without a VLAN ID are claimed. */
    u32 untagged;
    /* The verdict for a frame whose queue has no socket. */
    u32 without_socket;
};

/* An IPv4 address stands in the last four bytes, behind zeros. */
struct address {
    u8 bytes[16];
};

/* An address and the family it is of. */
struct host {
    struct address address;
    u32 ether_type;
};

/* The address and the VLAN ID that a tunnel packet is sent to; 0 where it has no tag. */
struct entrance {
    struct host host;
    u32 vlan;
};

struct endpoint {
    u32 id;
    /* Whether tunnel packets are taken from anybody. */
    u32 any_sender;
    struct mac mac;
};

struct ride {
    u32 endpoint;
    u32 carrier;
};

struct sender {
    struct ride ride;
    struct address address;
};

/* What the kernel's tables of prefixes have as a key. */
struct prefix {
    u32 bits;
    struct sender sender;
};

struct traffic {
    u64 frames;
    u64 bytes;
};

/* By queue: the socket. */
struct { KIND(SOCKETS); KEY(u32); VALUE(u32); } sockets SECTION(".maps");
/* One row. */
struct { KIND(ARRAY); KEY(u32); VALUE(struct port); } ports SECTION(".maps");
struct { KIND(HASH); KEY(struct entrance); VALUE(struct endpoint); } entrances SECTION(".maps");
/* The addresses of all of the gateway's endpoints, by whichever port. */
struct { KIND(HASH); KEY(struct host); VALUE(u32); } own SECTION(".maps");
struct { KIND(HASH); KEY(struct ride); VALUE(u32); } carriers SECTION(".maps");
struct { KIND(HASH); KEY(struct sender); VALUE(u32); } peers SECTION(".maps");
/* From where groups learn peers. */
struct { KIND(LONGEST_PREFIX); KEY(struct prefix); VALUE(u32); } learners SECTION(".maps");
/* By VLAN ID. */
struct { KIND(ARRAY); KEY(u32); VALUE(u32); } tags SECTION(".maps");
/* What an outer tag's type may be, as it stands in a frame. */
struct { KIND(HASH); KEY(u32); VALUE(u32); } tpids SECTION(".maps");
/* By `enum reason`. */
struct { KIND(PER_CPU_ARRAY); KEY(u32); VALUE(struct traffic); } left SECTION(".maps");

/* An IP packet that arrived. */
struct packet {
    struct address from;
    struct host to;
    /* IP protocol, or UDP port. */
    u32 carrier;
    u8 protocol;
    /* Whether it is a piece of a packet, and whether it is not the first one. */
    u8 is_fragment;
    u8 is_later;
};

static __attribute__((always_inline)) int take(struct xdp_md *frame, const struct port *port)
{
    return redirect_map(&sockets, frame->rx_queue_index, port->without_socket);
}

/* Counts a frame that is not taken. */
static __attribute__((noinline)) int leave(struct xdp_md *frame, u32 reason, u32 verdict)
{
    struct traffic *counter = map_lookup(&left, &reason);
    if (counter) {
        counter->frames += 1;
        counter->bytes += xdp_length(frame);
    }
    return verdict;
}

static __attribute__((always_inline)) int is_mac(const u8 *frame, const struct mac *mac)
{
    const u16 *ours = (const u16 *)mac->bytes, *there = (const u16 *)frame;
    return !mac->is_set || (ours[0] == there[0] && ours[1] == there[1] && ours[2] == there[2]);
}

/* Reads what follows an IP header: the UDP port, if that is what it says. */
static __attribute__((always_inline)) u32 read_udp(struct xdp_md *frame, u32 at, struct packet *packet)
{
    u16 ports[2];
    packet->carrier = packet->protocol;
    if (packet->protocol != UDP || packet->is_later)
        return WHOLE;
    if (xdp_load(frame, at, ports, sizeof(ports)))
        return TRUNCATED;
    packet->carrier = UDP_PORT | IN_FRAME(ports[1]);
    return WHOLE;
}

static __attribute__((always_inline)) u32 read_ipv4(struct xdp_md *frame, u32 at, struct packet *packet)
{
    u8 header[20];
    if (xdp_load(frame, at, header, sizeof(header)))
        return TRUNCATED;
    *(u32 *)&packet->from.bytes[12] = *(u32 *)&header[12];
    *(u32 *)&packet->to.address.bytes[12] = *(u32 *)&header[16];
    u32 len = (header[0] & 0x0f) * 4;
    u32 flags = header[6] << 8 | header[7];
    packet->protocol = header[9];
    packet->is_later = (flags & 0x1fff) != 0;
    packet->is_fragment = (flags & 0x3fff) != 0;
    packet->carrier = packet->protocol;
    if (header[0] >> 4 != 4 || len < sizeof(header))
        return BAD_IP_HEADER;
    return read_udp(frame, at + len, packet);
}

static __attribute__((always_inline)) u32 read_ipv6(struct xdp_md *frame, u32 at, struct packet *packet)
{
    u8 header[40];
    if (xdp_load(frame, at, header, sizeof(header)))
        return TRUNCATED;
    __builtin_memcpy(&packet->from, &header[8], 16);
    __builtin_memcpy(&packet->to.address, &header[24], 16);
    u8 next = header[6];
    packet->protocol = packet->carrier = next;
    if (header[0] >> 4 != 6)
        return BAD_IP_HEADER;
    at += sizeof(header);
    for (int n = 0; n <= MOST_EXTENSIONS; n++) {
        u8 extension[4];
        int is_option = next == HOP_BY_HOP || next == ROUTING || next == DESTINATION_OPTIONS;
        if (!is_option && next != FRAGMENT)
            break;
        if (n == MOST_EXTENSIONS)
            return EXTENSION_HEADERS;
        if (xdp_load(frame, at, extension, sizeof(extension)))
            return TRUNCATED;
        next = extension[0];
        if (!is_option) {
            /* RFC 8200 §4.5: the offset, and whether more follow. RFC 6946: neither is a whole packet. */
            u32 place = extension[2] << 8 | extension[3];
            packet->is_later = (place & 0xfff8) != 0;
            packet->is_fragment = (place & 0xfff9) != 0;
            at += 8;
            if (packet->is_fragment)
                break;
            continue;
        }
        /* Its length counts eight bytes, but for the first eight. */
        at += (extension[1] + 1) * 8;
    }
    packet->protocol = next;
    return read_udp(frame, at, packet);
}

/* Reads the IP packet of this type at this place. Returns `WHOLE`, or what is wrong with it; unless it is `TRUNCATED`,
 * the addresses are there. */
static __attribute__((noinline)) u32 read_packet(struct xdp_md *frame, u32 ether_type, u32 at, struct packet *packet)
{
    __builtin_memset(packet, 0, sizeof(*packet));
    packet->to.ether_type = ether_type;
    return ether_type == IPV4 ? read_ipv4(frame, at, packet) : read_ipv6(frame, at, packet);
}

/* Whether tunnels ride on it: `enum carrier`, or 0 where nothing is known of it. */
static __attribute__((always_inline)) u32 rides(u32 endpoint, u32 carrier)
{
    struct ride ride = {endpoint, carrier};
    u32 *what = map_lookup(&carriers, &ride);
    return what ? *what : 0;
}

/* Whether somebody whom a group may learn sends by this. */
static __attribute__((always_inline)) int is_learner(const struct sender *sender)
{
    struct prefix prefix = {8 * sizeof(*sender), *sender};
    return map_lookup(&learners, &prefix) != 0;
}

/* Why a packet to an endpoint is not taken that rides on nothing of its tunnels'. */
static __attribute__((noinline)) u32 other_carrier(const struct packet *packet, u32 endpoint)
{
    u32 what = rides(NO_ENDPOINT, packet->carrier);
    if (packet->is_fragment)
        return packet->protocol == UDP || what == TUNNEL ? OUTER_FRAGMENT : HOST_TRAFFIC;
    if (what)
        return what == TUNNEL ? NOT_FOR_US : HOST_TRAFFIC;
    if (packet->carrier < (UDP_PORT | FIRST_MOVED) || packet->carrier > (UDP_PORT | LAST_MOVED))
        return HOST_TRAFFIC;
    /* A peer may have its tunnel on another port than the file says. */
    struct sender sender = {{endpoint, ANY_CARRIER}, packet->from};
    return map_lookup(&peers, &sender) || is_learner(&sender) ? NOT_FOR_US : HOST_TRAFFIC;
}

/* What becomes of a whole packet to an endpoint. */
static __attribute__((always_inline)) int to_endpoint(struct xdp_md *frame, const struct port *port,
                                                      const struct packet *packet, const struct endpoint *endpoint)
{
    struct sender sender = {{endpoint->id, packet->carrier}, packet->from};
    if (packet->protocol == UDP && packet->is_later)
        return leave(frame, OUTER_FRAGMENT, XDP_PASS);
    if (map_lookup(&peers, &sender))
        return take(frame, port);
    if (!rides(endpoint->id, packet->carrier))
        return leave(frame, other_carrier(packet, endpoint->id), XDP_PASS);
    struct host from = {packet->from, packet->to.ether_type};
    if (endpoint->any_sender || is_learner(&sender) || map_lookup(&own, &from))
        return take(frame, port);
    return leave(frame, packet->is_fragment ? OUTER_FRAGMENT : UNKNOWN_PEER, XDP_DROP);
}

static __attribute__((always_inline)) int is_tag(u32 type)
{
    return type == C_TAG || type == S_TAG || type == IN_FRAME(0x9100) || type == IN_FRAME(0x9200) ||
           type == IN_FRAME(0x9300);
}

/* Counts a frame that is neither a tunnel packet nor has tags that are claimed, if it was sent to one of our tunnel
 * addresses. */
static __attribute__((noinline)) int stray(struct xdp_md *frame, const struct port *port, u32 is_to_port)
{
    struct packet packet;
    u16 type;
    u32 at = 12;
    for (int n = 0; n <= MOST_TAGS; n++, at += 4) {
        if (xdp_load(frame, at, &type, sizeof(type)))
            return XDP_PASS;
        if (!is_tag(type))
            break;
    }
    if (type != IPV4 && type != IPV6)
        return XDP_PASS;
    u32 how = read_packet(frame, type, at + 2, &packet);
    if (how == TRUNCATED || !map_lookup(&own, &packet.to))
        return XDP_PASS;
    if (port->tags != NO_TAGS)
        return leave(frame, UNCLAIMED_TAGS, XDP_PASS);
    if (type == IPV6 && (packet.protocol == ICMPV6 || packet.protocol == HOP_BY_HOP))
        return leave(frame, UNDERLAY_CONTROL, XDP_PASS);
    int is_hosts = packet.is_fragment || (how == WHOLE && rides(NO_ENDPOINT, packet.carrier) != TUNNEL);
    return leave(frame, is_to_port && is_hosts ? HOST_TRAFFIC : NOT_FOR_US, XDP_PASS);
}

/* Whether the first tag of a frame, or that there is none, is claimed. */
static __attribute__((always_inline)) int is_claimed(u32 type, u32 has_tag, u32 vid, const struct port *port)
{
    if (port->tags == ALL)
        return 1;
    if (port->tags == NO_TAGS)
        return 0;
    u32 is_outer = map_lookup(&tpids, &type) != 0;
    if (port->tags == TAGGED)
        return (is_outer && type != C_TAG) || (type == C_TAG && has_tag && vid);
    if (!is_outer && type != C_TAG)
        return port->untagged;
    if (!has_tag)
        return 0;
    if (!vid && port->untagged)
        return 1;
    u32 *claimed = map_lookup(&tags, &vid);
    return claimed && ((is_outer && *claimed & OUTER) || (type == C_TAG && *claimed & SINGLE));
}

SECTION("xdp")
int redirect(struct xdp_md *frame)
{
    const u8 *start = (const u8 *)(u64)frame->data, *end = (const u8 *)(u64)frame->data_end;
    u32 first = 0;
    const struct port *port = map_lookup(&ports, &first);
    if (!port || start + 14 > end)
        return XDP_PASS;

    /* The type, and what is behind it if it is that of a tag. */
    u32 type = *(const u16 *)(start + 12), ip_type = type, vid = 0, has_tag = 0, ip_at = 14;
    if (type != IPV4 && type != IPV6 && start + 18 <= end) {
        has_tag = 1;
        vid = IN_FRAME(*(const u16 *)(start + 14)) & VID;
        /* IEEE 802.1Q §6.9.1: what has VLAN ID 0 belongs to the VLAN of untagged frames. */
        int is_outer_tag = type == C_TAG || (type == S_TAG && !vid);
        ip_type = is_outer_tag ? *(const u16 *)(start + 16) : 0;
        ip_at = 18;
    }

    u32 is_to_port = is_mac(start, &port->mac);
    if (ip_type == IPV4 || ip_type == IPV6) {
        struct packet packet;
        u32 how = read_packet(frame, ip_type, ip_at, &packet);
        struct entrance entrance = {packet.to, vid};
        const struct endpoint *endpoint = map_lookup(&entrances, &entrance);
        if (endpoint) {
            if (!is_mac(start, &endpoint->mac))
                return leave(frame, NOT_OUR_MAC, XDP_PASS);
            if (how != WHOLE)
                return leave(frame, how, XDP_PASS);
            return to_endpoint(frame, port, &packet, endpoint);
        }
    }
    return is_claimed(type, has_tag, vid, port) ? take(frame, port) : stray(frame, port, is_to_port);
}

SECTION("license")
const char terms[] = "Dual MIT/GPL";
