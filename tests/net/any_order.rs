//! Two connections of a loop in random company: what is told of each is what a connection alone tells of the same bytes, what was
//! accepted arrives, and nobody is forgotten by the keepalive, in whatever order the owner calls.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::net::UnixStream;
use wireroom::{
    Config, ConnId, Connection, Connections, Event, EventLoop, RecvBuffer, SendError, SendStatus, SlowConsumer,
    handshake::Accepted,
};

use crate::support::{PATIENCE, Peer, frame};

const INTERVAL: Duration = Duration::from_millis(5);

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn size(&mut self) -> usize {
        let most = [1, 10, 126, 1_000, 6_000][self.below(5)];
        self.below(most)
    }
}

type Told = (&'static str, Vec<u8>);

/// What a connection tells, however its messages were cut.
#[derive(Default)]
struct Telling {
    told: Vec<Told>,
    part: Option<Vec<u8>>,
    opened: usize,
    closed: usize,
}

impl Telling {
    fn hear(&mut self, event: &Event<'_>) {
        assert_eq!(self.closed, 0, "an event behind the last: {event:?}");
        match event {
            Event::Open => self.opened += 1,
            Event::Message(message) => self.told.push(("message", message.as_bytes().to_vec())),
            Event::Part(part) => {
                assert_eq!(self.part.is_none(), part.first);
                self.part.get_or_insert_default().extend_from_slice(part.message.as_bytes());
                if part.last {
                    self.told.extend(self.part.take().map(|whole| ("message", whole)));
                }
            }
            Event::Ping(payload) => self.told.push(("ping", payload.to_vec())),
            Event::Pong(payload) => self.told.push(("pong", payload.to_vec())),
            Event::Closed(_) => self.closed += 1,
            _ => {}
        }
    }
}

struct Member {
    id: ConnId,
    peer: Peer<std::os::unix::net::UnixStream>,
    /// Not sent by the peer yet.
    script: VecDeque<u8>,
    expected: Vec<Told>,
    telling: Telling,
    /// Messages that were taken for the peer, and those that it got.
    taken: Vec<Vec<u8>>,
    got: Vec<Vec<u8>>,
    pings: usize,
    /// `Event::Drain` is owed.
    crowded: bool,
}

impl Member {
    fn took(&mut self, message: &[u8], status: Result<SendStatus, SendError>) {
        match status {
            Ok(SendStatus::Queued | SendStatus::Backpressure) => self.taken.push(message.to_vec()),
            Ok(SendStatus::Dropped) | Err(_) => {}
        }
        self.crowded |= !matches!(status, Ok(SendStatus::Queued));
    }
}

fn frames(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(60) {
        match random.below(8) {
            0 => bytes.extend(frame(0x89, vec![b'p'; random.below(20)])),
            1 => bytes.extend(frame(0x8A, vec![b'q'; random.below(20)])),
            2 => {
                bytes.extend(frame(0x01, vec![b'f'; random.below(3)]));
                for _ in 0..random.below(4) {
                    let payload = vec![b'f'; [0, 0, 1, 300][random.below(4)]];
                    bytes.extend(frame(
                        if random.below(4) == 0 { 0x89 } else { 0x00 },
                        &payload[..payload.len().min(99)],
                    ));
                }
                bytes.extend(frame(0x80, vec![b'f'; random.below(2)]));
            }
            n => bytes.extend(frame(0x81 + (n % 2) as u8, vec![b'a' + n as u8; random.size()])),
        }
    }
    // A sign of life, and a mark.
    bytes.extend(frame(0x8A, "the end"));
    bytes
}

/// The same, told by a connection alone.
fn alone(bytes: &[u8]) -> Vec<Told> {
    let (accepted, now) = (Accepted::upgraded_elsewhere(None, Default::default()), Instant::now());
    let mut connection = Connection::server(accepted, Arc::new(Config::default()), now);
    let (mut rx, mut telling) = (RecvBuffer::new(), Telling::default());
    rx.extend(bytes);
    while let Some(event) = connection.poll_event(&mut rx, now) {
        telling.hear(&event);
        drop(event);
        let queue = connection.transmit();
        bytes::Buf::advance(queue, queue.len());
    }
    telling.told
}

/// Something that an owner may do at any time.
fn act(random: &mut Random, connections: &mut Connections, members: &mut [Member; 2]) {
    let member = &mut members[random.below(2)];
    let id = member.id;
    match random.below(12) {
        0..=4 => {
            let message = vec![b'0'; random.size()];
            let status = connections.send(id, &message);
            member.took(&message, status);
        }
        5 => _ = connections.ping(id, b"owner"),
        6 => connections.pause(id),
        7 | 8 => connections.resume(id),
        9 => _ = connections.set_streaming(id, random.below(2) == 0),
        10 => _ = connections.watch_frames(id, random.below(3)),
        _ => std::thread::sleep(Duration::from_millis(random.below(12) as u64)),
    }
}

struct World {
    event_loop: EventLoop,
    members: [Member; 2],
    random: Random,
}

impl World {
    fn new(seed: u64) -> (Self, Config) {
        let mut random = Random(seed);
        let policy = [SlowConsumer::Refuse, SlowConsumer::DropNewest, SlowConsumer::DropOldest][random.below(3)];
        let config = Config::builder()
            .keepalive_interval((random.below(3) > 0).then_some(INTERVAL))
            .keepalive_timeout(Duration::from_secs(3_600))
            .high_water_mark(2_000)
            .low_water_mark(500)
            .max_send_buffer(4_000)
            .max_send_messages(20)
            .slow_consumer(policy)
            .streaming(random.below(4) == 0)
            .statistics(random.below(4) == 0)
            .build()
            .unwrap();
        let mut event_loop = EventLoop::new().unwrap();
        let members = [(); 2].map(|()| {
            let (stream, peer) = std::os::unix::net::UnixStream::pair().unwrap();
            stream.set_nonblocking(true).unwrap();
            if random.below(2) == 0 {
                // The least that the system allows, so that it does not take all.
                socket2::SockRef::from(&stream).set_send_buffer_size(1).unwrap();
            }
            let script = frames(&mut random);
            let early = random.below(script.len() + 1).min(30);
            let accepted = Accepted::upgraded_elsewhere(None, Default::default());
            let stream = UnixStream::from_std(stream);
            Member {
                id: event_loop.take_over(stream, accepted, &script[..early], config.clone()).unwrap(),
                peer: Peer::new(peer),
                expected: alone(&script),
                script: script[early..].to_vec().into(),
                telling: Telling::default(),
                taken: Vec::new(),
                got: Vec::new(),
                pings: 0,
                crowded: false,
            }
        });
        (Self { event_loop, members, random }, config)
    }

    /// The owner acts at every `nth` event or so.
    fn turn(&mut self, nth: usize) {
        let Self { event_loop, members, random } = self;
        let ids = members.each_ref().map(|member| member.id);
        let wait = Duration::from_millis(u64::from(nth == usize::MAX));
        let on_event = |connections: &mut Connections, id: ConnId, event: Event<'_>| {
            let who = ids.iter().position(|of| *of == id).expect("an event of a stranger");
            members[who].telling.hear(&event);
            members[who].crowded &= !matches!(event, Event::Drain | Event::Closed(_));
            if let Event::Message(message) = &event {
                let status = connections.send(id, *message);
                members[who].took(message.as_bytes(), status);
            }
            while nth < usize::MAX && random.below(nth) == 0 {
                act(random, connections, members);
            }
        };
        event_loop.turn(Some(wait), on_event).unwrap();
    }

    fn step(&mut self) {
        let who = self.random.below(2);
        match self.random.below(20) {
            0..=5 => {
                let most = [1, 8, 300, 9_000][self.random.below(4)];
                self.write(who, most);
            }
            6 | 7 => self.read(who),
            8 => act(&mut self.random, self.event_loop.connections(), &mut self.members),
            9 => self.event_loop.flush(),
            10 => _ = self.event_loop.handle().resume(self.members[who].id),
            11 => {
                let detached = self.event_loop.detach(self.members[who].id).unwrap();
                self.members[who].id = self.event_loop.adopt(detached).unwrap();
            }
            _ => self.turn(4),
        }
    }

    fn write(&mut self, who: usize, most: usize) {
        let Member { script, peer, .. } = &mut self.members[who];
        if script.is_empty() {
            return;
        }
        let bytes = script.make_contiguous();
        let sent = peer.send_some(&bytes[..bytes.len().min(most)]);
        script.drain(..sent);
    }

    fn read(&mut self, who: usize) {
        let Member { peer, got, pings, .. } = &mut self.members[who];
        peer.receive();
        while let Some((first, payload)) = peer.take_frame() {
            match first {
                0x81 | 0x82 => got.push(payload),
                0x89 => *pings += 1,
                0x8A | 0x88 => {}
                other => panic!("{other:#x}"),
            }
        }
    }

    fn until(&mut self, seed: u64, what: &str, done: impl Fn(&Member) -> bool) {
        let start = Instant::now();
        while !self.members.iter().all(&done) {
            if start.elapsed() > PATIENCE {
                for Member { id, expected, telling, taken, got, .. } in &self.members {
                    let counts = [expected.len(), telling.told.len(), taken.len(), got.len()];
                    println!("{counts:?} {:?}", self.event_loop.connections().get(*id));
                }
                panic!("seed {seed}: {what} does not come");
            }
            for who in 0..2 {
                self.write(who, usize::MAX);
                self.read(who);
            }
            self.turn(usize::MAX);
        }
    }
}

fn run(seed: u64) {
    let (mut world, config) = World::new(seed);
    for _ in 0..world.random.below(150) {
        world.step();
    }
    for who in 0..2 {
        let id = world.members[who].id;
        world.event_loop.connections().resume(id);
    }
    world.until(seed, "an event", |member| member.telling.told.len() >= member.expected.len());
    let loses = config.slow_consumer() == SlowConsumer::DropOldest;
    world.until(seed, "Event::Drain", |member| !member.crowded);
    world.until(seed, "a message", |member| loses || member.got.len() >= member.taken.len());
    for member in &mut world.members {
        assert_eq!(member.telling.told, member.expected, "seed {seed}");
        assert!(loses || member.got == member.taken, "seed {seed}");
        member.pings = 0;
        let life = frame(0x8A, "life");
        member.peer.send(&life);
        member.expected.extend(alone(&life));
    }
    world.until(seed, "a sign of life", |member| member.telling.told.len() >= member.expected.len());
    if config.keepalive_interval().is_some() {
        world.until(seed, "a Ping", |member| member.pings > 0);
    }
    world.members[0].peer.send(frame(0x88, ""));
    world.members[1].peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
    world.until(seed, "the end", |member| member.telling.closed == 1);
}

#[test]
fn what_is_told_is_what_a_connection_alone_tells() {
    for seed in 0..150 {
        run(seed);
    }
}
