//! Names: resolvers that fail, hang, know nothing or too much.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use wireroom::{Cause, ConnectError, ConnectOptions, handshake::HandshakeError};

use crate::{
    servers::{config, listener},
    support::World,
};

/// A resolver that answers when it is told to, and counts how often it was asked.
fn gated(answer: std::net::SocketAddr) -> (ConnectOptions, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (open, gate) = mpsc::channel();
    let (gate, asked) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    let options = ConnectOptions::new().resolver(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        // Also when the test has gone.
        let _ = gate.lock().unwrap().recv();
        Ok(vec![answer])
    });
    (options, open, asked)
}

#[test]
fn the_loop_turns_while_a_name_is_looked_up_and_is_woken_by_the_answer() {
    let (listener, address) = listener("127.0.0.1:0");
    let (options, open, _) = gated(address);
    let mut world = World::new();
    let id = world.connect_to("ws://slow.test/", options);
    assert!(world.rests(), "it does not spin");
    assert_eq!(world.event_loop.connections().len(), 1);
    assert!(world.event_loop.connections().peer_addr(id).is_none());
    open.send(()).unwrap();
    // Only the answer can end this wait so early.
    let start = Instant::now();
    while listener.accept().is_err() {
        world.event_loop.turn(Some(Duration::from_secs(4)), |_, _, _| {}).unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "the loop was not woken");
    }
}

#[test]
fn a_resolver_that_fails_or_knows_no_address_or_panics() {
    let fails = |_: &str, _| Err(io::Error::other("no such\nname"));
    let panics = |_: &str, _| panic!("it is broken");
    let mut world = World::new();
    let id = world.connect_to("ws://a.test/", ConnectOptions::new().resolver(fails));
    let (kind, reason) = (io::ErrorKind::Other, "no such\nname".into());
    assert_eq!(world.unreached(id), ConnectError::Resolve { host: "a.test".into(), kind, reason });
    assert_eq!(world.closed(id).to_string(), "connecting: \"a.test\" was not found: no such\\nname");
    let id = world.connect_to("ws://b.test/", ConnectOptions::new().resolver(|_, _| Ok(Vec::new())));
    assert_eq!(world.unreached(id), ConnectError::NoAddress { host: "b.test".into() });
    let id = world.connect_to("ws://c.test/", ConnectOptions::new().resolver(panics));
    assert!(matches!(world.unreached(id), ConnectError::Resolve { .. }));
    // And those behind are looked up all the same.
    let id = world.connect_to("ws://d.test/", ConnectOptions::new().resolver(|_, _| Ok(Vec::new())));
    assert_eq!(world.unreached(id), ConnectError::NoAddress { host: "d.test".into() });
    world.empty();
    assert!(world.rests());
}

#[test]
fn a_name_that_the_system_does_not_know() {
    let mut world = World::new();
    // RFC 6761, 6.4: names under "invalid" do not exist.
    let id = world.connect_within("ws://nobody.invalid/", ConnectOptions::new(), 9_000);
    match &world.closed(id).cause {
        Cause::Connect(error) => assert!(matches!(**error, ConnectError::Resolve { .. }), "{error}"),
        // A machine without a name server that answers.
        Cause::Handshake(HandshakeError::Timeout) => {}
        other => panic!("{other}"),
    }
}

#[test]
fn a_resolver_that_hangs_is_not_waited_for() {
    let (_listener, address) = listener("127.0.0.1:0");
    let (options, _open, _) = gated(address);
    let mut world = World::new();
    let id = world.connect_within("ws://slow.test/", options.clone(), 200);
    let elapsed = world.time_to_end(id);
    assert!(elapsed >= Duration::from_millis(190) && elapsed < Duration::from_millis(1_000), "{elapsed:?}");
    assert!(matches!(world.closed(id).cause, Cause::Handshake(HandshakeError::Timeout)));
    world.empty();
    let id = world.connect_to("ws://slow.test/", options.clone());
    world.spend(Duration::from_millis(20));
    world.event_loop.connections().abort(id);
    assert!(matches!(world.closed(id).cause, Cause::Aborted));
    let id = world.connect_to("ws://slow.test/", options);
    world.event_loop.shut_down(Duration::ZERO, Duration::from_secs(1)).unwrap();
    assert!(matches!(world.closed(id).cause, Cause::Aborted));
    world.until("the shutdown", |world| world.event_loop.is_shut_down());
    // Nor when the loop goes.
    let start = Instant::now();
    drop(world);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn so_many_names_wait_and_one_more_is_refused() {
    let (listener, address) = listener("127.0.0.1:0");
    let (options, open, asked) = gated(address);
    let options = options.max_names_waiting(2);
    let mut world = World::new();
    let first = world.connect_to("ws://a.test/", options.clone());
    world.until("the first question", |_| asked.load(Ordering::SeqCst) == 1);
    let waiting = ["b", "c"].map(|name| world.connect_to(&format!("ws://{name}.test/"), options.clone()));
    let refused = world.connect_to("ws://d.test/", options.clone());
    assert_eq!(world.unreached(refused), ConnectError::TooManyNames { limit: 2 });
    // One that has gone makes room, and is not asked for any more.
    world.event_loop.connections().abort(waiting[0]);
    world.closed(waiting[0]);
    let last = world.connect_to("ws://e.test/", options);
    world.spend(Duration::from_millis(20));
    (0..4).for_each(|_| open.send(()).unwrap());
    for id in [first, waiting[1], last] {
        let mut server = world.accept(&listener);
        let _ = world.head(&mut server);
        assert_eq!(world.ends(id), 0);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_name_that_nobody_waits_for_any_more_is_not_looked_up() {
    let (listener, address) = listener("127.0.0.1:0");
    let (options, open, asked) = gated(address);
    let mut world = World::new();
    let names = ["a", "b", "c"].map(|name| format!("ws://{name}.test/"));
    let [first, second, third] = names.map(|url| world.connect_to(&url, options.clone()));
    world.until("the first question", |_| asked.load(Ordering::SeqCst) == 1);
    world.event_loop.connections().abort(second);
    world.closed(second);
    (0..3).for_each(|_| open.send(()).unwrap());
    for id in [first, third] {
        let mut server = world.accept(&listener);
        let _ = world.head(&mut server);
        assert_eq!(world.ends(id), 0);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn a_connection_that_moves_to_another_loop_is_looked_up_there() {
    let (listener, address) = listener("127.0.0.1:0");
    let (options, open, asked) = gated(address);
    let mut world = World::new();
    let id = world.connect_to("ws://slow.test/", options);
    world.until("the question", |_| asked.load(Ordering::SeqCst) == 1);
    let detached = world.event_loop.detach(id).unwrap();
    let mut other = World::new();
    let id = other.event_loop.adopt(detached).unwrap();
    (0..2).for_each(|_| open.send(()).unwrap());
    let mut server = other.accept(&listener);
    other.serves(&mut server, id);
    world.spend(Duration::from_millis(20));
    assert!(world.event_loop.connections().is_empty() && world.seen.is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn the_thread_begins_with_the_first_name_and_ends_with_the_loop() {
    // In a process of its own: threads are counted per process.
    const NAME: &str = "names::the_thread_begins_with_the_first_name_and_ends_with_the_loop";
    if !crate::support::is_alone() {
        return crate::support::alone(NAME, "").succeeds();
    }
    let resolvers = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("wireroom-resol")).count()
    };
    let mut world = World::new();
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let id = world.connect_to(&format!("ws://{host}:1/"), ConnectOptions::new());
        let _ = world.unreached(id);
    }
    assert_eq!(resolvers(), 0, "no name was asked for");
    for name in ["a", "b"] {
        let options = ConnectOptions::new().resolver(|_, _| Ok(Vec::new()));
        let id = world.connect_to(&format!("ws://{name}.test/"), options);
        let _ = world.unreached(id);
        assert_eq!(resolvers(), 1);
    }
    drop(world);
    let start = Instant::now();
    while resolvers() > 0 {
        assert!(start.elapsed() < crate::support::PATIENCE, "it lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn limits_of_zero_count_as_one() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let options = ConnectOptions::new().max_addresses(0).max_names_waiting(0);
    let id = world.connect_to("ws://a.test/", options.resolver(move |_, _| Ok(vec![address])));
    let mut server = world.accept(&listener);
    world.serves(&mut server, id);
}

#[test]
fn a_wss_url_is_the_error_that_it_was() {
    let mut world = World::new();
    let request = wireroom::handshake::ClientRequest::new("wss://a.test/").unwrap();
    let error = world.event_loop.connect_to(request, ConnectOptions::new(), config(1_000)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(world.event_loop.connections().is_empty());
}
