//! What the demonstration draws: the world, who reached whom, and a frame on both sides of the gateway. 79 columns.

use std::io::ErrorKind;
use std::time::Duration;

use comfy_table::{Table, presets};

use super::decode::{self, Layer};
use super::outcome::{Reach, Translation};
use super::sites::{SITES, Site};
use super::speakers::{Cast, Speaker};

const BOX: usize = 14;
const CABLE: usize = 14;
const MIDDLE: usize = 11;
const HALF: usize = 38;
const NAME: usize = 8;

/// The world.
#[must_use]
pub(super) fn world(speakers: Cast) -> String {
    let [one, two, three, four] = &SITES;
    let [a, b, c, d] = speakers;
    let edge = format!("+{}+", "-".repeat(MIDDLE + 2));
    let inside = |text: &str| format!("| {text:^MIDDLE$} |");
    let blank = inside("");
    let mut lines = row((one, a), (two, b), [&edge, &blank, &blank, &blank, &blank]);
    lines.push(format!("{:1$}{2}", "", BOX + 4 + CABLE, inside("transload")));
    lines.extend(row((three, c), (four, d), [&inside("tenant blue"), &blank, &blank, &blank, &edge]));
    lines.join("\n")
}

/// The legend of the picture: which network stack stands for each host.
pub(super) fn legend(speakers: Cast) -> String {
    let mut lines = Vec::new();
    for speaker in speakers {
        let line = format!("{:<BOX$}   {}", speaker.word(), speaker.explanation());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// A site on the left, a site on the right, and a part of the gateway between them.
fn row(left: (&Site, Speaker), right: (&Site, Speaker), middle: [&str; 5]) -> Vec<String> {
    let parts = site(left).into_iter().zip(cable(left.0)).zip(middle).zip(cable(right.0).into_iter().zip(site(right)));
    parts.map(|(((a, b), c), (d, e))| [&a, &b, c, &d, &e].map(|part| part).concat()).collect()
}

fn site((site, speaker): (&Site, Speaker)) -> [String; 5] {
    let edge = format!("+{}+", "-".repeat(BOX + 2));
    let line = |text: &str| format!("| {text:<BOX$} |");
    let address = site.tenant().to_string();
    [edge.clone(), line(site.title), line(&address), line(speaker.word()), edge]
}

fn cable(site: &Site) -> [String; 5] {
    let under = site.cable.map_or("Ethernet", |cable| if cable.far.is_ipv4() { "IPv4" } else { "IPv6" });
    let blank = " ".repeat(CABLE);
    [blank.clone(), format!("{:^CABLE$}", site.id), "-".repeat(CABLE), format!("{under:^CABLE$}"), blank]
}

/// The table of which host reached which.
#[must_use]
pub(super) fn reaches(all: &[Reach]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_FULL_CONDENSED);
    let titles = SITES.iter().map(|site| format!("to {}", site.title));
    table.set_header(std::iter::once(String::new()).chain(titles));
    for (from, site) in SITES.iter().enumerate() {
        let cells = (0..SITES.len()).map(|to| match all.iter().find(|reach| (reach.from, reach.to) == (from, to)) {
            Some(reach) => cell(reach),
            None => String::new(),
        });
        table.add_row(std::iter::once(format!("from {}", site.title)).chain(cells));
    }
    table.to_string()
}

fn cell(reach: &Reach) -> String {
    let ping = match &reach.ping {
        Ok(time) => format!("ping {}", milliseconds(*time)),
        Err(_) => return "NO ANSWER".into(),
    };
    let tcp = match &reach.tcp {
        Ok(moved) => format!("TCP  {:.1} MB", megabytes(moved.bytes)),
        Err(error) if error.kind() == ErrorKind::InvalidData => "TCP  CHANGED".into(),
        Err(_) => "TCP  BROKEN".into(),
    };
    format!("{ping}\n{tcp}")
}

/// `0.23 ms`
fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// Millions of bytes.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A frame before and after, side by side, and the tenant's frame that is inside both.
#[must_use]
pub(super) fn exchange(exchange: &Translation, from: &Site, to: &Site) -> String {
    let (before, after) = (&exchange.before, &exchange.after);
    let heads = [from, to].map(|site| format!("on the wire of the {} host", site.title));
    let mut lines = vec![beside(&heads[0], &heads[1]), beside(&"-".repeat(HALF), &"-".repeat(HALF))];
    let (left, right) = (narrow(&before.outer), narrow(&after.outer));
    let rows = left.len().max(right.len());
    // The tunnel headers stand beside each other, at the bottom.
    let line = |side: &[String], row: usize| {
        let place = (row + side.len()).checked_sub(rows);
        place.and_then(|place| side.get(place)).cloned().unwrap_or_default()
    };
    lines.extend((0..rows).map(|row| beside(&line(&left, row), &line(&right, row))));
    let len = before.inner.len();
    let verdict = if exchange.is_unchanged() {
        format!(" the tenant's frame: the same {len} bytes on both sides ")
    } else {
        " THE TENANT'S FRAME HAS CHANGED ".into()
    };
    lines.push(format!("{verdict:-^79}"));
    lines.extend(decode::layers(&after.inner).iter().map(layer));
    lines.join("\n")
}

/// The layers in lines that fit half the width: two MAC addresses take two.
fn narrow(layers: &[Layer]) -> Vec<String> {
    let lines = layers.iter().flat_map(|(name, text)| match text.split_once(" > ") {
        Some((from, to)) if text.len() > HALF - NAME => {
            vec![layer(&(name, format!("{from} >"))), layer(&("", to.into()))]
        }
        _ => vec![layer(&(name, text.clone()))],
    });
    lines.collect()
}

fn beside(left: &str, right: &str) -> String {
    format!("{left:<HALF$}   {right}").trim_end().to_owned()
}

fn layer((name, text): &Layer) -> String {
    format!("{name:<NAME$} {text}")
}
