//! MACs that move: remembered with dates, and held where they were for the longest when they move too often (RFC 7432
//! §15.1), so that nobody gets another's frames by a few of their own.

mod common;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use transload::rib::history::Moves;
use transload_encaps::Mac;

const SECOND: u64 = 1_000_000_000;

fn gateway(policy: &str) -> Lab {
    Lab::new(&format!(
        "version: 1
fdb: {{ capacity: 1000 }}
ports:
  a: {{ device: a }}
  b: {{ device: b }}
tenants:
  blue:
    {policy}
    attachments:
      a: {{ port: a, untagged: true }}
      b: {{ port: b, untagged: true }}
"
    ))
}

/// The host is heard behind a port, after so many seconds.
fn hear(lab: &mut Lab, port: &str, after: u64) {
    lab.sleep(after);
    lab.send(port, wire::tenant_frame(mac(9), mac(1), lab.clock as u16 & 0xff));
}

fn place(lab: &Lab) -> (String, bool) {
    let row = lab.fdb().into_iter().find(|row| row.mac.ends_with(":01")).expect("the host is known");
    (row.attachment, row.held_for.is_some())
}

fn moves(lab: &Lab) -> Moves {
    let domain = lab.gateway.names().domain_id("blue").unwrap();
    let heard = lab.gateway.history().of(domain, Mac(mac(1))).expect("it was heard");
    (**heard.moves.as_ref().expect("it has moved")).clone()
}

fn held_moves(lab: &Lab) -> u64 {
    let domain = lab.gateway.names().domain_id("blue").unwrap();
    lab.gateway.counters().domain(domain).unwrap().held_moves.get()
}

/// The host moves so many times, so many seconds apart, and ends behind b if that is odd.
fn hop(lab: &mut Lab, times: usize, apart: u64) {
    hear(lab, "a", 0);
    for n in 0..times {
        hear(lab, if n % 2 == 0 { "b" } else { "a" }, apart);
    }
}

#[test]
fn a_move_is_dated_and_says_from_where_to_where() {
    let mut lab = gateway("learning: true");
    hop(&mut lab, 2, 7);
    let (moves, tables) = (moves(&lab), lab.tables());
    let domain = lab.gateway.names().domain_id("blue").unwrap();
    let name = |target: transload::forwarding::Target| lab.gateway.names().attachment(domain, target.attachment);
    assert_eq!((moves.count, lab.clock - moves.last.at), (2, 0));
    assert_eq!((name(moves.last.from), name(moves.last.to)), ("b".into(), "a".into()));
    assert!(tables.domain(domain).is_some());
}

#[test]
fn the_fifth_move_in_180_seconds_holds_the_address_where_it_was_for_the_longest() {
    let mut lab = gateway("learning: true");
    hop(&mut lab, 4, 45);
    assert_eq!(place(&lab), ("a".into(), false), "four moves are a host that travels");
    hear(&mut lab, "b", 45);
    assert_eq!(place(&lab), ("a".into(), true), "the fifth, 180 s after the first; of equals it is the first");
    for n in 1..=10 {
        hear(&mut lab, "b", 1);
        assert_eq!((place(&lab), held_moves(&lab)), (("a".into(), true), n));
    }
    assert_eq!(moves(&lab).count, 5);
}

#[test]
fn five_moves_in_181_seconds_do_not() {
    let mut lab = gateway("learning: true");
    hop(&mut lab, 4, 45);
    hear(&mut lab, "b", 46);
    assert_eq!(place(&lab), ("b".into(), false));
    hear(&mut lab, "a", 44);
    assert_eq!(place(&lab), ("a".into(), true), "but the last five of six took 180 s");
}

#[test]
fn a_held_address_still_sends_and_receives() {
    let mut lab = gateway("learning: true");
    hop(&mut lab, 5, 1);
    let to_it = wire::tenant_frame(mac(1), mac(2), 0);
    assert_eq!(lab.send("b", to_it.clone()), [("a".to_owned(), to_it)]);
    let from_it = wire::tenant_frame(mac(7), mac(1), 0);
    assert_eq!(lab.send("a", from_it.clone()), [("b".to_owned(), from_it)]);
}

#[test]
fn after_the_hold_it_moves_again_and_five_more_moves_hold_it_again() {
    let mut lab = gateway("learning: true");
    hop(&mut lab, 5, 1);
    hear(&mut lab, "b", 179);
    assert_eq!(place(&lab), ("a".into(), true));
    hear(&mut lab, "b", 1);
    assert_eq!(place(&lab), ("b".into(), false));
    for port in ["a", "b", "a"] {
        hear(&mut lab, port, 1);
        assert!(!place(&lab).1);
    }
    hear(&mut lab, "b", 1);
    assert_eq!(place(&lab), ("a".into(), true), "the hold counts as well");
}

#[test]
fn an_address_that_falls_silent_where_it_is_held_is_learned_anew() {
    let mut lab = gateway("ageing: 20s");
    hop(&mut lab, 5, 1);
    assert!(place(&lab).1);
    lab.sleep(60);
    hear(&mut lab, "a", 0);
    assert_eq!(place(&lab), ("a".into(), false));
    let domain = lab.gateway.names().domain_id("blue").unwrap();
    let heard = lab.gateway.history().of(domain, Mac(mac(1))).expect("it was heard again");
    assert!(heard.moves.as_ref().is_none_or(|moves| moves.held.is_none()));
}

#[test]
fn the_numbers_are_the_tenants() {
    let mut lab = gateway("duplicates: { moves: 2, within: 10s, hold: 30s }");
    hop(&mut lab, 2, 10);
    assert_eq!(place(&lab), ("b".into(), true), "all 10 s of the window");
    assert_eq!(moves(&lab).held, Some(lab.clock + 30 * SECOND));
    hear(&mut lab, "a", 29);
    assert_eq!(place(&lab), ("b".into(), true));
    hear(&mut lab, "a", 1);
    assert_eq!(place(&lab), ("a".into(), false));
}

#[test]
fn without_the_policy_nothing_is_held() {
    let mut lab = gateway("duplicates: off");
    hop(&mut lab, 51, 1);
    assert_eq!((place(&lab), moves(&lab).count), (("b".into(), false), 51));
}

/// A frame to the host, sent by somebody behind another port than the owner's: where it goes.
fn reached(lab: &mut Lab) -> String {
    let sent = lab.send("b", wire::tenant_frame(mac(1), mac(3), 0));
    sent.into_iter().map(|(port, _)| port).collect::<Vec<_>>().join(" ")
}

#[test]
fn three_odd_frames_do_not_steal_an_address() {
    for apart in [1, 10_000_000] {
        let mut lab = gateway("learning: true");
        hear(&mut lab, "a", 0);
        for _ in 0..100 {
            hear(&mut lab, "a", 2);
        }
        for number in 0..3 {
            for (port, number) in [("b", number), ("a", 10 + number)] {
                lab.clock += apart;
                lab.send(port, wire::tenant_frame(mac(9), mac(1), number));
            }
        }
        for second in 0..180 {
            assert_eq!(place(&lab), ("a".into(), true), "{apart} ns apart, {second} s later");
            assert_eq!(reached(&mut lab), "a");
            hear(&mut lab, "b", 1);
        }
        // And when the hold is over, it is the same again.
        for number in 20..23 {
            lab.send("b", wire::tenant_frame(mac(9), mac(1), number));
            lab.send("a", wire::tenant_frame(mac(9), mac(1), 10 + number));
        }
        assert_eq!((place(&lab), reached(&mut lab)), (("a".into(), true), "a".into()));
    }
}

#[test]
fn more_frames_than_the_owner_sends_do_not_steal_an_address() {
    let mut lab = gateway("learning: true");
    hear(&mut lab, "a", 0);
    lab.sleep(100);
    for second in 0..60 {
        hear(&mut lab, "a", 1);
        for _ in 0..50 {
            lab.clock += SECOND / 100;
            lab.send("b", wire::tenant_frame(mac(9), mac(1), 7));
        }
        if second > 2 {
            assert_eq!((place(&lab), reached(&mut lab)), (("a".into(), true), "a".into()), "after {second} s");
        }
    }
}

#[test]
fn frames_of_both_that_are_heard_at_once_leave_it_with_the_owner_too() {
    let mut lab = gateway("learning: true");
    hear(&mut lab, "a", 0);
    hear(&mut lab, "a", 60);
    // All of this comes in before control hears of any of it.
    for number in 0..40 {
        for (port, number) in [("b", number), ("a", 100 + number)] {
            let id = lab.port(port);
            lab.gateway.port(id).unwrap().inject(wire::tenant_frame(mac(9), mac(1), number));
            lab.clock += 10;
            lab.gateway.breathe(lab.clock);
        }
    }
    lab.gateway.step(lab.clock);
    hear(&mut lab, "b", 0);
    assert_eq!((place(&lab), reached(&mut lab)), (("a".into(), true), "a".into()));
}

#[test]
fn a_static_address_is_where_the_file_says_whoever_sends_from_it() {
    let mut lab = gateway("static: [{ mac: \"02:00:00:00:00:01\", via: a }]");
    for _ in 0..20 {
        hear(&mut lab, "b", 0);
        hear(&mut lab, "a", 0);
        assert_eq!((place(&lab), reached(&mut lab)), (("a".into(), false), "a".into()));
    }
}

#[test]
fn an_evacuation_holds_nobody_and_nor_does_the_way_back() {
    let mut lab = Lab::new(
        "version: 1
fdb: { capacity: 2000 }
ports:
  a: { device: a }
  b: { device: b }
tenants:
  blue:
    limits: { bum: unlimited }
    attachments:
      a: { port: a, untagged: true }
      b: { port: b, untagged: true }
",
    );
    let vm = |n: u16| [2, 0, 0, 1, (n >> 8) as u8, n as u8];
    // As QEMU announces a machine: the same frame, again and again.
    let announcement = |n: u16| wire::ethernet(BROADCAST, vm(n), 0x8035, &[&[0; 8][..], &vm(n), &[0; 32]].concat());
    for (port, pause) in [("a", 60), ("b", 8), ("a", 300)] {
        for n in 0..1000 {
            lab.send(port, announcement(n));
            lab.clock += 8_000_000;
            // Those before it repeat themselves.
            for before in [1, 2, 5] {
                if let Some(before) = n.checked_sub(before) {
                    lab.send(port, announcement(before));
                }
            }
        }
        for row in lab.fdb() {
            assert_eq!((row.attachment.as_str(), row.held_for), (port, None), "{row:?}");
        }
        lab.sleep(pause);
    }
    assert_eq!((lab.drops().is_empty(), lab.gateway.loops().iter().count()), (true, 0), "{:?}", lab.drops());
}
