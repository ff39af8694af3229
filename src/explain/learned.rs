//! Addresses that a frame to be explained finds learned already.

use std::sync::atomic::Ordering;

use thiserror::Error;
use transload_encaps::Mac;

use crate::compile::Names;
use crate::config::suggestion;
use crate::dataplane::Now;
use crate::forwarding::{DomainId, Target};
use crate::offline::Offline;

/// Why an address cannot be taken for learned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct NotLearned {
    /// What is wrong, in words.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Learns `TENANT/MAC=ATTACHMENT`, or `TENANT/MAC=ATTACHMENT/PEER` where the attachment is a group's and PEER the
/// address of a member.
///
/// # Errors
/// When it cannot be read, or names what is not there.
pub fn learn(gateway: &Offline<'_>, text: &str, nanos: u64) -> Result<(), NotLearned> {
    let wrong = |message: String, help: String| NotLearned { message, help };
    let form = || {
        wrong(
            format!("`{text}` says no learned address"),
            "write TENANT/MAC=ATTACHMENT, such as blue/02:00:00:00:00:07=ce".to_owned(),
        )
    };
    let (tenant, rest) = text.split_once('/').ok_or_else(form)?;
    let (mac, place) = rest.split_once('=').ok_or_else(form)?;
    let (attachment, member) = place.split_once('/').map_or((place, None), |(name, member)| (name, Some(member)));
    let mac: Mac = mac.parse().map_err(|_| form())?;
    let names = gateway.names();
    let domain = names.domain_id(tenant).ok_or_else(|| {
        let all: Vec<_> = names.domains().map(|(_, name)| name).collect();
        let help = suggestion(tenant, all);
        wrong(format!("the configuration has no tenant `{tenant}`"), help.unwrap_or_default())
    })?;
    let target = target(gateway, names, domain, attachment, member)?;
    let tables = gateway.shared().forwarding.load();
    let Some(row) = tables.domain(domain) else { return Ok(()) };
    let fdb = &gateway.shared().fdb;
    fdb.learn(fdb.key(domain, mac), target, Now { nanos }.tick(), || {
        row.state.macs.fetch_add(1, Ordering::Relaxed);
        true
    });
    Ok(())
}

fn target(
    gateway: &Offline<'_>,
    names: &Names,
    domain: DomainId,
    attachment: &str,
    member: Option<&str>,
) -> Result<Target, NotLearned> {
    let tables = gateway.shared().forwarding.load();
    let known = || tables.domain(domain).into_iter().flat_map(|domain| domain.attachments.iter());
    let Some((id, row)) = known().find(|(id, _)| names.attachment(domain, *id) == attachment) else {
        let all: Vec<_> = known().map(|(id, _)| names.attachment(domain, id).into_owned()).collect();
        let message = format!("tenant `{}` has no attachment `{attachment}`", names.domain(domain));
        return Err(NotLearned { message, help: format!("it has {}", all.join(", ")) });
    };
    let members = tables.members(&row.members);
    let is_it = |name: &str| member.is_none_or(|member| name.rsplit('/').next() == Some(member));
    match members.iter().find(|peer| is_it(&names.peer(**peer))) {
        Some(&peer) if members.len() == 1 || member.is_some() => Ok(Target { attachment: id, peer }),
        _ => {
            let message =
                format!("attachment `{attachment}` has {} members, and this names none of them", members.len());
            let help = format!("write {attachment}/ADDRESS, with the address of a member");
            Err(NotLearned { message, help })
        }
    }
}
