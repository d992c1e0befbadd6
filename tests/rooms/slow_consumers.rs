//! Slow members of a room: dropped for, kept up to date, or waited for, as the broadcast says.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use wireroom::rooms::{Delivery, HubConfig};
use wireroom::{Config, Dropped, Event, SlowConsumer};

use crate::stage::{PATIENCE, Stage, queued};

/// More than the systems on both ends take, so that some of it waits here until the client reads.
const LARGE: usize = 32 << 20;

/// Marks at 1,000 and 100 bytes, room for 4,000.
fn small(clients: usize) -> Stage {
    let config = Config::builder().high_water_mark(1_000).low_water_mark(100).max_send_buffer(4_000);
    Stage::with(clients, HubConfig::default(), config.build().expect("a valid configuration"))
}

/// A text that begins with `name` and has 122 bytes: 124 as a frame.
fn text(name: &str) -> String {
    format!("{name:-<122}")
}

/// The names of the texts that each client got, before the last message.
fn names(stage: &mut Stage) -> Vec<Vec<String>> {
    let name = |frame: &[u8]| String::from_utf8_lossy(&frame[2..]).trim_end_matches('-').to_owned();
    stage.received().iter().map(|bytes| bytes.chunks(124).map(name).collect()).collect()
}

/// Turns until each of those has told `Dropped`, and answers what.
fn told(stage: &mut Stage, count: usize) -> Vec<Dropped> {
    let mut all = Vec::new();
    stage.until(|_, event| {
        if let Event::Dropped(dropped) = event {
            all.push(dropped);
        }
        (all.len() == count).then_some(())
    });
    // Whatever waited apart has left by then.
    stage.hub.turn(Some(Duration::ZERO), |_, _| {}).expect("a turn");
    all
}

#[test]
fn a_broadcast_drops_the_newest_for_those_who_are_slow_and_each_of_them_tells() {
    let mut stage = small(2);
    stage.join("lobby", &[0, 1]);
    let mut total = Delivery::default();
    for n in 0..50 {
        total += stage.hub.to("lobby").slow_consumer(SlowConsumer::DropNewest).emit(&text(&n.to_string()));
    }
    // The 33rd is the first to find 4,000 bytes.
    assert_eq!((total.recipients(), total.dropped), (100, 2 * 17));
    assert!(told(&mut stage, 2).iter().all(|dropped| (dropped.newest, dropped.oldest, dropped.replaced) == (17, 0, 0)));
    let expected: Vec<_> = (0..33).map(|n| n.to_string()).collect();
    assert_eq!(names(&mut stage), [expected.clone(), expected]);
}

#[test]
fn a_broadcast_drops_the_oldest_for_those_who_are_slow_and_delivers_the_newest() {
    let mut stage = small(2);
    stage.join("lobby", &[0, 1]);
    let mut total = Delivery::default();
    for n in 0..50 {
        total += stage.hub.to("lobby").slow_consumer(SlowConsumer::DropOldest).emit(&text(&n.to_string()));
    }
    assert_eq!(total.dropped, 0, "each of them was accepted: {total:?}");
    // 9 are framed; of the others, 252 bytes each, 12 fit into the rest of 4,000.
    assert!(told(&mut stage, 2).iter().all(|dropped| dropped.oldest == 50 - 9 - 12), "{total:?}");
    let expected: Vec<_> = (0..9).chain(38..50).map(|n| n.to_string()).collect();
    assert_eq!(names(&mut stage), [expected.clone(), expected]);
}

#[test]
fn of_a_key_a_slow_member_gets_the_latest_from_a_hub_and_from_a_handle() {
    let mut stage = small(2);
    stage.join("prices", &[0, 1]);
    let handle = stage.hub.handle();
    for n in 0..9 {
        let _ = stage.hub.to("prices").emit(&text(&n.to_string()));
    }
    for n in 0..20 {
        for key in ["EURUSD", "EURGBP"] {
            let delivery = stage.hub.to("prices").latest_of(key).emit(&text(&format!("{key} {n}")));
            assert_eq!(delivery, Delivery { backpressure: 2, ..Delivery::default() });
        }
    }
    assert!(told(&mut stage, 2).iter().all(|dropped| dropped.replaced == 2 * 19));
    let expected: Vec<_> = (0..9).map(|n| n.to_string()).chain(["EURUSD 19".into(), "EURGBP 19".into()]).collect();
    assert_eq!(names(&mut stage), [expected.clone(), expected.clone()]);

    for n in 0..9 {
        handle.to("prices").emit(&text(&n.to_string())).expect("room in the queue");
    }
    for n in 0..20 {
        for key in ["EURUSD", "EURGBP"] {
            let broadcast = handle.to("prices").slow_consumer(SlowConsumer::DropNewest).latest_of(key);
            broadcast.emit(&text(&format!("{key} {n}"))).expect("room in the queue");
        }
    }
    assert!(told(&mut stage, 2).iter().all(|dropped| dropped.replaced == 2 * 19));
    assert_eq!(names(&mut stage), [expected.clone(), expected]);
}

#[test]
fn one_slow_member_is_dropped_for_and_the_others_miss_nothing() {
    let config = Config::builder().max_send_buffer(1 << 20).build().expect("a valid configuration");
    let mut stage = Stage::with(3, HubConfig::default(), config);
    stage.join("lobby", &[0, 1, 2]);
    let slow = stage.ids[1];
    let readers: Vec<_> = [2, 0].map(|n| stage.clients.remove(n)).into_iter().map(count_bytes).collect();
    let message = wireroom::PreparedMessage::new(&*vec![7; 1 << 16]);
    let (mut sent, mut dropped) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    let others = [0, 2].map(|n| stage.ids[n]);
    loop {
        assert!(Instant::now() < deadline, "{sent} sent, {dropped} dropped");
        stage
            .hub
            .turn(Some(Duration::ZERO), |socket, event| {
                if let Event::Dropped(told) = event {
                    assert_eq!(socket.id(), slow);
                    dropped += told.oldest;
                }
            })
            .expect("a turn");
        if others.iter().any(|id| stage.hub.event_loop().connections().buffered_amount(*id) > 0) {
            continue;
        }
        if dropped >= 100 {
            break;
        }
        let delivery = stage.hub.to("lobby").slow_consumer(SlowConsumer::DropOldest).emit(message.clone());
        assert_eq!((delivery.recipients(), delivery.dropped), (3, 0), "each of them took it");
        sent += 1;
        assert!(stage.hub.event_loop().connections().buffered_amount(slow) < (1 << 20) + (1 << 17), "bounded");
    }
    for id in stage.ids.clone() {
        stage.hub.event_loop().connections().abort(id);
    }
    while readers.iter().any(|reader| !reader.is_finished()) {
        stage.hub.turn(Some(Duration::from_millis(5)), |_, _| {}).expect("a turn");
    }
    for reader in readers {
        assert_eq!(reader.join().expect("no panic"), sent * message.as_frame().len());
    }
}

/// Reads until the end, on a thread of its own.
fn count_bytes(mut client: TcpStream) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let (mut bytes, mut total) = (vec![0; 1 << 16], 0);
        while let Ok(n @ 1..) = client.read(&mut bytes) {
            total += n;
        }
        total
    })
}

/// A hub at which ann sends to all that they cannot take at once.
fn pausing(members: usize) -> Stage {
    let mut stage = Stage::new(members);
    stage.join("mirrors", &(0..members).collect::<Vec<_>>());
    let large = vec![7; LARGE];
    let delivery = stage.says(0, |socket| socket.to("mirrors").pause_sender().emit(&large));
    assert_eq!(delivery, Delivery { backpressure: members - 1, ..Delivery::default() });
    stage
}

fn is_paused(stage: &mut Stage, n: usize) -> bool {
    let id = stage.ids[n];
    stage.hub.event_loop().connections().get(id).is_some_and(|connection| !connection.wants_read())
}

/// Has client `n` read until the large message has come, and answers when it is told that it has drained.
fn drain(stage: &mut Stage, n: usize) {
    let mut client = stage.clients[n].try_clone().expect("another handle");
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; LARGE + 10];
        client.read_exact(&mut bytes).expect("all of it");
    });
    let id = stage.ids[n];
    stage.until(|socket, event| (matches!(event, Event::Drain) && socket.id() == id).then_some(()));
    while !reader.is_finished() {
        stage.hub.turn(Some(Duration::from_millis(5)), |_, _| {}).expect("a turn");
    }
    reader.join().expect("no panic");
}

#[test]
fn a_sender_is_not_read_from_until_each_slow_recipient_has_drained() {
    let mut stage = pausing(3);
    assert!(is_paused(&mut stage, 0) && !is_paused(&mut stage, 1));
    drain(&mut stage, 1);
    assert!(is_paused(&mut stage, 0), "there is another one");
    drain(&mut stage, 2);
    assert!(!is_paused(&mut stage, 0));
    assert_eq!(stage.says(0, |socket| socket.to("mirrors").pause_sender().emit("hi")), queued(2));
    assert!(!is_paused(&mut stage, 0), "those who keep up are not waited for");
}

#[test]
fn a_sender_is_read_from_again_when_the_slow_recipient_has_gone() {
    let mut stage = pausing(2);
    assert!(is_paused(&mut stage, 0));
    drop(stage.clients.remove(1));
    stage.until(|_, event| matches!(event, Event::Closed(_)).then_some(()));
    assert!(!is_paused(&mut stage, 0));

    // The same when the recipient was taken out of the loop.
    let mut stage = pausing(2);
    let id = stage.ids[1];
    drop(stage.hub.event_loop().detach(id));
    stage.hub.forget(id);
    assert!(!is_paused(&mut stage, 0));
}

#[test]
fn a_sender_that_goes_while_it_is_paused_is_forgotten() {
    let mut stage = pausing(3);
    let ann = stage.ids[0];
    stage.hub.event_loop().connections().abort(ann);
    stage.until(|_, event| matches!(event, Event::Closed(_)).then_some(()));
    drain(&mut stage, 1);
    drain(&mut stage, 2);
    assert_eq!(stage.says(1, |socket| socket.to("mirrors").pause_sender().emit("hi")), queued(1));
}

#[test]
fn a_sender_that_is_forgotten_is_not_left_paused() {
    let mut stage = pausing(2);
    let ann = stage.ids[0];
    stage.hub.forget(ann);
    assert!(!is_paused(&mut stage, 0), "nobody would know any more that it has to be resumed");
}

#[test]
fn a_sender_may_be_its_own_slow_recipient() {
    let mut stage = Stage::new(1);
    stage.join("mirrors", &[0]);
    let large = vec![7; LARGE];
    let _ = stage.says(0, |socket| socket.to("mirrors").including_me().pause_sender().emit(&large));
    assert!(is_paused(&mut stage, 0));
    drain(&mut stage, 0);
    assert!(!is_paused(&mut stage, 0));
}

#[test]
fn a_broadcast_without_a_sender_pauses_nobody() {
    let mut stage = Stage::new(2);
    let large = vec![7; LARGE];
    let delivery = stage.hub.everyone().pause_sender().emit(&large);
    assert_eq!(delivery.backpressure, 2);
    assert!(!is_paused(&mut stage, 0) && !is_paused(&mut stage, 1));
}

#[test]
fn a_slow_member_that_reads_again_gets_all_that_was_not_dropped() {
    let config = Config::builder().max_send_buffer(4 << 20).build().expect("a valid configuration");
    let mut stage = Stage::with(1, HubConfig::default(), config);
    let id = stage.ids[0];
    let message = wireroom::PreparedMessage::new(&*vec![7; 1 << 16]).slow_consumer(SlowConsumer::DropOldest);
    let (mut sent, mut dropped) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    while dropped < 100 {
        assert!(Instant::now() < deadline, "{sent} sent, {dropped} dropped");
        let _ = stage.hub.emit(message.clone());
        sent += 1;
        let count = |event: Event<'_>| if let Event::Dropped(told) = event { told.oldest } else { 0 };
        stage.hub.turn(Some(Duration::ZERO), |_, event| dropped += count(event)).expect("a turn");
    }
    let left = (sent - dropped) as usize * message.as_frame().len();
    let mut client = stage.clients[0].try_clone().expect("another handle");
    let reader = std::thread::spawn(move || client.read_exact(&mut vec![0; left]));
    stage.until(|_, event| matches!(event, Event::Drain).then_some(()));
    while !reader.is_finished() {
        stage.hub.turn(Some(Duration::from_millis(5)), |_, _| {}).expect("a turn");
    }
    reader.join().expect("no panic").expect("all of it");
    assert_eq!(stage.hub.event_loop().connections().buffered_amount(id), 0);
    assert_eq!(stage.hub.event_loop().connections().stats().messages_sent, sent, "accepted, though not all have left");
}

#[test]
fn what_waits_apart_goes_along_to_another_loop() {
    let mut stage = small(1);
    for n in 0..9 {
        let _ = stage.hub.emit(&text(&n.to_string()));
    }
    for n in 0..3 {
        let _ = stage.hub.everyone().latest_of("state").emit(&text(&format!("state {n}")));
    }
    let id = stage.ids[0];
    let amount = stage.hub.event_loop().connections().buffered_amount(id);
    assert_eq!(amount, 10 * 124);
    let detached = stage.hub.event_loop().detach(id).expect("it is there");
    stage.hub.forget(id);
    let id = stage.hub.event_loop().adopt(detached).expect("a slot");
    assert_eq!(stage.hub.event_loop().connections().buffered_amount(id), amount);
    stage.hub.admit(id);
    assert_eq!(told(&mut stage, 1).iter().map(|dropped| dropped.replaced).collect::<Vec<_>>(), [2]);
    let expected = (0..9).map(|n| n.to_string()).chain(["state 2".to_owned()]);
    assert_eq!(names(&mut stage), [expected.collect::<Vec<_>>()]);

    // Out of the house.
    for n in 0..9 {
        let _ = stage.hub.emit(&text(&n.to_string()));
    }
    let _ = stage.hub.everyone().latest_of("state").emit(&text("state"));
    let (_, _, queue) = stage.hub.event_loop().detach(id).expect("it is there").into_parts();
    assert_eq!(queue.len(), amount);
}

#[test]
fn what_is_dropped_counts_as_refused_and_not_as_sent() {
    let mut stage = small(1);
    let handle = stage.hub.event_loop().handle();
    let large = wireroom::PreparedMessage::new(&text(&"-".repeat(4_000)));
    let dropped = wireroom::PreparedMessage::new("hi").slow_consumer(SlowConsumer::DropNewest);
    let before = stage.hub.event_loop().connections().stats();
    handle.send(stage.ids[0], large).expect("room in the queue");
    handle.send(stage.ids[0], dropped.clone()).expect("room in the queue");
    handle.broadcast(dropped.clone()).expect("room in the queue");
    assert_eq!(told(&mut stage, 1).iter().map(|dropped| dropped.newest).collect::<Vec<_>>(), [2]);
    let stats = stage.hub.event_loop().connections().stats();
    assert_eq!(stats.commands_refused - before.commands_refused, 2);
    assert_eq!(stats.messages_sent - before.messages_sent, 1);
    let large = vec![b'-'; 4_000];
    let connections = stage.hub.event_loop().connections();
    assert_eq!(connections.broadcast(&large[..]), (1, 0));
    assert_eq!(connections.broadcast_prepared(&dropped), (0, 1));
}
