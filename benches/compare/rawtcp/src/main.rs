//! The floor: a TCP server without any protocol, one thread on level-triggered epoll, one read and one write for each
//! readiness. `rawtcp PORT echo` sends back what it reads, `rawtcp PORT broadcast` sends it to every connection.

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
};
use socket2::{Domain, Socket, Type};

/// One read at most brings so much.
const READ: usize = 512 << 10;
const EVENTS: usize = 1024;
/// No connection has it.
const LISTENER: u64 = u64::MAX;

struct Peer {
    stream: TcpStream,
    /// What the socket did not take, and how much of it has gone since.
    waiting: Vec<u8>,
    written: usize,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, mode] = &arguments[..] else { return Err(io::Error::other("usage: rawtcp PORT echo|broadcast")) };
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let broadcasts = mode == "broadcast";
    let listener = listen(port)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut peers: HashMap<u64, Peer> = HashMap::new();
    let mut next = 0;
    let mut events = Vec::with_capacity(EVENTS);
    let mut buffer = vec![0; READ];
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let (key, flags) = (event.data.u64(), event.flags);
            if key == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    epoll::add(&epoll, &stream, EventData::new_u64(next), EventFlags::IN)?;
                    peers.insert(next, Peer { stream, waiting: Vec::new(), written: 0 });
                    next += 1;
                }
                continue;
            }
            let Some(peer) = peers.get_mut(&key) else { continue };
            let mut result = Ok(());
            if flags.contains(EventFlags::OUT) {
                result = peer.go_on(&epoll, key);
            }
            let mut read = 0;
            if result.is_ok() && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                result = match peer.stream.read(&mut buffer) {
                    Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                    Ok(n) => {
                        read = n;
                        if broadcasts { Ok(()) } else { peer.send(&epoll, key, &buffer[..n]) }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                    Err(error) => Err(error),
                };
            }
            if result.is_err() {
                peers.remove(&key);
            } else if broadcasts && read > 0 {
                // Whoever fails here is found out by its own event.
                peers.iter_mut().for_each(|(key, peer)| _ = peer.send(&epoll, *key, &buffer[..read]));
            }
        }
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl Peer {
    fn send(&mut self, epoll: &impl std::os::fd::AsFd, key: u64, mut bytes: &[u8]) -> io::Result<()> {
        if self.waiting.is_empty() {
            while !bytes.is_empty() {
                match self.stream.write(bytes) {
                    Ok(n) => bytes = &bytes[n..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if bytes.is_empty() {
                return Ok(());
            }
            epoll::modify(epoll, &self.stream, EventData::new_u64(key), EventFlags::IN | EventFlags::OUT)?;
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    fn go_on(&mut self, epoll: &impl std::os::fd::AsFd, key: u64) -> io::Result<()> {
        match self.stream.write(&self.waiting[self.written..]) {
            Ok(n) => self.written += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if self.written == self.waiting.len() {
            self.waiting = Vec::new();
            self.written = 0;
            epoll::modify(epoll, &self.stream, EventData::new_u64(key), EventFlags::IN)?;
        }
        Ok(())
    }
}
