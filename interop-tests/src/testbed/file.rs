//! The gateway's file for a set of sites.

use std::fmt::Write;
use std::path::Path;

use super::site::{Site, Tenant, Underlay};
use super::stack::Stack;

/// The gateway's MAC address towards User-Mode Linux, which nobody there answers ARP for.
pub(super) const UML_GATEWAY_MAC: &str = "02:00:00:00:01:02";
/// And User-Mode Linux's.
pub(super) const UML_MAC: &str = "02:00:00:00:02:02";

/// Writes it. `sockets` is where `unix` ports have their sockets.
#[must_use]
pub fn gateway_file(sites: &[Site], sockets: &Path, tenant_options: &str) -> String {
    let mut file = "version: 1\nports:\n".to_owned();
    let has = |stack| sites.iter().any(|site| site.stack == stack);
    for stack in Stack::ALL.into_iter().filter(|&stack| has(stack)) {
        ports(&mut file, stack, sites, sockets);
    }
    section(&mut file, "endpoints", &endpoints(sites));
    let peers = sites.iter().filter_map(|site| Some(format!("{}: {}", site.name, site.peer()?)));
    section(&mut file, "peers", &peers.collect::<Vec<_>>());
    file.push_str("tenants:\n");
    for tenant in Tenant::ALL {
        let _ = writeln!(file, "  {}:", tenant.name());
        for line in tenant_options.lines() {
            let _ = writeln!(file, "    {line}");
        }
        let _ = writeln!(file, "    attachments:");
        for site in sites {
            let _ = writeln!(file, "      {}: {}", site.name, site.attachment(tenant));
        }
    }
    file
}

fn section(file: &mut String, name: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(file, "{name}:\n  {}", lines.join("\n  "));
    }
}

fn ports(file: &mut String, stack: Stack, sites: &[Site], sockets: &Path) {
    let port = stack.port();
    if stack == Stack::Uml {
        let far = sites.iter().filter(|site| site.stack == stack && site.underlay != Underlay::Cable);
        let next_hops: Vec<_> = far.map(|site| format!("\"{}\": \"{UML_MAC}\"", site.addresses.1)).collect();
        let (sockets, next_hops) = (sockets.display(), next_hops.join(", "));
        let io = format!("{{ unix: {{ local: {sockets}/uml.sock, remote: {sockets}/peer-uml.sock }} }}");
        let _ = writeln!(
            file,
            "  uml: {{ io: {io}, mtu: 1500, mac: \"{UML_GATEWAY_MAC}\", next_hops: {{ {next_hops} }} }}"
        );
        return;
    }
    let _ = writeln!(file, "  {port}: {{ device: {port} }}");
    if stack.tagged_port() != port && sites.iter().any(|site| site.stack == stack && site.underlay == Underlay::Cable) {
        let tagged = stack.tagged_port();
        let _ = writeln!(file, "  {tagged}: {{ device: {tagged} }}");
    }
}

fn endpoints(sites: &[Site]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for site in sites.iter().filter(|site| site.underlay != Underlay::Cable) {
        let line =
            format!("{}: {{ address: \"{}\", ports: [{}] }}", site.endpoint(), site.addresses.0, site.stack.port());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
