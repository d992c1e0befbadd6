//! One tunnel through a proxy, from the first byte until it stands.

use std::{fmt, net::IpAddr};

use super::{Protocol, Proxy, connect::Connect, error::ProxyError, socks5::Socks5};
use crate::{
    buffer::{RecvBuffer, SendQueue},
    http::{Limits, is_valid_host},
};

/// A client's connection while a proxy makes a tunnel of it: without I/O, without a clock.
///
/// ```
/// use wireroom::{RecvBuffer, http::Limits, proxy::{Proxy, Tunnel}};
///
/// let proxy = Proxy::from_url("http://proxy.example:3128")?;
/// let mut tunnel = Tunnel::new(&proxy, "chat.example", 443, Limits::default())?;
/// // .. write `tunnel.transmit()`, read into `rx` ..
/// let mut rx = RecvBuffer::new();
/// rx.extend(b"HTTP/1.1 200 Connection established\r\n\r\nearly");
/// assert!(tunnel.poll(&mut rx)?);
/// assert_eq!(rx.unread(), b"early"); // the server's
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tunnel {
    queue: SendQueue,
    state: State,
}

enum State {
    Connect(Connect),
    Socks5(Socks5),
    Stands,
    Failed(ProxyError),
}

impl Tunnel {
    /// Queues what the proxy is to hear first. The tunnel leads to `host`, a name or an address (of IPv6 without brackets).
    /// `limits`: of the head of an HTTP proxy's answer, `max_response_head` and `max_headers`.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Name`], of a SOCKS5 proxy. [`ProxyError::Host`] for what is neither a name (RFC 3986, 3.2.2) nor an address.
    pub fn new(proxy: &Proxy, host: &str, port: u16, limits: Limits) -> Result<Self, ProxyError> {
        let mut queue = SendQueue::new();
        let credentials = proxy.credentials.as_ref();
        let state = match proxy.protocol {
            Protocol::Connect => State::Connect(Connect::new(host, port, credentials, limits, &mut queue)),
            Protocol::Socks5 => State::Socks5(Socks5::new(host, port, credentials, &mut queue)?),
        };
        // The line of a request and a field of it hold the name: it must not end either.
        let is_name = || is_valid_host(host.as_bytes()) && !host.contains([':', '[']);
        if host.parse::<IpAddr>().is_err() && !is_name() {
            return Err(ProxyError::Host);
        }
        Ok(Self { queue, state })
    }

    /// Goes on with what is unread. True once the tunnel stands; what is unread then came through it.
    ///
    /// # Errors
    ///
    /// Why it does not stand. An error is final, and is given again by every further call.
    pub fn poll(&mut self, rx: &mut RecvBuffer) -> Result<bool, ProxyError> {
        let polled = match &mut self.state {
            State::Connect(connect) => connect.poll(rx),
            State::Socks5(socks5) => socks5.poll(rx, &mut self.queue),
            State::Stands => return Ok(true),
            State::Failed(error) => return Err(error.clone()),
        };
        match &polled {
            Ok(false) => {}
            Ok(true) => self.state = State::Stands,
            Err(error) => self.fail(error.clone()),
        }
        polled
    }

    /// The proxy will send no more. To be called after `poll` has seen the last bytes.
    pub fn handle_eof(&mut self) {
        if matches!(self.state, State::Connect(_) | State::Socks5(_)) {
            self.fail(ProxyError::Eof);
        }
    }

    fn fail(&mut self, error: ProxyError) {
        self.state = State::Failed(error);
        self.queue = SendQueue::new();
    }

    /// What to write to the proxy.
    pub fn transmit(&mut self) -> &mut SendQueue {
        &mut self.queue
    }

    /// Whether to read from it.
    pub fn wants_read(&self) -> bool {
        matches!(self.state, State::Connect(_) | State::Socks5(_))
    }
}

impl fmt::Debug for Tunnel {
    /// Without what it sends, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: &dyn fmt::Debug = match &self.state {
            State::Connect(_) | State::Socks5(_) => &"waits",
            State::Stands => &"stands",
            State::Failed(error) => error,
        };
        f.debug_struct("Tunnel").field("state", state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf as _;

    use super::*;
    use crate::{http::ResponseError, proxy::SocksReply};

    type Outcome = (Result<bool, ProxyError>, Vec<u8>, Vec<u8>);

    /// What becomes of a proxy's bytes in chunks of `step`: the verdict, what is left, what we sent.
    fn through(proxy: &str, host: &str, bytes: &[u8], step: usize, limits: Limits) -> Outcome {
        let proxy = Proxy::from_url(proxy).unwrap();
        let mut tunnel = Tunnel::new(&proxy, host, 8080, limits).unwrap();
        let (mut rx, mut sent, mut stands) = (RecvBuffer::new(), Vec::new(), Ok(false));
        let mut send = |tunnel: &mut Tunnel| {
            let queue = tunnel.transmit();
            sent.extend(queue.copy_to_bytes(queue.remaining()));
        };
        send(&mut tunnel);
        for chunk in bytes.chunks(step) {
            rx.extend(chunk);
            if stands == Ok(false) {
                stands = tunnel.poll(&mut rx);
                send(&mut tunnel);
            }
        }
        if stands == Ok(false) {
            tunnel.handle_eof();
            stands = tunnel.poll(&mut rx);
        }
        assert!(!tunnel.wants_read());
        assert_eq!(tunnel.poll(&mut rx), stands, "final");
        // Behind a failure nothing is sent any more, so how much was depends on the cuts.
        let is_up = stands == Ok(true);
        let left = if is_up { rx.unread().to_vec() } else { Vec::new() };
        (stands, left, if is_up { sent } else { Vec::new() })
    }

    #[track_caller]
    fn any_cut(proxy: &str, host: &str, bytes: &[u8]) -> Outcome {
        let limits = Limits { max_response_head: 256, ..Limits::default() };
        let whole = through(proxy, host, bytes, bytes.len().max(1), limits);
        for step in 1..bytes.len() {
            assert_eq!(through(proxy, host, bytes, step, limits), whole, "in steps of {step}");
        }
        whole
    }

    #[test]
    fn rfc9110_section_9_3_6_connect() {
        let (stands, left, sent) = any_cut(
            "http://p",
            "h.example",
            b"HTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\n\x81\x01!",
        );
        assert_eq!((stands, left.as_slice()), (Ok(true), &b"\x81\x01!"[..]));
        assert_eq!(sent, b"CONNECT h.example:8080 HTTP/1.1\r\nHost: h.example:8080\r\n\r\n");
        let (stands, _, sent) =
            any_cut("http://Aladdin:open%20sesame@p", "::1", b"HTTP/1.1 103 .\r\n\r\nHTTP/1.1 204\r\n\r\n");
        assert_eq!(stands, Ok(true));
        let sent = String::from_utf8(sent).unwrap();
        assert!(sent.starts_with("CONNECT [::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\n"), "{sent}");
        assert!(sent.ends_with("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"), "{sent}");
    }

    #[test]
    fn what_an_http_proxy_says_in_place_of_a_tunnel_is_told() {
        let refused = |answer: &str| any_cut("http://p", "h", answer.as_bytes()).0.unwrap_err();
        let reason = "Proxy Authentication Required".to_owned();
        assert_eq!(
            refused("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno"),
            ProxyError::AuthenticationRequired { reason }
        );
        assert_eq!(refused("HTTP/1.1 502 Bad Gateway\r\n\r\n").to_string(), "the proxy refused: 502 Bad Gateway");
        assert!(matches!(refused("HTTP/1.1 101 Switching\r\n\r\n"), ProxyError::Refused { status: 101, .. }));
        assert!(matches!(
            refused("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"),
            ProxyError::Refused { status: 302, .. }
        ));
        let long = format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(200));
        assert!(matches!(refused(&long), ProxyError::Refused { reason, .. } if reason.len() == 128));
        assert_eq!(refused("SSH-2.0-x\r\n"), ResponseError::StatusLine.into());
        assert_eq!(refused("HTTP/1.1 200 x\r\nA\0: b\r\n\r\n"), ResponseError::ControlByte(0).into());
        assert_eq!(refused(""), ProxyError::Eof);
        let interim = |n: usize| format!("{}HTTP/1.1 200 x\r\n\r\n", "HTTP/1.1 100\r\n\r\n".repeat(n));
        assert_eq!(any_cut("http://p", "h", interim(8).as_bytes()).0, Ok(true));
        assert_eq!(refused(&interim(9)), ResponseError::TooManyInterim { limit: 8 }.into());
    }

    #[test]
    fn a_head_at_the_limit_passes_and_a_longer_one_does_not() {
        for (length, fits) in [(256, true), (257, false)] {
            let head = "HTTP/1.1 200 ok\r\nX: \r\n\r\n";
            let head = head.replace("X: ", &format!("X: {}", "y".repeat(length - head.len())));
            assert_eq!(head.len(), length);
            let expected = if fits { Ok(true) } else { Err(ResponseError::HeadTooLarge { limit: 256 }.into()) };
            assert_eq!(any_cut("http://p", "h", head.as_bytes()).0, expected, "{length}");
        }
    }

    #[test]
    fn rfc1928_a_name_an_ipv4_and_an_ipv6_address() {
        let ok = b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34early";
        let (stands, left, sent) = any_cut("socks5://p", "h.example", ok);
        assert_eq!((stands, left.as_slice()), (Ok(true), &b"early"[..]));
        assert_eq!(sent, b"\x05\x01\x00\x05\x01\x00\x03\x09h.example\x1f\x90");
        let (stands, left, sent) = any_cut("socks5://p", "127.0.0.1", b"\x05\x00\x05\x00\x00\x03\x02ab\x12\x34!");
        assert_eq!((stands, left.as_slice()), (Ok(true), &b"!"[..]));
        assert_eq!(sent[3..], *b"\x05\x01\x00\x01\x7f\x00\x00\x01\x1f\x90");
        let (stands, left, sent) =
            any_cut("socks5://p", "::1", b"\x05\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34");
        assert_eq!((stands, left.as_slice()), (Ok(true), &b""[..]));
        assert_eq!(sent[3..], *b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90");
    }

    #[test]
    fn rfc1929_user_and_password_where_the_proxy_asks_for_them() {
        let proxy = "socks5://us:pass@p";
        let (stands, _, sent) = any_cut(proxy, "h", b"\x05\x02\x01\x00\x05\x00\x00\x01\0\0\0\0\0\0");
        assert_eq!(stands, Ok(true));
        assert_eq!(sent, b"\x05\x02\x00\x02\x01\x02us\x04pass\x05\x01\x00\x03\x01h\x1f\x90");
        let (stands, _, sent) = any_cut(proxy, "h", b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0");
        assert_eq!(stands, Ok(true));
        assert!(!sent.windows(4).any(|bytes| bytes == b"pass"), "not asked for");
        assert_eq!(any_cut(proxy, "h", b"\x05\x02\x01\x01").0, Err(ProxyError::WrongCredentials));
        let what = "the version of the authentication";
        assert_eq!(any_cut(proxy, "h", b"\x05\x02\x05\x00").0, Err(ProxyError::NotSocks5 { what, byte: 5 }));
        assert_eq!(any_cut(proxy, "h", b"\x05\xff").0, Err(ProxyError::NoMethod));
        // Not offered.
        let what = "the method";
        assert_eq!(any_cut("socks5://p", "h", b"\x05\x02").0, Err(ProxyError::NotSocks5 { what, byte: 2 }));
        assert_eq!(any_cut(proxy, "h", b"\x05\x01").0, Err(ProxyError::NotSocks5 { what, byte: 1 }));
    }

    #[test]
    fn rfc1928_section_6_each_reply_has_its_meaning() {
        let refused = |answer: &[u8]| any_cut("socks5://p", "h", answer).0.unwrap_err();
        let mut meanings = std::collections::BTreeSet::new();
        for code in 1..=255 {
            let error = refused(&[5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
            assert_eq!(error, ProxyError::Socks(SocksReply::new(code)));
            meanings.insert(error.to_string());
        }
        assert_eq!(meanings.len(), 255);
        assert_eq!(refused(b"\x05\x00\x05\x05").to_string(), "the proxy refused: connection refused by the host");
        assert_eq!(refused(b"HTTP/1.1 400\r\n\r\n"), ProxyError::NotSocks5 { what: "the version", byte: b'H' });
        assert_eq!(refused(b"\x05\x00\x04\x5a"), ProxyError::NotSocks5 { what: "the version", byte: 4 });
        let what = "the type of the address";
        assert_eq!(refused(b"\x05\x00\x05\x00\x00\x02"), ProxyError::NotSocks5 { what, byte: 2 });
        assert_eq!(refused(b"\x05\x00\x05\x00\x00\x03"), ProxyError::Eof);
    }

    #[test]
    fn a_name_has_1_to_255_bytes() {
        let proxy = Proxy::from_url("socks5://p").unwrap();
        let made = |length: usize| Tunnel::new(&proxy, &"x".repeat(length), 80, Limits::default()).map(|_| ());
        assert_eq!((made(1), made(255)), (Ok(()), Ok(())));
        assert_eq!(made(0), Err(ProxyError::Name { length: 0 }));
        assert_eq!(made(256), Err(ProxyError::Name { length: 256 }));
    }

    #[test]
    fn what_is_no_host_is_not_said_to_a_proxy() {
        for proxy in ["http://p", "socks5://p"] {
            let proxy = Proxy::from_url(proxy).unwrap();
            let made = |host: &str| Tunnel::new(&proxy, host, 80, Limits::default()).map(|_| ());
            for host in ["h", "h.example.", "127.0.0.1", "::1", "xn--4ca.example"] {
                assert_eq!(made(host), Ok(()), "{host}");
            }
            for host in
                ["h\r\nX: y", "h HTTP/1.1", "h\0", "h:81", "[::1]", "::1%eth0", "a/b", "u@h", "h#", "h\\", "\u{e9}"]
            {
                assert_eq!(made(host), Err(ProxyError::Host), "{host:?}");
            }
        }
        let proxy = Proxy::from_url("http://p").unwrap();
        assert_eq!(Tunnel::new(&proxy, "", 80, Limits::default()).map(|_| ()), Err(ProxyError::Host));
    }

    #[test]
    fn a_tunnel_does_not_print_its_credentials() {
        let proxy = Proxy::from_url("http://mallory:sesame@p").unwrap();
        let tunnel = Tunnel::new(&proxy, "h", 80, Limits::default()).unwrap();
        assert_eq!(format!("{tunnel:?}"), "Tunnel { state: \"waits\", .. }");
    }
}
