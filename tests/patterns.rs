//! Patterns are written-out tenants, and a configuration may be several files.

use std::fmt::Write;
use std::path::PathBuf;

use transload::compile::{self, Numbers, Plan};
use transload::config;

const HEAD: &str = "
version: 1
ports:
  up: { device: up }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  leaf-9: { address: 192.0.2.9, encap: vxlan }
groups:
  leafs: { encap: vxlan, members: [192.0.2.11-192.0.2.13] }
";

const PATTERN: &str = r#"
patterns:
  "cust-{n}":
    for: { n: 3-40 }
    attachments:
      leafs: { group: leafs, vni: "20000+n", split_horizon: far }
      nine:  { peer: leaf-9, vni: "n-2", split_horizon: far }
      ce:    { port: access, s_vid: "0x10 + n", c_vid: 7, inner_tags: drop }
    learning: false
    ageing: 1h
    unknown_unicast: drop
    limits: { macs: 77, bum: 5 }
    static: [{ mac: "02:00:00:00:00:07", via: ce }]
"#;

fn plan(rest: &str) -> Plan {
    let config = config::parse("patterns.yaml", &format!("{HEAD}{rest}")).expect("it is YAML");
    compile::compile(&config, &Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The tenants of the pattern, by hand.
fn written_out() -> String {
    let mut text = String::from("tenants:\n");
    for n in 3..=40 {
        let _ = write!(
            text,
            "  cust-{n}:
    attachments:
      leafs: {{ group: leafs, vni: {}, split_horizon: far }}
      nine:  {{ peer: leaf-9, vni: {}, split_horizon: far }}
      ce:    {{ port: access, s_vid: {}, c_vid: 7, inner_tags: drop }}
    learning: false
    ageing: 1h
    unknown_unicast: drop
    limits: {{ macs: 77, bum: 5 }}
    static: [{{ mac: \"02:00:00:00:00:07\", via: ce }}]
",
            20000 + n,
            n - 2,
            16 + n
        );
    }
    text
}

#[test]
fn a_pattern_is_its_tenants_written_out() {
    let (short, long) = (plan(PATTERN), plan(&written_out()));
    let domains = |plan: &Plan| format!("{:?}", plan.tables.domains);
    assert_eq!(domains(&short), domains(&long));
    assert_eq!(short.tables.segments, long.tables.segments);
    assert_eq!(short.statics, long.statics);
    let names = |plan: &Plan| plan.names.domains().map(|(_, name)| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&short), names(&long));
}

#[test]
fn a_tenant_of_the_same_name_overrides_one_of_a_pattern() {
    let own = "
tenants:
  cust-5:
    attachments:
      nine: { peer: leaf-9, vni: 500 }
      ce:   { port: access, untagged: true }
";
    let plan = plan(&format!("{own}{PATTERN}"));
    let id = plan.names.domain_id("cust-5").expect("it is there");
    let domain = plan.tables.domain(id).expect("it is compiled");
    assert_eq!((domain.attachments.values().count(), domain.learning), (2, true));
    assert_eq!(plan.names.domains().count(), 38);
    assert_eq!(plan.tables.segments.len(), 37 * 3 + 2);
}

#[test]
fn a_pattern_keeps_its_numbers_when_its_range_grows() {
    let compile = |range: &str, numbers: &Numbers| {
        let text = format!("{HEAD}{}", PATTERN.replace("3-40", range));
        let config = config::parse("patterns.yaml", &text).expect("it is YAML");
        compile::compile(&config, numbers, None).expect("it compiles")
    };
    let before = compile("10-20", &Numbers::default());
    let after = compile("5-30", &before.numbers);
    assert_eq!(before.names.domain_id("cust-12"), after.names.domain_id("cust-12"));
}

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("tenants.d")).expect("the folder can be made");
    folder
}

#[test]
fn included_files_are_read_as_if_they_were_one() {
    let folder = folder("include");
    let tenant = |n: u32| {
        format!(
            "tenants:\n  t{n}:\n    attachments:\n      nine: {{ peer: leaf-9, vni: {} }}\n      \
             ce: {{ port: access, s_vid: {n} }}\n",
            9000 + n
        )
    };
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("it can be written");
    write("gateway.yaml", &format!("{HEAD}include: tenants.d/*.yaml\n{}", tenant(1)));
    write("tenants.d/b.yaml", &tenant(2));
    write("tenants.d/a.yaml", &tenant(3));
    write("tenants.d/c.yml", "not: read\n");
    write("tenants.d/.hidden.yaml", "not: read\n");
    write("tenants.d/p.yaml", PATTERN.trim_start());
    let config = config::load(&folder.join("gateway.yaml")).expect("it is YAML");
    let plan = compile::compile(&config, &Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<_> = plan.names.domains().map(|(_, name)| name).collect();
    assert_eq!(names[..4], ["t1", "t3", "t2", "cust-3"], "files in the order of their names");
    assert_eq!(names.len(), 41);
}

#[test]
fn a_star_is_looked_for_beside_the_file_as_well_and_no_file_includes_itself() {
    let folder = folder("beside");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("it can be written");
    let check = |include: &str| {
        write("gateway.yaml", &format!("{HEAD}include: \"{include}\"\n"));
        let mut command = assert_cmd::Command::cargo_bin("transload").expect("it is built");
        let output = command.current_dir(&folder).args(["check", "gateway.yaml"]).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    write("part-1.yaml", PATTERN.trim_start());
    let (code, told) = check("part-*.yaml");
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = check("*.yaml");
    assert_eq!(code, Some(1));
    assert!(told.contains("gateway.yaml includes itself"), "{told}");
}
