//! The runner by itself: what a case that fails, or a peer that dies, does to the others.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use transload_interop_tests::cases::{self, Case, Cells, Place, Scope};
use transload_interop_tests::outcome::{Outcome, Stop, Verdict};
use transload_interop_tests::runner::{self, Cell};
use transload_interop_tests::testbed::{Site, Stack, Tenant, Testbed, roster};
use transload_interop_tests::traffic::settle;
use transload_lab::need;

#[test]
fn what_a_failed_case_has_left_is_put_right_before_the_next_one() {
    need!(root, ip, ping, vxlan);
    let (sites, _) = roster(&["kernel-vxlan".to_owned(), "kernel-vxlan6".to_owned()]);
    let place = tempfile::tempdir().unwrap();
    let mut testbed = Testbed::build(sites, place.path(), &mut |_| ()).unwrap();
    let named = |name: &str| *cases::ALL.iter().find(|case| case.name == name).unwrap();
    let passes = |testbed: &mut Testbed| {
        let run = runner::run(named("arp-and-ping"), testbed, &[], &mut |_, _| ());
        run.cells.iter().all(|cell| matches!(cell.outcome, Outcome::Passed(_)))
    };
    let away = Case { scope: Scope::Testbed(spoil), ..cases::ON_PURPOSE };
    assert!(passes(&mut testbed));
    runner::run(away, &mut testbed, &[], &mut |_, _| ());
    assert!(!testbed.has(Stack::Kernel));
    assert!(passes(&mut testbed), "the peer is there again");
}

/// Takes the peer away, leaves the gateway with other options, and fails.
fn spoil(testbed: &mut Testbed, cells: &mut Cells) {
    testbed.restart_gateway("ageing: 1s").unwrap();
    testbed.remove_peer(Stack::Kernel);
    cells.put("anywhere", Err(Stop::Failed("on purpose".to_owned())));
}

#[test]
fn a_case_that_fails_tells_what_the_gateway_dropped_meanwhile() {
    need!(root, ip, ping, vxlan);
    let (sites, _) = roster(&["kernel-vxlan".to_owned(), "kernel-vxlan6".to_owned()]);
    let place = tempfile::tempdir().unwrap();
    let mut testbed = Testbed::build(sites, place.path(), &mut |_| ()).unwrap();
    for scope in [Scope::Sites(at_a_site), Scope::Testbed(everywhere)] {
        let run = runner::run(Case { scope, ..cases::ON_PURPOSE }, &mut testbed, &[], &mut |_, _| ());
        let Outcome::Failed(why) = &run.cells[0].outcome else { panic!("{:?}", run.cells[0]) };
        let words: Vec<_> = why.lines().collect();
        assert_eq!(words[..2], ["on purpose", "meanwhile the gateway dropped:"], "{why}");
        let dropped = words.iter().find_map(|line| line.trim().split_once(" unknown_segment: "));
        let (count, meaning) = dropped.unwrap_or_else(|| panic!("{why}"));
        assert!(count.parse::<u32>().unwrap() > 0 && meaning.len() > 20, "{why}");
    }
}

/// Says something with an ID that nobody has, and fails.
fn at_a_site(testbed: &Testbed, _: &Site, _: &Site) -> Verdict {
    let under = testbed.machine(Stack::Kernel).under();
    under.sh("ip link add none type vxlan id 77 local 192.0.2.11 remote 192.0.2.1 dev eth0 dstport 4789
         ip addr add 10.77.0.1/24 dev none; ip link set none up; ping -c 1 -W 1 10.77.0.2 || true; ip link del none")?;
    Err(Stop::Failed("on purpose".to_owned()))
}

fn everywhere(testbed: &mut Testbed, cells: &mut Cells) {
    let sites = testbed.sites().to_vec();
    cells.at(&sites[0], at_a_site(testbed, &sites[0], &sites[1]));
}

#[test]
fn a_peer_that_dies_in_the_middle_costs_its_own_cells_and_nothing_else() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let (sites, _) = roster(&["kernel-vxlan", "kernel-vxlan6", "ovs-gre", "ovs-vxlan"].map(str::to_owned));
    let place = tempfile::tempdir().unwrap();
    let mut testbed = Testbed::build(sites, place.path(), &mut |_| ()).unwrap();
    for scope in [Scope::Pairs(dies_and_settles), Scope::Sites(dies_and_settles), Scope::Testbed(dies_and_all_settle)] {
        let case = Case { scope, ..cases::ON_PURPOSE };
        let run = runner::run(case, &mut testbed, &[], &mut |_, _| ());
        let is_of_kernel = |cell: &&Cell| match &cell.place {
            Place::Site(from, to) => {
                [Some(from), to.as_ref()].into_iter().flatten().all(|site| site.stack == Stack::Kernel)
            }
            Place::Words(..) => panic!("{cell:?}"),
        };
        let (of_kernel, of_others): (Vec<_>, Vec<_>) = run.cells.iter().partition(|cell| is_of_kernel(cell));
        assert_eq!(of_kernel.len(), 2, "{scope:?}: {:?}", run.cells);
        assert!(of_kernel.iter().all(|cell| matches!(cell.outcome, Outcome::Passed(_))), "{of_kernel:?}");
        for cell in &of_others {
            let why = match &cell.outcome {
                Outcome::Failed(why) | Outcome::NotRun(why) => why,
                Outcome::Passed(_) => continue,
            };
            assert!(why.contains("ovs was lost while this"), "{cell:?}");
            // A failure tells against the switch alone.
            let is_alone = matches!(&cell.place, Place::Site(site, None) if site.stack == Stack::Ovs);
            assert!(is_alone || matches!(cell.outcome, Outcome::NotRun(_)), "{cell:?}");
        }
        assert!(of_others.iter().any(|cell| matches!(cell.outcome, Outcome::Failed(_))), "{of_others:?}");
    }
    let ping = *cases::ALL.iter().find(|case| case.name == "arp-and-ping").unwrap();
    let run = runner::run(ping, &mut testbed, &[], &mut |_, _| ());
    assert!(run.cells.len() == 12 && run.cells.iter().all(|cell| matches!(cell.outcome, Outcome::Passed(_))));
}

/// Kills the switch, if this test has one.
fn kill_the_switch() {
    let own = std::process::id().to_string();
    for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
        if stat.contains("(ovs-vswitchd)") && parent == Some(&own) {
            let pid = process.file_name().to_str().unwrap().parse().unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        }
    }
}

fn dies_and_settles(testbed: &Testbed, from: &Site, to: &Site) -> Verdict {
    kill_the_switch();
    settle(&*testbed.host(from, Tenant::Blue), &to.v4())?;
    Ok(String::new())
}

/// All fail where one is away, as in a case that needs everyone at once.
fn dies_and_all_settle(testbed: &mut Testbed, cells: &mut Cells) {
    kill_the_switch();
    let sites = testbed.sites().to_vec();
    let all = (|| {
        for to in &sites[1..] {
            settle(&*testbed.host(&sites[0], Tenant::Blue), &to.v4())?;
        }
        Ok(String::new())
    })();
    for site in &sites {
        cells.at(
            site,
            match &all {
                Ok(_) => Ok(String::new()),
                Err(why) => Err(Stop::Failed(std::io::Error::to_string(why))),
            },
        );
    }
}
