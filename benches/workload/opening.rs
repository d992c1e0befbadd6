//! The server's opening handshake: a browser's request becomes the 101.

use std::time::Instant;

use wireroom::{
    Config, RecvBuffer,
    handshake::{Progress, ServerHandshake},
    http::{Limits, Timeouts},
};

use super::drain;

/// A browser's request.
pub(crate) const REQUEST: &[u8] = b"GET /chat?room=1 HTTP/1.1\r\n\
    Host: server.example.com:8080\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// A server that is asked to upgrade.
#[derive(Debug)]
pub(crate) struct Opening {
    rx: RecvBuffer,
    limits: Limits,
    timeouts: Timeouts,
    now: Instant,
}

impl Opening {
    /// With the default limits.
    pub(crate) fn new() -> Self {
        let config = Config::default();
        let (limits, timeouts) = (config.http_limits(), config.http_timeouts());
        let mut opening = Self { rx: RecvBuffer::new(), limits, timeouts, now: Instant::now() };
        assert!(opening.run() > 100);
        opening
    }

    /// One request, one answer: tells its bytes.
    pub(crate) fn run(&mut self) -> usize {
        self.rx.extend(REQUEST);
        let mut handshake = ServerHandshake::new(self.limits, self.timeouts, self.now);
        let progress = handshake.poll(&mut self.rx, self.now, &mut |request| {
            request.allow_origins(&["http://example.com", "https://example.com"])
        });
        let Progress::Upgraded(mut accepted) = progress else { panic!("a request in order is accepted") };
        drain(accepted.transmit())
    }
}
