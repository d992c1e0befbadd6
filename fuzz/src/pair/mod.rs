//! Two connections through virtual time, cuts and faults. The input is a list of operations behind the settings.
//!
//! Whatever happens: no panic; memory within the limits; `Open` first and exactly one `Closed`, last; every wait has a
//! deadline; what was accepted arrives in order and unchanged, up to where a fault was injected, and all of it where none
//! was, but for what a policy for slow consumers let go: accepted = arrived + dropped + replaced.

mod end;
mod hearing;
mod line;
mod operation;

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
    printed::told,
};
use end::End;
use operation::{Operation, Policy};

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
        .max_send_messages(*input.choose(&[65_536, 1, 2, 5, 20])?)
        .slow_consumer(Policy::arbitrary(input)?.into())
        .statistics(input.arbitrary()?)
        .high_water_mark(high)
        .low_water_mark(*input.choose(&[high / 4, 0, high - 1, high])?)
        .keepalive_interval(*input.choose(&[None, Some(Duration::from_secs(30)), Some(Duration::from_millis(50))])?)
        .keepalive_timeout(*input.choose(&[Duration::from_secs(20), Duration::from_millis(1)])?)
        .idle_timeout(*input.choose(&[None, Some(Duration::from_secs(40))])?)
        .close_timeout(*input.choose(&[Duration::from_secs(5), Duration::from_millis(20)])?)
        .streaming(input.arbitrary()?);
    let deflate = PermessageDeflate { threshold: *input.choose(&[0, 128])?, ..PermessageDeflate::default() };
    let deflates = input.arbitrary()?;
    match config.permessage_deflate(Some(deflate)).build() {
        Ok(config) => Ok((config, deflates)),
        Err(error) => {
            assert_eq!(error.field, "low_water_mark");
            told(&error);
            Err(arbitrary::Error::IncorrectFormat)
        }
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
        assert_eq!(connection(Role::Server).extensions(), extensions);
        let (client, server) = (End::new(Some(connection(Role::Client))), End::new(Some(connection(Role::Server))));
        Self { client, server, handshake: None, config, now, wire }
    }

    /// The server has answered, and its 101 waits to be sent.
    fn shaking_hands(config: Config, deflates: bool, wire: usize) -> Self {
        let now = common::start();
        let deflate = config.permessage_deflate().filter(|_| deflates);
        let request = ClientRequest::new("ws://example.com/").expect("a URL");
        let request = request.subprotocols(&["chat"]).expect("a token");
        let request = request.deflate_offers(&deflate.map(|deflate| deflate.offers()).unwrap_or_default());
        let mut handshake = ClientHandshake::new(&request, NONCE, Limits::default(), Timeouts::default(), now);
        let mut server = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
        server.set_deflate(deflate.map(|deflate| deflate.terms()));
        let mut rx = wireroom::RecvBuffer::new();
        let mut bytes = Vec::new();
        bytes::BufMut::put(&mut bytes, handshake.transmit());
        rx.extend(&bytes);
        let progress = server.poll(&mut rx, now, &mut |request| request.accept().subprotocol("chat").into());
        let Progress::Upgraded(accepted) = progress else { panic!("our own request is refused") };
        let server = End::new(Some(wireroom::Connection::server(*accepted, config.clone(), now)));
        Self { client: End::new(None), server, handshake: Some(handshake), config, now, wire }
    }

    fn end(&mut self, client: bool) -> &mut End {
        if client { &mut self.client } else { &mut self.server }
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
            to.hears_the_end();
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
        self.client.check(self.now);
        self.server.check(self.now);
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
        for client in [true, false] {
            // Without a keepalive, what hears nothing is its owner's to close.
            if self.config.keepalive_interval().is_none() && self.end(client).vanished {
                self.end(client).close(1001, now);
            }
            self.poll(client);
        }
        if self.client.connection.is_none() {
            // Its handshake failed, or the 101 was lost: the server hears that it has gone.
            self.server.hears_the_end();
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
        for end in [&mut self.client, &mut self.server] {
            if let Some(connection) = end.connection.take() {
                assert_eq!(connection.transport(), Transport::Close);
                assert!(connection.poll_timeout().is_none() && !connection.wants_read() && !connection.wants_poll());
                let waiting = connection.buffered_amount();
                assert_eq!(connection.into_parts().len(), waiting);
            }
        }
    }
}
