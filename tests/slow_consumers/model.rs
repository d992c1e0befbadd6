//! Sends with policies and keys, and writes of any size, against a naive model of one connection: what `send` answers, what
//! is told, and what arrives, in order.

use proptest::prelude::*;

use super::*;

/// What a message apart counts beside its frame.
const COST: usize = 128;

#[derive(Clone, Debug)]
struct Limits {
    high: usize,
    low: usize,
    buffer: usize,
    messages: u32,
    policy: SlowConsumer,
}

#[derive(Clone, Copy, Debug)]
enum Via {
    Borrowed,
    Shared,
    Prepared,
}

#[derive(Clone, Debug)]
enum Op {
    Send { via: Via, size: usize },
    SendAs { size: usize, policy: Option<SlowConsumer>, key: Option<u8> },
    Fragments { sizes: Vec<usize> },
    Write(usize),
    Poll,
}

fn policy() -> impl Strategy<Value = SlowConsumer> {
    prop_oneof![Just(SlowConsumer::Refuse), Just(SlowConsumer::DropNewest), Just(SlowConsumer::DropOldest)]
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 4..40_usize, 4 => 100..200_usize, 1 => 1_000..6_000_usize]
}

fn op() -> impl Strategy<Value = Op> {
    let via = prop_oneof![Just(Via::Borrowed), Just(Via::Shared), Just(Via::Prepared)];
    prop_oneof![
        6 => (via, size()).prop_map(|(via, size)| Op::Send { via, size }),
        12 => (size(), proptest::option::of(policy()), proptest::option::of(0..4_u8))
            .prop_map(|(size, policy, key)| Op::SendAs { size, policy, key }),
        1 => proptest::collection::vec(size(), 0..4).prop_map(|sizes| Op::Fragments { sizes }),
        5 => prop_oneof![4 => 0..300_usize, 1 => 0..6_000_usize].prop_map(Op::Write),
        4 => Just(Op::Poll),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..1_200_usize, 0..1_000_usize, 0..4_000_usize, prop_oneof![1..40_u32, Just(1_000)], policy()).prop_map(
        |(high, low, more, messages, policy)| {
            let low = low % high;
            Limits { high, low, buffer: high + more, messages, policy }
        },
    )
}

#[derive(Debug)]
struct Frame {
    size: usize,
    ends: bool,
}

#[derive(Debug)]
struct Apart {
    id: u32,
    size: usize,
    key: Option<u8>,
    droppable: bool,
}

#[derive(Debug)]
struct Model {
    limits: Limits,
    role: Role,
    queue: Vec<Frame>,
    apart: Vec<Apart>,
    /// What arrives, in order; of a message in fragments each of them.
    framed: Vec<u32>,
    untold: [u64; 3],
    told: [u64; 3],
    drain_owed: bool,
    accepted: usize,
}

impl Model {
    fn size(&self, payload: usize) -> usize {
        common::header(self.role, 0x82, payload as u64).len() + payload
    }

    fn queued(&self) -> (usize, usize) {
        (self.queue.iter().map(|frame| frame.size).sum(), self.queue.iter().filter(|frame| frame.ends).count())
    }

    /// Bytes and messages that wait.
    fn waiting(&self) -> (usize, usize) {
        let (bytes, messages) = self.queued();
        (bytes + self.apart.iter().map(|apart| apart.size).sum::<usize>(), messages + self.apart.len())
    }

    fn frame_first(&mut self) {
        let Apart { id, size, .. } = self.apart.remove(0);
        self.queue.push(Frame { size, ends: true });
        self.framed.push(id);
    }

    fn refill(&mut self) {
        let few = self.limits.messages as usize / 4;
        while !self.apart.is_empty() && self.queued().0 <= self.limits.low && self.queued().1 <= few {
            self.frame_first();
        }
    }

    fn is_crowded(&self) -> bool {
        let (bytes, messages) = self.waiting();
        bytes > self.limits.high || messages > self.limits.messages as usize / 2
    }

    fn status(&mut self) -> SendStatus {
        if !self.is_crowded() {
            return SendStatus::Queued;
        }
        self.drain_owed = true;
        SendStatus::Backpressure
    }

    /// The limit that would be reached without those of the messages apart that are `gone`.
    fn full(&self, gone: impl Fn(&Apart) -> bool) -> Option<SendError> {
        let cost = |apart: &Apart| apart.size + COST;
        let (bytes, messages) = self.queued();
        let buffered = bytes + self.apart.iter().map(cost).sum::<usize>();
        let left: Vec<_> = self.apart.iter().filter(|apart| !gone(apart)).collect();
        if bytes + left.iter().map(|apart| cost(apart)).sum::<usize>() >= self.limits.buffer {
            return Some(SendError::BufferFull { buffered, limit: self.limits.buffer });
        }
        let limit = self.limits.messages;
        (messages + left.len() >= limit as usize).then_some(SendError::QueueFull { limit })
    }

    fn send(
        &mut self,
        id: u32,
        payload: usize,
        policy: Option<SlowConsumer>,
        key: Option<u8>,
    ) -> Result<SendStatus, SendError> {
        self.refill();
        let policy = policy.unwrap_or(self.limits.policy);
        let droppable = policy == SlowConsumer::DropOldest;
        let same = |apart: &Apart| key.is_some() && apart.key == key;
        if let Some(error) = self.full(same) {
            self.drain_owed = true;
            if policy == SlowConsumer::Refuse {
                return Err(error);
            }
            if !droppable || self.full(|apart| apart.droppable || same(apart)).is_some() {
                self.untold[0] += 1;
                return Ok(SendStatus::Dropped);
            }
            while self.full(same).is_some() {
                let oldest = self.apart.iter().position(|apart| apart.droppable).expect("it fits without all of them");
                self.apart.remove(oldest);
                self.untold[1] += 1;
            }
        }
        self.accepted += 1;
        let new = Apart { id, size: self.size(payload), key, droppable };
        if self.apart.is_empty() && !((droppable || key.is_some()) && self.is_crowded()) {
            self.apart.push(new);
            self.frame_first();
            return Ok(self.status());
        }
        self.drain_owed = true;
        match self.apart.iter().position(same) {
            Some(place) => {
                self.apart[place] = new;
                self.untold[2] += 1;
            }
            None => self.apart.push(new),
        }
        Ok(SendStatus::Backpressure)
    }

    fn fragment(&mut self, id: u32, payload: usize, ends: bool) -> Result<SendStatus, SendError> {
        self.refill();
        if let Some(error) = self.full(|_| false) {
            self.drain_owed = true;
            return Err(error);
        }
        Ok(self.append(id, payload, ends))
    }

    fn append(&mut self, id: u32, payload: usize, ends: bool) -> SendStatus {
        while !self.apart.is_empty() {
            self.frame_first();
        }
        self.queue.push(Frame { size: self.size(payload), ends });
        self.framed.push(id);
        self.status()
    }

    fn write(&mut self, mut n: usize) {
        self.refill();
        for frame in &mut self.queue {
            let here = n.min(frame.size);
            frame.size -= here;
            n -= here;
        }
        self.queue.retain(|frame| frame.size > 0);
    }

    /// What a poll tells.
    fn poll(&mut self) -> Vec<Seen> {
        self.refill();
        let mut seen = Vec::new();
        let untold = std::mem::take(&mut self.untold);
        if untold != [0; 3] {
            let mut dropped = Dropped::default();
            [dropped.newest, dropped.oldest, dropped.replaced] = untold;
            seen.push(Seen::Dropped(dropped));
            self.told = std::array::from_fn(|i| self.told[i] + untold[i]);
        }
        let (bytes, messages) = self.waiting();
        if self.drain_owed && bytes <= self.limits.low && messages <= self.limits.messages as usize / 4 {
            self.drain_owed = false;
            seen.push(Seen::Drain);
        }
        seen
    }
}

fn payload(id: u32, size: usize) -> Vec<u8> {
    id.to_be_bytes().into_iter().chain((4..size).map(|i| (id as usize + i) as u8)).collect()
}

fn check(role: Role, limits: Limits, ops: Vec<Op>) {
    let config = config(|config| {
        let marks = config.high_water_mark(limits.high).low_water_mark(limits.low);
        marks.max_send_buffer(limits.buffer).max_send_messages(limits.messages).slow_consumer(limits.policy)
    });
    let mut end = Endpoint::new(role, config);
    let mut model = Model {
        limits,
        role,
        queue: Vec::new(),
        apart: Vec::new(),
        framed: Vec::new(),
        untold: [0; 3],
        told: [0; 3],
        drain_owed: false,
        accepted: 0,
    };
    let mut bytes = Vec::new();
    let mut sizes = Vec::new();
    for (number, op) in ops.into_iter().chain([Op::Write(usize::MAX), Op::Poll]).enumerate() {
        let id = sizes.len() as u32;
        match op {
            Op::Send { via, size } => {
                sizes.push(size);
                let payload = payload(id, size);
                let status = match via {
                    Via::Borrowed => end.send(&payload),
                    Via::Shared => end.connection.send_bytes(Kind::Binary, payload.into()),
                    Via::Prepared => end.connection.send_prepared(&PreparedMessage::new(&payload)),
                };
                assert_eq!(status, model.send(id, size, None, None), "{number}");
            }
            Op::SendAs { size, policy, key } => {
                sizes.push(size);
                let mut message = PreparedMessage::new(&payload(id, size));
                message = policy.into_iter().fold(message, PreparedMessage::slow_consumer);
                message = key.into_iter().fold(message, |message, key| message.latest_of(key.to_string()));
                let status = end.connection.send_prepared(&message);
                assert_eq!(status, model.send(id, size, policy, key), "{number}");
            }
            Op::Fragments { sizes: fragments } => {
                sizes.push(0);
                let mut writer = end.connection.writer(Kind::Binary).expect("no other message is unfinished");
                let mut begun = false;
                for size in fragments {
                    let expected = model.fragment(id, size, false);
                    begun |= expected.is_ok();
                    assert_eq!(writer.write(&payload(id, size)), expected, "{number}");
                }
                // What has begun can always be ended.
                let expected = if begun { Ok(model.append(id, 0, true)) } else { model.fragment(id, 0, true) };
                assert_eq!(writer.finish(), expected, "{number}");
            }
            Op::Write(n) => {
                if n == usize::MAX {
                    bytes.extend(end.flush());
                    while !model.waiting().0.eq(&0) {
                        model.write(n);
                    }
                } else {
                    bytes.extend(end.write(n));
                    model.write(n);
                }
                let (told, expected) = (end.take_seen(), model.poll());
                assert_eq!(told, expected, "{number}: after {n} bytes");
            }
            Op::Poll => {
                end.poll();
                assert_eq!(end.take_seen(), model.poll(), "{number}");
            }
        }
        assert_eq!(end.connection.buffered_amount(), model.waiting().0, "{number}");
        assert_eq!(end.connection.wants_write(), model.waiting().0 > 0, "{number}");
        assert!(end.connection.wants_read(), "{number}: nothing of this answers the peer");
    }
    let arrived = frames(role, &bytes);
    let mut expected = model.framed.iter();
    let mut whole = 0;
    for (first, received) in &arrived {
        let id = *expected.next().expect("no more than the model says");
        if sizes[id as usize] > 0 {
            assert_eq!((*first, received.len()), (0x82, sizes[id as usize]));
            whole += 1;
        }
        // The last frame of a message in fragments is empty.
        assert!(first & 0x80 != 0 && received.is_empty() || *received == payload(id, received.len()), "{first:x}");
    }
    assert_eq!(expected.next(), None, "all of them arrive");
    assert_eq!(
        model.accepted,
        whole + (model.told[1] + model.told[2]) as usize,
        "accepted = arrived + dropped + replaced"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sends_and_writes_come_to_what_the_model_says(
        server in any::<bool>(),
        limits in limits(),
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        check(if server { Role::Server } else { Role::Client }, limits, ops);
    }
}
