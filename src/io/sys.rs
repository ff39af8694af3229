//! The system calls that no safe crate reaches, and one instruction: the only `unsafe` of the gateway.
//!
//! Batches on packet sockets with virtio-net header and auxiliary data, a few socket options, the `ioctl`s of network
//! devices and TAPs, advice on memory, the heap's free part, and the prefetch. Nothing here decides anything.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use rustix::mm::{Advice, madvise};
use transload_encaps::{Frame, Mac};

use super::gso::GsoBatch;
use super::link_layer::LinkLayer;
use super::vnet;

/// Most frames one call moves.
pub(super) const BATCH: usize = 64;

/// Room for one `tpacket_auxdata` control message.
const CONTROL_LEN: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// What came with a frame from a packet socket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Arrival {
    /// Bytes received, without the virtio-net header.
    pub(super) len: usize,
    /// Whether there were more bytes than room.
    pub(super) truncated: bool,
    /// The virtio-net header.
    pub(super) header: [u8; vnet::LEN],
    /// TPID and TCI of the tag that the kernel took out.
    pub(super) tag: Option<(u16, u16)>,
}

/// A system call's result: what it counted, or why it failed.
fn checked(result: c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn iovec(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

/// Receives as many frames as there are, at most [`BATCH`], each into the space of one of these, and says how many.
/// The frames' lengths are left for the caller to set.
pub(super) fn receive(socket: BorrowedFd<'_>, frames: &mut [Frame<'_>], arrivals: &mut [Arrival]) -> io::Result<usize> {
    let count = frames.len().min(arrivals.len()).min(BATCH);
    let mut controls = [Control([0; CONTROL_LEN]); BATCH];
    // SAFETY: both are plain C structures, for which all-zero bytes are valid.
    let (mut vectors, mut messages): ([[libc::iovec; 2]; BATCH], [libc::mmsghdr; BATCH]) = unsafe { mem::zeroed() };
    let parts = frames.iter_mut().zip(arrivals.iter_mut()).zip(&mut controls);
    for ((vector, message), ((frame, arrival), control)) in vectors.iter_mut().zip(&mut messages).zip(parts) {
        *vector = [iovec(&mut arrival.header), iovec(frame.space())];
        message.msg_hdr.msg_iov = vector.as_mut_ptr();
        message.msg_hdr.msg_iovlen = 2;
        message.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = CONTROL_LEN as _;
    }
    // SAFETY: the first `count` messages point at I/O vectors and control buffers that live on this stack until
    // after the call, and those at headers and frames that are borrowed mutably for as long; all lengths are true.
    let received = checked(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as u32,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    })?;
    for (arrival, message) in arrivals.iter_mut().zip(&messages).take(received) {
        arrival.len = (message.msg_len as usize).saturating_sub(vnet::LEN);
        arrival.truncated = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        arrival.tag = tag(&message.msg_hdr);
    }
    Ok(received)
}

/// The tag in a message's auxiliary data.
fn tag(message: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: the kernel filled the control buffer and its length; it is alive, the caller holds it.
    let first = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: CMSG_FIRSTHDR gives null, or a header that lies whole within the buffer, which is aligned to 8.
    let control = unsafe { first.as_ref() }?;
    if (control.cmsg_level, control.cmsg_type) != (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
        return None;
    }
    // SAFETY: a PACKET_AUXDATA message carries this structure; it is read without asking for its alignment.
    let aux = unsafe { libc::CMSG_DATA(first).cast::<libc::tpacket_auxdata>().read_unaligned() };
    let has = |bit: u32| aux.tp_status & bit != 0;
    let tpid = if has(libc::TP_STATUS_VLAN_TPID_VALID) { aux.tp_vlan_tpid } else { libc::ETH_P_8021Q as u16 };
    has(libc::TP_STATUS_VLAN_VALID).then_some((tpid, aux.tp_vlan_tci))
}

/// Sends these frames, at most [`BATCH`], as these GSO batches. Returns how many of the batches the kernel took. An
/// error is that of the first one.
pub(super) fn send(socket: BorrowedFd<'_>, frames: &mut [Frame<'_>], batches: &mut [GsoBatch]) -> io::Result<usize> {
    // SAFETY: both are plain C structures, for which all-zero bytes are valid.
    let (mut vectors, mut messages): ([libc::iovec; 2 * BATCH], [libc::mmsghdr; BATCH]) = unsafe { mem::zeroed() };
    let (mut frames, mut rest) = (frames.iter_mut(), vectors.as_mut_slice());
    let mut count = 0;
    for (batch, message) in batches.iter_mut().zip(&mut messages) {
        // A head and a part for each frame: no more than two for each frame of all.
        let Some((parts, others)) = mem::take(&mut rest).split_at_mut_checked(1 + batch.segments) else { break };
        rest = others;
        let skipped = batch.skipped;
        let payloads =
            frames.by_ref().take(batch.segments).map(|frame| frame.bytes_mut().get_mut(skipped..).unwrap_or_default());
        let pieces = std::iter::once(batch.head()).chain(payloads);
        parts.iter_mut().zip(pieces).for_each(|(part, piece)| *part = iovec(piece));
        message.msg_hdr.msg_iov = parts.as_mut_ptr();
        message.msg_hdr.msg_iovlen = parts.len() as _;
        count += 1;
    }
    // SAFETY: the first `count` messages point at I/O vectors on this stack, and those at heads and frames that are
    // borrowed for the call, or are still zero and empty; all lengths are true, and the kernel only reads.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
    checked(sent)
}

/// Where a packet leaves. The kernel wants room for the hardware address of whatever device that is, up to 32 bytes, although
/// the devices without Ethernet, which use this, look at none.
#[derive(Clone, Copy)]
#[repr(C)]
struct LinkAddress {
    device: libc::sockaddr_ll,
    more_room: [u8; 24],
}

/// Sends packets of these types, at most [`BATCH`], by a device, through a packet socket of type `SOCK_DGRAM`. Returns how
/// many the kernel took. An error is that of the first one.
pub(super) fn send_packets<'p>(
    socket: BorrowedFd<'_>,
    ifindex: u32,
    packets: impl Iterator<Item = (u16, &'p mut [u8])>,
) -> io::Result<usize> {
    // SAFETY: all are plain C structures, for which all-zero bytes are valid.
    let (mut vectors, mut addresses, mut messages): (
        [libc::iovec; BATCH],
        [LinkAddress; BATCH],
        [libc::mmsghdr; BATCH],
    ) = unsafe { mem::zeroed() };
    let mut count = 0;
    let places = vectors.iter_mut().zip(&mut addresses).zip(&mut messages);
    for ((ether_type, packet), ((vector, address), message)) in packets.zip(places) {
        *vector = iovec(packet);
        address.device.sll_family = libc::AF_PACKET as u16;
        address.device.sll_protocol = ether_type.to_be();
        address.device.sll_ifindex = ifindex.cast_signed();
        message.msg_hdr.msg_name = ptr::from_mut(address).cast();
        message.msg_hdr.msg_namelen = mem::size_of::<LinkAddress>() as libc::socklen_t;
        message.msg_hdr.msg_iov = vector;
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` messages point at addresses and I/O vectors on this stack, and those at packets that are
    // borrowed for `'p`; all lengths are true, and the kernel only reads.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
    checked(sent)
}

/// Sets an option of a packet socket.
pub(super) fn set_packet_option(socket: BorrowedFd<'_>, option: c_int, value: c_int) -> io::Result<()> {
    set_option(socket, libc::SOL_PACKET, option, &value)
}

/// Sets an option of an XDP socket.
pub(super) fn set_xdp_option(socket: BorrowedFd<'_>, option: c_int, value: u32) -> io::Result<()> {
    set_option(socket, libc::SOL_XDP, option, &value)
}

fn set_option<T: Copy>(socket: BorrowedFd<'_>, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let value: *const T = value;
    // SAFETY: the pointer is a live reference to a plain value of exactly the length that is passed.
    checked(unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, value.cast::<c_void>(), mem::size_of::<T>() as u32)
    })
    .map(drop)
}

/// Reads an option of a socket into a plain value, as much of it as the kernel fills.
fn option<T: Copy>(socket: BorrowedFd<'_>, level: c_int, option: c_int, mut value: T) -> io::Result<T> {
    let mut len = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer is to a live plain value of exactly the length that is passed.
    checked(unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, ptr::from_mut(&mut value).cast(), &raw mut len)
    })?;
    Ok(value)
}

/// Reads a number of a packet socket.
pub(super) fn packet_option(socket: BorrowedFd<'_>, name: c_int) -> io::Result<c_int> {
    option(socket, libc::SOL_PACKET, name, 0)
}

/// Frames that a packet socket had no room for since the last call.
pub(super) fn packet_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let none = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    option(socket, libc::SOL_PACKET, libc::PACKET_STATISTICS, none).map(|stats| stats.tp_drops)
}

/// Packets that any socket had no room for so far.
pub(super) fn socket_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    // sock_diag(7): the last of the numbers is `SK_MEMINFO_DROPS`.
    option(socket, libc::SOL_SOCKET, libc::SO_MEMINFO, [0; 9]).map(|[.., drops]: [u32; 9]| drops)
}

/// Lets a packet socket see every frame of a device, whomever it is for.
pub(super) fn set_promiscuous(socket: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: ifindex.cast_signed(),
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set_option(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
}

/// Binds a packet socket to a device, for frames of every type.
pub(super) fn bind_packet(socket: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    // SAFETY: a plain C structure, for which all-zero bytes are valid.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = ifindex.cast_signed();
    let len = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer is to a live address of exactly the length that is passed.
    checked(unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), len) }).map(drop)
}

/// Whether the device that a packet socket was bound to still exists. A new one of the same name is another.
pub(super) fn is_bound(socket: BorrowedFd<'_>) -> bool {
    // SAFETY: a plain C structure, for which all-zero bytes are valid.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    let mut len = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer is to a live address of exactly the length that is passed.
    let asked = unsafe { libc::getsockname(socket.as_raw_fd(), ptr::from_mut(&mut address).cast(), &raw mut len) };
    checked(asked).is_ok() && address.sll_ifindex > 0
}

/// A network device, as the kernel describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Device {
    /// The kernel's number for it.
    pub(super) ifindex: u32,
    /// What its packets begin with.
    pub(super) layer: LinkLayer,
    /// The MAC address of a port on it, if one can be.
    pub(super) mac: Option<Mac>,
    /// Most bytes of an IP packet on it.
    pub(super) mtu: u32,
    /// Whether it is up.
    pub(super) up: bool,
}

/// An `ioctl` request on a device; `None` for a name no device can have.
fn request(name: &str) -> Option<libc::ifreq> {
    // SAFETY: a plain C structure, for which all-zero bytes are valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // The last byte stays zero and ends the name.
    let room = request.ifr_name.len() - 1;
    if name.is_empty() || name.len() > room || name.bytes().any(|byte| byte == 0) {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed() as _;
    }
    Some(request)
}

fn name_of(request: &libc::ifreq) -> String {
    request.ifr_name.iter().take_while(|&&c| c != 0).map(|&c| char::from(c.to_ne_bytes()[0])).collect()
}

fn no_device() -> io::Error {
    io::Error::from_raw_os_error(libc::ENODEV)
}

fn device_ioctl(fd: BorrowedFd<'_>, number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every request number of this file takes a pointer to an `ifreq`, which is live and ours alone.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), number as _, ptr::from_mut(request)) }).map(drop)
}

/// Any socket will do for asking about devices.
fn any_socket() -> io::Result<impl AsFd> {
    socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None)
}

/// Asks the kernel about a device of this network namespace.
pub(super) fn device(name: &str) -> io::Result<Device> {
    let socket = any_socket()?;
    let mut ask = request(name).ok_or_else(no_device)?;
    device_ioctl(socket.as_fd(), libc::SIOCGIFINDEX, &mut ask)?;
    // SAFETY: the kernel answered SIOCGIFINDEX, whose answer is this member; any bits are a valid integer.
    let ifindex = unsafe { ask.ifr_ifru.ifru_ifindex }.cast_unsigned();
    device_ioctl(socket.as_fd(), libc::SIOCGIFMTU, &mut ask)?;
    // SAFETY: the same for SIOCGIFMTU.
    let mtu = unsafe { ask.ifr_ifru.ifru_mtu }.cast_unsigned();
    device_ioctl(socket.as_fd(), libc::SIOCGIFFLAGS, &mut ask)?;
    // SAFETY: the same for SIOCGIFFLAGS.
    let flags = unsafe { ask.ifr_ifru.ifru_flags };
    device_ioctl(socket.as_fd(), libc::SIOCGIFHWADDR, &mut ask)?;
    // SAFETY: the same for SIOCGIFHWADDR.
    let hardware = unsafe { ask.ifr_ifru.ifru_hwaddr };
    let bytes = hardware.sa_data.map(|byte| byte.to_ne_bytes()[0]);
    let layer = LinkLayer::of(hardware.sa_family);
    let mac = layer.mac(bytes.get(..6).unwrap_or_default());
    Ok(Device { ifindex, layer, mac, mtu, up: c_int::from(flags) & libc::IFF_UP != 0 })
}

/// Brings a device up.
pub(super) fn bring_up(name: &str) -> io::Result<()> {
    let socket = any_socket()?;
    let mut ask = request(name).ok_or_else(no_device)?;
    device_ioctl(socket.as_fd(), libc::SIOCGIFFLAGS, &mut ask)?;
    // SAFETY: the kernel answered SIOCGIFFLAGS, whose answer is this member; any bits are a valid integer.
    let flags = unsafe { ask.ifr_ifru.ifru_flags };
    ask.ifr_ifru.ifru_flags = flags | libc::IFF_UP as i16;
    device_ioctl(socket.as_fd(), libc::SIOCSIFFLAGS, &mut ask)
}

/// The questions and commands that a device's driver takes.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(super) enum DriverCommand {
    /// `ETHTOOL_GDRVINFO`
    Info = 0x03,
    /// `ETHTOOL_GTXCSUM`
    SentChecksum = 0x16,
    /// `ETHTOOL_GTSO`
    TcpSegmentation = 0x1e,
    /// `ETHTOOL_GGSO`
    Segmentation = 0x23,
    /// `ETHTOOL_GFLAGS`
    Flags = 0x25,
    /// `ETHTOOL_SFLAGS`
    SetFlags = 0x26,
    /// `ETHTOOL_GFEATURES`
    Features = 0x3a,
    /// `ETHTOOL_GCHANNELS`
    Channels = 0x3c,
}

/// The longest structure of a [`DriverCommand`], `ethtool_drvinfo`, in words. The first one is the command.
pub(super) type DriverWords = [u32; 49];

/// Asks a device's driver, or has it do something.
pub(super) fn driver_command(name: &str, command: DriverCommand, words: &mut DriverWords) -> io::Result<()> {
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    let socket = any_socket()?;
    let mut ask = request(name).ok_or_else(no_device)?;
    words[0] = command as u32;
    ask.ifr_ifru.ifru_data = ptr::from_mut(words).cast();
    // SAFETY: the request is live, and so are the words it points to, which no structure of these commands exceeds.
    checked(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SIOCETHTOOL as _, ptr::from_mut(&mut ask)) }).map(drop)
}

/// Makes an opened `/dev/net/tun` a queue of this TAP device, creating the device if there is none, and says what it
/// is called.
pub(super) fn attach_tap(tun: BorrowedFd<'_>, name: &str, multi_queue: bool) -> io::Result<String> {
    let queues = if multi_queue { libc::IFF_MULTI_QUEUE } else { 0 };
    let mut ask = request(name).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    ask.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | queues) as i16;
    device_ioctl(tun, libc::TUNSETIFF as _, &mut ask)?;
    Ok(name_of(&ask))
}

/// Says which offloads a TAP's reader completes itself, so that the kernel need not.
pub(super) fn set_tap_offloads(tun: BorrowedFd<'_>, offloads: u32) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, libc::c_ulong::from(offloads)) };
    checked(result).map(drop)
}

/// Lets the kernel back this memory with huge pages, in its own time; the odd ends that fill no page stay as they are.
pub(super) fn prefer_huge_pages<T>(memory: &[T]) -> io::Result<()> {
    let page = rustix::param::page_size();
    let start: *const T = memory.as_ptr();
    let before = start.cast::<u8>().align_offset(page);
    let len = mem::size_of_val(memory).saturating_sub(before) / page * page;
    let start = start.cast::<u8>().wrapping_add(before).cast_mut();
    // SAFETY: this advice changes what memory is made of, never what is in it, nor who may read or write it.
    Ok(unsafe { madvise(start.cast::<c_void>(), len, Advice::LinuxHugepage) }?)
}

/// Has the allocator give free memory back to the kernel; one that knows no such call has its own ways.
pub(super) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and touches only memory that nobody holds.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has the processor fetch the cache line in which this value begins, without waiting for it. Processors that we know no
/// such instruction of fetch it when it is read.
#[inline]
pub fn prefetch<T>(line: &T) {
    let line: *const T = line;
    // SAFETY: the instruction, which every x86-64 has, changes nothing but caches and faults on no address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    // SAFETY: the same for AArch64.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) line, options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = line;
}
