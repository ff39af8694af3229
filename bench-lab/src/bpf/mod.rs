//! BPF programs and the memory that they share with us.

pub mod asm;
mod sys;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use asm::Instruction;

/// Memory of so many 64-bit words that a program and this process both see.
#[derive(Debug)]
pub struct Map {
    descriptor: OwnedFd,
    words: usize,
}

impl Map {
    /// All zero.
    ///
    /// # Errors
    /// Without the right to make one.
    pub fn new(words: usize) -> io::Result<Self> {
        Ok(Self { descriptor: sys::create_map(words)?, words })
    }

    /// The number by which programs name it.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }

    /// What is in it.
    ///
    /// # Errors
    /// When the kernel says so.
    pub fn read(&self) -> io::Result<Vec<u64>> {
        let mut words = vec![0; self.words];
        sys::read_map(self.descriptor.as_fd(), &mut words)?;
        Ok(words)
    }

    /// Puts these words at its beginning and clears the rest.
    ///
    /// # Errors
    /// When there are too many, or the kernel says so.
    pub fn write(&self, words: &[u64]) -> io::Result<()> {
        if words.len() > self.words {
            return Err(io::Error::other(format!("{} words do not fit into {}", words.len(), self.words)));
        }
        let mut all = words.to_vec();
        all.resize(self.words, 0);
        sys::write_map(self.descriptor.as_fd(), &all)
    }
}

/// A loaded XDP program.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl Program {
    /// Loads it. The maps that it names must outlive this call only: the program holds them.
    ///
    /// # Errors
    /// Without the right to, or when the verifier refuses; the error holds its words.
    pub fn load(code: &[Instruction]) -> io::Result<Self> {
        sys::load(code).map(Self)
    }

    /// Attaches it to a device of the calling thread's namespace, in the driver, until the value that is given back is
    /// dropped.
    ///
    /// # Errors
    /// When the device has a program already, or its driver takes none.
    pub fn attach(&self, device: &str) -> io::Result<Attached> {
        Ok(Attached { _link: sys::attach(self.0.as_fd(), index_of(device)?, sys::XDP_FLAGS_DRV_MODE)? })
    }

    /// The same behind the driver, which any device can do.
    ///
    /// # Errors
    /// When the device has a program already.
    pub fn attach_generic(&self, device: &str) -> io::Result<Attached> {
        Ok(Attached { _link: sys::attach(self.0.as_fd(), index_of(device)?, sys::XDP_FLAGS_SKB_MODE)? })
    }

    /// Runs it on `repeat` copies of `frame`, `batch` at a time; those that it redirects are sent.
    ///
    /// # Errors
    /// `Interrupted` when a signal arrived, and what the kernel says.
    pub fn run(&self, frame: &[u8], repeat: u32, batch: u32) -> io::Result<()> {
        sys::run(self.0.as_fd(), frame, repeat, batch)
    }
}

/// A program on a device.
#[derive(Debug)]
pub struct Attached {
    _link: OwnedFd,
}

/// The number of a device of the calling thread's namespace.
///
/// # Errors
/// When there is no such device.
pub fn index_of(device: &str) -> io::Result<u32> {
    use rustix::net::{AddressFamily, SocketType, netdevice, socket};
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    netdevice::name_to_index(&any, device).map_err(|error| io::Error::other(format!("{device}: {error}")))
}
