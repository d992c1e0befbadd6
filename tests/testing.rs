//! The kit that we give to our users: faults are real faults, the opening handshake is the real one, and a transcript says
//! whether anything has changed.

#[path = "testing/transcripts.rs"]
mod transcripts;

use std::{cell::RefCell, time::Duration};

use wireroom::{
    Config, Connection, Event, Initiator, Message, SendStatus, Transport,
    handshake::{Acceptance, ClientRequest, HandshakeError, Outcome, Verdict},
    testing::{Clock, Cuts, Endpoint, Opening, Pair, ROLES, Role, Seen, close_payload, frame, frames, start},
};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

const INTERVAL: Duration = Duration::from_secs(30);

/// A small service: greets, repeats in capitals, and leaves when it is asked to.
fn service(connection: &mut Connection, event: Event<'_>, now: std::time::Instant) {
    match event {
        Event::Open => _ = connection.send("welcome"),
        Event::Message(Message::Text(text)) if text.as_str() == "bye" => {
            connection.close(wireroom::CloseCode::NORMAL, "as you wish", now);
        }
        Event::Message(Message::Text(text)) => _ = connection.send(text.to_uppercase().as_str()),
        _ => {}
    }
}

fn texts(seen: Vec<Seen>) -> Vec<String> {
    let text = |seen| if let Seen::Text(text) = seen { Some(text) } else { None };
    seen.into_iter().filter_map(text).collect()
}

// --- a pair ---

#[test]
fn a_handler_is_told_open_and_what_it_sends_arrives_however_the_bytes_are_cut() {
    let cuts = [Cuts::whole(), Cuts::byte_by_byte(), Cuts::sizes([2, 3]), Cuts::at([1, 4, 9]), Cuts::seeded(1951)];
    for cuts in cuts {
        let mut pair = Pair::new().cut(cuts.clone()).short_writes(cuts).narrow(5);
        pair.server.on_event(service);
        let _ = pair.client.send("wire").unwrap();
        let _ = pair.client.send("bye").unwrap();
        pair.run();
        let ending = pair.client.ending();
        assert_eq!(texts(pair.client.take_seen()), ["welcome", "WIRE"]);
        assert_eq!(ending.peer, Some((Some(1000), "as you wish".into())));
        assert_eq!(ending.cause, "Clean");
        assert_eq!((pair.server.transport(), pair.client.transport()), (Transport::Close, Transport::Close));
    }
}

#[test]
fn a_handler_borrows_what_its_test_looks_at() {
    let members = RefCell::new(0);
    let mut pair = Pair::new();
    pair.server.on_event(|_, event, _| match event {
        Event::Open => *members.borrow_mut() += 1,
        Event::Closed(_) => *members.borrow_mut() -= 1,
        _ => {}
    });
    assert_eq!(*members.borrow(), 1);
    pair.client.close(1001, "");
    pair.run();
    assert_eq!(*members.borrow(), 0);
}

#[test]
fn a_narrow_wire_makes_backpressure_and_loses_nothing() {
    let config = Config::builder().high_water_mark(1_000).low_water_mark(100).max_send_buffer(2_000).build().unwrap();
    let mut pair = Pair::with(Config::default(), config).narrow(64);
    pair.client.connection.pause(); // it does not read
    let message = [7; 500];
    assert_eq!(pair.server.send(&message), Ok(SendStatus::Queued));
    assert_eq!(pair.server.send(&message), Ok(SendStatus::Backpressure));
    pair.run();
    assert_eq!(pair.to_client.len(), 64);
    assert_eq!(pair.server.connection.buffered_amount(), 2 * 504 - 64);
    let now = pair.client.now();
    pair.client.connection.resume(now);
    pair.run();
    assert_eq!(pair.client.take_seen(), vec![Seen::Binary(message.to_vec()); 2]);
    assert_eq!(pair.server.take_seen(), [Seen::Drain]);
    assert_eq!(pair.to_client.put(), 2 * 504);
}

#[test]
fn a_reset_at_any_byte_ends_both_and_a_half_close_only_one_way() {
    for steps in 0..12 {
        let mut pair = Pair::new().byte_by_byte();
        let _ = pair.client.send("hi").unwrap();
        let moved = (0..steps).filter(|_| pair.step()).count();
        pair.reset();
        let seen = texts(pair.server.take_seen());
        assert_eq!(seen.len(), usize::from(moved >= 8), "after {moved} bytes of 8: {seen:?}");
        assert_eq!(pair.client.ending().cause, "Io(ConnectionReset)");
        assert!(!pair.step(), "nothing moves any more");
    }
    let mut pair = Pair::new();
    pair.server.on_event(service);
    let _ = pair.client.send("said before").unwrap();
    pair.step();
    pair.half_close(Role::Client);
    pair.run();
    assert_eq!(texts(pair.client.take_seen()), ["welcome", "SAID BEFORE"], "it still reads");
    assert_eq!(pair.server.ending().cause, "Eof");
}

#[test]
fn who_vanishes_is_given_up_by_the_clock_and_who_is_cut_off_fills_its_queue() {
    let mut pair = Pair::new().narrow(1_000);
    pair.vanish();
    let _ = pair.server.send(&[0; 5_000]).unwrap();
    pair.run();
    assert!(pair.to_client.is_empty(), "lost");
    assert!(pair.server.connection.buffered_amount() > 3_000, "nobody takes it off the wire");
    pair.advance(INTERVAL - Duration::from_millis(1));
    assert!(!pair.server.is_closed());
    pair.advance(INTERVAL * 2);
    for end in [&pair.client, &pair.server] {
        assert_eq!(end.ending().cause, "Timeout(Keepalive)");
    }
}

#[test]
fn time_passes_for_both_from_deadline_to_deadline() {
    let mut pair = Pair::new();
    pair.advance(INTERVAL * 100);
    let pongs = |seen: Vec<Seen>| seen.iter().filter(|seen| matches!(seen, Seen::Pong(_))).count();
    assert_eq!((pongs(pair.client.take_seen()), pongs(pair.server.take_seen())), (100, 100));
    assert_eq!(pair.client.clock().elapsed(), INTERVAL * 100);
}

#[test]
fn a_byte_is_altered_at_its_place_in_the_stream() {
    let mut pair = Pair::new().byte_by_byte();
    pair.to_client.alter(4 + 2, 0x20);
    let _ = pair.server.send("ok").unwrap();
    let _ = pair.server.send("hi").unwrap();
    pair.run();
    assert_eq!(texts(pair.client.take_seen()), ["ok", "Hi"]);
    pair.to_client.alter(pair.to_client.put(), 0x40);
    let _ = pair.server.send("a reserved bit").unwrap();
    pair.run();
    let ending = pair.client.ending();
    assert_eq!((ending.local_code(), ending.initiator), (Some(1002), Some(Initiator::Local)));
    assert_eq!(pair.server.ending().peer_code(), Some(1002));
}

#[test]
fn hand_made_frames_are_put_on_the_wire() {
    let mut pair = Pair::new();
    pair.to_server.inject(&frame(Role::Client, TEXT, b"\xff"));
    pair.run();
    assert_eq!(pair.server.ending().local_code(), Some(1007));
}

#[test]
fn a_caller_has_its_own_clock() {
    let clock = Clock::at(start() + INTERVAL);
    let end = |role| Endpoint::with(role, Config::default(), Default::default(), clock);
    let mut pair = Pair::of(end(Role::Client), end(Role::Server));
    pair.advance(INTERVAL);
    assert_eq!(pair.server.now(), start() + 2 * INTERVAL);
    assert_eq!(pair.server.clock().elapsed(), INTERVAL);
}

// --- the opening handshake ---

fn request() -> ClientRequest {
    ClientRequest::new("ws://chat.example/room?n=1").unwrap()
}

#[test]
fn an_opening_is_the_real_handshake_for_any_cut() {
    for cuts in [Cuts::whole(), Cuts::byte_by_byte(), Cuts::seeded(6455)] {
        let request = request().subprotocols(&["v2", "v1"]).unwrap().origin("https://chat.example").unwrap();
        let mut asked = Vec::new();
        let mut opening = Opening::new(&request, |request| {
            asked.push((request.path().to_owned(), request.peer_addr()));
            request.allow_origins(&["https://chat.example"]).with_subprotocol(request.select_subprotocol(&["v1"]))
        })
        .peer_addr("192.0.2.1:5".parse().unwrap())
        .at(Clock::new())
        .cut(cuts);
        let mut pair = opening.run().expect("an answer").expect("accepted");
        assert_eq!(pair.client.connection.subprotocol(), Some("v1"));
        assert_eq!(pair.server.connection.subprotocol(), Some("v1"));
        pair.server.on_event(service);
        pair.run();
        assert_eq!(pair.client.take_seen(), [Seen::Text("welcome".into())]);
        drop((pair, opening));
        assert_eq!(asked, [("/room".to_owned(), Some("192.0.2.1:5".parse().unwrap()))]);
    }
}

#[test]
fn a_refusal_reaches_the_client_and_both_sides_tell_it() {
    let mut opening = Opening::new(&request(), |request| request.reject(401, "who are you?"));
    let Some(Err(HandshakeError::Refused(refusal))) = opening.run() else { panic!("refused") };
    assert_eq!((refusal.status(), refusal.body()), (401, &b"who are you?"[..]));
    assert_eq!(opening.server_outcome(), Some(Outcome::Failed(HandshakeError::Rejected { status: 401 })));
    assert!(opening.run().is_some_and(|opened| opened.is_err()), "it stays refused");
}

#[test]
fn an_answer_comes_later_or_its_deadline_passes() {
    let mut opening = Opening::new(&request(), |_| Verdict::Defer);
    assert!(opening.run().is_none());
    assert!(opening.advance(Duration::from_secs(4)).is_none());
    let pair = opening.answer(Acceptance::new()).expect("an answer").expect("accepted");
    assert_eq!(pair.client.clock().elapsed(), Duration::from_secs(4));
    // The client's deadline, 5 s for the handshake as a whole, is the first to pass.
    assert_eq!(Pair::open(&request(), |_| Verdict::Defer).unwrap_err(), HandshakeError::Timeout);
    let patient = Config::builder().handshake_timeout(Duration::from_secs(60)).build().unwrap();
    let mut opening = Opening::new(&request(), |_| Verdict::Defer).with(patient, Config::default());
    let Some(Err(error)) = opening.advance(Duration::from_secs(30)) else { panic!("the server answers") };
    assert_eq!(error.status(), Some(503), "{error}");
}

#[test]
fn a_bad_wire_spoils_the_handshake_and_the_client_says_how() {
    let accepts = |_: &wireroom::http::Request<'_>| Verdict::from(Acceptance::new());
    let mut opening = Opening::new(&request(), accepts);
    opening.to_client().lose();
    assert!(opening.run().is_none());
    assert_eq!(opening.advance(Duration::from_secs(5)).expect("it ends").unwrap_err(), HandshakeError::Timeout);
    let mut opening = Opening::new(&request(), accepts);
    opening.to_client().end();
    assert_eq!(opening.run().expect("it ends").unwrap_err(), HandshakeError::Eof);
    let mut opening = Opening::new(&request(), accepts);
    opening.to_server().alter(0, 0x80); // in the method
    assert_eq!(opening.run().expect("it ends").unwrap_err().status(), Some(400));
}

#[cfg(feature = "deflate")]
#[test]
fn an_opening_agrees_on_compression_where_both_configurations_say_so() {
    let compressing = || Config::builder().permessage_deflate(Some(Default::default())).build().unwrap();
    for (ours, smaller) in [(compressing(), true), (Config::default(), false)] {
        let mut opening = Opening::new(&request(), |request| request.allow_any_origin()).with(compressing(), ours);
        let mut pair = opening.run().expect("an answer").expect("accepted");
        let before = pair.to_server.put();
        let _ = pair.client.send("wire".repeat(1_000).as_str()).unwrap();
        pair.run();
        assert_eq!(pair.to_server.put() - before < 1_000, smaller);
        assert_eq!(texts(pair.server.take_seen()), ["wire".repeat(1_000)]);
    }
}

// --- frames by hand ---

#[test]
fn frames_by_hand_are_those_of_the_library() {
    for sender in ROLES {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut end = Endpoint::new(sender, Config::default());
            let _ = end.send(&payload).unwrap();
            assert_eq!(end.flush_frames(), [(BINARY, payload.clone())], "{sender:?}");
            end.close(1000, "done");
            assert_eq!(frames(sender, &end.flush()), [(CLOSE, close_payload(1000, "done"))]);
            let mut peer = Endpoint::new(sender.peer(), Config::default());
            peer.receive(&frame(sender, BINARY, &payload));
            assert_eq!(peer.take_seen(), [Seen::Binary(payload)]);
        }
    }
}

#[test]
#[should_panic(expected = "masking by a Client")]
fn frames_that_are_masked_wrongly_are_not_read() {
    frames(Role::Client, &frame(Role::Server, TEXT, b"hi"));
}

#[test]
#[should_panic(expected = "half a frame")]
fn half_a_frame_is_not_read() {
    frames(Role::Server, &frame(Role::Server, TEXT, b"hi")[..3]);
}
