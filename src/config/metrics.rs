//! Metrics for Prometheus: where they are served, and which tenants are told apart.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;

use super::at::{At, section};
use super::stars::NamePatterns;
use super::values::{Text, texts};

/// Metrics of the gateway, for Prometheus.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where `GET /metrics` is answered: an address of this machine and a TCP port, such as 127.0.0.1:9475; on the admin
    /// socket alone if left out. Whoever can reach it can read it.
    pub listen: Option<At<ListenAddress>>,
    /// Which tenants have metrics of their own.
    #[serde(default, deserialize_with = "section")]
    pub tenants: TenantMetrics,
}

/// Which tenants have metrics of their own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantMetrics {
    /// Those that have none: a name or pattern such as `lab-*`, or a list of them. They are added up as one tenant, which is
    /// called `(others)`.
    pub leave_out: Option<At<NamePatterns>>,
}

texts! {
    ListenAddress, "^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):[0-9]+$";
}

/// An address and a TCP port to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(pub SocketAddr);

impl Text for ListenAddress {
    const EXPECTED: &'static str = "an address and a port such as 127.0.0.1:9475";

    fn read(text: &str) -> Result<Self, String> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => {
                let named = SocketAddr::new(address.ip(), PORT);
                Err(format!("port 0 is none that a scraper could ask\nwrite `{named}`"))
            }
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(format!("`{text}` is not an address and a port\n{}", advice(text))),
        }
    }
}

/// The port that is advised.
const PORT: u16 = 9475;

fn advice(text: &str) -> String {
    let bare = |address: IpAddr, port: &str| match port.parse() {
        Ok(port) if port > 0 => SocketAddr::new(address, port),
        _ => SocketAddr::new(address, PORT),
    };
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    if let Ok(address) = text.parse::<IpAddr>() {
        return format!("write `{}`", bare(address, ""));
    }
    if text.parse::<u16>().is_ok() {
        return format!("write `127.0.0.1:{text}` for this machine alone, or `0.0.0.0:{text}` for everybody");
    }
    match (host, host.parse::<IpAddr>()) {
        ("" | "*", _) => format!("write `{}` for everybody", bare([0, 0, 0, 0].into(), port)),
        ("localhost", _) => format!("write `{}`", bare([127, 0, 0, 1].into(), port)),
        (_, Ok(address)) if port.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("write `{}`: ports are numbers from 1 to 65535", bare(address, port))
        }
        _ => "write one such as 127.0.0.1:9475 or \"[::1]:9475\"; names are not resolved".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_for_an_address_and_a_port_is_read_or_mended() {
        for text in ["127.0.0.1:9475", "[::1]:9475", "0.0.0.0:1"] {
            assert!(ListenAddress::read(text).is_ok(), "{text}");
        }
        for (text, advised) in [
            ("127.0.0.1", "`127.0.0.1:9475`"),
            ("::1", "`[::1]:9475`"),
            ("9475", "`127.0.0.1:9475`"),
            (":9475", "`0.0.0.0:9475`"),
            ("*:80", "`0.0.0.0:80`"),
            ("localhost:9100", "`127.0.0.1:9100`"),
            ("127.0.0.1:0", "`127.0.0.1:9475`"),
            ("127.0.0.1:70000", "`127.0.0.1:9475`"),
            ("fe80::1:9475x", "names are not resolved"),
            ("gw.example.net:9475", "names are not resolved"),
            ("", "`0.0.0.0:9475`"),
        ] {
            let error = ListenAddress::read(text).unwrap_err();
            assert!(error.contains(advised), "{text}: {error}");
        }
    }
}
