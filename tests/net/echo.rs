//! What a server does all day: echo, over TCP and Unix, whole and in pieces.

use std::{io::Write, net::Shutdown, time::Duration};

use wireroom::{Cause, Config, ConnMap, handshake::Accepted};

use crate::support::{Peer, UPGRADE, World, any, frame, loopback};

#[test]
fn an_echo_over_tcp() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    for payload in [&b""[..], b"hello", &[b'x'; 70_000]] {
        peer.send(frame(0x81, payload));
        assert_eq!(world.frame(&mut peer), (0x81, payload.to_vec()));
        peer.send(frame(0x82, payload));
        assert_eq!(world.frame(&mut peer), (0x82, payload.to_vec()));
    }
    peer.send(frame(0x89, "are you there?"));
    assert_eq!(world.frame(&mut peer), (0x8a, b"are you there?".to_vec()));
    peer.send(frame(0x88, b"\x03\xe8bye"));
    assert_eq!(world.frame(&mut peer), (0x88, b"\x03\xe8".to_vec()));
    world.end_of_stream(&mut peer);
    drop(peer);
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Clean), "{closed}");
    assert_eq!(&*closed.peer.as_ref().unwrap().reason, "bye");
    world.empty();
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.accepted, stats.opened, stats.unopened, stats.open), (1, 1, 0, 0));
    assert_eq!(stats.messages_received, 6);
}

#[cfg(unix)]
#[test]
fn an_echo_over_a_unix_socket_beside_two_tcp_listeners() {
    let path = std::env::temp_dir().join(format!("wireroom-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let mut world = World::new();
    let first = world.event_loop.listen(loopback(), Config::default(), any).unwrap();
    let refuse = |_, request: &wireroom::http::Request<'_>| request.reject(404, "nobody here");
    let second = world.event_loop.listen(loopback(), Config::default(), refuse).unwrap();
    world.event_loop.listen_unix(&path, Config::default(), any).unwrap();

    let mut unix = Peer::new(std::os::unix::net::UnixStream::connect(&path).unwrap());
    unix.send(UPGRADE);
    assert!(world.head(&mut unix).starts_with("HTTP/1.1 101 "));
    let (_, mut tcp) = world.open(first);
    for _ in 0..3 {
        unix.send(frame(0x81, "unix"));
        tcp.send(frame(0x81, "tcp"));
        assert_eq!(world.frame(&mut unix), (0x81, b"unix".to_vec()));
        assert_eq!(world.frame(&mut tcp), (0x81, b"tcp".to_vec()));
    }
    let mut refused = Peer::connect(second);
    refused.send(UPGRADE);
    assert!(world.head(&mut refused).starts_with("HTTP/1.1 404 "));

    // A client in the same loop, over the same file.
    let request = wireroom::handshake::ClientRequest::new("ws://localhost/").unwrap();
    let client = world.event_loop.connect_unix(&path, request, Config::default()).unwrap();
    world.echoes = false;
    world.until("open", |world| world.event_loop.connections().is_open(client));
    let _ = world.event_loop.connections().send(client, "by unix").unwrap();
    world.until("the text", |world| {
        world.seen.iter().any(|(_, seen)| matches!(seen, crate::support::Seen::Text(text) if text == "by unix"))
    });
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn frames_behind_the_request_in_one_segment_are_read() {
    let (mut world, address) = World::listening(Config::default());
    let mut peer = Peer::connect(address);
    let mut bytes = UPGRADE.as_bytes().to_vec();
    bytes.extend(frame(0x81, "early"));
    bytes.extend(frame(0x88, b"\x03\xe8"));
    peer.send(bytes);
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    assert_eq!(world.frame(&mut peer), (0x81, b"early".to_vec()));
    assert_eq!(world.frame(&mut peer).0, 0x88);
    world.end_of_stream(&mut peer);
    assert!(matches!(world.next_closed().cause, Cause::Clean));
}

#[test]
fn one_byte_per_segment_is_honest_traffic() {
    let (mut world, address) = World::listening(Config::default());
    let mut peer = Peer::connect(address);
    let mut bytes = UPGRADE.as_bytes().to_vec();
    bytes.extend(frame(0x01, "frag"));
    bytes.extend(frame(0x89, "ping"));
    bytes.extend(frame(0x80, "ments"));
    for byte in bytes {
        peer.send([byte]);
        world.turn();
    }
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    assert_eq!(world.frame(&mut peer), (0x8a, b"ping".to_vec()));
    assert_eq!(world.frame(&mut peer), (0x81, b"fragments".to_vec()));
}

#[test]
fn a_peer_that_has_said_all_and_closed_its_side_gets_its_echo() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let mut bytes = Vec::new();
    for _ in 0..20 {
        bytes.extend(frame(0x82, [7; 5_000]));
    }
    peer.send(bytes);
    peer.stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..20 {
        assert_eq!(world.frame(&mut peer), (0x82, vec![7; 5_000]));
    }
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Eof), "{closed}");
    world.empty();
}

#[test]
fn a_slow_reader_that_has_closed_its_side_gets_its_whole_echo() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let (count, message) = (2_000, frame(0x82, vec![7; 8_000]));
    let bytes = message.repeat(count);
    let mut given = 0;
    let mut echoes = 0;
    // It writes before it reads, so the server's output is blocked when the end of the stream is in sight.
    while given < bytes.len() {
        match peer.stream.write(&bytes[given..]) {
            Ok(n) => given += n,
            Err(_) if peer.take_frame().is_some() => echoes += 1,
            Err(_) => {
                let mut some = [0; 100_000];
                let n = std::io::Read::read(&mut peer.stream, &mut some).unwrap_or(0);
                peer.inbox.extend_from_slice(&some[..n]);
            }
        }
        world.turn();
    }
    peer.stream.shutdown(Shutdown::Write).unwrap();
    world.spend(Duration::from_millis(50));
    world.until(format!("{count} echoes"), |_| {
        peer.receive();
        while peer.take_frame().is_some() {
            echoes += 1;
        }
        echoes == count || peer.ended
    });
    assert_eq!(echoes, count, "{:?}", peer.error);
    assert!(matches!(world.closed(id).cause, Cause::Eof));
    world.empty();
}

#[test]
fn what_waits_for_a_peer_that_has_closed_its_side_still_leaves() {
    let config = Config::builder().max_send_buffer(32 << 20).high_water_mark(16 << 20).build().unwrap();
    let (mut world, address) = World::listening(config);
    let (id, mut peer) = world.open(address);
    // More than the kernel takes at once, and not enough to pause the reading.
    let _ = world.event_loop.connections().send(id, &vec![7; 12 << 20]).unwrap();
    world.spend(Duration::from_millis(30));
    assert!(world.event_loop.connections().buffered_amount(id) > 0);
    peer.stream.shutdown(Shutdown::Write).unwrap();
    world.spend(Duration::from_millis(30));
    assert_eq!(world.frame(&mut peer), (0x82, vec![7; 12 << 20]));
    assert!(matches!(world.closed(id).cause, Cause::Eof));
    world.empty();
}

#[test]
fn a_quiet_peer_is_not_starved_by_a_loud_one() {
    let (mut world, address) = World::listening(Config::default());
    world.echoes = false;
    let (loud_id, loud) = world.open(address);
    let (quiet_id, mut quiet) = world.open(address);
    loud.stream.set_nonblocking(false).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let shouting = std::thread::spawn(move || {
        let (mut loud, noise) = (loud, frame(0x82, vec![0; 1 << 20]));
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) && loud.stream.write_all(&noise).is_ok() {}
    });
    world.spend(Duration::from_millis(50));
    for round in 1..=20 {
        quiet.send(frame(0x81, "me too"));
        let mut turns = 0;
        world.until("the quiet one", |world| {
            turns += 1;
            world.texts(quiet_id).len() == round
        });
        // The loud one may bring a megabyte in a turn, and then it is the next one's.
        assert!(turns <= 5, "{turns} turns");
        world.seen.retain(|(id, _)| *id != loud_id);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    world.event_loop.connections().abort(loud_id);
    world.closed(loud_id);
    shouting.join().unwrap();
}

#[test]
fn a_stream_that_was_upgraded_elsewhere_is_taken_over_with_the_bytes_behind_it() {
    let mut world = World::new();
    let listener = std::net::TcpListener::bind(loopback()).unwrap();
    let mut peer = Peer::connect(listener.local_addr().unwrap());
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let early = frame(0x81, "early");
    let accepted = Accepted::upgraded_elsewhere(Some("chat"), Default::default());
    let stream = mio::net::TcpStream::from_std(stream);
    let id = world.event_loop.take_over(stream, accepted, &early[..7], Config::default()).unwrap();
    world.turn();
    peer.send(&early[7..]);
    assert_eq!(world.frame(&mut peer), (0x81, b"early".to_vec()));
    assert_eq!(world.event_loop.connections().get(id).unwrap().subprotocol(), Some("chat"));
    peer.send(frame(0x88, ""));
    assert_eq!(world.frame(&mut peer), (0x88, Vec::new()));
    assert!(matches!(world.closed(id).cause, Cause::Clean));
}

#[test]
fn an_id_that_has_gone_names_nobody() {
    let (mut world, address) = World::listening(Config::default());
    let mut map = ConnMap::new();
    let (old, peer) = world.open(address);
    map.insert(old, "old");
    drop(peer);
    world.closed(old);
    world.empty();
    let (new, mut peer) = world.open(address);
    assert_eq!(old.index(), new.index());
    assert_ne!(old, new);
    assert_eq!(map.get(new), None);
    let connections = world.event_loop.connections();
    assert!(!connections.is_open(old));
    assert_eq!(connections.send(old, "who?").unwrap_err(), wireroom::SendError::UnknownConnection);
    assert!(connections.get(old).is_none() && connections.peer_addr(old).is_none());
    connections.close(old, wireroom::CloseCode::NORMAL, "");
    connections.abort(old);
    connections.pause(old);
    assert!(world.event_loop.detach(old).is_none());
    let _ = world.event_loop.handle().send(old, "who?");
    peer.send(frame(0x81, "still here"));
    assert_eq!(world.frame(&mut peer), (0x81, b"still here".to_vec()));
    // The newcomer takes the entry over, and the old id finds nothing any more.
    assert_eq!(map.insert(new, "new"), None);
    assert_eq!(map.remove(old), None);
    assert_eq!((map.get(old), map.get(new)), (None, Some(&"new")));
    *map.get_mut(new).unwrap() = "newer";
    assert_eq!(map.iter().collect::<Vec<_>>(), [(new, &"newer")]);
    assert_eq!(map.remove(new), Some("newer"));
    assert_eq!(old.to_string().parse(), Ok(old));
}
