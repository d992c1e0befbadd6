//! What clients meet: servers and proxies by hand.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use wireroom::{Cause, Config, ConnId, ConnectError, ConnectOptions, handshake::ClientRequest};

use crate::support::{Peer, Seen, World};

/// A listener that does not block.
pub(crate) fn listener(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nobody listens.
pub(crate) fn nobody(address: &str) -> SocketAddr {
    TcpListener::bind(address).unwrap().local_addr().unwrap()
}

/// A listener whose backlog is full, and what fills it: who connects waits.
pub(crate) struct Dead {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

pub(crate) fn dead() -> (SocketAddr, Dead) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let listener: TcpListener = socket.into();
    let address = listener.local_addr().unwrap();
    let mut waiting: Vec<_> = Vec::new();
    // One or two fit, whatever the system makes of a backlog of 0.
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the backlog has no end");
    }
    (address, Dead { _listener: listener, _waiting: waiting })
}

pub(crate) fn config(timeout: u64) -> Config {
    Config::builder().handshake_timeout(Duration::from_millis(timeout)).build().unwrap()
}

impl World {
    pub(crate) fn connect_to(&mut self, url: &str, options: ConnectOptions) -> ConnId {
        self.connect_within(url, options, 5_000)
    }

    pub(crate) fn connect_within(&mut self, url: &str, options: ConnectOptions, timeout: u64) -> ConnId {
        let request = ClientRequest::new(url).unwrap();
        self.event_loop.connect_to(request, options, config(timeout)).unwrap()
    }

    /// Turns until somebody has come.
    pub(crate) fn accept(&mut self, listener: &TcpListener) -> Peer<TcpStream> {
        let mut accepted = None;
        self.until("a connection", |_| {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        Peer::new(accepted.unwrap().0)
    }

    /// Turns until the peer has received so many bytes, and takes them.
    pub(crate) fn bytes(&mut self, peer: &mut Peer<TcpStream>, count: usize) -> Vec<u8> {
        self.until(format!("{count} bytes"), |_| peer.receive().len() >= count);
        peer.inbox.drain(..count).collect()
    }

    /// Answers the opening handshake as a server, says hello, and sees to it that all of it arrives.
    pub(crate) fn serves(&mut self, peer: &mut Peer<TcpStream>, id: ConnId) -> String {
        let head = self.head(peer);
        let mut answer = upgrade(&head).into_bytes();
        answer.extend(b"\x81\x05hello");
        peer.send(answer);
        self.until("hello", |world| world.texts(id).contains(&"hello"));
        head
    }

    pub(crate) fn is_open(&self, id: ConnId) -> bool {
        self.seen.iter().any(|(of, seen)| *of == id && matches!(seen, Seen::Open))
    }

    /// The end of a connection that was never reached, and how long that took.
    pub(crate) fn unreached(&mut self, id: ConnId) -> ConnectError {
        match &self.closed(id).cause {
            Cause::Connect(error) => ConnectError::clone(error),
            other => panic!("{other}"),
        }
    }

    /// How long until the end of this connection.
    pub(crate) fn time_to_end(&mut self, id: ConnId) -> Duration {
        let start = Instant::now();
        self.until("the end", |world| world.ends(id) == 1);
        start.elapsed()
    }
}

/// The 101 that answers a request.
pub(crate) fn upgrade(head: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        wireroom::handshake::accept_key(key)
    )
}
