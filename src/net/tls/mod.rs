//! wss: TLS 1.2 and 1.3 by rustls, with the feature `tls`.
//!
//! A listener speaks TLS by its [`ListenOptions`](super::ListenOptions), a client by
//! [`EventLoop::connect_tls`](super::EventLoop::connect_tls). All else is as without it: the same loop, the same turn, the same
//! events. `Config::handshake_timeout` spans TCP, TLS and HTTP together.
//!
//! ```
//! use std::time::Duration;
//! use wireroom::{ClientTls, Config, Event, EventLoop, ListenOptions, ServerTls, handshake::ClientRequest};
//!
//! # let (certificate, key, root) = (
//! #     include_bytes!("../../../tests/tls/certs/server.pem"),
//! #     include_bytes!("../../../tests/tls/certs/server.key"),
//! #     include_bytes!("../../../tests/tls/certs/ca.pem"),
//! # );
//! let mut event_loop = EventLoop::new()?;
//! let options = ListenOptions::new().tls(ServerTls::from_pem(certificate, key)?);
//! let address = event_loop.listen_with("127.0.0.1:0".parse()?, options, Config::default(), |_id, request| {
//!     request.allow_any_origin()
//! })?;
//! let tls = ClientTls::builder().no_platform_roots().root_pem(root).build()?;
//! let request = ClientRequest::new(&format!("wss://localhost:{}/", address.port()))?;
//! let client = event_loop.connect_tls(address, request, &tls, Config::default())?;
//! let mut heard = false;
//! while !heard {
//!     event_loop.turn(Some(Duration::from_secs(5)), |connections, id, event| match event {
//!         Event::Open if id == client => _ = connections.send(id, "hello"),
//!         Event::Message(_) if id == client => heard = true,
//!         Event::Message(message) => _ = connections.send(id, message), // the server echoes
//!         Event::Closed(closed) => panic!("{closed}"),
//!         _ => {}
//!     })?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it costs
//!
//! The peer's records are decrypted where the loop read them, in one buffer of its own, and their plaintext is copied to the
//! [`RecvBuffer`](crate::RecvBuffer). What is sent is encrypted from the queue into another buffer of the loop. A connection
//! keeps only a record that is not whole, and at most 64 KiB of records that the kernel did not take; at rest it keeps neither.
//! The two buffers are 418 KiB, and come with a loop's first connection that speaks TLS.
//!
//! # The end
//!
//! Our close_notify leaves behind everything else, before the write side is shut down; what comes behind it is thrown away as
//! it is. The peer's is the end of its stream. An end without it may be an attacker's; it is
//! [`TlsError::Truncated`](crate::TlsError::Truncated) in place of [`Cause::Eof`](crate::Cause::Eof). Behind both Close frames
//! nobody asks for it: nothing can be missing then.
//!
//! # What is not there
//!
//! Renegotiation does not exist in rustls: one request is answered with a warning, a second ends the connection. Early data
//! (RFC 8446, section 2.3) can be replayed, and is never accepted, whatever a configuration that is brought along says. A
//! peer that asks for new keys without sending anything is cut off at the 33rd time in a row; that, and 32 empty records, is
//! rustls' own limit. `tests/tls` holds it.

mod client;
mod encrypt;
mod error;
mod pem;
mod plain;
mod serve;
mod server;
mod session;
mod stream;
#[cfg(all(test, unix))]
mod tests;

pub(super) use client::Shows;
pub use client::{ClientTls, ClientTlsBuilder};
pub use pem::TlsConfigError;
pub use server::{ClientCertificates, ServerTls, ServerTlsBuilder};
pub use stream::TlsStream;

use super::drive::READ;

/// The versions that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// RFC 5246, with what rustls leaves of it: authenticated encryption, forward secrecy, no renegotiation.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What a TLS handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSession {
    /// The version.
    pub version: TlsVersion,
    /// An earlier session was resumed: no certificates were sent, and verified, again.
    pub resumed: bool,
    /// The cipher suite, as the IANA names it.
    pub cipher_suite: String,
    /// The protocol that was agreed on by ALPN (RFC 7301): `http/1.1`, or none.
    pub protocol: Option<String>,
}

impl TlsSession {
    fn of(state: &rustls::CommonState) -> Option<Self> {
        if state.is_handshaking() {
            return None;
        }
        let version = match state.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        };
        Some(Self {
            version,
            resumed: state.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            cipher_suite: format!("{:?}", state.negotiated_cipher_suite()?.suite()),
            protocol: state.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        })
    }
}

/// The versions from `minimum` on.
fn versions(minimum: TlsVersion) -> &'static [&'static rustls::SupportedProtocolVersion] {
    const NEWEST: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
    match minimum {
        TlsVersion::Tls12 => rustls::ALL_VERSIONS,
        TlsVersion::Tls13 => NEWEST,
    }
}

/// Given to each configuration, never installed for the process: that is the application's to do.
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}

/// RFC 7301, section 6: what a WebSocket's opening handshake is.
const PROTOCOL: &[u8] = b"http/1.1";

/// The loop's buffers for records; a loop without TLS has none.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    rx: Vec<u8>,
    tx: Vec<u8>,
    /// Small pieces that share a record.
    gather: Vec<u8>,
}

impl Scratch {
    fn rx(&mut self) -> &mut [u8] {
        self.make();
        &mut self.rx
    }

    fn make(&mut self) {
        if self.rx.is_empty() {
            self.rx = vec![0; READ + stream::PARTIAL];
            // Each record of 16 KiB costs at most 29 bytes more, and a change of keys a record of its own.
            self.tx = vec![0; encrypt::WRITE + 1024];
        }
    }

    /// Grown for one connection whose records are many and small.
    fn shrink(&mut self) {
        const MOST: usize = 2 * encrypt::WRITE;
        if self.tx.len() > MOST {
            self.tx = vec![0; encrypt::WRITE + 1024];
        }
    }
}
