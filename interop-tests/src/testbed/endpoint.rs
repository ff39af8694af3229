//! The file that describes somebody's own endpoint: as it is written, and as it takes part.

use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use transload_lab::host::output;

use super::network::Network;
use super::roster::is_of_the_bench;
use super::site::{Encap, Site, Tenant, Underlay};
use super::stack::Stack;

/// Its number among the sites: always the same, so that its tenant IDs and addresses are.
const NUMBER: u8 = 100;
/// Addresses that nobody else here has: RFC 2544 sets them aside for tests between two devices.
const OTHERS: [&str; 2] = ["198.18.0.1/24", "fd00:18::1/64"];
static ENDPOINT: OnceLock<Endpoint> = OnceLock::new();

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<String>,
    implementation: Spanned<String>,
    device: Spanned<String>,
    encap: Spanned<Encap>,
    gateway: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
    run: Spanned<PathBuf>,
}

/// Somebody's own endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// What it is called in the report.
    pub name: String,
    /// The implementation that it runs, which a passed case counts for; `transload` itself counts for none.
    pub implementation: String,
    /// The device of this machine that leads to it.
    pub device: String,
    /// The encapsulation between it and the gateway.
    pub encap: Encap,
    /// A program that runs a shell line at a host behind it: it is started with `blue` or `red`, and the line.
    pub run: PathBuf,
    /// Our tunnel address with its network, and the endpoint's address; none for tags.
    pub tunnel: Option<(Network, IpAddr)>,
    /// Where the file names the device, and where it names our address.
    places: [String; 2],
}

/// The file being read, for what is said of it.
#[derive(Clone, Copy)]
struct Source<'f>(&'f Path);

impl Source<'_> {
    fn place(self, location: Option<Location>) -> String {
        let name = self.0.display();
        match location {
            Some(location) if location.line() > 0 => format!("{name}:{}:{}", location.line(), location.column()),
            _ => name.to_string(),
        }
    }

    fn error<T>(self, value: &Spanned<T>, what: impl fmt::Display) -> io::Error {
        io::Error::other(format!("{}: {what}", self.place(Some(value.referenced))))
    }

    fn not_yaml(self, error: &serde_saphyr::Error) -> io::Error {
        let error = error.without_snippet();
        let text = error.to_string();
        // The place is said already.
        let what = text.split(" at line ").next().unwrap_or(&text).trim_end_matches(':');
        io::Error::other(format!("{}: {what}", self.place(error.location())))
    }
}

impl Endpoint {
    /// Reads the file. A `run` that is a relative path is beside it.
    ///
    /// # Errors
    /// When it cannot be read or does not say what it must: with the place in the file, and what to write instead.
    pub fn read(file: &Path) -> io::Result<Self> {
        let source = Source(file);
        let text =
            fs::read_to_string(file).map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        let written: Written = serde_saphyr::from_str(&text).map_err(|error| source.not_yaml(&error))?;
        let gateway = written.gateway.as_ref().map_or(&written.name, |gateway| gateway);
        Ok(Self {
            name: name(source, &written.name)?,
            implementation: filled(source, "implementation", &written.implementation)?,
            device: filled(source, "device", &written.device)?,
            encap: written.encap.value,
            run: program(source, &written.run)?,
            tunnel: tunnel(source, &written)?,
            places: [source.place(Some(written.device.referenced)), source.place(Some(gateway.referenced))],
        })
    }

    /// From now on this is the run's external endpoint.
    pub fn take_part(self) {
        Stack::name_external(&self.implementation);
        // A second one would be refused by the command line.
        let _ = ENDPOINT.set(self);
    }

    /// The one that takes part, if any does.
    #[must_use]
    pub fn here() -> Option<&'static Self> {
        ENDPOINT.get()
    }

    /// Whether it can be beside these sites: none has its network.
    ///
    /// # Errors
    /// The one that has, and what to do.
    pub fn fits(&self, sites: &[Site]) -> io::Result<()> {
        let Some((own, _)) = self.tunnel else { return Ok(()) };
        let others = sites.iter().filter(|site| site.stack != Stack::External && site.underlay != Underlay::Cable);
        let meets = |site: &&Site| Network::of_bench(&site.addresses.0).is_some_and(|other| other.meets(&own));
        let Some(site) = others.into_iter().find(meets) else { return Ok(()) };
        let other = OTHERS[usize::from(own.address.is_ipv6())];
        Err(io::Error::other(format!(
            "{}: `gateway: {own}` meets the network of the bench's own peer `{}`, where transload is {}; use others \
             towards your endpoint, such as `gateway: {other}`, or choose peers without it by --peer",
            self.places[1], site.stack, site.addresses.0
        )))
    }

    /// Whether its device is here.
    ///
    /// # Errors
    /// That it is not, and where the file names it.
    pub fn is_reachable(&self) -> io::Result<()> {
        output(Command::new("ip").args(["link", "show", "dev", &self.device])).map(drop).map_err(|_| {
            let Self { device, places: [place, _], .. } = self;
            io::Error::other(format!("{place}: this machine has no device `{device}`; `ip link` shows those it has"))
        })
    }

    /// Its site.
    #[must_use]
    pub fn site(&self) -> Site {
        let underlay = match &self.tunnel {
            None => Underlay::Cable,
            Some((_, IpAddr::V6(_))) => Underlay::V6,
            Some((_, IpAddr::V4(_))) => Underlay::V4,
        };
        let addresses = self.tunnel.map(|(own, far)| (own.address.to_string(), far.to_string()));
        Site {
            name: self.name.clone(),
            stack: Stack::External,
            encap: self.encap,
            underlay,
            number: NUMBER,
            addresses: addresses.unwrap_or_default(),
        }
    }

    /// What must be set up at the far end before it can take part.
    #[must_use]
    pub fn wanted(&self) -> String {
        let site = self.site();
        let id = |tenant| match site.encap {
            Encap::Vxlan => format!("VNI {}", site.id(tenant)),
            Encap::Gre | Encap::GreChecked => format!("key {}", site.id(tenant)),
            Encap::Nvgre | Encap::NvgreZero => {
                format!("VSID {} (a GRE key of {})", site.id(tenant), site.id(tenant) << 8)
            }
            Encap::QinQ => format!("S-VID {} and C-VID {}", site.s_vid(), site.id(tenant)),
            Encap::Vlan => format!("VID {}", site.id(tenant)),
        };
        format!(
            "{}: tenant blue is {}, tenant red is {}. A Linux host behind each, with a device t0: {}/24, {}/64, MAC {}, \
             MTU {}",
            self.name,
            id(Tenant::Blue),
            id(Tenant::Red),
            site.v4(),
            site.v6(),
            site.mac(),
            site.mtu()
        )
    }
}

fn filled(source: Source<'_>, field: &str, value: &Spanned<String>) -> io::Result<String> {
    if value.value.trim().is_empty() {
        return Err(source.error(value, format!("`{field}` is empty")));
    }
    Ok(value.value.clone())
}

/// It becomes a name in the gateway's file.
fn name(source: Source<'_>, value: &Spanned<String>) -> io::Result<String> {
    let name = filled(source, "name", value)?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !name.chars().all(is_plain) || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let rule = "begin with a letter, and use letters, digits, `-` and `_`";
        return Err(source.error(value, format!("`name: {name}` cannot be a name in the gateway's file: {rule}")));
    }
    if is_of_the_bench(&name) {
        return Err(source.error(value, format!("`{name}` is one of the bench's own peers; use another name")));
    }
    Ok(name)
}

/// A program that can be run, beside the file if its path is relative.
fn program(source: Source<'_>, value: &Spanned<PathBuf>) -> io::Result<PathBuf> {
    let path = source.0.parent().unwrap_or(Path::new(".")).join(&value.value);
    let complain = |what: &dyn fmt::Display| {
        source.error(value, format!("`run: {}` cannot be started: {what}", value.value.display()))
    };
    let found = path.canonicalize().map_err(|error| complain(&format!("{}: {error}", path.display())))?;
    let metadata = found.metadata().map_err(|error| complain(&error))?;
    if !metadata.is_file() {
        return Err(complain(&"it is no file; name a program or a script"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(complain(&format!("it is not executable; `chmod +x {}`", found.display())));
    }
    Ok(found)
}

fn tunnel(source: Source<'_>, written: &Written) -> io::Result<Option<(Network, IpAddr)>> {
    let is_tagged = matches!(written.encap.value, Encap::QinQ | Encap::Vlan);
    match (&written.gateway, &written.address, is_tagged) {
        (None, None, true) => Ok(None),
        (Some(value), _, true) | (None, Some(value), true) => {
            Err(source.error(value, "`qinq` and `vlan` have no tunnel addresses; remove `gateway` and `address`"))
        }
        (None, _, false) => Err(source.error(
            &written.encap,
            format!(
                "a tunnel needs `gateway`, transload's address with its prefix length, such as `gateway: {}`",
                OTHERS[0]
            ),
        )),
        (_, None, false) => Err(source.error(
            &written.encap,
            "a tunnel needs `address`, the endpoint's tunnel address, such as `address: 198.18.0.50`",
        )),
        (Some(gateway), Some(address), false) => ends(source, gateway, address).map(Some),
    }
}

/// Our address with its network, and the endpoint's in it.
fn ends(source: Source<'_>, gateway: &Spanned<String>, address: &Spanned<String>) -> io::Result<(Network, IpAddr)> {
    let wrong = |field, value: &Spanned<String>, why: &str| source.error(value, why_not(field, value, why));
    let own = Network::parse(&gateway.value).map_err(|why| wrong("gateway", gateway, &why))?;
    let far = address.value.parse();
    let far: IpAddr = far.map_err(|_| wrong("address", address, "write one IP address without a prefix length"))?;
    if !own.holds(far) {
        let why = format!("it is not in the network of `gateway: {own}`, and no router is known to the bench");
        return Err(wrong("address", address, &why));
    }
    for (field, value, end) in [("gateway", gateway, own.address), ("address", address, far)] {
        if !own.can_have(end) {
            return Err(wrong(field, value, "no machine can have this address"));
        }
    }
    if far == own.address {
        return Err(wrong("address", address, "that is the gateway's own address"));
    }
    Ok((own, far))
}

fn why_not(field: &str, value: &Spanned<String>, why: &str) -> String {
    format!("`{field}: {}` cannot be used: {why}", value.value)
}
