//! Many connections at rest.

use std::time::Duration;

use wireroom::Config;

use crate::{
    kit::{client, connect, listening, opened, server},
    support::Seen,
};

#[test]
fn a_thousand_connections_rest_and_are_all_reached() {
    const CLIENTS: usize = 1000;
    let config = || Config::builder().max_connections(2 * CLIENTS).build().unwrap();
    let (mut world, address) = listening(server(), config());
    world.echoes = false;
    let tls = client();
    let mut clients = Vec::new();
    while clients.len() < CLIENTS {
        // The backlog is not for a thousand at once.
        clients.extend((0..50).map(|_| connect(&mut world, address, &tls, config())));
        let so_far = clients.len();
        world.until("open", |world| opened(world).len() == 2 * so_far);
    }
    let resumed = clients.iter().filter(|id| world.event_loop.connections().tls(**id).unwrap().resumed).count();
    // rustls keeps eight tickets of a server.
    assert!(resumed > CLIENTS / 10, "{resumed}");
    world.spend(Duration::from_millis(100));
    assert!(world.rests());
    let _ = world.event_loop.connections().broadcast("to all");
    world.until("all", |world| {
        world.seen.iter().filter(|(_, seen)| matches!(seen, Seen::Text(text) if text == "to all")).count()
            == 2 * CLIENTS
    });
    world.event_loop.shut_down(Duration::ZERO, Duration::from_secs(5)).unwrap();
    world.empty();
    let clean = world.event_loop.connections().stats().causes.clean;
    assert_eq!(clean, 2 * CLIENTS as u64);
}
