//! Several loops: most of these turn them all in one thread, so that what happens between them is in a known order.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use wireroom::{
    Cause, CloseCode, Config, ConnId, Event, EventLoop, HandleError, LoopSeed, Loops, LoopsHandle, SharedListener,
    Stats, http::Response,
};

use crate::support::{PATIENCE, Peer, Seen, UPGRADE, World, any, frame, loopback};

/// Loops that turn one after the other.
struct Street {
    worlds: Vec<World>,
    handle: LoopsHandle,
    listener: SharedListener,
}

impl Street {
    /// They all serve.
    fn new(loops: usize, config: Config) -> Self {
        let mut street = Self::without_service(loops, config);
        for world in &mut street.worlds {
            world.event_loop.serve(&street.listener, any).unwrap();
        }
        street
    }

    fn without_service(loops: usize, config: Config) -> Self {
        let loops = Loops::new(loops).unwrap();
        let (handle, listener) = (loops.handle(), loops.listen(loopback(), config).unwrap());
        let worlds = loops.into_seeds().into_iter().map(|seed| World::around(seed.build())).collect();
        Self { worlds, handle, listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "{what} did not come");
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.worlds.iter_mut().for_each(World::turn);
    }

    /// A raw peer on an open connection, and its id.
    fn open(&mut self) -> (ConnId, Peer<TcpStream>) {
        let before: Vec<_> = self.worlds.iter().map(|world| world.seen.len()).collect();
        let mut peer = Peer::connect(self.address());
        peer.send(UPGRADE);
        let head = self.head(&mut peer);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let new = self.worlds.iter().zip(before).flat_map(|(world, before)| &world.seen[before..]);
        let id = new.filter(|(_, seen)| matches!(seen, Seen::Open)).map(|(id, _)| *id).last();
        (id.unwrap(), peer)
    }

    fn head(&mut self, peer: &mut Peer<TcpStream>) -> String {
        self.until("a head", |_| peer.receive().windows(4).any(|bytes| bytes == b"\r\n\r\n"));
        let length = peer.inbox.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        String::from_utf8(peer.inbox.drain(..length).collect()).unwrap()
    }

    fn frame(&mut self, peer: &mut Peer<TcpStream>) -> (u8, Vec<u8>) {
        let mut frame = None;
        self.until("a frame", |_| {
            peer.receive();
            frame = peer.take_frame();
            frame.is_some()
        });
        frame.unwrap()
    }

    fn end_of_stream(&mut self, peer: &mut Peer<TcpStream>) {
        self.until("the end of the stream", |_| {
            peer.receive();
            peer.ended
        });
    }

    fn stats(&mut self) -> Stats {
        self.worlds.iter_mut().map(|world| world.event_loop.connections().stats()).sum()
    }
}

#[test]
fn connections_are_spread_evenly_over_the_loops_and_each_answers_its_own() {
    for (loops, each) in [(2, 32), (3, 5)] {
        let mut street = Street::new(loops, Config::default());
        let mut peers: Vec<_> = (0..loops * each).map(|_| Peer::connect(street.address())).collect();
        peers.iter_mut().for_each(|peer| peer.send(UPGRADE));
        for peer in &mut peers {
            assert!(street.head(peer).starts_with("HTTP/1.1 101 "));
        }
        assert_eq!(street.handle.connections(), vec![each; loops]);
        for (number, world) in street.worlds.iter_mut().enumerate() {
            let ids: Vec<_> = world.event_loop.connections().ids().collect();
            assert_eq!(ids.len(), each);
            assert!(ids.iter().all(|id| usize::from(id.event_loop()) == number), "{ids:?}");
        }
        for (n, peer) in peers.iter_mut().enumerate() {
            peer.send(frame(0x81, format!("{n}")));
        }
        for (n, peer) in peers.iter_mut().enumerate() {
            assert_eq!(street.frame(peer), (0x81, format!("{n}").into_bytes()));
        }
        let stats = street.stats();
        let all = (loops * each) as u64;
        assert_eq!((stats.accepted, stats.opened, stats.messages_received), (all, all, all));
        let away = all - each as u64;
        assert_eq!((stats.handed_on, stats.handed_in), (away, away));
    }
}

#[test]
fn a_new_connection_goes_to_the_loop_with_the_fewest() {
    let mut street = Street::new(3, Config::default());
    let mut held: Vec<_> = (0..9).map(|_| Some(street.open())).collect();
    assert_eq!(street.handle.connections(), [3, 3, 3]);
    // Two of the last loop go, and its own connections out count, too.
    for slot in &mut held {
        if slot.as_ref().unwrap().0.event_loop() == 2 {
            *slot = None;
        }
    }
    street.until("free places", |street| street.handle.connections() == [3, 3, 0]);
    let request = wireroom::handshake::ClientRequest::new("ws://localhost/").unwrap();
    let own = World::listening(Config::default());
    street.worlds[2].event_loop.connect(own.1, request, Config::default()).unwrap();
    assert_eq!(street.handle.connections(), [3, 3, 1]);
    let new: Vec<_> = (0..2).map(|_| street.open()).collect();
    assert!(
        new.iter().all(|(id, _)| id.event_loop() == 2),
        "{new:?}",
        new = new.iter().map(|(id, _)| id).collect::<Vec<_>>()
    );
    assert_eq!(street.handle.connections(), [3, 3, 3]);
}

#[test]
fn the_limit_on_connections_holds_for_all_loops_together() {
    let mut street = Street::new(3, Config::builder().max_connections(4).build().unwrap());
    let mut held: Vec<_> = (0..4).map(|_| street.open()).collect();
    let mut late = Peer::connect(street.address());
    assert!(street.head(&mut late).starts_with("HTTP/1.1 503 "));
    assert_eq!(street.stats().refused_by_total, 1);
    drop(late);
    // Whichever loop gives a place back, it is taken again.
    for _ in 0..6 {
        let (gone, _) = held.remove(0);
        street.until("its end", |street| street.worlds[usize::from(gone.event_loop())].ends(gone) == 1);
        held.push(street.open());
    }
    let detached = usize::from(held[0].0.event_loop());
    street.worlds[detached].event_loop.detach(held[0].0).unwrap();
    street.open();
    assert_eq!(street.stats().refused_by_total, 1);
}

#[test]
fn the_limit_for_each_address_holds_for_all_loops_together() {
    let mut street = Street::new(2, Config::builder().max_connections_per_address(Some(3)).build().unwrap());
    let held: Vec<_> = (0..3).map(|_| street.open()).collect();
    assert_eq!(street.handle.connections(), [2, 1]);
    let mut late = Peer::connect(street.address());
    assert!(street.head(&mut late).starts_with("HTTP/1.1 429 "));
    drop(late);
    drop(held);
    street.until("free places", |street| street.handle.connections() == [0, 0]);
    let _again: Vec<_> = (0..3).map(|_| street.open()).collect();
    assert_eq!(street.stats().refused_by_address, 1);
}

#[test]
fn a_loop_that_is_dropped_gives_back_what_it_held_and_gets_no_more() {
    let mut street = Street::new(2, Config::builder().max_connections(4).build().unwrap());
    let mut held: Vec<_> = (0..4).map(|_| street.open()).collect();
    drop(street.worlds.pop());
    assert_eq!(street.handle.connections(), [2, 0]);
    for (id, peer) in &mut held {
        if id.event_loop() == 1 {
            street.end_of_stream(peer);
        }
    }
    let new: Vec<_> = (0..2).map(|_| street.open().0.event_loop()).collect();
    assert_eq!(new, [0, 0]);
    assert_eq!(street.stats().refused_by_total, 0);
    let gone = held.iter().find(|(id, _)| id.event_loop() == 1).unwrap().0;
    assert_eq!(street.handle.send(gone, "anybody?"), Err(HandleError::Gone));
}

#[test]
fn what_is_on_its_way_to_a_loop_that_is_dropped_is_closed_and_counted() {
    let mut street = Street::new(2, Config::builder().max_connections(2).build().unwrap());
    let mut peers: Vec<_> = (0..2).map(|_| Peer::connect(street.address())).collect();
    // The other loop does not turn.
    street.worlds[0].until("two accepted", |world| world.event_loop.connections().stats().accepted == 2);
    assert_eq!(street.handle.connections(), [1, 1]);
    assert_eq!(street.worlds[0].event_loop.connections().stats().handed_on, 1);
    drop(street.worlds.pop());
    assert_eq!((street.handle.connections(), street.listener.lost()), (vec![1, 0], 1));
    street.end_of_stream(&mut peers[1]);
    assert!(!peers[0].ended);
    // Its place is free.
    street.open();
}

#[test]
fn who_does_not_serve_gets_nothing_and_the_first_that_serves_accepts() {
    let mut street = Street::without_service(3, Config::default());
    let mut early = Peer::connect(street.address());
    early.send(UPGRADE);
    street.turn();
    assert!(early.receive().is_empty() && !early.ended);
    street.worlds[1].event_loop.serve(&street.listener, any).unwrap();
    assert!(street.head(&mut early).starts_with("HTTP/1.1 101 "));
    let held: Vec<_> = (0..2).map(|_| street.open()).collect();
    assert_eq!(street.handle.connections(), [0, 3, 0]);
    // One that serves late gets the next, with its own answers.
    street.worlds[2].event_loop.serve(&street.listener, |_, _| Response::text(404, "not here\n").into()).unwrap();
    for _ in 0..3 {
        let mut peer = Peer::connect(street.address());
        peer.send(UPGRADE);
        assert!(street.head(&mut peer).starts_with("HTTP/1.1 404 "));
        street.end_of_stream(&mut peer);
        drop(peer);
        street.until("its end", |street| street.handle.connections() == [0, 3, 0]);
    }
    drop(held);
}

#[test]
fn a_full_queue_leaves_the_connection_with_the_loop_that_accepted_it() {
    let mut street = Street::new(2, Config::default());
    let other = street.handle.event_loop(1).unwrap().clone();
    for _ in 0..4_096 {
        other.broadcast("x").unwrap();
    }
    let mut peers: Vec<_> = (0..4).map(|_| Peer::connect(street.address())).collect();
    street.worlds[0].until("four accepted", |world| world.event_loop.connections().stats().accepted == 4);
    assert_eq!(street.handle.connections(), [4, 0]);
    assert_eq!(street.worlds[0].event_loop.connections().stats().handed_on, 0);
    // With room again it is its turn.
    street.turn();
    peers.push(street.open().1);
    assert_eq!(street.handle.connections(), [4, 1]);
    for peer in &mut peers[..4] {
        peer.send(UPGRADE);
        assert!(street.head(peer).starts_with("HTTP/1.1 101 "));
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    for loops in [0, 65_536] {
        let error = Loops::new(loops).unwrap_err();
        assert!(error.kind() == io::ErrorKind::InvalidInput && error.to_string().contains("65535"), "{error}");
    }
    let mut street = Street::new(1, Config::default());
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    let one = &mut street.worlds[0].event_loop;
    assert_eq!(kind(one.serve(&street.listener, any)), io::ErrorKind::InvalidInput, "twice");
    let foreign = Street::without_service(1, Config::default()).listener;
    assert_eq!(kind(one.serve(&foreign, any)), io::ErrorKind::InvalidInput, "of other loops");
    let mut alone = EventLoop::new().unwrap();
    assert_eq!(kind(alone.serve(&street.listener, any)), io::ErrorKind::InvalidInput, "one of no loops");
    let loops = Loops::new(1).unwrap();
    let shared: Vec<_> = (0..64).map(|_| loops.listen(loopback(), Config::default()).unwrap()).collect();
    let mut one = loops.into_seeds().pop().unwrap().build();
    shared[..63].iter().for_each(|listener| one.serve(listener, any).unwrap());
    assert_eq!(kind(one.serve(&shared[63], any)), io::ErrorKind::InvalidInput, "the 64th");
    one.set_number(7);
    assert_eq!(one.number(), 0, "its handle knows it by this one");
    let unknown: ConnId = "1-0-0".parse().unwrap();
    assert_eq!(street.handle.send(unknown, "hi"), Err(HandleError::UnknownLoop { event_loop: 1 }));
    assert_eq!(street.handle.close(unknown, CloseCode::NORMAL, ""), Err(HandleError::UnknownLoop { event_loop: 1 }));
}

#[test]
fn a_handle_reaches_each_connection_of_each_loop() {
    let mut street = Street::new(3, Config::default());
    let mut held: Vec<_> = (0..3).map(|_| street.open()).collect();
    assert_eq!(held.iter().map(|(id, _)| id.event_loop()).collect::<Vec<_>>(), [0, 1, 2]);
    let (handle, ids) = (street.handle.clone(), held.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    for id in &ids {
        street.worlds[usize::from(id.event_loop())].event_loop.connections().pause(*id);
    }
    let thread = thread::spawn(move || {
        for (n, id) in ids.iter().enumerate() {
            handle.send(*id, &format!("for {n}"))?;
            handle.resume(*id)?;
        }
        handle.broadcast("for all")
    });
    for (n, (_, peer)) in held.iter_mut().enumerate() {
        peer.send(frame(0x81, "echo"));
        let mut told: Vec<_> = (0..3).map(|_| street.frame(peer).1).collect();
        told.retain(|text| text != b"echo");
        assert_eq!(told, [format!("for {n}").into_bytes(), b"for all".to_vec()]);
    }
    assert_eq!(thread.join().unwrap(), Ok(()));
    street.handle.close(held[2].0, CloseCode::NORMAL, "enough").unwrap();
    assert_eq!(street.frame(&mut held[2].1), (0x88, b"\x03\xe8enough".to_vec()));
}

#[test]
fn an_answer_that_was_deferred_comes_by_the_handle() {
    let mut street = Street::without_service(2, Config::default());
    for world in &mut street.worlds {
        world.event_loop.serve(&street.listener, |_, _| wireroom::handshake::Verdict::Defer).unwrap();
    }
    let mut peers: Vec<_> = (0..2).map(|_| Peer::connect(street.address())).collect();
    peers.iter_mut().for_each(|peer| peer.send(UPGRADE));
    let waiting: [ConnId; 2] = ["0-0-0".parse().unwrap(), "1-0-0".parse().unwrap()];
    street.until("two requests", |street| {
        let deferred = |(n, id): (usize, &ConnId)| street.worlds[n].event_loop.connections().deferred(*id).is_some();
        waiting.iter().enumerate().all(deferred)
    });
    for id in waiting {
        street.handle.answer(id, Response::text(410, "gone\n")).unwrap();
    }
    for peer in &mut peers {
        assert!(street.head(peer).starts_with("HTTP/1.1 410 "));
    }
}

#[test]
fn all_loops_shut_down_and_the_listener_is_closed_at_once() {
    let mut street = Street::new(3, Config::default());
    let mut held: Vec<_> = (0..6).map(|_| street.open()).collect();
    // This one is accepted, and has not arrived: it will find its loop going down.
    let mut pending = Peer::connect(street.address());
    street.worlds[0].until("it is accepted", |world| world.event_loop.connections().stats().accepted == 7);
    let mut other = Peer::connect(street.address());
    street.worlds[0].until("it is accepted", |world| world.event_loop.connections().stats().accepted == 8);
    assert_eq!(street.handle.connections(), [3, 3, 2]);
    street.handle.shut_down(Duration::ZERO, Duration::from_secs(5));
    let start = Instant::now();
    assert!(TcpStream::connect(street.address()).is_err(), "still listening");
    for (_, peer) in &mut held {
        let (first, payload) = street.frame(peer);
        assert_eq!((first, &payload[..2]), (0x88, &[0x03, 0xe9][..]));
        peer.send(frame(0x88, [0x03, 0xe9]));
    }
    street.end_of_stream(&mut pending);
    street.end_of_stream(&mut other);
    drop(held);
    street.until("the end", |street| street.worlds.iter().all(|world| world.event_loop.is_shut_down()));
    // Who came in after the order did not wait for the deadline.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(street.handle.connections(), [0, 0, 0]);
    for world in &mut street.worlds {
        assert!(world.rests());
        // Nobody has failed: one who wants may turn it on.
        world.event_loop.turn(Some(Duration::ZERO), |_, _, _| {}).unwrap();
    }
    // Each connection that came in, came to one end.
    let ends = street.worlds.iter().flat_map(|world| &world.seen).filter(|(_, seen)| matches!(seen, Seen::Closed(_)));
    assert_eq!(ends.count(), 8);
}

#[test]
fn a_full_queue_does_not_keep_a_loop_from_going_down() {
    let mut street = Street::new(2, Config::default());
    let (_id, mut peer) = street.open();
    for number in 0..2 {
        let one = street.handle.event_loop(number).unwrap();
        while one.broadcast("x").is_ok() {}
    }
    street.handle.drain(Duration::ZERO);
    street.handle.shut_down(Duration::ZERO, Duration::from_millis(50));
    // The graver order stays.
    street.handle.drain(Duration::ZERO);
    street.until("the end", |street| street.worlds.iter().all(|world| world.event_loop.is_shut_down()));
    street.end_of_stream(&mut peer);
}

#[test]
fn a_loop_that_drains_or_shuts_down_alone_gets_no_more() {
    let mut street = Street::new(3, Config::default());
    // The one that accepts goes on accepting for the others, and its plain HTTP is answered.
    street.worlds[0].event_loop.drain(Duration::ZERO).unwrap();
    let held: Vec<_> = (0..4).map(|_| street.open()).collect();
    assert_eq!(street.handle.connections(), [0, 2, 2]);
    street.worlds[1].event_loop.shut_down(Duration::ZERO, Duration::ZERO).unwrap();
    street.until("one has gone", |street| street.worlds[1].event_loop.is_shut_down());
    let more: Vec<_> = (0..2).map(|_| street.open()).collect();
    assert_eq!(street.handle.connections(), [0, 0, 4]);
    // With nobody left to take it, who accepts answers: 503, for it drains.
    street.handle.drain(Duration::ZERO);
    street.turn();
    let mut late = Peer::connect(street.address());
    late.send(UPGRADE);
    assert!(street.head(&mut late).starts_with("HTTP/1.1 503 "));
    drop((held, more));
    street.worlds[0].event_loop.shut_down(Duration::ZERO, Duration::ZERO).unwrap();
    assert!(TcpStream::connect(street.address()).is_err(), "the one that accepted has gone");
}

#[test]
fn a_listener_is_closed_for_all_and_its_connections_stay() {
    let mut street = Street::new(2, Config::default());
    let mut held: Vec<_> = (0..2).map(|_| street.open()).collect();
    street.listener.close();
    assert!(TcpStream::connect(street.address()).is_err());
    for (_, peer) in &mut held {
        peer.send(frame(0x81, "still here"));
        assert_eq!(street.frame(peer).1, b"still here");
    }
    assert!(street.worlds.iter_mut().all(World::rests));
}

#[cfg(unix)]
#[test]
fn a_unix_domain_socket_is_shared_as_well() {
    let path = std::env::temp_dir().join(format!("wireroom-loops-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let loops = Loops::new(2).unwrap();
    let listener = loops.listen_unix(&path, Config::default()).unwrap();
    assert_eq!(listener.local_addr(), None);
    let handle = loops.handle();
    let mut worlds: Vec<_> = loops.into_seeds().into_iter().map(LoopSeed::build).map(World::around).collect();
    worlds.iter_mut().for_each(|world| world.event_loop.serve(&listener, any).unwrap());
    let mut peers: Vec<_> =
        (0..4).map(|_| Peer::new(std::os::unix::net::UnixStream::connect(&path).unwrap())).collect();
    for (n, peer) in peers.iter_mut().enumerate() {
        peer.send(UPGRADE);
        worlds[0].turn();
        let head = worlds[n % 2].head(peer);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }
    assert_eq!(handle.connections(), [2, 2]);
    std::fs::remove_file(&path).unwrap();
}

/// An echo on as many threads, until it is shut down.
fn echo(listener: &SharedListener, mut event_loop: EventLoop) -> io::Result<u64> {
    event_loop.serve(listener, any)?;
    while !event_loop.is_shut_down() {
        event_loop.turn(None, |connections, id, event| {
            if let Event::Message(message) = event {
                let _ = connections.send(id, message);
            }
        })?;
    }
    Ok(event_loop.connections().stats().messages_received)
}

/// A peer that waits for what it reads.
fn waiting_peer(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    io::Write::write_all(&mut stream, UPGRADE.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(read::<1>(&mut stream)[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream
}

fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    io::Read::read_exact(stream, &mut bytes).unwrap();
    bytes
}

#[test]
fn threads_run_the_loops_until_they_are_told_to_go_down() {
    let loops = Loops::new(3).unwrap();
    let listener = loops.listen(loopback(), Config::default()).unwrap();
    let (address, handle) = (listener.local_addr().unwrap(), loops.handle());
    let clients = thread::spawn(move || {
        let mut peers: Vec<_> = (0..6).map(|_| waiting_peer(address)).collect();
        for round in 0..50_u8 {
            for peer in &mut peers {
                io::Write::write_all(peer, &frame(0x82, [round])).unwrap();
            }
            for peer in &mut peers {
                assert_eq!(read::<3>(peer), [0x82, 1, round]);
            }
        }
        let spread = handle.connections();
        handle.shut_down(Duration::ZERO, Duration::from_secs(5));
        for peer in &mut peers {
            let [first, length, high, low] = read::<4>(peer);
            assert_eq!((first, high, low), (0x88, 0x03, 0xe9));
            let mut reason = vec![0; usize::from(length) - 2];
            io::Read::read_exact(peer, &mut reason).unwrap();
            io::Write::write_all(peer, &frame(0x88, [0x03, 0xe9])).unwrap();
        }
        spread
    });
    let names = Arc::new(AtomicUsize::new(0));
    let received = loops.run(|event_loop| {
        let name = format!("wireroom-{}", event_loop.number());
        names.fetch_add(usize::from(thread::current().name() == Some(&name)), Ordering::Relaxed);
        echo(&listener, event_loop)
    });
    assert_eq!(clients.join().unwrap().iter().sum::<usize>(), 6);
    assert_eq!(received.unwrap().iter().sum::<u64>(), 300);
    assert_eq!(names.load(Ordering::Relaxed), 3);
}

/// Runs three loops; `fail` is called in the second one's first message. Answers what came of it, and how long it took.
fn failing(fail: impl Fn() -> io::Result<()> + Sync) -> io::Result<Vec<u64>> {
    let loops = Loops::new(3).unwrap();
    let listener = loops.listen(loopback(), Config::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let handle = loops.handle();
    // One connection is in each loop only if all serve before the first comes.
    let serving = Arc::new(Barrier::new(4));
    let all_serve = serving.clone();
    let clients = thread::spawn(move || {
        all_serve.wait();
        let mut peers: Vec<_> = (0..3).map(|_| waiting_peer(address)).collect();
        assert_eq!(handle.connections(), [1, 1, 1]);
        peers.iter_mut().for_each(|peer| io::Write::write_all(peer, &frame(0x81, "!")).unwrap());
        // All ends, those of the loops that go on too; two of them hear 1001.
        let mut farewells = 0;
        for peer in &mut peers {
            let mut heard = Vec::new();
            let _ = io::Read::read_to_end(peer, &mut heard);
            farewells += usize::from(heard.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == [0x03, 0xe9]));
        }
        assert!(TcpStream::connect(address).is_err(), "still listening");
        farewells
    });
    let start = Instant::now();
    let came_to = loops.run(|mut event_loop| {
        let number = event_loop.number();
        event_loop.serve(&listener, any)?;
        serving.wait();
        // It does not ask whether it is shut down: `turn` ends it.
        while start.elapsed() < PATIENCE {
            let mut failed = Ok(());
            event_loop.turn(Some(PATIENCE), |_, _, event| {
                if number == 1 && matches!(event, Event::Message(_)) {
                    failed = fail();
                }
            })?;
            failed?;
        }
        Ok(0)
    });
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(clients.join().unwrap(), 2);
    came_to
}

#[test]
fn an_error_of_one_thread_ends_all_and_is_the_one_that_is_told() {
    let error = failing(|| Err(io::Error::new(io::ErrorKind::StorageFull, "the first"))).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::StorageFull, "the first".to_owned()));
}

#[test]
fn a_panic_of_one_thread_ends_all_and_goes_on_in_the_caller() {
    let panic = std::panic::catch_unwind(|| failing(|| panic!("a fault of the handler's"))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a fault of the handler's"));
}

#[test]
fn seeds_go_to_threads_and_handles_to_all_of_them() {
    fn can_move<T: Send>() {}
    fn is_for_threads<T: Send + Sync + Clone>() {}
    can_move::<LoopSeed>();
    can_move::<Loops>();
    is_for_threads::<LoopsHandle>();
    is_for_threads::<SharedListener>();
    is_for_threads::<wireroom::PreparedMessage>();
    // What is sent before a loop is built waits for it.
    let loops = Loops::new(2).unwrap();
    let (listener, handle) = (loops.listen(loopback(), Config::default()).unwrap(), loops.handle());
    let seeds = loops.into_seeds();
    assert_eq!(seeds.iter().map(LoopSeed::number).collect::<Vec<_>>(), [0, 1]);
    handle.shut_down(Duration::ZERO, Duration::ZERO);
    for seed in seeds {
        let mut world = World::around(seed.build());
        world.event_loop.serve(&listener, any).unwrap();
        world.turn();
        assert!(world.event_loop.is_shut_down());
    }
}

#[test]
fn the_statistics_of_loops_add_up() {
    let mut street = Street::new(2, Config::default());
    let mut held: Vec<_> = (0..2).map(|_| street.open()).collect();
    for (n, (_, peer)) in held.iter_mut().enumerate() {
        peer.send(frame(0x81, "!".repeat(n + 1)));
        street.frame(peer);
        peer.send(frame(0x88, b"\x03\xe8"));
        street.end_of_stream(peer);
    }
    let mut refused = Peer::connect(street.address());
    refused.send("GET / HTTP/2.0\r\n\r\n");
    assert!(street.head(&mut refused).starts_with("HTTP/1.1 505 "));
    let ids: Vec<_> = held.iter().map(|(id, _)| *id).collect();
    drop((held, refused));
    street.until("the ends", |street| street.handle.connections() == [0, 0]);
    let each: Vec<Stats> = street.worlds.iter_mut().map(|world| world.event_loop.connections().stats()).collect();
    let mut sum = each[0];
    sum += each[1];
    assert_eq!(sum, street.stats());
    assert_eq!((sum.messages_received, sum.messages_sent, sum.opened, sum.accepted), (2, 2, 2, 3));
    assert_eq!((sum.closes_received.of(1000), sum.closes_sent.of(1000), sum.causes.clean), (2, 2, 2));
    assert_eq!((sum.handshakes_refused.of(505), sum.handshakes_refused.total(), sum.unopened), (1, 1, 1));
    assert_eq!(sum.send_buffer_high_water, each.iter().map(|stats| stats.send_buffer_high_water).max().unwrap());
    assert_eq!(sum.turns, each[0].turns + each[1].turns);
    assert!(ids.iter().all(|id| matches!(street.worlds[usize::from(id.event_loop())].closed(*id).cause, Cause::Clean)));
}

#[test]
fn after_a_crowd_that_comes_and_goes_in_every_way_all_places_are_free_again() {
    const PLACES: usize = 20;
    let config = Config::builder().max_connections(PLACES).max_connections_per_address(Some(PLACES));
    let loops = Loops::new(3).unwrap();
    let listener = loops.listen(loopback(), config.close_timeout(Duration::from_millis(100)).build().unwrap()).unwrap();
    let (address, handle) = (listener.local_addr().unwrap(), loops.handle());
    let clients = thread::spawn(move || {
        let crowd: Vec<_> = (0..12_usize)
            .map(|me| {
                thread::spawn(move || {
                    for round in 0..40 {
                        let mut peer = TcpStream::connect(address).unwrap();
                        peer.set_read_timeout(Some(PATIENCE)).unwrap();
                        let _ = match (me + round) % 6 {
                            0 => Ok(()),
                            1 => io::Write::write_all(&mut peer, &UPGRADE.as_bytes()[..30]),
                            2 => io::Write::write_all(&mut peer, UPGRADE.as_bytes()),
                            way => io::Write::write_all(&mut peer, UPGRADE.as_bytes()).and_then(|()| {
                                let mut head = [0; 64];
                                io::Read::read(&mut peer, &mut head)?;
                                match way {
                                    3 => io::Write::write_all(&mut peer, &frame(0x88, [3, 0xe8])),
                                    4 => io::Write::write_all(&mut peer, &frame(0x83, [3, 0xe8])),
                                    _ => Ok(()),
                                }
                            }),
                        };
                    }
                })
            })
            .collect();
        crowd.into_iter().for_each(|client| client.join().unwrap());
        let start = Instant::now();
        while handle.connections() != [0; 3] && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let left = handle.connections();
        let peers = std::panic::catch_unwind(|| (0..PLACES).map(|_| waiting_peer(address)).collect::<Vec<_>>());
        let spread = handle.connections();
        let mut one_more = TcpStream::connect(address).unwrap();
        one_more.set_read_timeout(Some(PATIENCE)).unwrap();
        io::Write::write_all(&mut one_more, UPGRADE.as_bytes()).unwrap();
        let mut head = [0; 12];
        let refused = io::Read::read_exact(&mut one_more, &mut head).map(|()| head);
        drop(peers.map_err(drop));
        handle.shut_down(Duration::ZERO, Duration::ZERO);
        (left, spread, refused.unwrap())
    });
    let came_to = loops.run(|event_loop| echo(&listener, event_loop)).map(|_| ());
    let (left, mut spread, refused) = clients.join().unwrap();
    came_to.unwrap();
    assert_eq!(left, [0; 3]);
    spread.sort_unstable();
    assert_eq!(spread, [6, 7, 7]);
    assert_eq!(&refused, b"HTTP/1.1 503");
}
