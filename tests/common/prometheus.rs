//! Questions to a Prometheus.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use transload_lab::{Namespace, PATIENCE};

/// What the Prometheus at this address of a namespace answers to a query now; the error is its own.
pub(crate) fn ask(namespace: &Namespace, server: &str, query: &str) -> io::Result<Vec<Value>> {
    let encoded = query.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"));
    let answer = namespace.enter(|| {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /api/v1/query?query={encoded} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let answer: Value = serde_json::from_str(body).map_err(|_| io::Error::other(answer.clone()))?;
    if answer["status"] == "success" {
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    } else {
        Err(io::Error::other(answer["error"].to_string()))
    }
}
