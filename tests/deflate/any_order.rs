//! A loop with both ends of two connections in random company: whatever was taken arrives, in whatever order the owner compresses,
//! pauses and waits. (A build with debug assertions also tells of a deadline that the loop has missed.)

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

use wireroom::{
    CloseCode, Compression, Config, ConnId, Connections, Event, EventLoop, Kind, PermessageDeflate, PreparedMessage,
    SendError, SendStatus, handshake::ClientRequest,
};

use crate::support::*;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn payload(&mut self) -> Vec<u8> {
        let most = [1, 10, 300, 3_000, 9_000][self.below(5)];
        let length = self.below(most);
        if self.below(3) == 0 { noise(length) } else { prose(length).into_bytes() }
    }

    /// Short times, so that they come up in between.
    fn config(&mut self) -> Config {
        let deflate = (self.below(4) > 0).then(|| PermessageDeflate {
            server_no_context_takeover: self.below(2) == 0,
            client_no_context_takeover: self.below(2) == 0,
            threshold: [0, 100][self.below(2)],
            release_after: Some(Duration::from_millis(1 + self.below(6) as u64)),
            ..PermessageDeflate::default()
        });
        let interval = [None, Some(Duration::from_millis(4)), Some(Duration::from_millis(15))][self.below(3)];
        let (streaming, statistics) = (self.below(4) == 0, self.below(4) == 0);
        config(|config| {
            let config = config.permessage_deflate(deflate).streaming(streaming).statistics(statistics);
            let config = config.keepalive_interval(interval).keepalive_timeout(Duration::from_secs(3_600));
            config.high_water_mark(4_000).low_water_mark(1_000).max_send_buffer(20_000).max_send_messages(30)
        })
    }
}

#[derive(Default)]
struct End {
    peer: Option<ConnId>,
    sent: Vec<Vec<u8>>,
    /// The fragments of a message that has not ended.
    writing: Option<Vec<u8>>,
    heard: Vec<Vec<u8>>,
    part: Vec<u8>,
    closed: bool,
}

impl End {
    fn took(&mut self, message: Vec<u8>, status: Result<SendStatus, SendError>) {
        if let Ok(SendStatus::Queued | SendStatus::Backpressure) = status {
            self.sent.push(message);
        }
    }

    fn finish(&mut self, id: ConnId, connections: &mut Connections) {
        if self.writing.is_some()
            && let Ok(writer) = connections.writer(id, Kind::Binary)
            && writer.finish().is_ok()
        {
            self.sent.extend(self.writing.take());
        }
    }

    fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Message(message) => self.heard.push(message.as_bytes().to_vec()),
            Event::Part(part) => {
                assert_eq!(part.first, self.part.is_empty());
                self.part.extend_from_slice(part.message.as_bytes());
                if part.last {
                    self.heard.push(std::mem::take(&mut self.part));
                }
            }
            _ => {}
        }
    }
}

type Ends = BTreeMap<usize, (ConnId, End)>;

/// Something that an owner may do at any time.
fn act(random: &mut Random, connections: &mut Connections, ends: &mut Ends) {
    let nth = random.below(ends.len());
    let Some((id, end)) = ends.values_mut().nth(nth) else { return };
    let (id, payload) = (*id, random.payload());
    match random.below(16) {
        0..=2 => {
            let status = connections.send(id, &payload);
            end.took(payload, status);
        }
        3 => {
            let status = connections.send_bytes(id, Kind::Binary, payload.clone().into());
            end.took(payload, status);
        }
        4 | 5 => {
            let status = connections.send_prepared(id, &PreparedMessage::new(&payload));
            end.took(payload, status);
        }
        6..=8 => {
            let compression = [Compression::Always, Compression::Never, Compression::Auto][random.below(3)];
            if let Ok(mut writer) = connections.writer_with(id, Kind::Binary, compression)
                && writer.write(&payload).is_ok()
            {
                end.writing.get_or_insert_default().extend(payload);
            }
            if random.below(2) == 0 {
                end.finish(id, connections);
            }
        }
        9 => _ = connections.ping(id, b"owner"),
        10 => connections.pause(id),
        11 | 12 => connections.resume(id),
        13 => _ = connections.set_streaming(id, random.below(2) == 0),
        14 => _ = connections.watch_frames(id, random.below(2)),
        _ => std::thread::sleep(Duration::from_millis(random.below(8) as u64)),
    }
}

struct World {
    event_loop: EventLoop,
    /// By slot.
    ends: Ends,
    random: Random,
    seed: u64,
    began: Instant,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut event_loop = EventLoop::new().unwrap();
        let clients = Rc::new(RefCell::new(Vec::<(ConnId, String)>::new()));
        let asked = clients.clone();
        let verify = move |id, request: &wireroom::http::Request<'_>| {
            asked.borrow_mut().push((id, request.target().to_owned()));
            request.allow_any_origin()
        };
        let address = event_loop.listen(([127, 0, 0, 1], 0).into(), random.config(), verify).unwrap();
        let mut ends = Ends::new();
        for number in 0..2 {
            let request = ClientRequest::new(&format!("ws://localhost/{number}")).unwrap();
            let id = event_loop.connect(address, request, random.config()).unwrap();
            ends.insert(id.index(), (id, End::default()));
        }
        let began = Instant::now();
        let ids: Vec<_> = ends.values().map(|(id, _)| *id).collect();
        let mut world = Self { event_loop, ends, random, seed, began };
        let all_open = |world: &mut Self| {
            let connections = world.event_loop.connections();
            connections.ids().count() == 4
        };
        while !all_open(&mut world) {
            // Nobody says anything before all are there.
            world.patience("an upgrade");
            world.event_loop.turn(Some(Duration::from_millis(1)), |_, _, _| {}).unwrap();
        }
        for (server, target) in clients.borrow().iter() {
            let client = ids[target.trim_start_matches('/').parse::<usize>().unwrap()];
            world.ends.get_mut(&client.index()).unwrap().1.peer = Some(*server);
            world.ends.insert(server.index(), (*server, End { peer: Some(client), ..End::default() }));
        }
        world
    }

    fn patience(&self, what: &str) {
        assert!(self.began.elapsed() < Duration::from_secs(20), "seed {}: {what} does not come", self.seed);
    }

    /// The owner acts at some of the events, or at none.
    fn turn(&mut self, acts: bool) {
        let Self { event_loop, ends, random, .. } = self;
        let wait = Duration::from_millis(if acts { random.below(2) as u64 } else { 2 });
        let on_event = |connections: &mut Connections, id: ConnId, event: Event<'_>| {
            let (_, end) = ends.get_mut(&id.index()).expect("an event of a stranger");
            assert!(!end.closed, "an event behind the last: {event:?}");
            end.closed = matches!(event, Event::Closed(_));
            end.hear(&event);
            while acts && random.below(4) == 0 {
                act(random, connections, ends);
            }
        };
        event_loop.turn(Some(wait), on_event).unwrap();
    }

    fn run(mut self) {
        for _ in 0..self.random.below(200) {
            if self.random.below(3) == 0 {
                act(&mut self.random, self.event_loop.connections(), &mut self.ends);
            }
            self.turn(true);
        }
        for (id, _) in self.ends.values() {
            self.event_loop.connections().resume(*id);
        }
        let is_heard = |ends: &Ends| {
            ends.values().all(|(_, end)| {
                let peer = end.peer.map(|peer| &ends[&peer.index()].1);
                end.writing.is_none() && peer.is_some_and(|peer| peer.heard.len() >= end.sent.len())
            })
        };
        while !is_heard(&self.ends) {
            self.patience("a message");
            self.turn(false);
            for (id, end) in self.ends.values_mut() {
                end.finish(*id, self.event_loop.connections());
            }
        }
        for (_, end) in self.ends.values() {
            let peer = &self.ends[&end.peer.unwrap().index()].1;
            assert!(peer.heard == end.sent && !end.closed, "seed {}", self.seed);
        }
        for (id, _) in self.ends.values() {
            self.event_loop.connections().close(*id, CloseCode::NORMAL, "");
        }
        while !self.event_loop.connections().is_empty() {
            self.patience("an end");
            self.turn(false);
        }
        assert!(self.ends.values().all(|(_, end)| end.closed));
    }
}

#[test]
fn whatever_was_taken_arrives() {
    for seed in 0..60 {
        World::new(seed).run();
    }
}
