//! Which ends are the last.

use std::time::Duration;

use super::retry_after;
use crate::{
    Cause, CloseFrame, Closed, ConnectError, Deadline, Initiator,
    handshake::HandshakeError,
    proxy::{ProxyError, SocksReply},
};

/// Whether a client comes back behind the end of a connection, or a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comeback {
    /// After a wait.
    Retry,
    /// After this time, of which no more counts than `Backoff::max_retry_after`, and a random part of the wait.
    RetryAfter(Duration),
    /// Never.
    Stop,
}

impl Comeback {
    /// What is decided where no policy is given:
    ///
    /// | end | then |
    /// |---|---|
    /// | we closed, or aborted | stop |
    /// | the peer closed with 1000: it is done | stop |
    /// | with 1002, 1003, 1007, 1008, 1009, 1010: we would do the same again | stop |
    /// | with 1001, 1011 to 1014, 3000 to 4999, or without a code | retry |
    /// | the stream ended, the transport or TLS failed, a deadline passed, the peer broke the protocol or read too slowly | retry |
    /// | no address, none that could be reached, a proxy that failed | retry |
    /// | the proxy wants credentials, or others; or refuses with a status below 500, or by its ruleset | stop |
    /// | refused with 408, 425, 429, 500, 502, 503, 504, or another of 5xx | retry, after `Retry-After` if there is one |
    /// | refused with 501, 505, or any other status: 401, 403, 404 .. | stop |
    /// | a redirect that is not followed; a host that no certificate can be for | stop |
    /// | no answer, or none that is one | retry |
    pub fn after(closed: &Closed) -> Self {
        match &closed.cause {
            Cause::Aborted | Cause::Served => Self::Stop,
            Cause::Clean | Cause::Eof | Cause::Io(_) | Cause::Timeout(Deadline::Close)
                if closed.initiator == Some(Initiator::Local) =>
            {
                Self::Stop
            }
            // The end of the stream, and a failure of the transport, in the words of TLS.
            #[cfg(feature = "tls")]
            Cause::Tls(_) if closed.initiator == Some(Initiator::Local) => Self::Stop,
            Cause::Handshake(error) => after_handshake(error),
            Cause::Connect(error) => after_connect(error),
            // What a peer says behind our Close is an echo of it, and no word of its own.
            _ if closed.initiator == Some(Initiator::Local) => Self::Retry,
            _ => match closed.peer.as_ref().and_then(|frame| frame.code).map(|code| code.as_u16()) {
                Some(1000 | 1002 | 1003 | 1007..=1010) => Self::Stop,
                _ => Self::Retry,
            },
        }
    }
}

fn after_handshake(error: &HandshakeError) -> Comeback {
    match error {
        HandshakeError::Refused(refusal) => match refusal.status() {
            501 | 505 => Comeback::Stop,
            408 | 425 | 429 | 500..600 => retry_after(refusal).map_or(Comeback::Retry, Comeback::RetryAfter),
            _ => Comeback::Stop,
        },
        HandshakeError::Redirect { .. } => Comeback::Stop,
        _ => Comeback::Retry,
    }
}

fn after_connect(error: &ConnectError) -> Comeback {
    match error {
        ConnectError::Proxy(
            ProxyError::AuthenticationRequired { .. }
            | ProxyError::NoMethod
            | ProxyError::WrongCredentials
            | ProxyError::Name { .. }
            | ProxyError::Host
            | ProxyError::Refused { status: ..500, .. }
            | ProxyError::Socks(SocksReply::NotAllowed),
        ) => Comeback::Stop,
        ConnectError::Redirect(_)
        | ConnectError::TooManyRedirects { .. }
        | ConnectError::ServerName { .. }
        | ConnectError::NoTls => Comeback::Stop,
        _ => Comeback::Retry,
    }
}

/// Whether a peer has answered our Close, and so has read what was before it. RFC 6455, 5.5.1: "it typically echos the status
/// code it received"; another code may be that of a Close that crossed ours.
pub(super) fn is_answered(closed: &Closed) -> bool {
    let code = |frame: &Option<CloseFrame>| frame.as_ref().map(|frame| frame.code);
    let is_echo = code(&closed.local).is_some() && code(&closed.local) == code(&closed.peer);
    matches!(closed.cause, Cause::Clean) && closed.initiator == Some(Initiator::Local) && is_echo
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{CloseCode, handshake::Refusal};

    fn closed(cause: Cause, initiator: Option<Initiator>, code: Option<u16>) -> Closed {
        let peer = code.map(|code| CloseFrame::new(CloseCode::new(code).unwrap(), ""));
        Closed { cause, local: None, peer, initiator }
    }

    #[test]
    fn close_codes() {
        for (code, expected) in [
            (1000, Comeback::Stop),
            (1001, Comeback::Retry),
            (1002, Comeback::Stop),
            (1003, Comeback::Stop),
            (1007, Comeback::Stop),
            (1008, Comeback::Stop),
            (1009, Comeback::Stop),
            (1010, Comeback::Stop),
            (1011, Comeback::Retry),
            (1012, Comeback::Retry),
            (1013, Comeback::Retry),
            (1014, Comeback::Retry),
            (3000, Comeback::Retry),
            (4999, Comeback::Retry),
        ] {
            let ended = closed(Cause::Clean, Some(Initiator::Peer), Some(code));
            assert_eq!(Comeback::after(&ended), expected, "{code}");
            let ended = closed(Cause::Clean, Some(Initiator::Local), Some(code));
            assert_eq!(Comeback::after(&ended), Comeback::Stop, "we closed, {code}");
        }
        assert_eq!(Comeback::after(&closed(Cause::Clean, Some(Initiator::Peer), None)), Comeback::Retry);
    }

    #[test]
    fn a_close_that_crosses_ours_is_no_answer() {
        let frame = |code| Some(CloseFrame::new(code, ""));
        let mut ended = closed(Cause::Clean, Some(Initiator::Local), Some(1000));
        assert!(!is_answered(&ended));
        ended.local = frame(CloseCode::NORMAL);
        assert!(is_answered(&ended));
        ended.peer = frame(CloseCode::GOING_AWAY);
        assert!(!is_answered(&ended));
        ended.peer = frame(CloseCode::NORMAL);
        ended.initiator = Some(Initiator::Peer);
        assert!(!is_answered(&ended));
        ended.initiator = Some(Initiator::Local);
        ended.cause = Cause::Eof;
        assert!(!is_answered(&ended));
    }

    #[test]
    fn causes() {
        let local = Some(Initiator::Local);
        for (cause, initiator, expected) in [
            (Cause::Aborted, None, Comeback::Stop),
            (Cause::Eof, None, Comeback::Retry),
            (Cause::Eof, local, Comeback::Stop),
            (Cause::Io(io::ErrorKind::ConnectionReset), None, Comeback::Retry),
            (Cause::Timeout(Deadline::Close), local, Comeback::Stop),
            (Cause::Timeout(Deadline::Keepalive), local, Comeback::Retry),
            (Cause::Failed(crate::ProtocolError::MaskedFrame), local, Comeback::Retry),
            (Cause::SlowConsumer, local, Comeback::Retry),
            (Cause::Handshake(HandshakeError::Timeout), None, Comeback::Retry),
            (ConnectError::Unreachable { attempts: Vec::new() }.into(), None, Comeback::Retry),
            (ConnectError::NoAddress { host: "h".into() }.into(), None, Comeback::Retry),
            (ConnectError::NoTls.into(), None, Comeback::Stop),
            (ConnectError::ServerName { host: "a!b".into() }.into(), None, Comeback::Stop),
            (ConnectError::TooManyRedirects { limit: 1, location: "/".into() }.into(), None, Comeback::Stop),
        ] {
            let ended = closed(cause, initiator, None);
            assert_eq!(Comeback::after(&ended), expected, "{ended}");
        }
        #[cfg(feature = "tls")]
        for (initiator, expected) in [(None, Comeback::Retry), (local, Comeback::Stop)] {
            let ended = closed(Cause::Tls(crate::TlsError::Truncated), initiator, None);
            assert_eq!(Comeback::after(&ended), expected, "{initiator:?}");
        }
        // The peer's code is the echo of ours.
        let echoed = closed(Cause::SlowConsumer, local, Some(1008));
        assert_eq!(Comeback::after(&echoed), Comeback::Retry);
        let reason = String::new;
        for (error, expected) in [
            (ProxyError::AuthenticationRequired { reason: reason() }, Comeback::Stop),
            (ProxyError::Refused { status: 403, reason: reason() }, Comeback::Stop),
            (ProxyError::Refused { status: 502, reason: reason() }, Comeback::Retry),
            (ProxyError::Socks(SocksReply::NotAllowed), Comeback::Stop),
            (ProxyError::Socks(SocksReply::HostUnreachable), Comeback::Retry),
            (ProxyError::Eof, Comeback::Retry),
        ] {
            let ended = closed(ConnectError::Proxy(error).into(), None, None);
            assert_eq!(Comeback::after(&ended), expected, "{ended}");
        }
    }

    #[test]
    fn refusals_by_status_and_retry_after() {
        let refused = |status, fields: &str| {
            let refusal = Refusal { status, fields: fields.as_bytes().into(), ..Refusal::default() };
            Comeback::after(&closed(Cause::Handshake(HandshakeError::Refused(Box::new(refusal))), None, None))
        };
        for status in [200, 400, 401, 403, 404, 405, 407, 410, 426, 501, 505] {
            assert_eq!(refused(status, "Retry-After: 5\r\n"), Comeback::Stop, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(refused(status, ""), Comeback::Retry, "{status}");
            let after = Comeback::RetryAfter(Duration::from_secs(5));
            assert_eq!(refused(status, "retry-after: 5\r\n"), after, "{status}");
        }
        let dates = "Date: Sun, 06 Nov 1994 08:49:07 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        assert_eq!(refused(503, dates), Comeback::RetryAfter(Duration::from_secs(30)));
        assert_eq!(refused(503, "Retry-After: soon\r\n"), Comeback::Retry);
    }
}
