//! What kinds of maps and programs there are, as far as they are used here, and where programs are attached.

/// Kinds of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum MapKind {
    /// Values under keys of any kind.
    Hash = 1,
    /// Values, all there from the beginning and zero.
    Array = 2,
    /// The same, with a value for each CPU, which the programs that run on it write.
    PerCpuArray = 6,
    /// Values under keys of which the first word says how many bits of the rest are to be looked at; the most decide.
    LongestPrefix = 11,
    /// XDP sockets by their descriptors, as `u32`.
    Sockets = 17,
}

impl MapKind {
    /// The flags of making one.
    pub(super) const fn flags(self) -> u32 {
        /// `BPF_F_NO_PREALLOC`, which the kernel demands.
        const AS_NEEDED: u32 = 1 << 0;
        match self {
            Self::LongestPrefix => AS_NEEDED,
            Self::Hash | Self::Array | Self::PerCpuArray | Self::Sockets => 0,
        }
    }
}

/// Kinds of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// Takes what a device receives before the kernel does.
    Xdp,
    /// The same, and takes frames that do not fit one page too.
    XdpFrags,
    /// Takes what the kernel made of a frame, a super-frame whole.
    Classifier,
}

impl ProgramKind {
    /// `BPF_PROG_TYPE_*`, and the flags of loading.
    pub(super) const fn code(self) -> (u32, u32) {
        const XDP: u32 = 6;
        const SCHED_CLS: u32 = 3;
        /// `BPF_F_XDP_HAS_FRAGS`.
        const HAS_FRAGS: u32 = 1 << 5;
        match self {
            Self::Xdp => (XDP, 0),
            Self::XdpFrags => (XDP, HAS_FRAGS),
            Self::Classifier => (SCHED_CLS, 0),
        }
    }
}

/// Where in the kernel an XDP program runs, by the flags of XDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Hook {
    /// In the driver, before anything else has been done with the frame.
    Native = 1 << 2,
    /// Behind the driver, on the kernel's own copy: works on every device, and is slower.
    Generic = 1 << 1,
}

/// Which of a device's frames a classifier is asked about (`BPF_TCX_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Direction {
    /// Those it has received.
    Ingress = 46,
    /// Those it is about to send.
    Egress = 47,
}
