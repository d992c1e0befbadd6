//! What a hub adds to its loop: the life of a socket, tallies, handles, adapters.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wireroom::rooms::{
    Adapter, Delivery, Hub, HubConfig, HubHandleError, JoinError, Operation, Recipients, RoomEvent, Socket,
};
use wireroom::{CloseCode, Config, Event, EventLoop};

use crate::id;
use crate::stage::{END, HI, PATIENCE, REQUEST, Stage, queued, read};

#[test]
fn who_closes_is_still_in_its_rooms_for_the_handler_and_in_none_after() {
    let mut stage = Stage::with_config(2, HubConfig { presence_capacity: 16, ..HubConfig::default() });
    stage.join("lobby", &[0, 1]);
    let (ann, bob) = (stage.ids[0], stage.ids[1]);
    // A masked Close frame without a code; the other end of the story is told to the room by the handler.
    let mut gone = stage.clients.remove(0);
    gone.write_all(&[0x88, 0x80, 0, 0, 0, 0]).expect("sent");
    let told = stage.until(|socket, event| {
        matches!(event, Event::Closed(_)).then(|| {
            assert_eq!(socket.id(), ann);
            assert!(socket.in_room("lobby"));
            let delivery = socket.to("lobby").emit("hi");
            let late = socket.join("attic");
            (delivery, socket.rooms().count(), late)
        })
    });
    assert_eq!(told, (queued(1), 2, Ok(true)));
    assert_eq!(stage.hub.rooms().members("lobby"), [bob]);
    assert_eq!(stage.hub.rooms().members("attic"), [], "a join in the last arm does not outlive it");
    assert_eq!(stage.hub.rooms().everyone(), [bob]);
    assert_eq!(stage.received(), [HI]);

    let events: Vec<_> = std::iter::from_fn(|| stage.hub.poll_room_event()).collect();
    let (lobby, attic): (Arc<str>, Arc<str>) = ("lobby".into(), "attic".into());
    assert_eq!(
        events,
        [
            RoomEvent::Joined { room: lobby.clone(), id: ann },
            RoomEvent::Joined { room: lobby.clone(), id: bob },
            RoomEvent::Joined { room: attic.clone(), id: ann },
            RoomEvent::Left { room: lobby, id: ann },
            RoomEvent::Left { room: attic, id: ann },
        ]
    );
}

#[test]
fn a_reset_connection_leaves_its_rooms() {
    let mut stage = Stage::new(2);
    stage.join("lobby", &[0, 1]);
    drop(stage.clients.remove(0));
    stage.until(|_, event| matches!(event, Event::Closed(_)).then_some(()));
    assert_eq!(stage.hub.rooms().members("lobby"), [stage.ids[1]]);
}

#[test]
fn who_never_opened_is_no_socket() {
    let mut stage = Stage::new(1);
    let unopened = Arc::new(Mutex::new(0));
    let count = Arc::clone(&unopened);
    stage.hub.on_unopened(move |_, _| *count.lock().expect("not poisoned") += 1);
    let mut visitor = TcpStream::connect(stage.addr).expect("the port is open");
    visitor.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    visitor.shutdown(std::net::Shutdown::Write).expect("shut down");
    let deadline = Instant::now() + PATIENCE;
    while *unopened.lock().expect("not poisoned") == 0 {
        assert!(Instant::now() < deadline, "nothing came");
        let none = |socket: &mut Socket<'_>, event: Event<'_>| panic!("{}: {event:?}", socket.id());
        stage.hub.turn(Some(Duration::from_millis(20)), none).expect("a turn");
    }
    assert_eq!(stage.hub.rooms().everyone(), stage.ids);
}

#[test]
fn a_member_that_is_closing_counts_as_dropped() {
    let mut stage = Stage::new(2);
    stage.join("lobby", &[0, 1]);
    let delivery = stage.says(0, |socket| {
        socket.close(CloseCode::NORMAL, "bye");
        socket.io().to("lobby").emit("hi")
    });
    assert_eq!(delivery, Delivery { queued: 1, backpressure: 0, dropped: 1 });
    assert_eq!(read::<7>(&mut stage.clients[0]), *b"\x88\x05\x03\xe8bye");
}

#[test]
fn a_member_that_does_not_read_is_tallied_and_holds_up_nobody() {
    let config = Config::builder().max_send_buffer(1 << 20).build().expect("a valid configuration");
    let mut stage = Stage::with(0, HubConfig::default(), config);
    stage.connect();
    stage.connect();
    stage.join("lobby", &[0, 1]);
    // The second reads everything, on a thread of its own.
    let mut reader = stage.clients.pop().expect("the second");
    let reader = std::thread::spawn(move || {
        let mut texts = 0;
        loop {
            let [first, len] = read::<2>(&mut reader);
            match (first, len) {
                (0x82, 127) => {
                    let len = u64::from_be_bytes(read::<8>(&mut reader));
                    assert_eq!(len, 1 << 17);
                    let mut payload = vec![0; 1 << 17];
                    reader.read_exact(&mut payload).expect("a payload");
                    assert!(payload.iter().all(|byte| *byte == texts as u8), "each once, in order");
                    texts += 1;
                }
                (0x81, 3) => return texts,
                other => panic!("{other:?}"),
            }
        }
    });
    let reading = stage.ids[1];
    let mut total = Delivery::default();
    let deadline = Instant::now() + PATIENCE;
    let mut sent = 0;
    // Until the kernel's buffers and ours are full: far more than that is never sent.
    while total.dropped == 0 {
        assert!(Instant::now() < deadline, "{total:?}");
        stage.hub.turn(Some(Duration::ZERO), |_, _| {}).expect("a turn");
        if stage.hub.event_loop().connections().buffered_amount(reading) > 0 {
            continue;
        }
        total += stage.hub.to("lobby").emit(&vec![sent as u8; 1 << 17]);
        sent += 1;
    }
    assert!(total.backpressure > 0, "a warning before the loss: {total:?}");
    assert_eq!(total.recipients(), 2 * sent);
    assert_eq!(total.dropped, 1);
    assert_eq!(stage.hub.to(reading).emit("end"), queued(1));
    while !reader.is_finished() {
        stage.hub.turn(Some(Duration::from_millis(5)), |_, _| {}).expect("a turn");
    }
    assert_eq!(reader.join().expect("no panic"), sent);
}

#[test]
fn a_hub_lives_in_the_callers_poll() {
    let mut poll = mio::Poll::new().expect("a poll");
    let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
    let notify = move || waker.wake().expect("the poll is there");
    let mut event_loop = EventLoop::in_poll(poll.registry(), 1_000, notify).expect("a loop");
    let addr = "127.0.0.1:0".parse().expect("an address");
    let verify = |_, request: &wireroom::http::Request<'_>| request.allow_any_origin();
    let addr = event_loop.listen(addr, Config::default(), verify).expect("a port");
    let mut hub = Hub::new(event_loop);
    let handle = hub.handle();

    let mut client = TcpStream::connect(addr).expect("the port is open");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(REQUEST.as_bytes()).expect("sent");
    let mut events = mio::Events::with_capacity(16);
    let mut asked = false;
    while hub.take_handle_delivery() != queued(1) {
        let until = hub.event_loop().next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        poll.poll(&mut events, until.or(Some(PATIENCE))).expect("a poll");
        for event in &events {
            hub.event_loop().process(event);
        }
        hub.finish_turn(|socket, event| {
            assert!(matches!(event, Event::Open));
            assert_eq!(socket.join("lobby"), Ok(true));
        });
        if hub.rooms().members("lobby").len() == 1 && !std::mem::replace(&mut asked, true) {
            let handle = handle.clone();
            std::thread::spawn(move || handle.to("lobby").emit("hi").expect("room in the queue"));
        }
    }
    let mut bytes = Vec::new();
    while !bytes.ends_with(HI) {
        bytes.push(read::<1>(&mut client)[0]);
    }
}

#[test]
fn a_handle_does_the_same_from_another_thread() {
    let mut stage = Stage::new(4);
    let handle = stage.hub.handle();
    let ids = stage.ids.clone();
    let thread = std::thread::spawn(move || {
        handle.join(ids[0], "lobby")?;
        handle.join(ids[1], "lobby")?;
        handle.join(ids[2], "lobby")?;
        handle.leave(ids[2], "lobby")?;
        handle.to("lobby").emit("to the lobby")?;
        handle.to("lobby").to(ids[3]).except(ids[0]).emit("union")?;
        handle.to(ids[3]).emit("private")?;
        handle.emit("all")?;
        handle.close(ids[2], CloseCode::GOING_AWAY, "enough")
    });
    let deadline = Instant::now() + PATIENCE;
    let mut delivery = Delivery::default();
    while delivery != queued(2 + 2 + 1 + 4) {
        assert!(Instant::now() < deadline, "{delivery:?}");
        // Without a timeout: the handle has to wake the loop.
        stage.hub.turn(Some(PATIENCE), |_, _| {}).expect("a turn");
        delivery += stage.hub.take_handle_delivery();
    }
    assert_eq!(thread.join().expect("no panic"), Ok(()));
    let frames: [&[&str]; 4] =
        [&["to the lobby", "all"], &["to the lobby", "union", "all"], &["all"], &["union", "private", "all"]];
    for (client, texts) in stage.clients.iter_mut().zip(frames) {
        for text in texts {
            let [first, len] = read::<2>(client);
            let mut bytes = vec![0; len.into()];
            client.read_exact(&mut bytes).expect("a payload");
            assert_eq!((first, std::str::from_utf8(&bytes)), (0x81, Ok(*text)));
        }
    }
    // The close may have missed that turn.
    stage.hub.turn(Some(Duration::from_millis(1)), |_, _| {}).expect("a turn");
    assert_eq!(read::<10>(&mut stage.clients[2]), *b"\x88\x08\x03\xe9enough", "1001, after all that was queued before");
}

#[test]
fn whoever_missed_what_a_handle_sent_is_known_by_a_full_queue() {
    let mut stage = Stage::new(2);
    let handle = stage.hub.handle();
    let id = stage.ids[0];
    let limit = Config::default().max_send_buffer();
    let large = wireroom::PreparedMessage::new(&*vec![0; limit]);
    handle.to(id).emit(large).expect("room in the queue");
    handle.to(id).emit("missed").expect("room in the queue");
    let mut delivery = Delivery::default();
    while delivery.dropped == 0 {
        stage.hub.turn(Some(PATIENCE), |_, _| {}).expect("a turn");
        delivery += stage.hub.take_handle_delivery();
    }
    // Its socket takes much of that at once, but not before the next turn.
    let mut io = stage.hub.io();
    let full = |id| io.connections().buffered_amount(id) >= limit;
    assert_eq!(stage.ids.iter().copied().map(full).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_handle_is_refused_when_its_queue_is_full_and_when_the_hub_is_gone() {
    let config = HubConfig { handle_capacity: 2, presence_capacity: 4, ..HubConfig::default() };
    let mut stage = Stage::with_config(1, config);
    let handle = stage.hub.handle();
    assert_eq!(handle.emit("hi"), Ok(()));
    assert_eq!(handle.join(id(1_000, 9), "lobby"), Ok(()), "that nobody has this id is found out on the other side");
    assert_eq!(handle.emit("hi"), Err(HubHandleError::Full));
    stage.hub.turn(Some(PATIENCE), |_, _| {}).expect("a turn");
    assert_eq!(stage.hub.take_handle_delivery(), queued(1));
    assert_eq!(stage.hub.take_handle_delivery(), queued(0));
    let refused = RoomEvent::Refused { room: "lobby".into(), id: id(1_000, 9), error: JoinError::NotOpen };
    assert_eq!(stage.hub.poll_room_event(), Some(refused));
    assert_eq!(handle.emit("hi"), Ok(()));
    drop(stage);
    assert_eq!(handle.emit("hi"), Err(HubHandleError::Gone));
}

#[test]
fn an_adapter_sees_each_operation_once_and_none_that_is_local_or_came_from_elsewhere() {
    struct Tape(Arc<Mutex<Vec<Operation>>>);
    impl Adapter for Tape {
        fn publish(&mut self, operation: &Operation) {
            self.0.lock().expect("not poisoned").push(operation.clone());
        }
    }
    let mut stage = Stage::new(2);
    let tape = Arc::default();
    stage.hub.set_adapter(Tape(Arc::clone(&tape)));
    stage.join("lobby", &[0, 1]);
    let ann = stage.ids[0];
    assert_eq!(stage.says(0, |socket| socket.to("lobby").to("elsewhere").emit("hi")), queued(1));
    assert_eq!(stage.hub.to("lobby").local().emit("hi"), queued(2));
    assert_eq!(stage.received(), [HI, &[HI, HI].concat()]);
    let published = std::mem::take(&mut *tape.lock().expect("not poisoned"));
    let [operation, end] = &published[..] else { panic!("two operations: {published:?}") };
    assert_eq!(operation.recipients, Recipients::to("lobby").and("elsewhere").except(ann));
    assert_eq!(operation.message.as_frame(), HI);
    assert_eq!(end.message.as_frame(), END);

    // The same value, handed to the hub of another machine, where the sender's id names somebody else.
    let mut other = Stage::new(1);
    other.join("elsewhere", &[0]);
    let operation = &Operation::new(operation.recipients.names_only(), operation.message.clone());
    assert_eq!(other.hub.deliver(operation), queued(1));
    assert_eq!(other.received(), [HI]);
    assert_eq!(other.hub.handle().deliver(operation.clone()), Ok(()));
    other.hub.turn(Some(PATIENCE), |_, _| {}).expect("a turn");
    assert_eq!(other.received(), [HI]);
}
