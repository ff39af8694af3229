//! Long lists as JSON, made part by part while the client reads: no answer is ever whole in memory, and between two parts
//! control does other things.
//!
//! The parts of a list are of different moments, a few milliseconds apart.

use std::collections::HashSet;
use std::convert::Infallible;
use std::iter;
use std::mem;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::Asked;
use super::clients::ClientHandle;
use crate::forwarding::PeerId;
use crate::report::NoSuchTenant;

/// Tenants or peers of a part.
const ROWS: usize = 16;
/// MAC addresses of a part, after which no more buckets are looked into; how many are at a time, and at most for a part:
/// most buckets of most tables are empty.
const MACS: usize = 256;
const BUCKETS: usize = 64;
const MOST_BUCKETS: usize = 1 << 15;

/// The MAC addresses of one tenant or of all, in the order in which they are in the table.
pub(super) fn fdb<G: Asked>(
    gateway: Arc<G>,
    client: ClientHandle,
    tenant: Option<&str>,
) -> Result<Response, NoSuchTenant> {
    let (only, all) =
        gateway.read(|_| false, |state| state.tenant(tenant).map(|only| (only, state.shared.fdb.buckets())))?;
    let mut at = 0;
    let part = move || {
        let (end, mut rows) = (all.min(at + MOST_BUCKETS), Vec::new());
        while at < end && rows.len() < MACS {
            let buckets = at..end.min(at + BUCKETS);
            at = buckets.end;
            rows.extend(gateway.read(|_| false, |state| state.fdb_part(only, buckets)));
        }
        (at < all || !rows.is_empty()).then_some(rows)
    };
    Ok(list(client, iter::from_fn(part)))
}

/// Tenants, or one of them, by name.
pub(super) fn tenants<G: Asked>(
    gateway: Arc<G>,
    client: ClientHandle,
    tenant: Option<&str>,
) -> Result<Response, NoSuchTenant> {
    let ids = gateway.read(|_| false, |state| state.tenant_ids(tenant))?;
    let rows = move |part: Vec<_>| gateway.read(|_| false, |state| state.tenants_of(&part));
    Ok(list(client, parts_of(ids).map(rows)))
}

/// Tunnel peers, of all or of one tenant, by name.
pub(super) fn peers<G: Asked>(
    gateway: Arc<G>,
    client: ClientHandle,
    tenant: Option<&str>,
) -> Result<Response, NoSuchTenant> {
    let all = gateway.tunnels().into_iter().map(|(peer, _)| peer);
    let ids = gateway.read(|_| false, |state| state.peers_in_order(all, tenant))?;
    let rows = move |part: Vec<_>| {
        let part: HashSet<PeerId> = part.into_iter().collect();
        gateway.read(|peer| part.contains(&peer), |state| state.peers(None).unwrap_or_default())
    };
    Ok(list(client, parts_of(ids).map(rows)))
}

/// One tenant in detail.
pub(super) fn tenant<G: Asked>(gateway: &G, name: &str) -> Result<Response, String> {
    gateway.read(
        |_| false,
        |state| {
            let id = state.tenant(Some(name)).map_err(|missing| missing.to_string())?;
            Ok(Json(id.and_then(|id| state.tenant_detail(id)).as_slice()).into_response())
        },
    )
}

/// One tunnel peer in detail.
pub(super) fn peer<G: Asked>(gateway: &G, name: &str) -> Result<Response, String> {
    let id =
        gateway.read(|_| false, |state| state.peer_id(name)).ok_or_else(|| format!("there is no peer `{name}`"))?;
    Ok(gateway.read(|peer| peer == id, |state| Json(state.peer_detail(id).as_slice()).into_response()))
}

/// One part at a time, of whichever list: other answers and the rest of control wait for no more than that.
static TURN: Semaphore = Semaphore::const_new(1);

fn parts_of<Id>(ids: Vec<Id>) -> impl Iterator<Item = Vec<Id>> {
    let mut ids = ids.into_iter();
    iter::from_fn(move || Some(ids.by_ref().take(ROWS).collect::<Vec<_>>()).filter(|part| !part.is_empty()))
}

/// A list of the rows of all parts.
fn list<T: Serialize>(client: ClientHandle, parts: impl Iterator<Item = Vec<T>> + Send + 'static) -> Response {
    let list = JsonList { parts: Some(parts), has_rows: false };
    let body = stream::unfold((list, client), async |(mut list, client)| {
        client.has_room().await;
        // Whoever has the turn lets everybody else do something first.
        let _turn = TURN.acquire().await;
        yield_now().await;
        Some((Ok::<_, Infallible>(list.next()?), (list, client)))
    });
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response()
}

/// The text of a list, from one part to the next.
struct JsonList<Parts> {
    /// The rows of the parts that are still to come; none once the list is closed.
    parts: Option<Parts>,
    has_rows: bool,
}

impl<T: Serialize, Parts: Iterator<Item = Vec<T>>> JsonList<Parts> {
    fn next(&mut self) -> Option<Vec<u8>> {
        let Some(rows) = self.parts.as_mut()?.next() else {
            self.parts = None;
            return Some(if self.has_rows { b"]".to_vec() } else { b"[]".to_vec() });
        };
        let mut text = Vec::new();
        for row in rows {
            text.push(if mem::replace(&mut self.has_rows, true) { b',' } else { b'[' });
            // Rows are of numbers and texts, all of which JSON has.
            let _ = serde_json::to_writer(&mut text, &row);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(parts: &[&[u8]]) -> String {
        let mut list = JsonList { parts: Some(parts.iter().map(|part| part.to_vec())), has_rows: false };
        let text: Vec<_> = iter::from_fn(|| list.next()).flatten().collect();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_list_in_parts_is_one_list() {
        assert_eq!(whole(&[&[1, 2], &[], &[3]]), "[1,2,3]");
        assert_eq!((whole(&[]), whole(&[&[], &[]])), ("[]".to_owned(), "[]".to_owned()));
    }

    #[test]
    fn parts_have_everything_once() {
        let parts: Vec<_> = parts_of((0..=2 * ROWS).collect()).collect();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [ROWS, ROWS, 1]);
        assert!(parts.concat().into_iter().eq(0..=2 * ROWS));
    }
}
