//! Connections that come from, or go to, another place: other loops, Unix-domain sockets, the caller's hands.

use std::{
    io::{self, Read, Write},
    sync::mpsc,
    time::{Duration, Instant},
};

use bytes::Buf;
use wireroom::{CloseCode, Config, Event, EventLoop, ListenOptions, Loops, Stream, handshake::ClientRequest};

use crate::{
    kit::{TlsSocket, client, client_config, connect, listening, open, opened, request, server},
    support::{PATIENCE, World, any, frame, loopback},
};

#[test]
fn a_connection_moves_to_another_loop_with_what_waits() {
    let (mut world, address) = listening(server(), Config::builder().max_send_buffer(8 << 20).build().unwrap());
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    // Half a frame lies here, half a record in the socket, and output waits.
    peer.stream.step = 0;
    peer.send(&frame(0x81, "over there")[..5]);
    peer.stream.step = usize::MAX;
    peer.receive();
    world.spend(Duration::from_millis(20));
    peer.stream.step = 10;
    peer.send(&frame(0x81, "over there")[5..]);
    world.spend(Duration::from_millis(20));
    let payload = vec![7; 4 << 20];
    let _ = world.event_loop.connections().send(id, &payload[..]).unwrap();
    world.spend(Duration::from_millis(20));
    let detached = world.event_loop.detach(id).unwrap();
    let detached = std::thread::spawn(move || detached).join().unwrap();

    let mut there = World::new();
    let id = there.event_loop.adopt(detached).unwrap();
    peer.stream.step = usize::MAX;
    let (first, received) = there.frame(&mut peer);
    assert!(first == 0x82 && received == payload);
    assert_eq!(there.frame(&mut peer), (0x81, b"over there".to_vec()));
    assert_eq!(there.texts(id), ["over there"]);
    there.event_loop.connections().close(id, CloseCode::NORMAL, "");
    assert_eq!(there.frame(&mut peer).0, 0x88);
    peer.send(frame(0x88, b"\x03\xe8"));
    there.end_of_stream(&mut peer);
    assert_eq!(peer.error, None);
}

#[test]
fn a_handshake_that_is_not_over_moves_too() {
    let (mut world, address) = listening(server(), Config::default());
    let mut peer = TlsSocket::client(address, client_config());
    peer.stream.step = 40;
    peer.receive();
    peer.receive();
    world.until("it", |world| world.event_loop.connections().len() == 1);
    world.spend(Duration::from_millis(20));
    // Nobody knows of it before it is open, but the listener's first slot is known.
    let detached = world.event_loop.detach("0-0-0".parse().unwrap()).unwrap();
    let (mut there, _) = listening(server(), Config::default());
    there.event_loop.adopt(detached).unwrap();
    open(&mut there, &mut peer);
}

#[test]
fn whoever_takes_it_out_reads_and_writes_plaintext() {
    let (mut world, address) = listening(server(), Config::default());
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    let (stream, received, queue) = world.event_loop.detach(id).unwrap().into_parts();
    assert!(received.is_empty() && queue.is_empty());
    let Stream::Tls(mut tls) = stream else { panic!("{stream:?}") };
    assert!(tls.session().is_some());
    peer.send("ping");
    let start = Instant::now();
    let mut word = Vec::new();
    while word.len() < 4 {
        assert!(start.elapsed() < PATIENCE);
        let mut bytes = [0; 3];
        match tls.read(&mut bytes) {
            Ok(n) => word.extend_from_slice(&bytes[..n]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert_eq!(word, b"ping");
    tls.write_all(b"pong").unwrap();
    tls.close_notify();
    tls.flush().unwrap();
    drop(tls);
    world.end_of_stream(&mut peer);
    assert_eq!((&*peer.inbox, peer.error), (&b"pong"[..], None));
}

#[test]
fn what_was_encrypted_stays_with_the_stream_that_is_taken_out() {
    let (mut world, address) = listening(server(), Config::builder().max_send_buffer(64 << 20).build().unwrap());
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    let payload = vec![7; 32 << 20];
    let _ = world.event_loop.connections().send(id, &payload[..]).unwrap();
    world.spend(Duration::from_millis(50));
    let (stream, _, mut queue) = world.event_loop.detach(id).unwrap().into_parts();
    let Stream::Tls(mut tls) = stream else { panic!("{stream:?}") };
    let start = Instant::now();
    while queue.has_remaining() {
        assert!(start.elapsed() < PATIENCE);
        match tls.write(queue.chunk()) {
            Ok(taken) => queue.advance(taken),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        peer.receive();
    }
    assert!(queue.is_empty());
    while tls.flush().is_err() {
        assert!(start.elapsed() < PATIENCE);
        peer.receive();
    }
    let (first, received) = world.frame(&mut peer);
    assert!(first == 0x82 && received == payload);
}

#[test]
fn several_loops_share_a_listener_that_speaks_tls() {
    const EACH: usize = 4;
    let loops = Loops::new(2).unwrap();
    let listener = loops.listen_with(loopback(), ListenOptions::new().tls(server()), Config::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, (numbers, told)) = (loops.handle(), mpsc::channel());
    let threads = std::thread::spawn(move || {
        loops.run(|mut event_loop| {
            event_loop.serve(&listener, any)?;
            while !event_loop.is_shut_down() {
                let number = event_loop.number();
                event_loop.turn(Some(Duration::from_millis(20)), |connections, id, event| {
                    if let Event::Message(message) = event {
                        let _ = numbers.send(number);
                        let _ = connections.send(id, message);
                    }
                })?;
            }
            Ok::<_, io::Error>(())
        })
    });
    // Both serve by then.
    std::thread::sleep(Duration::from_millis(200));
    let mut world = World::new();
    let tls = client();
    let ids: Vec<_> = (0..2 * EACH).map(|_| connect(&mut world, address, &tls, Config::default())).collect();
    world.until("all", |world| opened(world).len() == 2 * EACH);
    world.echoes = false;
    for id in &ids {
        let _ = world.event_loop.connections().send(*id, "hello").unwrap();
    }
    world.until("the echoes", |world| ids.iter().all(|id| world.texts(*id) == ["hello"]));
    let numbers: Vec<u16> = told.try_iter().collect();
    assert_eq!(numbers.iter().filter(|number| **number == 0).count(), EACH, "{numbers:?}");
    handle.shut_down(Duration::ZERO, Duration::from_millis(500));
    for id in ids {
        world.closed(id);
    }
    threads.join().unwrap().unwrap();
}

#[cfg(unix)]
#[test]
fn a_unix_socket_speaks_it_too() {
    let path = std::env::temp_dir().join(format!("wireroom-tls-{}.sock", std::process::id()));
    let mut world = World::around(EventLoop::new().unwrap());
    let options = ListenOptions::new().tls(server());
    world.event_loop.listen_unix_with(&path, options, Config::default(), any).unwrap();
    let request: ClientRequest = request(([127, 0, 0, 1], 443).into());
    let id = world.event_loop.connect_unix_tls(&path, request, &client(), Config::default()).unwrap();
    world.until("open", |world| opened(world).len() == 2);
    world.echoes = false;
    let there = opened(&world).into_iter().find(|other| *other != id).unwrap();
    let _ = world.event_loop.connections().send(id, "over a file").unwrap();
    world.until("it", |world| world.texts(there) == ["over a file"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_handshake_that_is_taken_out_goes_on_by_reading() {
    let (mut world, address) = listening(server(), Config::default());
    let mut peer = TlsSocket::client(address, client_config());
    peer.stream.step = 40;
    peer.receive();
    world.until("it", |world| world.event_loop.connections().len() == 1);
    world.spend(Duration::from_millis(20));
    let (stream, ..) = world.event_loop.detach("0-0-0".parse().unwrap()).unwrap().into_parts();
    let Stream::Tls(mut tls) = stream else { panic!("{stream:?}") };
    peer.stream.step = usize::MAX;
    let (start, mut word) = (Instant::now(), Vec::new());
    let mut sent = false;
    while word.len() < 4 {
        assert!(start.elapsed() < PATIENCE, "{tls:?}");
        peer.receive();
        if !sent && !peer.stream.tls.is_handshaking() {
            peer.send("ping");
            sent = true;
        }
        let mut bytes = [0; 100];
        match tls.read(&mut bytes) {
            Ok(n) => word.extend_from_slice(&bytes[..n]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert_eq!(word, b"ping");
}

#[test]
fn outside_nobody_waits_to_write_what_never_can_be_written() {
    let (mut world, address) = listening(server(), Config::default());
    for ends_by in ["our end", "a bad record"] {
        let mut peer = TlsSocket::client(address, client_config());
        let id = open(&mut world, &mut peer);
        let (stream, ..) = world.event_loop.detach(id).unwrap().into_parts();
        let Stream::Tls(mut tls) = stream else { panic!("{stream:?}") };
        if ends_by == "our end" {
            tls.close_notify();
        } else {
            peer.stream.stream.write_all(b"\x17\x03\x03\x00\x20................................").unwrap();
            let start = Instant::now();
            let error = loop {
                assert!(start.elapsed() < PATIENCE);
                match tls.read(&mut [0; 10]).unwrap_err().kind() {
                    io::ErrorKind::WouldBlock => {}
                    error => break error,
                }
            };
            assert_eq!(error, io::ErrorKind::InvalidData);
        }
        assert_eq!(tls.write(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe, "{ends_by}");
        // close_notify, or the alert, has left before that.
        world.until("the end", |_| {
            peer.receive();
            peer.ended
        });
        if ends_by == "our end" {
            assert_eq!((peer.error, &peer.stream.fault), (None, &None));
        } else {
            assert!(peer.stream.fault.is_some(), "an alert");
        }
    }
}
