//! Deadlines that come nearer while nothing but time, a Pong or a call of the owner goes by.

use std::time::Duration;

use wireroom::{Config, Event};

use crate::support::{World, frame};

const INTERVAL: Duration = Duration::from_millis(50);
/// Longer than a test waits.
const LONG: Duration = Duration::from_secs(3_600);

fn config(timeout: Duration) -> Config {
    Config::builder().keepalive_interval(Some(INTERVAL)).keepalive_timeout(timeout).build().unwrap()
}

#[test]
fn behind_an_answered_ping_the_interval_counts_and_not_the_time_that_the_answer_had() {
    let (mut world, address) = World::listening(config(LONG));
    let (_, mut peer) = world.open(address);
    for _ in 0..3 {
        assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
        peer.send(frame(0x8A, ""));
    }
    // Any other bytes are a sign of life, too: half a message, and its rest.
    let message = frame(0x82, "message");
    assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
    peer.send(&message[..4]);
    assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
    peer.send(&message[4..]);
    assert_eq!(world.frame(&mut peer), (0x82, b"message".to_vec()));
    assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
}

#[test]
fn a_connection_that_rested_while_it_was_paused_is_pinged_again() {
    let (mut world, address) = World::listening(config(LONG));
    let (id, mut peer) = world.open(address);
    world.event_loop.connections().pause(id);
    world.spend(4 * INTERVAL);
    assert!(peer.receive().is_empty(), "a peer that is not listened to cannot answer");
    world.event_loop.connections().resume(id);
    assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
}

#[test]
fn who_is_resumed_late_in_a_turn_may_be_heard_in_the_same() {
    let (mut world, address) = World::listening(config(LONG));
    let (_, mut slow) = world.open(address);
    let (id, mut peer) = world.open(address);
    world.event_loop.connections().pause(id);
    world.spend(4 * INTERVAL);
    slow.send(frame(0x81, "resume"));
    peer.send(frame(0x81, "paused"));
    std::thread::sleep(INTERVAL / 5);
    world.turn_with(|connections, _, event| {
        if matches!(event, Event::Message(message) if message.as_text() == Some("resume")) {
            std::thread::sleep(INTERVAL);
            connections.resume(id);
        }
    });
    assert_eq!(world.frame(&mut peer), (0x81, b"paused".to_vec()));
    assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
}
