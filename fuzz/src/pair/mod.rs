//! Two connections through virtual time, cuts and faults. The input is a list of operations behind the settings.
//!
//! Whatever happens: no panic; memory within the limits; `Open` first and exactly one `Closed`, last; every wait has a
//! deadline; what was accepted arrives in order and unchanged, up to where a fault was injected, and all of it where none
//! was.

mod end;

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use wireroom::{
    Config, PermessageDeflate, Transport,
    handshake::{ClientHandshake, ClientRequest, DeflateParams, Extensions, Progress, ServerHandshake},
    http::{Limits, Timeouts},
};

use crate::{
    client_handshake::NONCE,
    common::{self, Role},
};
use end::End;

/// The first field says at which end.
#[derive(Arbitrary, Debug)]
enum Operation {
    Send {
        client: bool,
        text: bool,
        via: Via,
        length: u16,
    },
    /// A fragment, or the end of the message.
    Fragment {
        client: bool,
        text: bool,
        length: u16,
    },
    Finish {
        client: bool,
    },
    Ping {
        client: bool,
        length: u8,
    },
    Pong {
        client: bool,
        length: u8,
    },
    Close {
        client: bool,
        code: u16,
    },
    Pause {
        client: bool,
    },
    Resume {
        client: bool,
    },
    Streaming {
        client: bool,
        on: bool,
    },
    Echo {
        client: bool,
        on: bool,
    },
    /// At most so many bytes are written by one end and read by the other.
    Move {
        client: bool,
        written: u16,
        read: u16,
    },
    Flow,
    Wait {
        milliseconds: u16,
    },
    WaitLong {
        seconds: u8,
    },
    Watch {
        client: bool,
        frames: u8,
    },
    // Faults.
    Abort {
        client: bool,
    },
    /// What is on its way to this end is lost, and so is all that follows.
    Vanish {
        client: bool,
    },
    HalfClose {
        client: bool,
    },
    Reset {
        client: bool,
    },
    Corrupt {
        client: bool,
        at: u16,
        with: u8,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Via {
    Send,
    Bytes,
    Prepared,
}

struct Pair {
    client: End,
    server: End,
    /// The client, before its handshake is over.
    handshake: Option<ClientHandshake>,
    config: Config,
    now: std::time::Instant,
    /// Bytes that the wire holds in each direction.
    wire: usize,
}

pub fn run(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let _ = story(&mut input);
}

fn settings(input: &mut Unstructured<'_>) -> arbitrary::Result<(Config, bool)> {
    let high = *input.choose(&[256 << 10, 1, 100, 5000])?;
    let config = Config::builder()
        .max_message_size(*input.choose(&[1 << 20, 100, 3000])?)
        .max_send_buffer(high + *input.choose(&[1 << 20, 0, 1000])?)
        .high_water_mark(high)
        .low_water_mark(*input.choose(&[high / 4, 0, high - 1])?)
        .keepalive_interval(*input.choose(&[None, Some(Duration::from_secs(30)), Some(Duration::from_millis(50))])?)
        .keepalive_timeout(*input.choose(&[Duration::from_secs(20), Duration::from_millis(1)])?)
        .idle_timeout(*input.choose(&[None, Some(Duration::from_secs(40))])?)
        .close_timeout(*input.choose(&[Duration::from_secs(5), Duration::from_millis(20)])?)
        .streaming(input.arbitrary()?);
    let deflate = PermessageDeflate { threshold: *input.choose(&[0, 128])?, ..PermessageDeflate::default() };
    let deflates = input.arbitrary()?;
    Ok((config.permessage_deflate(Some(deflate)).build().expect("valid"), deflates))
}

/// Mostly small, sometimes above what a run of the send queue holds.
fn size(length: u16) -> usize {
    let length = usize::from(length);
    match length {
        0..0xC000 => length % 300,
        0xC000..0xF000 => length % 5000,
        _ => (length & 0xFFF) * 16,
    }
}

fn story(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let (config, deflates) = settings(input)?;
    let wire = *input.choose(&[usize::MAX, 16, 150, 2000])?;
    let mut pair = match input.arbitrary()? {
        true => Pair::shaking_hands(config, deflates, wire),
        false => Pair::open(config, deflates, wire),
    };
    let mut steps = 0;
    while !input.is_empty() && steps < 400 {
        pair.perform(Operation::arbitrary(input)?);
        pair.check();
        steps += 1;
    }
    pair.finish();
    Ok(())
}

impl Pair {
    fn open(config: Config, deflates: bool, wire: usize) -> Self {
        let now = common::start();
        let extensions = match deflates {
            true => Extensions::none().with_deflate(DeflateParams::default()),
            false => Extensions::none(),
        };
        let connection = |role| common::connection_with(role, config.clone(), extensions, now);
        let (client, server) = (End::new(Some(connection(Role::Client))), End::new(Some(connection(Role::Server))));
        Self { client, server, handshake: None, config, now, wire }
    }

    /// The server has answered, and its 101 waits to be sent.
    fn shaking_hands(config: Config, deflates: bool, wire: usize) -> Self {
        let now = common::start();
        let deflate = config.permessage_deflate().filter(|_| deflates);
        let request = ClientRequest::new("ws://example.com/").expect("a URL");
        let request = request.deflate_offers(&deflate.map(|deflate| deflate.offers()).unwrap_or_default());
        let mut handshake = ClientHandshake::new(&request, NONCE, Limits::default(), Timeouts::default(), now);
        let mut server = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
        server.set_deflate(deflate.map(|deflate| deflate.terms()));
        let mut rx = wireroom::RecvBuffer::new();
        let mut bytes = Vec::new();
        bytes::BufMut::put(&mut bytes, handshake.transmit());
        rx.extend(&bytes);
        let progress = server.poll(&mut rx, now, &mut |request| request.accept().into());
        let Progress::Upgraded(accepted) = progress else { panic!("our own request is refused") };
        let server = End::new(Some(wireroom::Connection::server(*accepted, config.clone(), now)));
        Self { client: End::new(None), server, handshake: Some(handshake), config, now, wire }
    }

    fn perform(&mut self, operation: Operation) {
        use Operation as O;
        let (now, most) = (self.now, self.config.max_message_size());
        match operation {
            O::Send { client, text, via, length } => self.end(client).send(text, via, size(length).min(most)),
            O::Fragment { client, text, length } => self.end(client).fragment(text, size(length), most),
            O::Finish { client } => self.end(client).finish(),
            O::Ping { client, length } => self.end(client).control(true, length),
            O::Pong { client, length } => self.end(client).control(false, length),
            O::Close { client, code } => self.end(client).close(code, now),
            O::Pause { client } => self.end(client).pause(),
            O::Resume { client } => self.end(client).resume(now),
            O::Streaming { client, on } => self.end(client).set_streaming(on),
            O::Echo { client, on } => {
                // Not both at once: a message would go to and fro for ever.
                self.other(client).echoes &= !on;
                self.end(client).echoes = on;
            }
            O::Move { client, written, read } => {
                self.carry(client, written.into(), read.into());
            }
            O::Flow => self.flow(),
            O::Wait { milliseconds } => self.wait(Duration::from_millis(milliseconds.into())),
            O::WaitLong { seconds } => self.wait(Duration::from_secs(seconds.into())),
            O::Watch { client, frames } => self.end(client).watch(frames.into()),
            O::Abort { client } => {
                self.other(client).excused = true;
                self.end(client).abort(now);
            }
            O::Vanish { client } => {
                self.end(client).excused = true;
                self.end(client).vanished = true;
                self.end(client).incoming.clear();
            }
            O::HalfClose { client } => self.end(client).hears_the_end(now),
            O::Reset { client } => {
                self.other(client).excused = true;
                self.end(client).is_reset(now);
            }
            O::Corrupt { client, at, with } => self.end(client).corrupt(at.into(), with),
        }
        for client in [true, false] {
            self.poll(client);
        }
    }

    fn end(&mut self, client: bool) -> &mut End {
        if client { &mut self.client } else { &mut self.server }
    }

    fn other(&mut self, client: bool) -> &mut End {
        self.end(!client)
    }

    /// One end writes, the other reads. Answers whether anything moved.
    fn carry(&mut self, from_client: bool, written: usize, read: usize) -> bool {
        let (wire, now) = (self.wire, self.now);
        let (from, to) = match from_client {
            true => (&mut self.client, &mut self.server),
            false => (&mut self.server, &mut self.client),
        };
        let bytes = from.write(written.min(wire.saturating_sub(to.incoming.len())));
        let mut moved = !bytes.is_empty();
        if !to.vanished {
            to.incoming.extend(bytes);
        }
        from.poll(to, now);
        if let (true, Some(handshake)) = (!from_client, &mut self.handshake) {
            moved |= to.read_head(handshake, read, now, &self.config);
            if to.connection.is_some() {
                self.handshake = None;
            }
        } else {
            moved |= to.read(read);
        }
        to.poll(from, now);
        // The stream ends behind the last byte.
        if from.is_done_writing() && to.incoming.is_empty() && !to.vanished && !to.heard_end {
            to.hears_the_end(now);
            to.poll(from, now);
            moved = true;
        }
        moved
    }

    fn poll(&mut self, client: bool) {
        let now = self.now;
        match client {
            true => self.client.poll(&mut self.server, now),
            false => self.server.poll(&mut self.client, now),
        }
    }

    /// Everything moves, in reads of some kilobytes, until nothing does.
    fn flow(&mut self) {
        let mut rounds = 0;
        while self.carry(true, 4096, 4096) | self.carry(false, 4096, 4096) {
            rounds += 1;
            assert!(rounds < 1_000_000, "it never comes to rest");
        }
    }

    fn wait(&mut self, time: Duration) {
        let target = self.now + time;
        let mut rounds = 0;
        while let Some(deadline) = self.deadline().filter(|deadline| *deadline <= target) {
            self.at(deadline);
            rounds += 1;
            assert!(rounds < 100_000, "a deadline that does not pass");
        }
        self.at(target);
    }

    fn deadline(&self) -> Option<std::time::Instant> {
        let deadlines =
            [&self.client, &self.server].map(|end| end.connection.as_ref().and_then(|it| it.poll_timeout()));
        deadlines.into_iter().flatten().min()
    }

    fn at(&mut self, now: std::time::Instant) {
        self.now = self.now.max(now);
        for client in [true, false] {
            self.end(client).handle_timeout(now);
            self.poll(client);
        }
    }

    fn check(&self) {
        self.client.check(&self.config);
        self.server.check(&self.config);
    }

    /// From here on everything goes well, and it ends.
    fn finish(&mut self) {
        let now = self.now;
        for client in [true, false] {
            let end = self.end(client);
            end.echoes = false;
            end.resume(now);
            end.finish();
        }
        self.wire = usize::MAX;
        self.flow();
        self.check();
        self.client.nothing_is_missing_at(&self.server);
        self.server.nothing_is_missing_at(&self.client);
        self.client.close(1000, now);
        self.poll(true);
        if self.client.connection.is_none() {
            // Its handshake failed, or the 101 was lost: the server hears that it has gone.
            self.server.hears_the_end(now);
            self.client.is_over = true;
        }
        self.flow();
        let began = self.now;
        let mut rounds = 0;
        while !(self.client.is_over && self.server.is_over) {
            let next =
                self.deadline().unwrap_or_else(|| panic!("nothing will end it:\n{:?}\n{:?}", self.client, self.server));
            self.at(next);
            self.flow();
            rounds += 1;
            assert!(rounds < 10_000, "it does not end");
        }
        // A Close of ours, and one more attempt of a peer that does not hear it.
        let most = self.config.close_timeout() * 2
            + self.config.keepalive_interval().unwrap_or_default()
            + self.config.keepalive_timeout();
        assert!(self.now - began <= most + Duration::from_secs(1), "it took {:?}", self.now - began);
        for end in [&self.client, &self.server] {
            if let Some(connection) = &end.connection {
                assert_eq!(connection.transport(), Transport::Close);
                assert!(connection.poll_timeout().is_none() && !connection.wants_read() && !connection.wants_poll());
            }
        }
    }
}
