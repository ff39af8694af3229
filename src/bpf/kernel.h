/* What our programs need of the kernel's interface to BPF, so that they are compiled alike on every machine. */

#ifndef TRANSLOAD_KERNEL_H
#define TRANSLOAD_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/* Where the loader finds it. */
#define SECTION(name) __attribute__((section(name), used))

/* How a map is described in the section `.maps` (BTF): by the types of these fields. The loader sets the number of
 * entries. */
#define KIND(number) int (*type)[number]
#define KEY(type) typeof(type) *key
#define VALUE(type) typeof(type) *value

enum map_kind {
    HASH = 1,
    PER_CPU_ARRAY = 6,
    LONGEST_PREFIX = 11,
    ARRAY = 2,
    SOCKETS = 17,
};

enum verdict {
    XDP_DROP = 1,
    XDP_PASS = 2,
};

/* A frame that a device has received. */
struct xdp_md {
    u32 data;
    u32 data_end;
    u32 data_meta;
    u32 ingress_ifindex;
    u32 rx_queue_index;
    u32 egress_ifindex;
};

/* A 16-bit number as it stands in a frame. */
#define IN_FRAME(number) __builtin_bswap16(number)

/* Helper functions, by their numbers. */

/* The address of what a map has under this key. */
static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
/* Hands the frame to what a map has under this key; without that, the answer is `otherwise`. */
static long (*const redirect_map)(void *map, u64 key, u64 otherwise) = (void *)51;
/* How many bytes the frame has, in all its pieces. Since Linux 5.18, as the next one. */
static u64 (*const xdp_length)(struct xdp_md *frame) = (void *)188;
/* Copies bytes of the frame; not zero if it has not so many. */
static long (*const xdp_load)(struct xdp_md *frame, u32 at, void *to, u32 bytes) = (void *)189;

#endif
