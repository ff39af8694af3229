//! Which frames come after which, and what the bridge learns and decides.

use super::{Situation, situation};
use crate::common::wire::{self, BROADCAST, mac};
use crate::places::{Wire, at, host, roamer, say, shout};

/// A frame of a host that may be anywhere.
fn roam(place: &str, src: [u8; 6], dst: [u8; 6], n: u8) -> Wire {
    at(place, &wire::tenant_frame(dst, src, n.into()))
}

pub(super) const TABLE: &[Situation] = &[
    situation("one frame from a tunnel to tags", "1 sent", |_, n| vec![say("vxlan4", "both", n)]),
    situation("one frame from tags to a tunnel", "1 sent", |_, n| vec![say("both", "vxlan4", n)]),
    situation("one frame from a tunnel to a tunnel", "1 sent", |_, n| vec![say("vxlan4", "nvgre4", n)]),
    situation("one frame from tags to tags", "1 sent", |_, n| vec![say("both", "single", n)]),
    situation("a run of one peer to one place", "6 sent", |_, n| vec![say("vxlan4", "gre4", n); 6]),
    situation("a run of one peer over IPv6", "6 sent", |_, n| vec![say("vxlan6", "nvgre6", n); 6]),
    situation("a run of one flow after another", "6 sent", |_, n| {
        (0..6).map(|flow| say("vxlan4", "sum4", n ^ flow)).collect()
    }),
    situation("a run broken by another peer", "5 sent", |_, n| {
        ["vxlan4", "vxlan4", "nvgre4", "vxlan4", "vxlan4"].map(|from| say(from, "gre4", n)).into()
    }),
    situation("a run broken by a peer of the other family", "5 sent", |_, n| {
        ["vxlan4", "vxlan4", "vxlan6", "vxlan4", "vxlan6"].map(|from| say(from, "gre4", n)).into()
    }),
    situation("peers in turn", "8 sent", |_, n| {
        ["vxlan4", "nvgre4", "gre4", "sum4", "vxlan4", "nvgre4", "gre4", "sum4"]
            .map(|from| say(from, "vxlan6", n))
            .into()
    }),
    situation("two peers at one address by two UDP ports, in turn", "4 sent", |_, n| {
        ["vxlan4", "moved4", "vxlan4", "moved4"].map(|from| say(from, "gre4", n)).into()
    }),
    situation("one peer, its segments in turn", "5 sent", |_, n| {
        ["vxlan4", "vxlan4b", "strips4", "vxlan4", "vxlan4b"].map(|from| say(from, "gre4", n)).into()
    }),
    situation("one peer, its segments of three tenants in turn", "88 sent", |_, _| {
        ["vxlan4", "red-v", "green-v", "vxlan4", "red-v"].map(|from| shout(from, 1)).into()
    }),
    situation("places to go to in turn", "6 sent", |_, n| {
        ["nvgre4", "gre4", "both", "vxlan6", "nvgre4", "gre4"].map(|to| say("vxlan4", to, n)).into()
    }),
    situation("two places behind one peer in turn", "4 sent", |_, n| {
        ["vxlan4", "vxlan4b", "vxlan4", "vxlan4b"].map(|to| say("gre4", to, n)).into()
    }),
    situation("two members of a group in turn", "4 sent", |_, n| {
        ["mesh-20", "mesh-21", "mesh-20", "mesh-21"].map(|to| say("gre4", to, n)).into()
    }),
    situation("a flooded frame between unicast ones to the same port", "42 sent", |_, n| {
        vec![say("both", "vxlan4", n), say("both", "gre4", n), shout("both", n), say("both", "vxlan4", n)]
    }),
    situation("flooded frames in a row", "117 sent", |_, n| (0..3).map(|flow| shout("gre6", n ^ flow)).collect()),
    situation("a dropped frame between two of a run", "2 sent, 1 same_attachment", |_, n| {
        vec![say("vxlan4", "gre4", n), say("vxlan4", "vxlan4", n), say("vxlan4", "gre4", n)]
    }),
    situation("a pair of hosts that goes on, until one has moved", "7 sent", |_, n| {
        let (a, b) = (roamer(n), host("gre4"));
        let there = roam("vxlan4", a, b, 1);
        let back = at("gre4", &wire::tenant_frame(a, b, 1));
        vec![there.clone(), there.clone(), back.clone(), roam("nvgre4", a, b, 1), back.clone(), there.clone(), back]
    }),
    situation("a source that moves while its frames go on", "5 sent", |_, n| {
        ["vxlan4", "vxlan4", "nvgre4", "nvgre4", "vxlan4"].map(|place| roam(place, roamer(n), host("gre4"), 1)).into()
    }),
    situation("a source that moves to another segment of its peer", "3 sent", |_, n| {
        ["vxlan4", "vxlan4b", "vxlan4"].map(|place| roam(place, roamer(n), host("gre4"), 1)).into()
    }),
    situation("a source that moves to another member of its group", "3 sent", |_, n| {
        ["mesh-20", "mesh-21", "mesh-20"].map(|place| roam(place, roamer(n), host("gre4"), 1)).into()
    }),
    situation("a destination that moves while frames to it go on", "7 sent", |_, n| {
        let to = say("gre4", "gre6", n);
        let to_roamer = roam("gre4", host("gre4"), roamer(n), 1);
        let moved = |place| roam(place, roamer(n), host("gre6"), 1);
        vec![moved("vxlan4"), to_roamer.clone(), to_roamer.clone(), moved("nvgre4"), to_roamer.clone(), to, to_roamer]
    }),
    situation("a destination that becomes known", "42 sent", |_, n| {
        let to_roamer = say("gre4", "gre6", n);
        let first = roam("gre4", host("gre4"), mac(0xb0 | n & 0xf), 1);
        vec![first.clone(), to_roamer, roam("bare4", mac(0xb0 | n & 0xf), host("gre6"), 1), first]
    }),
    situation("a destination that moves to where the frames come from", "3 sent, 1 same_attachment", |_, n| {
        let to_roamer = roam("gre4", host("gre4"), roamer(n), 1);
        vec![
            roam("vxlan4", roamer(n), host("gre6"), 1),
            to_roamer.clone(),
            roam("gre4", roamer(n), host("gre6"), 1),
            to_roamer,
        ]
    }),
    situation("both hosts of a pair change places", "44 sent", |_, n| {
        let (a, b) = (roamer(n), roamer(n ^ 1));
        ["vxlan4", "gre4", "vxlan4"]
            .into_iter()
            .flat_map(|place| [roam(place, a, b, 1), roam("nvgre4", b, a, 1)])
            .collect()
    }),
    situation("the same two addresses in another tenant", "42 sent", |_, n| {
        let (a, b) = (host("red-v"), host("red-n"));
        vec![roam("red-v", a, b, n), roam("vxlan4", a, b, n), roam("red-v", a, b, n), roam("nvgre4", b, a, n)]
    }),
    situation("an address of the file, from its place and from another", "4 sent", |_, n| {
        ["red-ce", "red-v", "red-ce", "red-v"].map(|place| roam(place, mac(0xe0), host("red-n"), n)).into()
    }),
    situation(
        "to addresses of the file, from elsewhere and from their own places",
        "2 sent, 1 same_attachment",
        |_, n| {
            vec![
                roam("red-v", host("red-v"), mac(0xe0), n),
                roam("red-v", host("red-v"), mac(0xe1), n),
                roam("red-n", host("red-n"), mac(0xe1), n),
            ]
        },
    ),
    situation(
        "an address that a controller told and nailed down, from its place and from another",
        "3 sent",
        |_, n| {
            let sticky = mac(0xf1);
            vec![
                roam("gre4", sticky, host("both"), n),
                roam("vxlan4", sticky, host("both"), n),
                roam("both", host("both"), sticky, n),
            ]
        },
    ),
    situation("an address that a controller told, from its place and from another", "3 sent", |_, n| {
        let told = mac(0xf2);
        vec![
            roam("gre4", told, host("both"), n),
            roam("vxlan4", told, host("both"), n),
            roam("both", host("both"), told, n),
        ]
    }),
    situation("an address that moves once too often and is held", "5 sent", |_, n| {
        ["red-v", "red-n", "red-v", "red-n", "red-v"].map(|place| roam(place, host("red-v"), mac(0xe0), n)).into()
    }),
    situation("the source is a group", "0 sent, 2 bad_source", |_, _| {
        vec![roam("vxlan4", [3, 0, 0, 0, 0, 1], host("gre4"), 1); 2]
    }),
    situation("the source is zero", "0 sent, 2 bad_source", |_, _| vec![roam("vxlan4", [0; 6], host("gre4"), 1); 2]),
    situation("the source is everybody, to everybody", "0 sent, 1 bad_source", |_, _| {
        vec![roam("vxlan4", BROADCAST, BROADCAST, 1)]
    }),
    situation("between good frames one whose source is a group", "2 sent, 1 bad_source", |_, n| {
        vec![say("vxlan4", "gre4", n), roam("vxlan4", [3, 0, 0, 0, 0, 1], host("gre4"), 1), say("vxlan4", "gre4", n)]
    }),
    situation("the source is the gateway", "0 sent, 2 from_own_mac", |scene, n| {
        vec![roam("vxlan4", scene.own, host("gre4"), n); 2]
    }),
    situation("the destination is the gateway", "0 sent, 2 to_own_mac", |scene, n| {
        vec![roam("vxlan4", host("vxlan4"), scene.own, n); 2]
    }),
    situation("the gateway's address in blue, in another tenant", "2 sent", |scene, n| {
        vec![roam("green-v", scene.own, mac(0xe3), n); 2]
    }),
    situation("the destination is link-local", "0 sent, 1 l2_control", |_, n| {
        vec![roam("vxlan4", host("vxlan4"), [1, 0x80, 0xc2, 0, 0, n & 0xf], 1)]
    }),
    situation("the destination is link-local, and tunnelled", "1 sent, 1 l2_control", |_, n| {
        vec![
            roam("red-v", host("red-v"), [1, 0x80, 0xc2, 0, 0, n & 0xf], 1),
            roam("red-ce", host("red-ce"), [1, 0x80, 0xc2, 0, 0, 2], 1),
        ]
    }),
    situation("just beyond the link-local ones", "39 sent", |_, n| {
        vec![roam("vxlan4", host("vxlan4"), [1, 0x80, 0xc2, 0, 0, 0x10 | n & 0xf], 1)]
    }),
    situation("the destination is unknown", "39 sent", |_, n| {
        vec![roam("vxlan4", host("vxlan4"), mac(0xc0 | n & 7), 1)]
    }),
    situation("the destination is unknown, where that is dropped", "0 sent, 1 unknown_unicast_off", |_, n| {
        vec![roam("red-v", host("red-v"), mac(0xc0), n)]
    }),
    situation("the destination is an IP multicast group", "39 sent", |_, n| {
        vec![roam("gre4", host("gre4"), [1, 0, 0x5e, 0, 0, n], 1)]
    }),
    situation("who has? tell", "39 sent", |_, n| {
        let question =
            [&[0, 1, 8, 0, 6, 4, 0, 1][..], &host("gre4"), &[10, 0, 0, n], &[0; 6], &[10, 0, 0, 2], &[0; 18]].concat();
        vec![at("gre4", &wire::ethernet(BROADCAST, host("gre4"), wire::ARP, &question))]
    }),
    situation("a host that speaks to itself", "0 sent, 2 same_attachment", |_, n| {
        vec![say("vxlan4", "vxlan4", n), say("both", "both", n)]
    }),
    situation("to a host behind the same place", "39 sent, 1 same_attachment", |_, n| {
        vec![roam("vxlan4", roamer(n), BROADCAST, 1), roam("vxlan4", host("vxlan4"), roamer(n), 1)]
    }),
    situation("to a place behind the same horizon", "0 sent, 2 split_horizon", |_, n| {
        vec![say("ring-a", "ring-b", n), say("ring-b", "ring-a", n)]
    }),
    situation("to another member of the same group", "0 sent, 1 split_horizon", |_, n| {
        vec![say("mesh-20", "mesh-21", n)]
    }),
    situation("a tenant that learns nothing", "5 sent", |_, n| {
        vec![
            roam("green-v", mac(0xe2), mac(0xe3), n),
            roam("green-ce", mac(0xe3), mac(0xe2), n),
            roam("green-g", host("green-g"), mac(0xe3), n),
            roam("green-ce", mac(0xe3), host("green-g"), n),
        ]
    }),
    situation("more addresses than a tenant may have", "10 sent", |_, n| {
        (0..10).map(|host| roam("red-v", mac(0xa0 + host), mac(0xe0), n)).collect()
    }),
    situation("more broadcasts than a tenant may send", "80 sent, 4 bum_limit", |_, n| {
        (0..24).map(|flow| shout("red-v", n ^ flow)).collect()
    }),
    situation("a broadcast that comes back by another place, again and again", "342 sent, 9 loop_guard", |_, n| {
        ["gre4", "gre6", "gre4", "gre6", "gre4", "gre6", "gre4", "gre6", "gre4"]
            .map(|place| roam(place, roamer(n), BROADCAST, 3))
            .into()
    }),
];
