//! What a device's driver says and does when asked by its own `ioctl` (`ethtool`): who it is, how many queues it has,
//! and whether it takes VLAN tags out of what it receives.

use std::io;

use super::sys::{self, DriverCommand, DriverWords};

/// `ETH_FLAG_TXVLAN`.
const TX_VLAN: u32 = 1 << 7;
/// `ETH_FLAG_RXVLAN`.
const RX_VLAN: u32 = 1 << 8;

/// A device's driver, and where the device is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Driver {
    /// The driver's name.
    pub(super) name: String,
    /// Where on which bus the device is; empty for one that only software makes.
    pub(super) bus: String,
}

/// Asks a device's driver; `argument` is the word behind the command.
fn ask(device: &str, command: DriverCommand, argument: u32) -> io::Result<DriverWords> {
    let mut words = [0; 49];
    words[1] = argument;
    sys::driver_command(device, command, &mut words)?;
    Ok(words)
}

/// The driver of a device.
pub(super) fn driver(device: &str) -> io::Result<Driver> {
    let words = ask(device, DriverCommand::Info, 0)?;
    // struct ethtool_drvinfo: the command, then driver, version, firmware and bus, 32 bytes each.
    let text = |from: usize| {
        let bytes = words.iter().skip(from).take(8).flat_map(|word| word.to_ne_bytes());
        bytes.take_while(|&byte| byte != 0).map(char::from).collect()
    };
    Ok(Driver { name: text(1), bus: text(25) })
}

/// How many queues a device receives by, and how many it sends by; 1 where its driver does not say.
pub(super) fn queues(device: &str) -> (u32, u32) {
    // struct ethtool_channels: the command, four limits, and then rx, tx, other and combined.
    let channels = ask(device, DriverCommand::Channels, 0);
    channels.map_or((1, 1), |words| ((words[5] + words[8]).max(1), (words[6] + words[8]).max(1)))
}

/// What a device's sender leaves to the device, in words; `None` where there is nobody to ask.
#[must_use]
pub fn left_to_device(device: &str) -> Option<Vec<&'static str>> {
    let is_on = |command| ask(device, command, 0).is_ok_and(|words| words[1] != 0);
    driver(device).ok()?;
    let all = [
        (is_on(DriverCommand::SentChecksum), "checksums"),
        (is_on(DriverCommand::TcpSegmentation) || is_on(DriverCommand::Segmentation), "segmentation"),
        (flags(device).is_ok_and(|flags| flags & TX_VLAN != 0), "VLAN tags"),
    ];
    Some(all.into_iter().filter(|(is_left, _)| *is_left).map(|(_, what)| what).collect())
}

fn flags(device: &str) -> io::Result<u32> {
    ask(device, DriverCommand::Flags, 0).map(|words| words[1])
}

fn set_flags(device: &str, flags: u32) -> io::Result<()> {
    ask(device, DriverCommand::SetFlags, flags).map(drop)
}

/// A device whose VLAN stripping is off as long as this lives, and then on again.
#[derive(Debug)]
pub(super) struct Unstripped {
    device: String,
    ifindex: u32,
}

impl Unstripped {
    /// Whether it could be turned off.
    pub(super) fn examine(device: &str) -> io::Result<()> {
        // struct ethtool_gfeatures: the command, how many blocks of 32 features there is room for, and for each block
        // what can be changed, is wanted, is on, and never changes.
        let Ok([_, _, changeable, _, on, ..]) = ask(device, DriverCommand::Features, 1) else { return Ok(()) };
        if on & !changeable & RX_VLAN == 0 {
            return Ok(());
        }
        Err(io::Error::other("the driver fixes it (`ethtool -k`)"))
    }

    /// Turns it off; `None` if it was.
    pub(super) fn of(device: &str, ifindex: u32) -> io::Result<Option<Self>> {
        // A driver that has no such switch strips nothing.
        let Ok(before) = flags(device) else { return Ok(None) };
        if before & RX_VLAN == 0 {
            return Ok(None);
        }
        set_flags(device, before & !RX_VLAN)?;
        if flags(device)? & RX_VLAN != 0 {
            return Err(io::Error::other("the device goes on stripping them"));
        }
        Ok(Some(Self { device: device.to_owned(), ifindex }))
    }
}

impl Drop for Unstripped {
    fn drop(&mut self) {
        // The name may be another device's by now.
        let is_same = sys::device(&self.device).is_ok_and(|device| device.ifindex == self.ifindex);
        if is_same && let Ok(now) = flags(&self.device) {
            // If it is refused, nothing can be done about it any more.
            let _ = set_flags(&self.device, now | RX_VLAN);
        }
    }
}
