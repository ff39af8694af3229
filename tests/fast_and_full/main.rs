//! A worker that nobody watches may take fast paths; one that is watched takes the full path for every frame. Both do
//! the same: in every situation that a fast path could get wrong, whatever comes before and after it.
//!
//! `situations` are frames with a name, `file` is the gateway that they arrive at and the files it may be reloaded with,
//! and `places` says what they look like on the wire; `world` is what it is told besides. `crowd` has many peers.

#[path = "../common/mod.rs"]
mod common;

mod crowd;
mod file;
mod places;
mod situations;
mod world;

use std::collections::BTreeMap;

use common::twins::{Arenas, Twins};
use file::{FILE, VARIANTS};
use places::{PLACES, Wire, say, shout, spoil};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use situations::{Scene, all};
use transload::fdb::EntrySource;
use world::{Fact, facts};

const SECOND: u64 = 1_000_000_000;

const CHUNK_LEN: usize = 24_576;

/// A gateway that has heard the host of every place.
fn furnished(arenas: &mut Arenas) -> (Twins<'_>, Scene) {
    let mut twins = Twins::new(FILE, arenas);
    let scene = Scene { own: own_mac(&twins) };
    let heard: Vec<Wire> = PLACES.iter().map(|place| shout(place.name, 200)).collect();
    twins.receive(&heard);
    Fact::Told(0xf1, "vxlan4", EntrySource::ToldSticky).tell(&mut twins);
    Fact::Told(0xf2, "vxlan4", EntrySource::Told).tell(&mut twins);
    twins.sleep(2 * SECOND);
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

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Situations, one after the other: which one, its number, and how often in a row. Their frames arrive at once; the
    /// worker may be ahead of the others' clocks.
    Burst(Vec<(Index, u8, usize)>, bool),
    /// Milliseconds pass, and control does what is due.
    Sleep(u64),
    /// Another file is taken in; the next burst is the first to meet it.
    Reload(Index),
    Tell(Fact),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = prop_oneof![3 => 0..8_u8, 1 => any::<u8>()];
    let play = (any::<Index>(), number, prop_oneof![4 => Just(1), 1 => 2..4_usize]);
    let burst = (prop::collection::vec(play, 1..30), prop::bool::weighted(0.2));
    let step = prop_oneof![
        6 => burst.prop_map(|(plays, is_ahead)| Step::Burst(plays, is_ahead)),
        1 => prop_oneof![1..1_000_u64, 1_000..90_000_u64].prop_map(Step::Sleep),
        2 => any::<Index>().prop_map(Step::Reload),
        2 => facts().prop_map(Step::Tell),
    ];
    prop::collection::vec(step, 1..10)
}

fn take(twins: &mut Twins<'_>, scene: &Scene, step: &Step) -> Result<(), String> {
    match step {
        Step::Burst(plays, is_ahead) => {
            let all = all();
            let frames = plays.iter().flat_map(|(which, n, times)| {
                let frames = (which.get(&all).frames)(scene, *n);
                std::iter::repeat_n(frames, *times).flatten()
            });
            let frames: Vec<_> = frames.collect();
            let ahead = if *is_ahead { 2 * SECOND } else { 0 };
            twins.clock += ahead;
            twins.try_receive(&frames)?;
            twins.clock -= ahead;
        }
        Step::Sleep(millis) => twins.sleep(millis * 1_000_000),
        Step::Reload(which) => twins.take_in(&which.get(VARIANTS).yaml()),
        Step::Tell(fact) => fact.tell(twins),
    }
    twins.same().map(drop)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_before_and_after_both_ways_are_alike(
        chunks in select(&[64_usize, 96, 512][..]),
        steps in steps(),
    ) {
        let mut arenas = Arenas::new(chunks, CHUNK_LEN);
        let (mut twins, scene) = furnished(&mut arenas);
        for step in &steps {
            let difference = take(&mut twins, &scene, step).err();
            prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
        }
    }
}

#[test]
fn a_frame_of_any_place_may_end_anywhere_among_others() {
    let mut arenas = Arenas::new(512, CHUNK_LEN);
    let (mut twins, _) = furnished(&mut arenas);
    for place in PLACES {
        let whole = say(place.name, "gre6", 1);
        let cut = |len| [spoil(whole.clone(), |bytes| bytes.truncate(len)), whole.clone()];
        let frames: Vec<_> = (1..whole.1.bytes.len()).flat_map(cut).collect();
        twins.receive(&frames);
        twins.sleep(SECOND / 10);
    }
}

/// The number of a peer, by its name.
fn number(twins: &Twins<'_>, name: &str) -> u32 {
    let mut peers = twins.rib().names().peers();
    peers.find(|(_, known)| *known == name).unwrap_or_else(|| panic!("no peer {name}")).0.number()
}

#[test]
fn nothing_is_remembered_of_a_peer_whose_number_is_anothers() {
    let named = |name: &str| VARIANTS.iter().find(|variant| variant.name.starts_with(name)).expect("a variant").yaml();
    let mut arenas = Arenas::new(512, CHUNK_LEN);
    let (mut twins, _) = furnished(&mut arenas);
    let gone = number(&twins, "gre4");
    let burst: Vec<_> = ["gre4", "late4", "vxlan4", "gre4", "late4"].map(|from| say(from, "both", 1)).into();
    twins.receive(&burst);
    assert_eq!(twins.drops().get("unknown_peer"), Some(&3), "two of `late4`, and that it was heard of at first");
    twins.take_in(&named("a peer is gone"));
    twins.receive(&burst);
    twins.sleep(SECOND);
    twins.take_in(&named("another peer"));
    assert_eq!(number(&twins, "late4"), gone);
    let sent = twins.receive(&burst);
    assert_eq!(sent.len(), 3);
    let answers: Vec<_> = ["gre4", "late4"].map(|to| say("both", to, 1)).into();
    twins.receive(&answers);
}

#[test]
fn every_file_is_good() {
    let mut arenas = Arenas::new(64, CHUNK_LEN);
    let mut twins = Twins::new(FILE, &mut arenas);
    for variant in VARIANTS {
        twins.take_in(&variant.yaml());
        twins.take_in(FILE);
    }
}
