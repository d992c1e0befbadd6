//! Other threads, and a poll that is not the loop's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};
use wireroom::{Cause, CloseCode, Config, Event, EventLoop, HandleError, PreparedMessage};

use crate::support::{PATIENCE, Peer, UPGRADE, World, any, frame, loopback};

#[test]
fn threads_send_broadcast_and_close() {
    let (mut world, address) = World::listening(Config::default());
    let (first, mut a) = world.open(address);
    let (second, mut b) = world.open(address);
    let handle = world.event_loop.handle();
    let thread = std::thread::spawn(move || {
        handle.send(first, "for you").unwrap();
        handle.broadcast(PreparedMessage::new("for all")).unwrap();
        handle.close(first, CloseCode::NORMAL, "enough").unwrap();
        // To one that does not exist any more: nobody is told.
        handle.send("0-99-0".parse().unwrap(), "nobody").unwrap();
    });
    assert_eq!(world.frame(&mut a), (0x81, b"for you".to_vec()));
    assert_eq!(world.frame(&mut a), (0x81, b"for all".to_vec()));
    assert_eq!(world.frame(&mut a), (0x88, b"\x03\xe8enough".to_vec()));
    assert_eq!(world.frame(&mut b), (0x81, b"for all".to_vec()));
    thread.join().unwrap();
    a.send(frame(0x88, b"\x03\xe8"));
    assert!(matches!(world.closed(first).cause, Cause::Clean));
    assert!(world.event_loop.connections().is_open(second));
}

#[test]
fn messages_of_many_threads_all_arrive_each_thread_in_order() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let threads: Vec<_> = (0..4_u8)
        .map(|thread| {
            let handle = world.event_loop.handle();
            std::thread::spawn(move || {
                for n in 0..2_000_u16 {
                    let [high, low] = n.to_be_bytes();
                    while handle.send(id, &[thread, high, low]) == Err(HandleError::Full) {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    while next != [2_000; 4] {
        let (_, payload) = world.frame(&mut peer);
        let expected = &mut next[usize::from(payload[0])];
        assert_eq!(u16::from_be_bytes([payload[1], payload[2]]), *expected);
        *expected += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_wake_ends_a_wait_without_an_end() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        handle.wake();
    });
    // Without the wake this would wait for ever; with it, no event comes.
    event_loop.turn(Some(PATIENCE), |_, _, _| unreachable!()).unwrap();
    let start = Instant::now();
    thread.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn four_thousand_and_ninety_six_commands_wait_and_then_it_is_full() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let handle = world.event_loop.handle();
    for n in 0..4_096 {
        assert_eq!(handle.send(id, "x"), Ok(()), "{n}");
    }
    assert_eq!(handle.send(id, "one too many"), Err(HandleError::Full));
    for _ in 0..4_096 {
        assert_eq!(world.frame(&mut peer), (0x81, b"x".to_vec()));
    }
    handle.send(id, "room again").unwrap();
    assert_eq!(world.frame(&mut peer), (0x81, b"room again".to_vec()));
    drop(world);
    assert_eq!(handle.send(id, "anybody?"), Err(HandleError::Gone));
    handle.wake();
}

#[test]
fn a_loop_lives_in_the_callers_poll_beside_another_source() {
    let mut poll = Poll::new().unwrap();
    let mut datagrams = UdpSocket::bind(loopback()).unwrap();
    poll.registry().register(&mut datagrams, Token(1), Interest::READABLE).unwrap();
    let waker = Waker::new(poll.registry(), Token(0)).unwrap();
    let notified = Arc::new(AtomicUsize::new(0));
    let count = notified.clone();
    let notify = move || {
        count.fetch_add(1, Ordering::Relaxed);
        waker.wake().unwrap();
    };
    let mut event_loop = EventLoop::in_poll(poll.registry(), 1000, notify).unwrap();
    assert!(event_loop.turn(None, |_, _, _| {}).is_err(), "a turn is for a loop with a poll of its own");
    let config = Config::builder().keepalive_interval(Some(Duration::from_millis(100))).build().unwrap();
    let address = event_loop.listen(loopback(), config, any).unwrap();
    let mut peer = Peer::connect(address);
    peer.send(UPGRADE);
    peer.send(frame(0x81, "hello"));
    let udp = std::net::UdpSocket::bind(loopback()).unwrap();
    let thread = {
        let handle = event_loop.handle();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            handle.broadcast("from a thread").unwrap();
        })
    };

    let mut events = Events::with_capacity(16);
    let mut reached = 0;
    let start = Instant::now();
    let has = |peer: &mut Peer<_>, bytes: &[u8]| peer.receive().windows(bytes.len()).any(|window| window == bytes);
    let expected: [&[u8]; 4] = [b"\x81\x05hello", b"\x82\x0aa datagram", b"\x81\x0dfrom a thread", b"\x89\x00"];
    while !expected.iter().all(|bytes| has(&mut peer, bytes)) {
        assert!(start.elapsed() < PATIENCE, "{:?}", String::from_utf8_lossy(&peer.inbox));
        if reached == 0 {
            udp.send_to(b"a datagram", datagrams.local_addr().unwrap()).unwrap();
        }
        let until = event_loop.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let until = until.unwrap_or(PATIENCE).min(Duration::from_millis(50));
        poll.poll(&mut events, Some(until)).unwrap();
        for event in &events {
            let ours = event_loop.process(event);
            assert_eq!(ours, event.token().0 >= 1000);
            if event.token() == Token(1) {
                let mut datagram = [0; 100];
                while let Ok((n, _)) = datagrams.recv_from(&mut datagram) {
                    reached += event_loop.connections().broadcast(&datagram[..n]).0;
                }
            }
        }
        event_loop.finish_turn(|connections, id, event| {
            if let Event::Message(message) = event {
                let _ = connections.send(id, message).unwrap();
            }
        });
    }
    assert!(notified.load(Ordering::Relaxed) >= 1);
    thread.join().unwrap();
}

#[test]
fn a_handle_is_for_all_threads() {
    fn is_for_threads<T: Send + Sync + Clone>() {}
    fn can_move<T: Send>() {}
    is_for_threads::<wireroom::Handle>();
    can_move::<wireroom::Detached>();
}

#[test]
fn messages_that_a_full_queue_refuses_are_counted() {
    let config = Config::builder().max_send_buffer(1 << 20).build().unwrap();
    let (mut world, address) = World::listening(config);
    let (id, _peer) = world.open(address);
    let handle = world.event_loop.handle();
    for _ in 0..100 {
        handle.send(id, &vec![0; 1 << 20]).unwrap();
    }
    world.spend(Duration::from_millis(50));
    let stats = world.event_loop.connections().stats();
    assert!((80..100).contains(&stats.commands_refused), "{stats:?}");
}

#[test]
fn a_thread_that_answers_ends_the_pause_of_its_peer() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    world.event_loop.connections().pause(id);
    peer.send(frame(0x81, "next"));
    world.spend(Duration::from_millis(50));
    assert!(world.texts(id).is_empty());
    let handle = world.event_loop.handle();
    std::thread::spawn(move || {
        handle.send(id, "answer").unwrap();
        handle.resume(id).unwrap();
    });
    assert_eq!(world.frame(&mut peer), (0x81, b"answer".to_vec()));
    assert_eq!(world.frame(&mut peer), (0x81, b"next".to_vec()));
}
