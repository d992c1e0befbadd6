//! What is called between turns, after a long wait, happens now: its deadlines start at the call, not at the last turn.

use std::{
    cell::Cell,
    net::TcpStream,
    rc::Rc,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token, Waker};
use wireroom::{
    Config, ConnId, EventLoop,
    handshake::{Acceptance, Verdict},
    http::{Request, Response},
};

use crate::support::{Peer, UPGRADE, World, loopback};

/// The deadline, and how long nothing calls the loop: more than the deadline.
const DEADLINE: Duration = Duration::from_millis(400);
const PAUSE: Duration = Duration::from_millis(600);
/// How long the peer takes: less than the deadline.
const LATER: Duration = Duration::from_millis(150);

fn verify(last: &Rc<Cell<Option<ConnId>>>) -> impl FnMut(ConnId, &Request<'_>) -> Verdict + 'static {
    let last = last.clone();
    move |id, request| {
        last.set(Some(id));
        match request.path() {
            "/later" => Verdict::Defer,
            "/stream" => Verdict::Stream(Response::new(200)),
            path => Response::text(200, path.to_owned()).into(),
        }
    }
}

/// A request for `target` has come in, and then nothing called the loop for a while.
fn after_a_pause(config: Config, request: &str) -> (World, Peer<TcpStream>, ConnId) {
    let mut world = World::new();
    let last = Rc::new(Cell::new(None));
    let address = world.event_loop.listen(loopback(), config, verify(&last)).unwrap();
    let mut peer = Peer::connect(address);
    peer.send(request);
    world.until("the request", |_| last.get().is_some());
    std::thread::sleep(PAUSE);
    (world, peer, last.get().unwrap())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// The peer takes its time for the next request, and gets an answer.
fn asks_again(mut world: World, mut peer: Peer<TcpStream>) {
    world.spend(LATER);
    peer.receive();
    assert!(!peer.ended, "ended by the deadline of a turn that was long ago");
    peer.inbox.clear();
    peer.send(get("/next"));
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 200 "));
}

#[test]
fn after_answer_the_peer_has_the_whole_time_for_its_next_request() {
    let config = Config::builder().handshake_timeout(DEADLINE).build().unwrap();
    let (mut world, peer, id) = after_a_pause(config, &get("/later"));
    assert!(world.event_loop.connections().answer(id, Response::text(200, "late")));
    asks_again(world, peer);
}

#[test]
fn after_finish_the_peer_has_the_whole_time_for_its_next_request() {
    let config = Config::builder().handshake_timeout(DEADLINE).build().unwrap();
    let (mut world, peer, id) = after_a_pause(config, &get("/stream"));
    world.event_loop.connections().finish(id).unwrap();
    asks_again(world, peer);
}

#[test]
fn a_connection_that_answer_opens_has_not_been_idle() {
    let config = Config::builder().idle_timeout(Some(DEADLINE)).build().unwrap();
    let (mut world, mut peer, id) = after_a_pause(config, &UPGRADE.replace("/chat", "/later"));
    let opened = Instant::now();
    assert!(world.event_loop.connections().answer(id, Acceptance::new()));
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    assert_eq!(world.frame(&mut peer).0, 0x88);
    assert!(opened.elapsed() >= DEADLINE - Duration::from_millis(10), "closed after {:?}", opened.elapsed());
}

/// In the caller's poll nothing is written between the call and the look at the deadlines.
#[test]
fn a_piece_that_is_streamed_has_the_whole_time_to_leave() {
    let mut poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), Token(0)).unwrap();
    let mut event_loop = EventLoop::in_poll(poll.registry(), 1_000, move || _ = waker.wake()).unwrap();
    let last = Rc::new(Cell::new(None));
    let config = Config::builder().response_timeout(DEADLINE).build().unwrap();
    let address = event_loop.listen(loopback(), config, verify(&last)).unwrap();
    let mut events = Events::with_capacity(64);
    let mut turn = |event_loop: &mut EventLoop| {
        poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
        for event in &events {
            event_loop.process(event);
        }
        event_loop.finish_turn(|_, _, _| {});
    };
    let mut peer = Peer::connect(address);
    peer.send(get("/stream"));
    let start = Instant::now();
    while !peer.receive().ends_with(b"\r\n\r\n") {
        turn(&mut event_loop);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    peer.inbox.clear();
    std::thread::sleep(PAUSE);
    let _ = event_loop.connections().stream(last.get().unwrap(), b"late").unwrap();
    while peer.receive().len() < b"4\r\nlate\r\n".len() {
        assert!(!peer.ended, "ended by the deadline of a turn that was long ago");
        turn(&mut event_loop);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(peer.inbox, b"4\r\nlate\r\n");
}
