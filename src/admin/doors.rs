//! The sockets that clients come by, of the machine and of the network, as one.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::logging::LogEvent;

/// A socket that clients come by.
#[derive(Debug)]
pub(super) enum Door {
    /// Of this machine.
    Unix(UnixListener),
    /// Of the network.
    Tcp(TcpListener),
}

/// A connection to a client.
#[derive(Debug)]
pub(super) enum ClientSocket {
    /// Of this machine.
    Unix(UnixStream),
    /// Of the network.
    Tcp(TcpStream),
}

impl Door {
    /// The next client.
    pub(super) async fn accept(&self) -> io::Result<ClientSocket> {
        Ok(match self {
            Self::Unix(listener) => ClientSocket::Unix(listener.accept().await?.0),
            Self::Tcp(listener) => ClientSocket::Tcp(listener.accept().await?.0),
        })
    }

    /// Tells why no client was taken in.
    pub(super) fn tell_failure(&self, error: &io::Error) {
        let why = &error.to_string();
        match self {
            Self::Unix(_) => LogEvent::AdminSocketFailed { why },
            Self::Tcp(_) => LogEvent::MetricsPortFailed { why },
        }
        .tell();
    }
}

impl ClientSocket {
    /// The client's process, as the kernel says of one of this machine.
    pub(super) fn process(&self) -> Option<i32> {
        match self {
            Self::Unix(stream) => stream.peer_cred().ok()?.pid(),
            Self::Tcp(_) => None,
        }
    }

    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Unix(stream) => stream.poll_read_ready(context),
            Self::Tcp(stream) => stream.poll_read_ready(context),
        }
    }

    pub(super) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Unix(stream) => stream.poll_write_ready(context),
            Self::Tcp(stream) => stream.poll_write_ready(context),
        }
    }

    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_read(into),
            Self::Tcp(stream) => stream.try_read(into),
        }
    }

    pub(super) fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_write_vectored(parts),
            Self::Tcp(stream) => stream.try_write_vectored(parts),
        }
    }
}

impl AsFd for ClientSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}
