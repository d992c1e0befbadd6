//! HTTP CONNECT (RFC 9110, section 9.3.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Credentials, error::ProxyError};
use crate::{
    buffer::{RecvBuffer, SendQueue},
    http::{Limits, ResponseError, ResponseParser},
};

/// Interim (1xx) responses that are passed over.
const MAX_INTERIM: u32 = 8;
/// Bytes of a reason phrase that are kept for the error.
const MAX_REASON: usize = 128;

/// The client's side of CONNECT.
pub(super) struct Connect {
    parser: ResponseParser,
    limits: Limits,
    interim: u32,
}

impl Connect {
    /// Queues the request. `host` is a name or an address, IPv6 without brackets.
    pub(super) fn new(
        host: &str,
        port: u16,
        credentials: Option<&Credentials>,
        limits: Limits,
        queue: &mut SendQueue,
    ) -> Self {
        // 9.3.6: "CONNECT uses a special form of request target, unique to this method, consisting of only the host and port
        // number of the tunnel destination, separated by a colon. There is no default port".
        let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        queue.append_with(64 + 2 * target.len(), |out| {
            for part in ["CONNECT ", &target, " HTTP/1.1\r\nHost: ", &target, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
            if let Some(Credentials { user, password }) = credentials {
                let basic = STANDARD.encode(format!("{user}:{password}"));
                for part in ["Proxy-Authorization: Basic ", &basic, "\r\n"] {
                    out.extend_from_slice(part.as_bytes());
                }
            }
            out.extend_from_slice(b"\r\n");
        });
        Self { parser: ResponseParser::new(), limits, interim: 0 }
    }

    /// True once the tunnel stands. What is unread then came through it.
    pub(super) fn poll(&mut self, rx: &mut RecvBuffer) -> Result<bool, ProxyError> {
        loop {
            let Some(head) = self.parser.parse(rx.unread(), &self.limits)? else { return Ok(false) };
            let length = head.len as usize;
            let bytes = rx.unread().get(..length).unwrap_or(b"");
            match head.status {
                // "A client MUST ignore any Content-Length or Transfer-Encoding header fields received in a successful response
                // to CONNECT."
                200..300 => {
                    rx.consume(length);
                    return Ok(true);
                }
                // 101 would switch to what nobody asked for.
                100 | 102..200 => {
                    rx.consume(length);
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        return Err(ResponseError::TooManyInterim { limit: MAX_INTERIM }.into());
                    }
                    self.parser = ResponseParser::new();
                }
                status => {
                    let reason = head.reason(bytes);
                    let reason = String::from_utf8_lossy(&reason[..reason.len().min(MAX_REASON)]).into_owned();
                    return Err(match status {
                        407 => ProxyError::AuthenticationRequired { reason },
                        _ => ProxyError::Refused { status, reason },
                    });
                }
            }
        }
    }
}
