//! Bridges' control frames, 01:80:c2:00:00:00 to :0f: dropped, or carried between attachments that say so.

mod common;

use common::Lab;
use common::wire::{self, mac};

fn gateway(a: &str, b: &str, c: &str) -> Lab {
    Lab::new(&format!(
        "version: 1
ports:
  a: {{ device: a }}
  b: {{ device: b }}
  c: {{ device: c }}
tenants:
  blue:
    attachments:
      a: {{ port: a, untagged: true{a} }}
      b: {{ port: b, untagged: true{b} }}
      c: {{ port: c, untagged: true{c} }}
"
    ))
}

const TUNNEL: &str = ", l2cp: tunnel";

fn control_frame(last: u8) -> Vec<u8> {
    wire::ethernet([1, 0x80, 0xc2, 0, 0, last], mac(1), 0x88cc, &[last; 46])
}

#[test]
fn they_are_dropped_unless_told_otherwise() {
    for policy in ["", ", l2cp: drop"] {
        let mut lab = gateway(policy, TUNNEL, TUNNEL);
        for last in 0..16 {
            assert_eq!(lab.dropped_for("a", control_frame(last)), "l2_control");
        }
        assert!(lab.fdb().is_empty(), "and teach nothing");
    }
}

#[test]
fn they_go_from_where_they_are_tunnelled_to_where_they_are_unchanged() {
    let mut lab = gateway(TUNNEL, TUNNEL, "");
    for last in 0..16 {
        let sent = lab.send("a", control_frame(last));
        assert_eq!(sent, [("b".to_owned(), control_frame(last))], "not to c");
    }
}

#[test]
fn with_nowhere_to_go_they_are_dropped_by_their_name() {
    let mut lab = gateway(TUNNEL, "", "");
    assert_eq!(lab.dropped_for("a", control_frame(2)), "l2_control");
}

#[test]
fn what_comes_after_the_sixteen_is_multicast_like_any_other() {
    let mut lab = gateway("", "", "");
    assert_eq!(lab.send("a", control_frame(16)).len(), 2);
}
