//! Connections that move from loop to loop, in each phase.

use std::{
    cell::Cell,
    rc::Rc,
    sync::mpsc,
    time::{Duration, Instant},
};

use wireroom::{
    Cause, CloseCode, Config, ConnId, Detached, Event, EventLoop, Handle, Stream,
    handshake::{ClientRequest, Verdict},
    http::{Request, Response},
};

use crate::support::{PATIENCE, Peer, UPGRADE, World, any, frame, loopback};

/// An echo loop in a thread of its own, without an open door: what it serves is handed over to it.
struct Elsewhere {
    handle: Handle,
    stop: mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Elsewhere {
    fn new(verify: fn(ConnId, &Request<'_>) -> Verdict) -> Self {
        let ((stop, stopped), (tell, told)) = (mpsc::channel(), mpsc::channel());
        let thread = std::thread::spawn(move || {
            let mut event_loop = EventLoop::new().unwrap();
            event_loop.set_number(1);
            event_loop.listen(loopback(), Config::default(), verify).unwrap();
            tell.send(event_loop.handle()).unwrap();
            let start = Instant::now();
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) && start.elapsed() < 2 * PATIENCE {
                let turn = event_loop.turn(Some(Duration::from_millis(20)), |connections, id, event| {
                    assert_eq!(id.event_loop(), 1);
                    if let Event::Message(message) = event {
                        let _ = connections.send(id, message);
                    }
                });
                turn.unwrap();
            }
        });
        Self { handle: told.recv_timeout(PATIENCE).unwrap(), stop, thread: Some(thread) }
    }

    fn adopt(&self, detached: Detached) {
        self.handle.adopt(detached).unwrap();
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

#[test]
fn an_open_connection_moves_in_the_middle_of_a_frame() {
    let (mut world, address) = World::listening(Config::default());
    let elsewhere = Elsewhere::new(any);
    let (id, mut peer) = world.open(address);
    let message = frame(0x81, vec![b'm'; 50_000]);
    let mut first = frame(0x01, "frag");
    first.extend(&frame(0x80, "ments")[..4]);
    for (bytes, rest, expected) in [
        (&message[..3], &message[3..], vec![b'm'; 50_000]),
        (&message[..40_000], &message[40_000..], vec![b'm'; 50_000]),
        (&first[..], &frame(0x80, "ments")[4..], b"fragments".to_vec()),
    ] {
        let (id, mut peer) = world.open(address);
        peer.send(bytes);
        let read = world.event_loop.connections().stats().bytes_received;
        world.until("the bytes", |world| {
            world.event_loop.connections().stats().bytes_received >= read + bytes.len() as u64
        });
        let detached = world.event_loop.detach(id).unwrap();
        assert!(detached.connection().is_some());
        elsewhere.adopt(detached);
        peer.send(rest);
        assert_eq!(world.frame(&mut peer), (0x81, expected));
        assert_eq!(world.ends(id), 0);
        // Its old id names nobody, and the new one is of the other loop.
        assert!(!world.event_loop.connections().is_open(id));
    }
    // The one that stayed has not noticed.
    peer.send(frame(0x81, "here"));
    assert_eq!(world.frame(&mut peer), (0x81, b"here".to_vec()));
    assert!(world.event_loop.connections().is_open(id));
}

#[test]
fn a_request_moves_in_the_middle_of_its_head() {
    let (mut world, address) = World::listening(Config::default());
    let elsewhere = Elsewhere::new(|_, request| request.allow_any_origin().with_header("X-Loop", "elsewhere"));
    let mut peer = Peer::connect(address);
    peer.send(&UPGRADE[..50]);
    world.until("the bytes", |world| world.event_loop.connections().stats().bytes_received == 50);
    // No event has told its id yet; it is the first one.
    let id = "0-0-0".parse().unwrap();
    elsewhere.adopt(world.event_loop.detach(id).unwrap());
    peer.send(&UPGRADE[50..]);
    let head = world.head(&mut peer);
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("X-Loop: elsewhere\r\n"), "{head}");
    peer.send(frame(0x81, "moved"));
    assert_eq!(world.frame(&mut peer), (0x81, b"moved".to_vec()));
    assert!(world.seen.is_empty() && world.event_loop.connections().is_empty());
}

#[test]
fn a_deferred_request_moves_and_is_answered_in_the_other_loop() {
    let last = Rc::new(Cell::new(None));
    let note = last.clone();
    let mut first = World::new();
    let verify = move |id, _: &Request<'_>| {
        note.set(Some(id));
        Verdict::Defer
    };
    let address = first.event_loop.listen(loopback(), Config::default(), verify).unwrap();
    let (mut second, _) = World::listening(Config::default());
    let mut peer = Peer::connect(address);
    let later = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
    peer.send(format!("{later}{UPGRADE}"));
    first.until("the request", |_| last.get().is_some());
    let id = second.event_loop.adopt(first.event_loop.detach(last.get().unwrap()).unwrap()).unwrap();
    second.turn();
    assert_eq!(second.event_loop.connections().deferred(id).unwrap().as_request().path(), "/later");
    assert!(second.event_loop.connections().answer(id, Response::text(200, "moved")));
    assert!(second.head(&mut peer).starts_with("HTTP/1.1 200 "));
    second.until("content", |_| peer.receive().len() >= 5);
    peer.inbox.drain(..5);
    assert!(second.head(&mut peer).starts_with("HTTP/1.1 101 "));
    peer.send(frame(0x81, "hello"));
    assert_eq!(second.frame(&mut peer), (0x81, b"hello".to_vec()));
}

#[test]
fn a_client_moves_before_its_answer_has_come() {
    let listener = std::net::TcpListener::bind(loopback()).unwrap();
    let request = || ClientRequest::new("ws://localhost/").unwrap();
    for connected in [false, true] {
        let (mut first, mut second) = (World::new(), World::new());
        let address = listener.local_addr().unwrap();
        let id = first.event_loop.connect(address, request(), Config::default()).unwrap();
        let mut server = Peer::new(listener.accept().unwrap().0);
        let mut head = if connected { first.head(&mut server) } else { String::new() };
        let id = second.event_loop.adopt(first.event_loop.detach(id).unwrap()).unwrap();
        second.echoes = false;
        if !connected {
            head = second.head(&mut server);
        }
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = wireroom::handshake::accept_key(key);
        server.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \
             {accept}\r\n\r\n\u{1}\u{0}"
        ));
        second.until("open", |world| world.event_loop.connections().is_open(id));
        drop(server);
        assert!(matches!(second.closed(id).cause, Cause::Eof));
    }
}

#[test]
fn a_closing_connection_moves_and_comes_to_its_end_there() {
    let (mut first, address) = World::listening(Config::default());
    let mut second = World::new();
    let (id, mut peer) = first.open(address);
    first.event_loop.connections().close(id, CloseCode::NORMAL, "moving");
    let id = second.event_loop.adopt(first.event_loop.detach(id).unwrap()).unwrap();
    assert_eq!(second.frame(&mut peer), (0x88, b"\x03\xe8moving".to_vec()));
    peer.send(frame(0x88, b"\x03\xe8"));
    assert!(matches!(second.closed(id).cause, Cause::Clean));
    second.end_of_stream(&mut peer);
    drop(peer);
    second.empty();
    assert!(first.event_loop.connections().is_empty() && first.rests() && second.rests());
}

#[test]
fn one_that_has_told_its_end_tells_nothing_more_when_it_moves() {
    let (mut first, address) = World::listening(Config::default());
    let mut second = World::new();
    let (id, mut peer) = first.open(address);
    peer.send(frame(0x83, b""));
    assert!(matches!(first.closed(id).cause, Cause::Failed(_)));
    // It lingers until the peer has closed too, whose Close has not come.
    second.event_loop.adopt(first.event_loop.detach(id).unwrap()).unwrap();
    second.spend(Duration::from_millis(30));
    first.end_of_stream(&mut peer);
    drop(peer);
    second.empty();
    assert!(second.seen.is_empty(), "{:?}", second.seen);
}

#[test]
fn what_waits_to_be_sent_moves_with_its_connection() {
    let (mut first, address) = World::listening(Config::default());
    let mut second = World::new();
    let (id, mut peer) = first.open(address);
    let big = vec![b'b'; 8 << 20];
    let _ = first.event_loop.connections().send(id, &big).unwrap();
    first.spend(Duration::from_millis(30));
    let left = first.event_loop.connections().buffered_amount(id);
    assert!(left > 0);
    let id = second.event_loop.adopt(first.event_loop.detach(id).unwrap()).unwrap();
    assert_eq!(second.event_loop.connections().buffered_amount(id), left);
    assert_eq!(second.frame(&mut peer), (0x82, big));
}

#[test]
fn a_connection_is_taken_apart_with_all_its_bytes() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    peer.send(&frame(0x81, "half")[..5]);
    let read = UPGRADE.len() as u64 + 5;
    world.until("the bytes", |world| world.event_loop.connections().stats().bytes_received == read);
    let _ = world.event_loop.connections().send(id, "waiting").unwrap();
    let (stream, received, queue) = world.event_loop.detach(id).unwrap().into_parts();
    assert_eq!(received.unread(), &frame(0x81, "half")[..5]);
    assert_eq!(queue.len(), 9);
    assert!(matches!(stream, Stream::Tcp(_)));
    drop(stream);
    world.end_of_stream(&mut peer);
}

#[test]
fn half_a_frame_behind_a_large_message_keeps_a_small_buffer() {
    let (mut world, address) = World::listening(Config::default());
    world.echoes = false;
    let (id, mut peer) = world.open(address);
    // Half of a large message first, so that the large buffer stays with the connection.
    let mut bytes = frame(0x82, vec![7; 300_000]);
    bytes.extend(&frame(0x81, "half")[..3]);
    let total = UPGRADE.len() as u64 + bytes.len() as u64;
    for part in bytes.chunks(150_000) {
        peer.send(part);
        world.spend(Duration::from_millis(20));
    }
    world.until("the bytes", |world| world.event_loop.connections().stats().bytes_received == total);
    let (_, received, _) = world.event_loop.detach(id).unwrap().into_parts();
    assert_eq!(received.unread().len(), 3);
    assert!(received.capacity() < 16 * 1024, "{} bytes", received.capacity());
}
