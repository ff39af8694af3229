//! Which neighbours the kernel is asked for, and when: those that tunnels depend on. Known ones are confirmed, absent ones
//! asked for ever more rarely, and only so many at a time.
//!
//! Every question costs broadcasts on the underlay, and a place in the kernel's neighbour table, which the whole machine
//! shares.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::tables::{LinkIndex, Neighbour, NeighbourRoom};

/// A neighbour: on which device, and its address.
pub type NeighbourKey = (LinkIndex, IpAddr);

/// Known neighbours are confirmed every so many seconds: well before the kernel, which does not see our traffic, would
/// throw them away (60 s, `gc_stale_time`).
const CONFIRM: u32 = 10;
/// The longest time between two questions for an absent neighbour, in seconds.
const LONGEST: u32 = 60;
/// Most absent neighbours that are asked for at a time: a quarter of a usual table.
const MOST_ABSENT: usize = 256;
/// One that did not answer before is asked for again only while fewer than these are asked for.
const MOST_AGAIN: usize = 64;
/// How long the kernel waits for an answer: three questions, a second apart.
const ANSWER: u32 = 3;

/// When every neighbour was asked for.
#[derive(Debug, Default)]
pub struct Asking {
    turns: BTreeMap<NeighbourKey, Turn>,
    /// Those that the kernel would not ask for, and why.
    refused: BTreeMap<NeighbourKey, String>,
    has_said: bool,
}

/// When one is asked for. Times are in seconds.
#[derive(Debug, Clone, Copy)]
struct Turn {
    is_known: bool,
    /// When it was asked for last, if ever.
    asked: Option<u32>,
    due: u32,
    /// How long it is left alone after it has not answered.
    pause: u32,
}

impl Turn {
    fn new(now: u32) -> Self {
        Self { is_known: false, asked: None, due: now, pause: 0 }
    }

    /// Takes in whether the neighbour is known now; `place` spreads those that are confirmed.
    fn see(&mut self, is_known: bool, now: u32, place: usize) {
        if is_known && !self.is_known {
            *self = Self { is_known, due: now + 1 + place as u32 % CONFIRM, ..Self::new(now) };
        } else if !is_known && self.is_known {
            *self = Self::new(now);
        }
    }

    fn ask(&mut self, now: u32) {
        self.pause = (self.pause * 2).clamp(1, LONGEST);
        let next = if self.is_known { CONFIRM } else { (ANSWER + self.pause).min(LONGEST) };
        (self.asked, self.due) = (Some(now), now + next);
    }

    /// Whether the kernel may still be waiting for its answer.
    fn is_open(&self, now: u32) -> bool {
        !self.is_known && self.asked.is_some_and(|asked| now - asked < ANSWER)
    }
}

impl Asking {
    /// Those to ask for now, of all that tunnels depend on. `entry` is what the kernel has of one.
    pub fn due<'k>(
        &mut self,
        now: u32,
        wanted: &BTreeSet<NeighbourKey>,
        entry: impl Fn(&NeighbourKey) -> Option<&'k Neighbour>,
    ) -> Vec<NeighbourKey> {
        self.turns.retain(|key, _| wanted.contains(key));
        self.refused.retain(|key, _| wanted.contains(key));
        for (place, key) in wanted.iter().enumerate() {
            let entry = entry(key);
            if entry.is_some_and(|entry| entry.fixed) {
                self.turns.remove(key);
                self.refused.remove(key);
                continue;
            }
            let is_known = entry.is_some_and(|entry| entry.mac.is_some());
            self.turns.entry(*key).or_insert_with(|| Turn::new(now)).see(is_known, now, place);
        }
        let mut open = self.turns.values().filter(|turn| turn.is_open(now)).count();
        let mut due: Vec<_> = self.turns.iter_mut().filter(|(_, turn)| turn.due <= now).collect();
        due.sort_by_key(|(_, turn)| turn.due);
        let mut asked = Vec::new();
        for (key, turn) in due {
            if !turn.is_known {
                let most = if turn.asked.is_none() { MOST_ABSENT } else { MOST_AGAIN };
                if open >= most {
                    continue;
                }
                open += 1;
            }
            turn.ask(now);
            asked.push(*key);
        }
        asked
    }

    /// Asks for these at once again, however long they were absent.
    pub fn begin_again(&mut self, is_meant: impl Fn(&NeighbourKey) -> bool) {
        self.turns.retain(|key, turn| turn.is_known || !is_meant(key));
    }

    /// Takes in what came of a question.
    pub fn answer(&mut self, key: NeighbourKey, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => drop(self.refused.remove(&key)),
            Err(why) => drop(self.refused.insert(key, why)),
        }
    }

    /// What to say of neighbours that the kernel would not ask for: once, when all have been tried.
    pub fn refusals(&mut self) -> Vec<String> {
        if self.refused.is_empty() {
            self.has_said = false;
        }
        let is_first_round = self.turns.values().any(|turn| !turn.is_known && turn.asked.is_none());
        if self.refused.is_empty() || self.has_said || is_first_round {
            return Vec::new();
        }
        self.has_said = true;
        let mut sums: BTreeMap<(&str, bool), usize> = BTreeMap::new();
        for ((_, address), why) in &self.refused {
            *sums.entry((why, address.is_ipv4())).or_default() += 1;
        }
        let is_full = |why: &str| why == std::io::Error::from_raw_os_error(libc::ENOBUFS).to_string();
        let words = |((why, is_v4), count): ((&str, bool), usize)| {
            let advice = if is_full(why) { format!("; raise {}", limit(is_v4)) } else { String::new() };
            let neighbours = if count == 1 { "neighbour" } else { "neighbours" };
            format!("{count} {neighbours} cannot be asked for: {why}{advice}")
        };
        sums.into_iter().map(words).collect()
    }
}

const fn limit(is_v4: bool) -> &'static str {
    if is_v4 { "net.ipv4.neigh.default.gc_thresh3" } else { "net.ipv6.neigh.default.gc_thresh3" }
}

/// What is wrong with a neighbour table that is smaller than the neighbours that tunnels need.
#[must_use]
pub fn crowded(neighbours: &BTreeSet<NeighbourKey>, room: NeighbourRoom) -> Vec<String> {
    let tables = [(true, room.v4), (false, room.v6)].into_iter().filter_map(|(is_v4, room)| Some((is_v4, room?)));
    let words = |(is_v4, room): (bool, u32)| {
        let needed = neighbours.iter().filter(|(_, address)| address.is_ipv4() == is_v4).count();
        let limit = limit(is_v4);
        (needed > room as usize).then(|| {
            format!(
                "the tunnels need {needed} neighbours, and this machine's neighbour table holds {room}: raise it, for \
                 all that use it, with `sysctl {limit}={}`",
                (needed * 2).next_power_of_two()
            )
        })
    };
    tables.filter_map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u32) -> BTreeSet<NeighbourKey> {
        (0..count).map(|n| (1, IpAddr::from((0xac14_0000 + n).to_be_bytes()))).collect()
    }

    const KNOWN: Neighbour = Neighbour { mac: Some(transload_encaps::Mac([2; 6])), fixed: false, has_failed: false };

    /// The seconds at which the only neighbour is asked for.
    fn times(asking: &mut Asking, seconds: std::ops::Range<u32>, entry: Option<&Neighbour>) -> Vec<u32> {
        seconds.filter(|now| !asking.due(*now, &keys(1), |_| entry).is_empty()).collect()
    }

    #[test]
    fn an_absent_neighbour_is_asked_for_ever_more_rarely() {
        let mut asking = Asking::default();
        assert_eq!(times(&mut asking, 0..250, None), [0, 4, 9, 16, 27, 46, 81, 141, 201]);
        asking.begin_again(|(link, _)| *link == 2);
        assert!(times(&mut asking, 250..260, None).is_empty());
        asking.begin_again(|(link, _)| *link == 1);
        assert_eq!(times(&mut asking, 300..306, None), [300, 304]);
    }

    #[test]
    fn a_known_one_is_confirmed_and_one_that_is_lost_asked_for_at_once() {
        let mut asking = Asking::default();
        assert_eq!(times(&mut asking, 0..31, Some(&KNOWN)), [1, 11, 21]);
        assert_eq!(times(&mut asking, 31..37, None), [31, 35]);
        let by_hand = Neighbour { fixed: true, ..KNOWN };
        assert!(times(&mut asking, 37..90, Some(&by_hand)).is_empty());
    }

    #[test]
    fn so_many_absent_ones_are_asked_for_at_a_time_and_all_in_turn() {
        let (mut asking, all) = (Asking::default(), keys(1000));
        let asked: Vec<_> = (0..12).map(|now| asking.due(now, &all, |_| None)).collect();
        let in_three_seconds = |at: usize| asked[at..at + 3].iter().flatten().collect::<BTreeSet<_>>().len();
        assert!((0..9).all(|at| in_three_seconds(at) <= MOST_ABSENT));
        assert_eq!(asked.iter().flatten().collect::<BTreeSet<_>>().len(), all.len());
        let later: Vec<_> = (12..120).map(|now| asking.due(now, &all, |_| None)).collect();
        assert!(later.windows(3).all(|three| three.iter().flatten().count() <= MOST_AGAIN));
        assert_eq!(later.iter().flatten().collect::<BTreeSet<_>>().len(), all.len());
        // Those that answer make room at once.
        let mut asking = Asking::default();
        assert_eq!(asking.due(0, &all, |_| None).len(), MOST_ABSENT);
        let answered: BTreeSet<_> = all.iter().take(200).copied().collect();
        let more = asking.due(0, &all, |key| answered.contains(key).then_some(&KNOWN));
        assert_eq!(more.len(), 200);
    }

    #[test]
    fn refusals_are_summed_up_and_said_once() {
        let (mut asking, all) = (Asking::default(), keys(300));
        let refuse = |asking: &mut Asking, now| {
            for key in asking.due(now, &all, |_| None) {
                asking.answer(key, Err(std::io::Error::from_raw_os_error(libc::ENOBUFS).to_string()));
            }
            asking.refusals()
        };
        assert_eq!(refuse(&mut asking, 0), Vec::<String>::new(), "not all were tried");
        let said: Vec<_> = (1..200).flat_map(|now| refuse(&mut asking, now)).collect();
        let [line] = said.as_slice() else { panic!("{said:?}") };
        assert!(line.starts_with("300 neighbours cannot be asked for: No buffer space available"), "{line}");
        assert!(line.ends_with("raise net.ipv4.neigh.default.gc_thresh3"), "{line}");
    }

    #[test]
    fn a_table_that_is_too_small_is_told_by_family() {
        let room = NeighbourRoom { v4: Some(1024), v6: Some(1) };
        assert_eq!(crowded(&keys(1024), room), Vec::<String>::new());
        let said = crowded(&keys(1528), room);
        assert!(said[0].contains("need 1528 neighbours") && said[0].contains("holds 1024"), "{said:?}");
        assert!(said[0].contains("sysctl net.ipv4.neigh.default.gc_thresh3=4096"), "{said:?}");
    }
}
