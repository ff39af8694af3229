//! A host in User-Mode Linux, from inside: the first and only process there, which furnishes its site and does what it
//! is told, line by line.
//!
//! It is this very program, seen through the host's file system, so that nothing else needs to be installed.

use std::fs::{self, File};
use std::io::{self, BufRead, ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, finit_module, reboot, uname};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::sites::{SITES, Site};
use super::tcp::{self, Budget};
use super::{native, ping};
use crate::kernel::netlink;

/// Where Debian keeps the modules of User-Mode Linux.
const MODULES: &str = "/usr/lib/uml/modules";
/// What the sites need, each with what it depends on.
const WANTED: [&str; 4] = ["/ipv6.ko", "/ip_gre.ko", "/ip6_gre.ko", "/8021q.ko"];
/// The cable, as this kernel calls it.
const WIRE: &str = "vec0";
/// In front of everything that the host should read; the rest of the console is the kernel's.
pub(super) const MARK: &str = "@demo ";
/// What it says first: there is a TAP now.
pub(super) const WIRED: &str = "wired";

/// Lives as the guest of this site's name until its console is closed, and then switches the machine off.
pub(super) fn live(name: &str) -> ! {
    let ended = serve(name);
    if let Err(error) = ended {
        println!("{MARK}error {error}");
    }
    let _ = reboot(RebootCommand::PowerOff);
    std::process::exit(1)
}

fn serve(name: &str) -> io::Result<()> {
    quiet_console()?;
    let site = SITES.iter().find(|site| site.name == name).ok_or(ErrorKind::NotFound)?;
    plug_in()?;
    say(WIRED)?;
    for line in io::stdin().lock().lines() {
        match obey(&line?, site) {
            Ok(answer) => say(&format!("ok {answer}"))?,
            Err(error) => say(&format!("no {error}"))?,
        }
    }
    Ok(())
}

fn say(what: &str) -> io::Result<()> {
    let mut console = io::stdout().lock();
    writeln!(console, "{MARK}{what}")?;
    console.flush()
}

/// What is written to the console must not come back as if we had said it.
fn quiet_console() -> io::Result<()> {
    let mut settings = tcgetattr(io::stdin())?;
    settings.make_raw();
    Ok(tcsetattr(io::stdin(), OptionalActions::Now, &settings)?)
}

/// Switches the cable on, and says nothing on it: the TAP at its other end is made by this, and is not up yet, and
/// the driver would take a packet that it refuses for the end of the cable.
fn plug_in() -> io::Result<()> {
    mount("proc", "/proc", "proc", MountFlags::empty(), None)?;
    let release = uname();
    load_modules(&Path::new(MODULES).join(release.release().to_string_lossy().as_ref()))?;
    fs::write(ipv6_setting("disable_ipv6"), "1")?;
    netlink::furnish(async |netlink| {
        netlink.set_up("lo", true).await?;
        netlink.set_up(WIRE, true).await
    })
}

fn furnish(site: &Site) -> io::Result<()> {
    // As in the namespaces: nobody else has our addresses.
    fs::write(ipv6_setting("accept_dad"), "0")?;
    fs::write(ipv6_setting("disable_ipv6"), "0")?;
    netlink::furnish(async |netlink| {
        native::connect(netlink, site, WIRE).await?;
        native::speak(netlink, site, WIRE).await?;
        native::settle_in(netlink, site).await
    })?;
    tcp::listen(site.tenant())
}

fn ipv6_setting(name: &str) -> String {
    format!("/proc/sys/net/ipv6/conf/{WIRE}/{name}")
}

/// Loads what is wanted from a kernel's module directory. Each line of `modules.dep` names a module and what has to
/// be there before it, the last one first.
fn load_modules(directory: &Path) -> io::Result<()> {
    let index = fs::read_to_string(directory.join("modules.dep"))?;
    for wanted in WANTED {
        let line = index.lines().find_map(|line| line.split_once(':').filter(|(module, _)| module.ends_with(wanted)));
        // What is no module is built in, or its absence shows when the device is made.
        let Some((module, needs)) = line else { continue };
        for file in needs.split_whitespace().rev().chain([module]) {
            match finit_module(File::open(directory.join(file))?, c"", 0) {
                Err(rustix::io::Errno::EXIST) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// `furnish`, once the cable's other end is up; `ping ADDRESS MILLISECONDS`, answered in nanoseconds; `send ADDRESS BYTES MILLISECONDS`, answered in bytes and
/// nanoseconds.
fn obey(order: &str, site: &Site) -> io::Result<String> {
    let words: Vec<_> = order.split_whitespace().collect();
    let number = |text: &str| text.parse::<u64>().map_err(|_| io::Error::from(ErrorKind::InvalidInput));
    let address = |text: &str| text.parse::<Ipv4Addr>().map_err(|_| io::Error::from(ErrorKind::InvalidInput));
    match words.as_slice() {
        ["furnish"] => furnish(site).map(|()| String::new()),
        ["ping", to, patience] => {
            let time = ping::ping(address(to)?, Duration::from_millis(number(patience)?))?;
            Ok(time.as_nanos().to_string())
        }
        ["send", to, bytes, time] => {
            let budget = Budget { bytes: number(bytes)?, time: Duration::from_millis(number(time)?) };
            let moved = tcp::send(address(to)?, budget)?;
            Ok(format!("{} {}", moved.bytes, moved.time.as_nanos()))
        }
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}
