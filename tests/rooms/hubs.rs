//! Rooms over several loops. But for one test, all loops are turned in one thread, one after the other, so that what is on
//! its way between them is known.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use wireroom::net::{Loops, LoopsHandle, SharedListener};
use wireroom::rooms::{Adapter, Delivery, Hub, HubConfig, HubHandleError, Hubs, HubsHandle, JoinError, Operation};
use wireroom::rooms::{FullLoop, Recipients, RoomEvent, Socket};
use wireroom::{CloseCode, Config, ConnId, Event, EventLoop};

use super::stage::{END, HI, NOTHING, PATIENCE, REQUEST, queued, read};

/// Hubs on one thread, and a client in each: ann in loop 0, bob in 1, cat in 2; then dan in 0 again, and so on.
struct Stage {
    hubs: Vec<Hub>,
    handle: HubsHandle,
    loops: LoopsHandle,
    listener: SharedListener,
    clients: Vec<TcpStream>,
    ids: Vec<ConnId>,
}

impl Stage {
    fn new(loops: usize, clients: usize, config: HubConfig) -> Self {
        let loops = Loops::new(loops).expect("loops");
        let listener = loops.listen("127.0.0.1:0".parse().expect("an address"), Config::default()).expect("a port");
        let hubs = Hubs::with_config(&loops, config);
        let (handle, loops_handle) = (hubs.handle(), loops.handle());
        let built = loops.into_seeds().into_iter().map(|seed| {
            let mut event_loop = seed.build();
            event_loop.serve(&listener, |_, request| request.allow_any_origin()).expect("served");
            hubs.hub(event_loop).expect("its hub")
        });
        let hubs = built.collect();
        let mut stage = Self { hubs, handle, loops: loops_handle, listener, clients: Vec::new(), ids: Vec::new() };
        (0..clients).for_each(|_| stage.connect());
        stage
    }

    fn connect(&mut self) {
        let mut stream = TcpStream::connect(self.listener.local_addr().expect("TCP")).expect("the port is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(REQUEST.as_bytes()).expect("sent");
        let id = self.until(|socket, event| matches!(event, Event::Open).then(|| socket.id()));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(read::<1>(&mut stream)[0]);
        }
        self.clients.push(stream);
        self.ids.push(id);
    }

    /// Turns the loops until `on_event` has an answer.
    fn until<T>(&mut self, mut on_event: impl FnMut(&mut Socket<'_>, Event<'_>) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut answer = None;
        while answer.is_none() {
            assert!(Instant::now() < deadline, "nothing came");
            for hub in &mut self.hubs {
                let step = Some(Duration::from_millis(1));
                hub.turn(step, |socket, event| answer = answer.take().or(on_event(socket, event))).expect("a turn");
            }
        }
        answer.expect("an answer")
    }

    /// Turns the hub of this loop until it has carried out what the others sent it.
    fn carry_out(&mut self, event_loop: usize) -> Delivery {
        let hub = &mut self.hubs[event_loop];
        hub.turn(Some(Duration::ZERO), |socket, event| panic!("{}: {event:?}", socket.id())).expect("a turn");
        hub.take_handle_delivery()
    }

    fn carry_out_all(&mut self) -> Vec<Delivery> {
        (0..self.hubs.len()).map(|event_loop| self.carry_out(event_loop)).collect()
    }

    /// Has client `n` say something, and runs `on_message` with the socket that hears it.
    fn says<T>(&mut self, n: usize, mut on_message: impl FnMut(&mut Socket<'_>) -> T) -> T {
        self.clients[n].write_all(&masked(0x81, b"!")).expect("sent");
        let (id, deadline) = (self.ids[n], Instant::now() + PATIENCE);
        let mut answer = None;
        while answer.is_none() {
            assert!(Instant::now() < deadline, "nothing came");
            let hub = &mut self.hubs[usize::from(id.event_loop())];
            let on_event = |socket: &mut Socket<'_>, event: Event<'_>| {
                assert!(matches!(event, Event::Message(_)) && socket.id() == id, "{event:?}");
                answer = Some(on_message(socket));
            };
            hub.turn(Some(Duration::from_millis(5)), on_event).expect("a turn");
        }
        answer.expect("an answer")
    }

    fn join(&mut self, room: &str, members: &[usize]) {
        for &n in members {
            let hub = &mut self.hubs[usize::from(self.ids[n].event_loop())];
            assert_eq!(hub.io().join(self.ids[n], room), Ok(true));
        }
    }

    /// What each client got since, up to a last message that goes to all.
    fn received(&mut self) -> Vec<Vec<u8>> {
        for hub in &mut self.hubs {
            let _ = hub.everyone().local().emit("end");
            hub.event_loop().flush();
        }
        let bytes_of = |stream: &mut TcpStream| {
            let mut bytes = Vec::new();
            while !bytes.ends_with(END) {
                bytes.push(read::<1>(stream)[0]);
            }
            bytes.truncate(bytes.len() - END.len());
            bytes
        };
        self.clients.iter_mut().map(bytes_of).collect()
    }
}

/// Room for so many operations in each queue; what finds none is lost.
fn missing(handle_capacity: usize) -> HubConfig {
    HubConfig { handle_capacity, full_loop: FullLoop::Miss, ..HubConfig::default() }
}

/// Room for so many; what finds none waits, and its sender is held.
fn holding(handle_capacity: usize) -> HubConfig {
    HubConfig { handle_capacity, full_loop: FullLoop::HoldSender, ..HubConfig::default() }
}

/// A binary message of the server's, of one byte.
fn byte(n: u8) -> [u8; 3] {
    [0x82, 1, n]
}

/// A client's frame, with a payload of less than 126 bytes.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [1, 2, 3, 4];
    let mut frame = vec![first, 0x80 | payload.len() as u8];
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

#[test]
fn a_broadcast_reaches_the_members_in_each_loop_once() {
    let mut stage = Stage::new(3, 9, HubConfig::default());
    assert_eq!(stage.loops.connections(), [3, 3, 3]);
    // ann 0, bob 1, cat 2, dan 0, eve 1, fay 2, ..: the lobby is in all loops, the kitchen in two.
    stage.join("lobby", &[0, 1, 2, 3]);
    stage.join("kitchen", &[3, 4]);
    stage.join("muted", &[1]);
    assert_eq!(stage.says(0, |socket| socket.to("lobby").emit("hi")), queued(1), "those here");
    assert_eq!(stage.carry_out_all(), [queued(0), queued(1), queued(1)]);
    let nobody = || vec![NOTHING.to_vec(); 9];
    let heard_by = |members: &[usize]| {
        let mut heard = nobody();
        members.iter().for_each(|&n| heard[n] = HI.to_vec());
        heard
    };
    assert_eq!(stage.received(), heard_by(&[1, 2, 3]));

    let _ = stage.says(4, |socket| socket.to("lobby").to("kitchen").except("muted").including_me().emit("hi"));
    stage.carry_out_all();
    assert_eq!(stage.received(), heard_by(&[0, 2, 3, 4]));

    let _ = stage.says(8, |socket| socket.broadcast().emit("hi"));
    stage.carry_out_all();
    assert_eq!(stage.received(), heard_by(&[0, 1, 2, 3, 4, 5, 6, 7]));

    let _ = stage.hubs[1].emit("hi");
    stage.carry_out_all();
    assert_eq!(stage.received(), heard_by(&[0, 1, 2, 3, 4, 5, 6, 7, 8]));

    let _ = stage.hubs[1].everyone().local().emit("hi");
    stage.carry_out_all();
    assert_eq!(stage.received(), heard_by(&[1, 4, 7]));
    // It reaches nobody, and does not go round.
    let _ = stage.hubs[1].to("nowhere").emit("hi");
    assert_eq!((stage.carry_out_all(), stage.received()), (vec![queued(0); 3], nobody()));
    assert!(stage.hubs.iter().all(|hub| hub.missed_elsewhere() == 0));
}

#[test]
fn a_private_message_goes_to_the_loop_of_its_recipient_alone() {
    // Each queue has room for one: a second would be missed.
    let mut stage = Stage::new(3, 3, missing(1));
    let [ann, bob, cat] = stage.ids[..] else { panic!("three clients") };
    assert_eq!([ann, bob, cat].map(ConnId::event_loop), [0, 1, 2]);
    for n in 1..4 {
        assert_eq!(stage.says(0, |socket| socket.to(bob).emit("hi")), queued(0), "nobody here");
        assert_eq!(stage.hubs[0].to(ann).emit("hi"), queued(1), "it does not leave its loop");
        assert_eq!(stage.carry_out(1), queued(1));
        assert_eq!(stage.hubs[0].missed_elsewhere(), 0, "{n}");
    }
    let three = HI.repeat(3);
    assert_eq!(stage.received(), [three.clone(), three, NOTHING.to_vec()]);
    // To two at once, and the room of one's own id as an exception.
    let _ = stage.hubs[0].to(bob).to(cat).emit("hi");
    stage.carry_out_all();
    let _ = stage.hubs[0].everyone().except(cat).emit("hi");
    stage.carry_out_all();
    assert_eq!(stage.received(), [HI.to_vec(), HI.repeat(2), HI.to_vec()]);
    // Ids that name nobody: not here, not in their loop, of no loop.
    for id in ["1-63-0", "9-0-0"] {
        assert_eq!(stage.hubs[0].to(id.parse::<ConnId>().expect("an id")).emit("hi"), queued(0));
    }
    assert_eq!(stage.carry_out_all(), [queued(0); 3]);
}

#[test]
fn what_a_loop_is_too_slow_for_is_counted_where_it_began() {
    let mut stage = Stage::new(3, 3, missing(3));
    stage.join("lobby", &[0, 1, 2]);
    for n in 1..=5_u8 {
        let delivery = stage.says(0, |socket| socket.to("lobby").including_me().emit(&[n]));
        assert_eq!(delivery, queued(1), "who is here gets it");
        // Loop 2 keeps up, loop 1 does not turn.
        assert_eq!(stage.carry_out(2), queued(1));
    }
    assert_eq!(stage.hubs[0].missed_elsewhere(), 2);
    assert_eq!(stage.carry_out(1), queued(3));
    let _ = stage.hubs[0].to("lobby").emit(&[6]);
    stage.carry_out_all();
    let sent = |numbers: &[u8]| numbers.iter().flat_map(|n| byte(*n)).collect::<Vec<_>>();
    assert_eq!(stage.received(), [sent(&[1, 2, 3, 4, 5, 6]), sent(&[1, 2, 3, 6]), sent(&[1, 2, 3, 4, 5, 6])]);
    assert_eq!(stage.hubs.iter().map(Hub::missed_elsewhere).collect::<Vec<_>>(), [2, 0, 0]);
    // Nobody is left to miss anything in a loop that has gone.
    drop(stage.hubs.remove(1));
    let _ = stage.hubs[0].to("lobby").emit("hi");
    assert_eq!(stage.hubs[0].missed_elsewhere(), 2);
}

impl Stage {
    /// Turns the hub of this loop a few times. Whatever is said there goes on to the lobby. Answers how much was said.
    fn passes_on(&mut self, event_loop: usize) -> usize {
        let mut said = 0;
        for _ in 0..5 {
            let on_event = |socket: &mut Socket<'_>, event: Event<'_>| {
                if let Event::Message(message) = event {
                    assert_eq!(socket.to("lobby").emit(message).dropped, 0);
                    said += 1;
                }
            };
            self.hubs[event_loop].turn(Some(Duration::from_millis(2)), on_event).expect("a turn");
        }
        said
    }

    fn says_bytes(&mut self, n: usize, bytes: std::ops::RangeInclusive<u8>) {
        let frames: Vec<_> = bytes.flat_map(|byte| masked(0x82, &[byte])).collect();
        self.clients[n].write_all(&frames).expect("sent");
    }
}

#[test]
fn who_says_more_than_another_loop_has_room_for_is_held_and_nothing_is_missed() {
    let mut stage = Stage::new(3, 6, holding(3));
    stage.join("lobby", &[1, 2]);
    stage.says_bytes(0, 1..=10);
    // Three are in the queue of loop 1, the fourth waits for room there, and the fifth is not read.
    assert_eq!(stage.passes_on(0), 4);
    // Somebody else of the same loop has the same word to say before it is held, and so on.
    stage.says_bytes(3, 101..=103);
    assert_eq!(stage.passes_on(0), 1);
    // Loop 2 takes what it has room for, which helps nobody: loop 1 does not turn.
    assert_eq!(stage.carry_out(2), queued(3));
    assert_eq!(stage.passes_on(0), 0);
    // Now it does, and wakes who waits: the turns without a timeout would not end otherwise.
    let (mut heard, mut carried_out) = (4 + 1, 3);
    assert_eq!(stage.carry_out(1), queued(3));
    while heard < 13 || carried_out < 13 {
        let hub = &mut stage.hubs[0];
        let on_event = |socket: &mut Socket<'_>, event: Event<'_>| {
            if let Event::Message(message) = event {
                let _ = socket.to("lobby").emit(message);
                heard += 1;
            }
        };
        hub.turn(Some(PATIENCE), on_event).expect("a turn");
        let _ = stage.carry_out(2);
        carried_out += stage.carry_out(1).queued;
    }
    let received = stage.received();
    for member in [1, 2] {
        let (ann, dan): (Vec<_>, Vec<_>) = received[member].chunks(3).partition(|message| message[2] < 100);
        assert_eq!(ann, (1..=10).map(byte).collect::<Vec<_>>(), "in order");
        assert_eq!(dan, (101..=103).map(byte).collect::<Vec<_>>());
    }
    assert_eq!(stage.hubs[0].missed_elsewhere(), 0);
}

#[test]
fn what_has_no_sender_to_hold_waits_in_as_many_places_again_and_the_rest_is_counted() {
    let mut stage = Stage::new(2, 2, holding(3));
    stage.join("lobby", &[1]);
    for n in 1..=10 {
        assert_eq!(stage.hubs[0].to("lobby").emit(&[n]), queued(0));
    }
    assert_eq!(stage.hubs[0].missed_elsewhere(), 4);
    for _ in 0..2 {
        assert_eq!(stage.carry_out(1), queued(3));
        assert_eq!(stage.passes_on(0), 0);
    }
    assert_eq!(stage.received()[1], (1..=6).flat_map(byte).collect::<Vec<_>>());
}

#[test]
fn a_socket_for_whose_word_there_is_no_place_to_wait_is_held_too_and_misses_no_more() {
    let mut stage = Stage::new(2, 3, holding(1));
    stage.join("lobby", &[1]);
    stage.says_bytes(0, 1..=3);
    assert_eq!(stage.passes_on(0), 2, "one is in the queue of loop 1, one waits for room there");
    stage.says_bytes(2, 101..=103);
    assert_eq!(stage.passes_on(0), 1, "the first is lost, the others are not read");
    assert_eq!(stage.hubs[0].missed_elsewhere(), 1);
    let (mut heard, deadline) = (3, Instant::now() + PATIENCE);
    while heard < 6 {
        assert!(Instant::now() < deadline, "{heard} of 6 were heard");
        let _ = stage.carry_out(1);
        heard += stage.passes_on(0);
    }
    for _ in 0..3 {
        let _ = stage.carry_out(1);
        assert_eq!(stage.passes_on(0), 0);
    }
    // With room for one, two who go on at once may meet a full line again.
    let received = stage.received();
    let (ann, cat): (Vec<_>, Vec<_>) = received[1].chunks(3).map(|message| message[2]).partition(|said| *said < 100);
    assert!(ann.is_sorted() && cat.is_sorted(), "{ann:?} {cat:?}");
    let missed = stage.hubs[0].missed_elsewhere();
    assert_eq!((ann.len() + cat.len()) as u64 + missed, 6, "each is heard or counted");
}

#[test]
fn nothing_overtakes_what_waits() {
    let mut stage = Stage::new(2, 2, holding(3));
    stage.join("lobby", &[1]);
    for n in 1..=5 {
        assert_eq!(stage.hubs[0].to("lobby").emit(&[n]), queued(0));
    }
    assert_eq!(stage.carry_out(1), queued(3));
    // There is room again, but for those that wait first.
    assert_eq!(stage.hubs[0].to("lobby").emit(&[6]), queued(0));
    assert_eq!(stage.passes_on(0), 0);
    assert_eq!(stage.carry_out(1), queued(3));
    assert_eq!(stage.received()[1], (1..=6).flat_map(byte).collect::<Vec<_>>());
}

#[test]
fn nobody_is_held_for_a_hub_that_has_gone_or_has_never_been() {
    let mut stage = Stage::new(2, 2, holding(1));
    stage.says_bytes(0, 1..=9);
    assert_eq!(stage.passes_on(0), 2);
    // It goes, and wakes who waits for it.
    stage.hubs.remove(1);
    let (start, mut heard) = (Instant::now(), 2);
    while heard < 9 {
        assert!(start.elapsed() < PATIENCE / 2, "{heard} of 9");
        let on_event = |socket: &mut Socket<'_>, _: Event<'_>| {
            let _ = socket.to("lobby").emit("hi");
            heard += 1;
        };
        stage.hubs[0].turn(Some(PATIENCE), on_event).expect("a turn");
    }
    assert_eq!(stage.hubs[0].missed_elsewhere(), 0);

    let loops = Loops::new(2).expect("loops");
    let hubs = Hubs::with_config(&loops, holding(1));
    let mut seeds = loops.into_seeds();
    let _never = seeds.pop();
    let mut hub = hubs.hub(seeds.remove(0).build()).expect("its hub");
    for _ in 0..5 {
        let _ = hub.emit("hi");
    }
    assert_eq!(hub.missed_elsewhere(), 4, "it would wait for ever");
}

#[test]
fn who_waits_for_a_loop_and_for_a_recipient_waits_for_both() {
    for recipient_first in [true, false] {
        // Ann and cat live here, bob in loop 1. Cat reads nothing.
        let mut stage = Stage::new(2, 3, holding(1));
        let [ann, _, cat] = stage.ids[..] else { panic!("three clients") };
        let large = vec![7; 64 << 10];
        while stage.hubs[0].to(cat).emit(&large).backpressure == 0 {
            assert_eq!(stage.passes_on(0), 0);
        }
        stage.handle.hub(1).and_then(|hub| hub.emit("the queue is full")).expect("room for one");
        let delivery = stage.says(0, |socket| socket.to("lobby").to(cat).pause_sender().emit("hi"));
        assert_eq!(delivery.backpressure, 1);
        let held = |stage: &mut Stage| {
            let mut io = stage.hubs[0].io();
            io.connections().get(ann).is_some_and(|connection| !connection.wants_read())
        };
        assert!(held(&mut stage));
        let recipient_goes = |stage: &mut Stage| stage.hubs[0].forget(cat);
        let loop_has_room = |stage: &mut Stage| {
            assert_eq!(stage.carry_out(1), queued(1));
            assert_eq!(stage.passes_on(0), 0);
        };
        if recipient_first {
            recipient_goes(&mut stage)
        } else {
            loop_has_room(&mut stage)
        }
        assert!(held(&mut stage), "for the other");
        if recipient_first {
            loop_has_room(&mut stage)
        } else {
            recipient_goes(&mut stage)
        }
        assert!(!held(&mut stage));
    }
    // Who leaves the hub takes no pause along.
    let mut stage = Stage::new(2, 1, holding(1));
    stage.says_bytes(0, 1..=3);
    assert_eq!(stage.passes_on(0), 2);
    let hub = &mut stage.hubs[0];
    hub.forget(stage.ids[0]);
    assert!(hub.event_loop().connections().get(stage.ids[0]).is_some_and(|connection| connection.wants_read()));
}

#[test]
fn an_emit_wakes_the_other_loops() {
    let mut stage = Stage::new(2, 2, HubConfig::default());
    stage.join("lobby", &[1]);
    let mut other = stage.hubs.pop().expect("two");
    let start = Instant::now();
    // It would wait for ten seconds; what is said before it begins to wait ends that.
    let _ = stage.hubs[0].to("lobby").emit("hi");
    other.turn(Some(PATIENCE), |_, _| {}).expect("a turn");
    assert!(start.elapsed() < PATIENCE / 2);
    assert_eq!(read::<4>(&mut stage.clients[1]), *HI);
}

#[test]
fn handles_span_the_loops_too() {
    let mut stage = Stage::new(3, 3, HubConfig { presence_capacity: 4, ..HubConfig::default() });
    let [ann, bob, cat] = stage.ids[..] else { panic!("three clients") };
    let (all, one) = (stage.handle.clone(), stage.hubs[0].handle());
    let thread = thread::spawn(move || {
        for id in [ann, bob, cat] {
            all.join(id, "lobby")?;
        }
        all.leave(ann, "lobby")?;
        all.to("lobby").emit("hi")
    });
    assert_eq!(thread.join().expect("no panic"), Ok(()));
    assert_eq!(stage.carry_out_all(), [queued(0), queued(1), queued(1)]);
    assert_eq!(stage.received(), [NOTHING, HI, HI]);
    // By way of one hub: it goes on from there.
    assert_eq!(one.to("lobby").to(ann).except(cat).emit("hi"), Ok(()));
    assert_eq!(stage.carry_out_all(), [queued(1), queued(1), queued(0)]);
    assert_eq!(one.everyone().local().emit("hi"), Ok(()));
    assert_eq!(stage.carry_out_all(), [queued(1), queued(0), queued(0)]);
    assert_eq!(stage.received(), [HI.repeat(2), HI.to_vec(), NOTHING.to_vec()]);
    // Every one of them, once.
    assert_eq!(stage.handle.emit("hi"), Ok(()));
    assert_eq!(stage.handle.to(cat).emit("hi"), Ok(()));
    assert_eq!(stage.carry_out_all(), [queued(1), queued(1), queued(2)]);
    assert_eq!(stage.received(), [HI.to_vec(), HI.to_vec(), HI.repeat(2)]);

    let nobody: ConnId = "1-63-0".parse().expect("an id");
    assert_eq!(stage.handle.join(nobody, "lobby"), Ok(()));
    stage.carry_out_all();
    while let Some(event) = stage.hubs[1].poll_room_event() {
        let joined = matches!(event, RoomEvent::Joined { .. });
        let refused = RoomEvent::Refused { room: "lobby".into(), id: nobody, error: JoinError::NotOpen };
        assert!(joined || event == refused, "{event:?}");
    }
    assert_eq!(stage.handle.close(bob, CloseCode::NORMAL, "bye"), Ok(()));
    assert_eq!(stage.handle.abort(cat), Ok(()));
    stage.until(|socket, event| (matches!(event, Event::Closed(_)) && socket.id() == cat).then_some(()));
    stage.hubs[1].turn(Some(Duration::ZERO), |_, _| {}).expect("a turn");
    assert_eq!(read::<7>(&mut stage.clients[1]), *b"\x88\x05\x03\xe8bye");
}

#[test]
fn a_handle_to_all_says_what_it_could_not_pass_on() {
    let mut stage = Stage::new(3, 0, HubConfig { handle_capacity: 1, ..HubConfig::default() });
    let handle = stage.handle.clone();
    let stranger: ConnId = "3-0-0".parse().expect("an id");
    let unknown = Err(HubHandleError::UnknownLoop { event_loop: 3 });
    assert_eq!(handle.to(stranger).emit("hi"), unknown);
    assert_eq!(handle.join(stranger, "lobby"), unknown);
    assert_eq!(handle.close(stranger, CloseCode::NORMAL, ""), unknown);
    assert_eq!(handle.hub(2).map(|_| ()), Ok(()));
    assert_eq!(handle.emit("hi"), Ok(()));
    assert_eq!(stage.carry_out(1), queued(0));
    assert_eq!(handle.emit("hi"), Err(HubHandleError::Missed { hubs: 2 }));
    assert_eq!(handle.emit("hi"), Err(HubHandleError::Full));
    stage.carry_out_all();
    // One that has gone is missed by nobody.
    stage.hubs.remove(1);
    assert_eq!(handle.emit("hi"), Ok(()));
    assert_eq!(handle.to("1-0-0".parse::<ConnId>().expect("an id")).emit("hi"), Err(HubHandleError::Gone));
    stage.hubs.clear();
    assert_eq!(handle.emit("hi"), Err(HubHandleError::Gone));
}

#[test]
fn an_adapter_beside_sees_each_operation_at_the_hub_where_it_began() {
    struct Tape(usize, Arc<Mutex<Vec<(usize, Operation)>>>);
    impl Adapter for Tape {
        fn publish(&mut self, operation: &Operation) {
            self.1.lock().expect("not poisoned").push((self.0, operation.clone()));
        }
    }
    let mut stage = Stage::new(2, 2, HubConfig::default());
    let tape: Arc<Mutex<Vec<_>>> = Arc::default();
    for (n, hub) in stage.hubs.iter_mut().enumerate() {
        hub.set_adapter(Tape(n, tape.clone()));
    }
    stage.join("lobby", &[0, 1]);
    assert_eq!(stage.says(1, |socket| socket.to("lobby").emit("hi")), queued(0));
    stage.carry_out_all();
    {
        let published = tape.lock().expect("not poisoned");
        let [(1, operation)] = &published[..] else { panic!("one operation, of hub 1: {published:?}") };
        assert_eq!(operation.recipients, Recipients::to("lobby").except(stage.ids[1]));
    }
    // What came from another machine goes to all hubs, and not out again.
    let operation = Operation::new(Recipients::to("lobby"), "hi");
    assert_eq!(stage.handle.deliver(operation), Ok(()));
    assert_eq!(stage.carry_out_all(), [queued(1), queued(1)]);
    assert_eq!(tape.lock().expect("not poisoned").len(), 1);
    assert_eq!(stage.received(), [HI.repeat(2), HI.to_vec()]);
}

#[test]
fn a_hub_is_made_for_the_loops_that_it_is_for() {
    let loops = Loops::new(1).expect("a loop");
    let hubs = Hubs::new(&loops);
    let foreign = Loops::new(1).expect("a loop").into_seeds().pop().expect("one").build();
    for event_loop in [EventLoop::new().expect("a loop"), foreign] {
        let error = hubs.hub(event_loop).expect_err("not one of these");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    // What was sent before there was a hub waits for it.
    hubs.handle().emit("hi").expect("room in the queue");
    let mut hub = hubs.hub(loops.into_seeds().pop().expect("one").build()).expect("its hub");
    hub.turn(Some(Duration::ZERO), |_, _| {}).expect("a turn");
    assert_eq!(hub.take_handle_delivery(), queued(0));
    drop(hub);
    assert_eq!(hubs.handle().emit("hi"), Err(HubHandleError::Gone));
}

#[test]
fn messages_of_each_sender_stay_in_order_over_threads_each_once() {
    const CLIENTS: usize = 6;
    const MESSAGES: u16 = 600;
    // More than the queues hold: who says that much is held, and nothing is missed.
    const BATCH: u16 = 100;
    const CAPACITY: usize = 16;
    let loops = Loops::new(3).expect("loops");
    let listener = loops.listen("127.0.0.1:0".parse().expect("an address"), Config::default()).expect("a port");
    let (addr, handle) = (listener.local_addr().expect("TCP"), loops.handle());
    let hubs = Hubs::with_config(&loops, holding(CAPACITY));
    let joined = Arc::new(std::sync::Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|me| {
            let joined = joined.clone();
            thread::spawn(move || {
                let mut stream = TcpStream::connect(addr).expect("the port is open");
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                stream.write_all(REQUEST.as_bytes()).expect("sent");
                let mut head = Vec::new();
                // The room is joined before the head is written.
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(read::<1>(&mut stream)[0]);
                }
                joined.wait();
                let mut stream = std::io::BufReader::new(stream);
                let mut next = [0_u16; CLIENTS];
                while next != [MESSAGES; CLIENTS] {
                    if next[me] % BATCH == 0 && next[me] < MESSAGES {
                        let batch: Vec<_> = (next[me]..next[me] + BATCH)
                            .flat_map(|n| masked(0x82, &[me as u8, n.to_be_bytes()[0], n.to_be_bytes()[1]]))
                            .collect();
                        stream.get_mut().write_all(&batch).expect("sent");
                    }
                    // Until its own batch has come back it takes what comes, of anyone.
                    loop {
                        let mut frame = [0; 5];
                        stream.read_exact(&mut frame).expect("a message within the timeout");
                        assert_eq!(frame[..2], [0x82, 3]);
                        let expected = &mut next[usize::from(frame[2])];
                        assert_eq!(u16::from_be_bytes([frame[3], frame[4]]), *expected, "of {}", frame[2]);
                        *expected += 1;
                        if usize::from(frame[2]) == me && *expected % BATCH == 0 || next == [MESSAGES; CLIENTS] {
                            break;
                        }
                    }
                }
                stream
            })
        })
        .collect();
    let all = thread::spawn(move || {
        // Also when one of them fails: the loops end then, and the test does.
        let done: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        let spread = handle.connections();
        handle.shut_down(Duration::ZERO, Duration::ZERO);
        done.into_iter().for_each(|client| _ = client.expect("all in order"));
        spread
    });
    let served = std::sync::Barrier::new(3);
    let missed = loops.run(|mut event_loop| -> std::io::Result<u64> {
        event_loop.serve(&listener, |_, request| request.allow_any_origin())?;
        // Nobody is accepted before all take part.
        served.wait();
        let mut hub = hubs.hub(event_loop)?;
        while !hub.event_loop().is_shut_down() {
            hub.turn(None, |socket, event| match event {
                Event::Open => assert_eq!(socket.join("lobby"), Ok(true)),
                Event::Message(message) => {
                    assert_eq!(socket.to("lobby").including_me().emit(message).dropped, 0);
                }
                _ => {}
            })?;
        }
        Ok(hub.missed_elsewhere())
    });
    assert_eq!(all.join().expect("the clients"), [2, 2, 2]);
    assert_eq!(missed.expect("no failure"), [0, 0, 0]);
}
