//! Asking a running gateway: one HTTP request over its Unix socket.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{DeserializeOwned, IgnoredAny};
use thiserror::Error;

use super::CaptureRequest;
use crate::report::rows::{ErrorRow, HandedOver, Reloaded};

const PATIENCE: Duration = Duration::from_secs(10);
/// A large file takes a while to compile.
const LONG_PATIENCE: Duration = Duration::from_mins(5);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// Nobody listens on this socket.
    #[error("no gateway answers on {}: is `transload run` running, and with this socket? (--socket PATH asks another)", .0.display())]
    NoGateway(PathBuf),
    /// The socket belongs to somebody else.
    #[error("not allowed to ask the gateway on {}: only the user who runs it may", .0.display())]
    NotAllowed(PathBuf),
    /// The gateway refuses.
    #[error("{0}")]
    Refused(String),
    /// The gateway cannot answer now.
    #[error("{0}")]
    NotNow(String),
    /// It takes too long.
    #[error("the gateway on {} has not answered within {} s, or not wholly: it is busy, or no gateway listens there", .0.display(), .1.as_secs())]
    Late(PathBuf, Duration),
    /// The gateway stopped, or closed a connection by which nothing was read for long.
    #[error("the gateway's answer ends in the middle; ask again")]
    CutShort,
    /// The answer cannot be read.
    #[error("the gateway's answer cannot be read: {0}")]
    Unreadable(String),
}

/// The JSON that the gateway on this socket answers: a list of rows.
///
/// # Errors
/// When there is no gateway, or it refuses, or says something else.
pub fn ask(socket: &Path, path: &str, tenant: Option<&str>) -> Result<String, AskError> {
    let query = tenant.map_or_else(String::new, |tenant| format!("?tenant={}", percent_encoded(tenant)));
    json(request(socket, "GET", &format!("{path}{query}"), PATIENCE, "")?)
}

/// The gateway's metrics, in OpenMetrics.
///
/// # Errors
/// As [`ask`].
pub fn metrics(socket: &Path) -> Result<String, AskError> {
    let answer = request(socket, "GET", "/metrics", PATIENCE, "Accept: application/openmetrics-text\r\n")?;
    if answer.ends_with("# EOF\n") { Ok(answer) } else { Err(AskError::CutShort) }
}

/// Has the gateway read its file again; returns what changed.
///
/// # Errors
/// As [`ask`]; a file that is wrong is refused, in words.
pub fn reload(socket: &Path) -> Result<Reloaded, AskError> {
    let body = json(request(socket, "POST", "/reload", LONG_PATIENCE, "")?)?;
    serde_json::from_str(&body).map_err(|error| AskError::Unreadable(error.to_string()))
}

/// Tells the gateway that this process takes its place.
///
/// # Errors
/// As [`ask`]; one of another version may not know what is meant.
pub fn succeed(socket: &Path) -> Result<HandedOver, AskError> {
    let body = request(socket, "POST", "/successor", PATIENCE, "")?;
    serde_json::from_str(&body).map_err(|error| AskError::Unreadable(error.to_string()))
}

/// The path that shows the one of many with this name.
#[must_use]
pub fn named(path: &str, name: &str) -> String {
    format!("{path}?name={}", percent_encoded(name))
}

/// An answer that is JSON, if it is whole.
fn json(body: String) -> Result<String, AskError> {
    match serde_json::from_str::<IgnoredAny>(&body) {
        Ok(_) => Ok(body),
        Err(_) => Err(AskError::CutShort),
    }
}

/// The body of an answer; `headers` are those of the request besides the usual ones, a line each.
fn request(socket: &Path, method: &str, path: &str, patience: Duration, headers: &str) -> Result<String, AskError> {
    // By this version, the answer is all that comes.
    let request = format!("{method} {path} HTTP/1.0\r\nHost: transload\r\n{headers}Content-Length: 0\r\n\r\n");
    let answer = exchange(socket, &request, patience).map_err(|error| failure(socket, &error, patience))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| AskError::Unreadable(answer.clone()))?;
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(refusal(head, body)),
    }
}

/// The rows themselves.
///
/// # Errors
/// As [`ask`], or when the rows are of another version's making.
pub fn rows<T: DeserializeOwned>(socket: &Path, path: &str, tenant: Option<&str>) -> Result<Vec<T>, AskError> {
    let body = ask(socket, path, tenant)?;
    serde_json::from_str(&body).map_err(|error| AskError::Unreadable(error.to_string()))
}

/// Follows what a gateway says on a path, line by line, until it ends or `take` breaks off.
///
/// # Errors
/// As [`ask`]; also when `take` says that its reader does not take more.
pub fn follow<B>(
    socket: &Path,
    path: &str,
    query: &[(&str, &str)],
    mut take: impl FnMut(&str) -> ControlFlow<B>,
) -> Result<Option<B>, AskError> {
    let mut answer = stream(socket, path, query.iter().map(|(key, value)| (*key, (*value).to_owned())))?;
    let mut line = String::new();
    // What is cut off was not said.
    while answer.read_line(&mut line).is_ok() && line.ends_with('\n') {
        if let ControlFlow::Break(with) = take(line.trim_end()) {
            return Ok(Some(with));
        }
        line.clear();
    }
    Ok(None)
}

/// Begins a capture; what is read then is pcapng, until it ends.
///
/// # Errors
/// As [`ask`]; what cannot match is refused, in words.
pub fn capture(socket: &Path, asked: &CaptureRequest) -> Result<BufReader<UnixStream>, AskError> {
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let parts = [
        ("tenant", asked.tenant.clone()),
        ("peer", asked.peer.clone()),
        ("port", asked.port.clone()),
        ("mac", asked.mac.clone()),
        ("reason", asked.reason.clone()),
        ("dropped", asked.dropped.then(|| "true".to_owned())),
        ("at", asked.at.clone()),
        ("count", number(asked.count)),
        ("seconds", number(asked.seconds)),
        ("sample", number(asked.sample)),
        ("snaplen", number(asked.snaplen.map(u64::from))),
    ];
    stream(socket, "/capture", parts.into_iter().filter_map(|(key, value)| Some((key, value?))))
}

/// An answer that goes on for as long as there is something to say: what comes behind its head.
fn stream<'q>(
    socket: &Path,
    path: &str,
    query: impl Iterator<Item = (&'q str, String)>,
) -> Result<BufReader<UnixStream>, AskError> {
    let query: Vec<_> = query.map(|(key, value)| format!("{key}={}", percent_encoded(&value))).collect();
    let request = format!("GET {path}?{} HTTP/1.0\r\nHost: transload\r\nContent-Length: 0\r\n\r\n", query.join("&"));
    let failed = |error| failure(socket, &error, PATIENCE);
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    // A gateway that is too busy says so without having read anything.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if answer.read_line(&mut head).map_err(failed)? == 0 {
            return Err(AskError::CutShort);
        }
    }
    if head.split_whitespace().nth(1) != Some("200") {
        let mut body = String::new();
        answer.read_to_string(&mut body).map_err(failed)?;
        return Err(refusal(&head, &body));
    }
    // Nothing may happen for long.
    answer.get_ref().set_read_timeout(None).map_err(failed)?;
    Ok(answer)
}

fn failure(socket: &Path, error: &io::Error, patience: Duration) -> AskError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => AskError::NoGateway(socket.to_owned()),
        ErrorKind::PermissionDenied => AskError::NotAllowed(socket.to_owned()),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => AskError::Late(socket.to_owned(), patience),
        _ => AskError::Unreadable(error.to_string()),
    }
}

/// What an answer that is no success says.
fn refusal(head: &str, body: &str) -> AskError {
    let status = head.split_whitespace().nth(1);
    match serde_json::from_str(body) {
        Ok(ErrorRow { error }) if status == Some("503") => AskError::NotNow(error),
        Ok(ErrorRow { error }) => AskError::Refused(error),
        Err(_) => AskError::Unreadable(format!("{head}{body}")),
    }
}

fn exchange(socket: &Path, request: &str, patience: Duration) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    // A gateway that is too busy says so without having read anything.
    let sent = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let is_late = read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    if answer.is_empty() || is_late {
        sent?;
        read?;
    }
    String::from_utf8(answer).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// RFC 3986 §2.1, for a query's value: everything but letters, digits and `-._~`.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
