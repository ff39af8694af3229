//! MACs that move: remembered with dates, and held where they are when they move too often (RFC 7432 §15.1).

mod common;

use common::Lab;
use common::wire::{self, mac};
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
fn the_fifth_move_in_180_seconds_holds_the_address_where_it_is() {
    let mut lab = gateway("learning: true");
    hop(&mut lab, 4, 45);
    assert_eq!(place(&lab), ("a".into(), false), "four moves are a host that travels");
    hear(&mut lab, "b", 45);
    assert_eq!(place(&lab), ("b".into(), true), "the fifth, 180 s after the first");
    for n in 1..=10 {
        hear(&mut lab, "a", 1);
        assert_eq!((place(&lab), held_moves(&lab)), (("b".into(), true), n));
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
    assert_eq!(lab.send("a", to_it.clone()), [("b".to_owned(), to_it)]);
    let from_it = wire::tenant_frame(mac(7), mac(1), 0);
    assert_eq!(lab.send("a", from_it.clone()), [("b".to_owned(), from_it)]);
}

#[test]
fn after_the_hold_it_moves_again_and_five_more_moves_hold_it_again() {
    let mut lab = gateway("learning: true");
    hop(&mut lab, 5, 1);
    hear(&mut lab, "a", 179);
    assert_eq!(place(&lab), ("b".into(), true));
    hear(&mut lab, "a", 1);
    assert_eq!(place(&lab), ("a".into(), false));
    for port in ["b", "a", "b"] {
        hear(&mut lab, port, 1);
        assert!(!place(&lab).1);
    }
    hear(&mut lab, "a", 1);
    assert_eq!(place(&lab), ("a".into(), true));
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
    assert_eq!(place(&lab), ("a".into(), true));
    assert_eq!(moves(&lab).held, Some(lab.clock + 30 * SECOND));
    hear(&mut lab, "b", 29);
    assert_eq!(place(&lab), ("a".into(), true));
    hear(&mut lab, "b", 1);
    assert_eq!(place(&lab), ("b".into(), false));
}

#[test]
fn without_the_policy_nothing_is_held() {
    let mut lab = gateway("duplicates: off");
    hop(&mut lab, 51, 1);
    assert_eq!((place(&lab), moves(&lab).count), (("b".into(), false), 51));
}
