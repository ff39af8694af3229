//! A worker that nobody watches may take fast paths; one that is watched takes the full path for every frame. Both do
//! the same: in every situation that a fast path could get wrong, whatever comes before and after it.
//!
//! `situations` are frames with a name, `file` is the gateway that they arrive at and the files it may be reloaded with,
//! and `places` says what they look like on the wire.

#[path = "../common/mod.rs"]
mod common;

mod file;
mod places;
mod situations;

use std::collections::BTreeMap;

use common::twins::{Arenas, Twins};
use file::FILE;
use places::{PLACES, Wire, shout};
use situations::{Scene, all};

const CHUNK_LEN: usize = 24_576;

/// A gateway that has heard the host of every place.
fn furnished(arenas: &mut Arenas) -> (Twins<'_>, Scene) {
    let mut twins = Twins::new(FILE, arenas);
    let scene = Scene { own: own_mac(&twins) };
    let heard: Vec<Wire> = PLACES.iter().map(|place| shout(place.name, 200)).collect();
    twins.receive(&heard);
    twins.sleep(2_000_000_000);
    (twins, scene)
}

fn own_mac(twins: &Twins<'_>) -> [u8; 6] {
    let blue = twins.rib().names().domain_id("blue").unwrap();
    twins.rib().shared().forwarding.load().own_macs.domain(blue).unwrap().0
}

/// What becomes of frames, in words.
fn fate(twins: &mut Twins<'_>, frames: &[Wire]) -> String {
    let before: BTreeMap<_, _> = twins.drops();
    let sent = twins.receive(frames).len();
    let drops = twins.drops().into_iter().filter_map(|(label, count)| {
        let new = count - before.get(label).unwrap_or(&0);
        (new > 0).then(|| format!("{new} {label}"))
    });
    [format!("{sent} sent")].into_iter().chain(drops).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_situation_is_what_it_says_and_both_ways_alike() {
    let mut wrong = Vec::new();
    for situation in all() {
        let mut arenas = Arenas::new(512, CHUNK_LEN);
        let (mut twins, scene) = furnished(&mut arenas);
        let fate = fate(&mut twins, &(situation.frames)(&scene, 1));
        if fate != situation.fate {
            wrong.push(format!("{}\n    {} instead of {}", situation.name, fate, situation.fate));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
