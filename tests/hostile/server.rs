//! A raw server for the `client` example: it answers the opening handshake by hand.

use std::net::TcpListener;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

use crate::peer::Peer;

pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    pub(crate) fn bind() -> Self {
        Self { listener: TcpListener::bind(("127.0.0.1", 0)).unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.listener.local_addr().unwrap())
    }

    /// The client, with its request and what has to be in the answer to it.
    pub(crate) fn request(&self) -> (Peer, String, String) {
        let mut peer = Peer::new(self.listener.accept().unwrap().0);
        let request = peer.head();
        let key = field(&request, "sec-websocket-key");
        let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
        (peer, request, STANDARD.encode(digest))
    }

    /// The client, answered as it should be.
    pub(crate) fn accept(&self) -> Peer {
        self.accept_with("")
    }

    /// The same, with further lines in the answer.
    pub(crate) fn accept_with(&self, lines: &str) -> Peer {
        let (mut peer, _, accept) = self.request();
        peer.send(switch(&accept, lines));
        peer
    }
}

/// The answer that switches protocols.
pub(crate) fn switch(accept: &str, lines: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    )
}

/// The value of a field of a head.
pub(crate) fn field<'h>(head: &'h str, name: &str) -> &'h str {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))[name.len() + 2..].trim()
}
