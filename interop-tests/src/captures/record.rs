//! Writing down what must come of a case, for a person to look at.

use std::fmt::Write;
use std::fs;
use std::io;

use transload_lab::host::failed;

use super::case::Case;
use super::replay::Made;
use super::{lines, pnet, tshark};

/// Replaces a case's `out` by what the gateway makes of its `in` now. Returns what tshark and `pnet_packet`
/// see in it and what was counted. Somebody must read that, and believe it, before it becomes what must be.
///
/// # Errors
/// When the case cannot be replayed, tshark is missing, or the two dissectors do not see the same.
pub fn record(case: &Case) -> io::Result<String> {
    let out = tempfile::tempdir()?;
    let made = Made::replayed(case, out.path())?;
    let seen = lines(case, &made.sent, &mut |frames, ports| tshark::dissect(frames, ports))?;
    let again = lines(case, &made.sent, &mut |frames, ports| Ok(pnet::dissect(frames, ports)))?;
    for (port, text) in &seen {
        if again[port] != *text {
            return Err(failed(&format!("{port}: tshark sees\n{text}but pnet_packet sees"), &again[port]));
        }
    }
    let place = case.directory.join("out");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place)?;
    let mut shown = format!("{}: {}\n", case.name, case.shows);
    for (port, text) in &seen {
        fs::copy(out.path().join(format!("{port}.pcap")), case.file("out", port, "pcap"))?;
        fs::write(case.file("out", port, "txt"), text)?;
        let _ = write!(shown, "{port} sends:\n{text}");
    }
    fs::write(place.join("summary.txt"), &made.summary)?;
    Ok(shown + &made.summary)
}
