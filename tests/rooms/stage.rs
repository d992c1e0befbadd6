//! A hub and its clients on one thread: what a client sends is heard in the next turns, what it got is read when all was sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use wireroom::rooms::{Delivery, Hub, HubConfig, Socket};
use wireroom::{Config, ConnId, Event, EventLoop};

/// The frame of the text "hi", as every browser gets it.
pub(super) const HI: &[u8] = &[0x81, 0x02, b'h', b'i'];
pub(super) const END: &[u8] = &[0x81, 0x03, b'e', b'n', b'd'];
pub(super) const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A hub, and clients that are not ours: ann, bob, cat and dan, in this order.
pub(super) struct Stage {
    pub(super) hub: Hub,
    pub(super) addr: SocketAddr,
    pub(super) clients: Vec<TcpStream>,
    pub(super) ids: Vec<ConnId>,
}

impl Stage {
    pub(super) fn new(clients: usize) -> Self {
        Self::with_config(clients, HubConfig::default())
    }

    pub(super) fn with_config(clients: usize, config: HubConfig) -> Self {
        Self::with(clients, config, Config::default())
    }

    pub(super) fn with(clients: usize, hub_config: HubConfig, config: Config) -> Self {
        let mut event_loop = EventLoop::new().expect("a loop");
        let addr = "127.0.0.1:0".parse().expect("an address");
        let addr = event_loop.listen(addr, config, |_, request| request.allow_any_origin()).expect("a port");
        let hub = Hub::with_config(event_loop, hub_config);
        let mut stage = Self { hub, addr, clients: Vec::new(), ids: Vec::new() };
        for _ in 0..clients {
            stage.connect();
        }
        stage
    }

    pub(super) fn connect(&mut self) {
        let mut stream = TcpStream::connect(self.addr).expect("the port is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(REQUEST.as_bytes()).expect("sent");
        let id = self.until(|socket, event| matches!(event, Event::Open).then(|| socket.id()));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(read::<1>(&mut stream)[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        assert!(String::from_utf8_lossy(&head).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455 section 1.3");
        self.clients.push(stream);
        self.ids.push(id);
    }

    /// Turns the loop until `on_event` has an answer.
    pub(super) fn until<T>(&mut self, mut on_event: impl FnMut(&mut Socket<'_>, Event<'_>) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut answer = None;
        while answer.is_none() {
            assert!(Instant::now() < deadline, "nothing came");
            let step = Some(Duration::from_millis(20));
            self.hub.turn(step, |socket, event| answer = answer.take().or(on_event(socket, event))).expect("a turn");
        }
        answer.expect("an answer")
    }

    /// Has client `n` say something, and runs `on_message` with the socket that hears it.
    pub(super) fn says<T>(&mut self, n: usize, mut on_message: impl FnMut(&mut Socket<'_>) -> T) -> T {
        // FIN and text; masked, as a client's frame must be (section 5.3): 1 byte "!".
        let key = [1, 2, 3, 4];
        self.clients[n].write_all(&[0x81, 0x81, key[0], key[1], key[2], key[3], b'!' ^ key[0]]).expect("sent");
        let id = self.ids[n];
        self.until(|socket, event| match event {
            Event::Message(_) if socket.id() == id => Some(on_message(socket)),
            _ => None,
        })
    }

    pub(super) fn join(&mut self, room: &str, members: &[usize]) {
        for &n in members {
            assert_eq!(self.hub.io().join(self.ids[n], room), Ok(true));
        }
    }

    /// What each client got since, up to a last message that goes to all.
    pub(super) fn received(&mut self) -> Vec<Vec<u8>> {
        let delivery = self.hub.emit("end");
        assert_eq!(delivery.queued, self.clients.len());
        self.hub.event_loop().flush();
        let bytes_of = |stream: &mut TcpStream| {
            let mut bytes = Vec::new();
            while !bytes.ends_with(END) {
                bytes.push(read::<1>(stream)[0]);
            }
            bytes.truncate(bytes.len() - END.len());
            bytes
        };
        self.clients.iter_mut().map(bytes_of).collect()
    }
}

pub(super) fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).expect("bytes within the timeout");
    bytes
}

pub(super) fn queued(queued: usize) -> Delivery {
    Delivery { queued, ..Delivery::default() }
}

pub(super) const NOTHING: &[u8] = &[];
