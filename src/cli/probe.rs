//! `transload probe`: asks a peer's host by ping, in packets of several lengths: whether it answers, and how long packets to
//! it may be, which nobody tells where ICMP errors are filtered.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Failure;
use super::render::output;
use super::show::socket_or_the_only_one;
use crate::admin::client;
use crate::config::nearest;
use crate::io::echo::{Echo, EchoOutcome};
use crate::report::rows::{PeerRow, PeerState, PortRow};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(700);
/// How often a packet is sent again before it counts as lost.
const ATTEMPTS: usize = 3;
/// What pings have by default: 56 bytes behind ICMP's header.
const SHORT: usize = 84;
/// What is tried where no port limits it.
const USUAL: u32 = 1500;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The peer, as `show peers` calls it
    #[arg(value_name = "PEER")]
    peer: String,
    /// The gateway's admin socket, such as /run/transload/admin.sock; may be left out where one gateway runs
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// What came of all attempts with packets of one length.
enum Passage {
    Passes(Duration),
    TooLong,
    Unreachable(std::io::Error),
    Vanishes,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let socket = socket_or_the_only_one(args.socket.as_deref())?;
    let rows: Vec<PeerRow> = client::rows(&socket, "/peers", None).map_err(|error| Failure::new(error.to_string()))?;
    let Some(row) = rows.iter().find(|row| row.peer == args.peer) else {
        let message = format!("there is no tunnel peer `{}`", args.peer);
        return Err(match nearest(&args.peer, rows.iter().map(|row| &*row.peer)) {
            Some(near) => Failure::with_help(message, format!("did you mean `{near}`?")),
            None => Failure::with_help(message, "`transload show peers` lists them"),
        });
    };
    let Ok(to) = row.address.parse::<IpAddr>() else {
        return Err(Failure::new(format!("the name {} of peer {} has no address yet", row.address, row.peer)));
    };
    let from = row.endpoint_address.as_ref().and_then(|address| address.parse().ok());
    probe(row, from, to, device(&socket, row).as_deref())
}

/// The network device that packets to a peer leave by, if it is one.
fn device(socket: &Path, row: &PeerRow) -> Option<String> {
    let [first, others @ ..] = &row.next_hops[..] else { return None };
    let ports: Vec<PortRow> = client::rows(socket, "/ports", None).ok()?;
    let port = ports.iter().find(|port| port.port == first.port && others.iter().all(|hop| hop.port == port.port))?;
    // `af_packet eth1`
    port.io.as_ref()?.strip_prefix("af_")?.rsplit(' ').next().map(str::to_owned)
}

fn probe(row: &PeerRow, from: Option<IpAddr>, to: IpAddr, device: Option<&str>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let help = if error.kind() == ErrorKind::PermissionDenied {
            "run it as root or with CAP_NET_RAW"
        } else {
            "run it in the gateway's network namespace, once `show peers` has a next hop of the peer"
        };
        Failure::with_help(format!("cannot ping {to}: {error}"), help)
    };
    let opened = match (Echo::open(from, to, None), device) {
        (Err(error), Some(device)) if error.kind() != ErrorKind::PermissionDenied => Echo::open(from, to, Some(device)),
        (opened, _) => opened,
    };
    let mut echo = opened.map_err(failed)?;
    match passage(&mut echo, SHORT).map_err(failed)? {
        Passage::Passes(took) => output(&format!("{to} answers pings, after {:.1} ms", took.as_secs_f64() * 1e3))?,
        Passage::Unreachable(error) => {
            return Err(Failure::with_help(
                format!("{to} cannot be reached: {error}"),
                "it, a router or this machine says so by ICMP: look at the routes there, and whether the host is up",
            ));
        }
        Passage::TooLong | Passage::Vanishes => {
            let but = if row.state == PeerState::Fine {
                "; its tunnel packets do arrive, so that only pings are filtered, and nothing can be said of path MTUs"
            } else {
                ": the host is down, or a firewall on the way drops packets"
            };
            return Err(Failure::new(format!("{to} does not answer pings{but}")));
        }
    }
    let top = row.path_mtu.unwrap_or(USUAL) as usize;
    let (most, is_told) = longest(&mut echo, top).map_err(failed)?;
    output(&format!("packets of {most} bytes get there and back"))?;
    if most >= top {
        let ours = from.map_or_else(|| "the gateway".to_owned(), |from| from.to_string());
        return output(&format!(
            "that is all that the gateway sends: for pings the path is fine\n\
             a firewall may stop the tunnel's packets all the same, in one direction too: run `tcpdump -ni any host {ours}` at \
             the peer; if they arrive there, what is wrong is in its tunnel or behind it"
        ));
    }
    let message = format!("longer packets do not, though the gateway sends up to {top} bytes");
    Err(if is_told {
        Failure::with_help(
            message,
            "a router says so by ICMP, and the gateway goes by it once its own packets are too long",
        )
    } else {
        let ports: Vec<_> = row.next_hops.iter().map(|hop| &*hop.port).collect();
        let ports = if ports.is_empty() { "that packets leave by".to_owned() } else { ports.join(" and ") };
        Failure::with_help(
            format!("{message}, and no router says so: they vanish (an MTU black hole)"),
            format!(
                "raise the MTU on the way, or let ICMP \"fragmentation needed\" and \"packet too big\" through to the endpoint, \
                 or write `mtu: {most}` at port {ports}"
            ),
        )
    })
}

/// The longest packet that gets there and back, of lengths up to `top`, and whether somebody said of a longer one that it
/// is too long.
fn longest(echo: &mut Echo, top: usize) -> std::io::Result<(usize, bool)> {
    let (mut passes, mut fails, mut is_told) = (SHORT, top + 1, false);
    let mut next = top;
    while passes + 1 < fails {
        match passage(echo, next)? {
            Passage::Passes(_) => passes = next,
            Passage::TooLong => (fails, is_told) = (next, true),
            Passage::Unreachable(_) | Passage::Vanishes => fails = next,
        }
        next = usize::midpoint(passes, fails);
    }
    Ok((passes, is_told))
}

fn passage(echo: &mut Echo, len: usize) -> std::io::Result<Passage> {
    for _ in 0..ATTEMPTS {
        match echo.ask(len, PATIENCE)? {
            EchoOutcome::Answered(took) => return Ok(Passage::Passes(took)),
            EchoOutcome::TooLong => return Ok(Passage::TooLong),
            EchoOutcome::Unreachable(error) => return Ok(Passage::Unreachable(error)),
            EchoOutcome::Silence => {}
        }
    }
    Ok(Passage::Vanishes)
}
