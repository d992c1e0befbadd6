//! Two ends and the bytes between them.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Clock, Cuts, Endpoint, Opening, Role, Wire};
use crate::{
    Config,
    handshake::{ClientRequest, Extensions, HandshakeError, Verdict},
    http::Request,
};

/// Steps that one [`Pair::run`] makes at most.
const STEPS: usize = 50_000_000;

/// A client and a server, and what is on the wire between them.
///
/// ```
/// use std::time::Duration;
/// use wireroom::{Event, testing::{Cuts, Pair, Seen}};
///
/// let mut pair = Pair::new().cut(Cuts::seeded(7)).narrow(100);
/// pair.server.echo();
/// let _ = pair.client.send("hello")?;
/// pair.run();
/// assert_eq!(pair.client.take_seen(), [Seen::Text("hello".into())]);
///
/// pair.vanish(); // nothing arrives any more, and nobody is told
/// pair.advance(Duration::from_secs(50));
/// assert_eq!(pair.server.ending().cause, "Timeout(Keepalive)");
/// # Ok::<(), wireroom::SendError>(())
/// ```
#[derive(Debug)]
pub struct Pair<'h> {
    /// The client's end.
    pub client: Endpoint<'h>,
    /// The server's end.
    pub server: Endpoint<'h>,
    /// What the client has written.
    pub to_server: Wire,
    /// What the server has written.
    pub to_client: Wire,
}

impl<'h> Pair<'h> {
    /// Both ends open, with the default configuration.
    pub fn new() -> Self {
        Self::with(Config::default(), Config::default())
    }

    /// Both ends open.
    pub fn with(client: impl Into<Arc<Config>>, server: impl Into<Arc<Config>>) -> Self {
        Self::agreed(client, server, Extensions::none())
    }

    /// Both ends open, and agreed on `extensions`.
    pub fn agreed(client: impl Into<Arc<Config>>, server: impl Into<Arc<Config>>, extensions: Extensions) -> Self {
        let clock = Clock::new();
        Self::of(
            Endpoint::with(Role::Client, client, extensions, clock),
            Endpoint::with(Role::Server, server, extensions, clock),
        )
    }

    /// These two ends. Their clocks have to show the same time.
    pub fn of(client: Endpoint<'h>, server: Endpoint<'h>) -> Self {
        Self { client, server, to_server: Wire::new(), to_client: Wire::new() }
    }

    /// Goes through the opening handshake first: the client's request, the server's `verify`, the response. [`Opening`] does
    /// the same step by step. An answer that is deferred is never given: its deadline passes.
    ///
    /// ```
    /// use wireroom::{handshake::ClientRequest, testing::Pair};
    ///
    /// let request = ClientRequest::new("ws://chat.example/room")?.origin("https://evil.example")?;
    /// let refused = Pair::open(&request, |request| request.allow_origins(&["https://chat.example"])).unwrap_err();
    /// assert_eq!(refused.status(), Some(403));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the client's handshake failed with.
    pub fn open(
        request: &ClientRequest,
        verify: impl FnMut(&Request<'_>) -> Verdict + 'h,
    ) -> Result<Self, HandshakeError> {
        let mut opening = Opening::new(request, verify);
        let mut opened = opening.run();
        // The client's deadline, the server's, and those of answers.
        for _ in 0..10 {
            match (opened, opening.poll_timeout()) {
                (Some(opened), _) => return opened,
                (None, Some(deadline)) => opened = opening.advance_to(deadline),
                (None, None) => break,
            }
        }
        Err(HandshakeError::Timeout)
    }

    /// What arrives at both ends is cut in this way.
    #[must_use]
    pub fn cut(mut self, reads: Cuts) -> Self {
        self.to_server.reads = reads.clone();
        self.to_client.reads = reads;
        self
    }

    /// Reads of one byte.
    #[must_use]
    pub fn byte_by_byte(self) -> Self {
        self.cut(Cuts::byte_by_byte())
    }

    /// Writes at both ends take so many bytes at once.
    #[must_use]
    pub fn short_writes(mut self, writes: Cuts) -> Self {
        self.to_server.writes = writes.clone();
        self.to_client.writes = writes;
        self
    }

    /// So many bytes are on their way at most, in each direction: then the writer is blocked, which makes backpressure of a
    /// reader that does not read.
    #[must_use]
    pub fn narrow(mut self, capacity: usize) -> Self {
        self.to_server.capacity = capacity;
        self.to_client.capacity = capacity;
        self
    }

    /// Moves bytes until nothing moves any more, at one moment of the clock.
    ///
    /// # Panics
    ///
    /// If the two ends answer each other without end.
    #[track_caller]
    pub fn run(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < STEPS, "the two ends answer each other without end");
        }
    }

    /// One write and one read at each end. Answers whether anything moved.
    #[track_caller]
    pub fn step(&mut self) -> bool {
        let Self { client, server, to_server, to_client } = self;
        let mut moved = write(client, to_server);
        moved |= write(server, to_client);
        moved |= read(server, to_server, client);
        moved | read(client, to_client, server)
    }

    /// Time passes for both, from deadline to deadline, and bytes move.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        let target = self.client.now() + time;
        self.run();
        let mut rounds = 0;
        loop {
            let deadlines = [self.client.connection.poll_timeout(), self.server.connection.poll_timeout()];
            let Some(next) = deadlines.into_iter().flatten().min().filter(|next| *next <= target) else { break };
            self.advance_to(next);
            rounds += 1;
            assert!(rounds < 100_000, "a deadline that does not pass");
        }
        self.advance_to(target);
    }

    #[track_caller]
    fn advance_to(&mut self, now: Instant) {
        self.client.advance_to(now);
        self.server.advance_to(now);
        self.run();
    }

    /// The connection is reset: what is on the way is lost, and both ends are told.
    #[track_caller]
    pub fn reset(&mut self) {
        for (wire, end) in [(&mut self.to_server, &mut self.server), (&mut self.to_client, &mut self.client)] {
            wire.reset();
            end.fail(io::ErrorKind::ConnectionReset);
        }
    }

    /// This end's side of the stream is closed without a closing handshake: its peer gets what is on the way, then the end
    /// of the stream. It still reads.
    pub fn half_close(&mut self, role: Role) {
        match role {
            Role::Client => self.to_server.end(),
            Role::Server => self.to_client.end(),
        }
    }

    /// The cable is cut: nothing that is written from here on arrives, and nobody is told.
    pub fn vanish(&mut self) {
        self.to_server.lose();
        self.to_client.lose();
    }

    /// One of the ends.
    pub fn end(&mut self, role: Role) -> &mut Endpoint<'h> {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

impl Default for Pair<'_> {
    fn default() -> Self {
        Self::new()
    }
}

#[track_caller]
pub(super) fn write(from: &mut Endpoint<'_>, wire: &mut Wire) -> bool {
    let n = wire.takes(from.connection.buffered_amount());
    let bytes = from.write(n);
    wire.inject(&bytes);
    !bytes.is_empty()
}

#[track_caller]
fn read(to: &mut Endpoint<'_>, wire: &mut Wire, from: &Endpoint<'_>) -> bool {
    if !to.wants_read() {
        return false;
    }
    if wire.is_at_end(from.written()) {
        to.end();
        return true;
    }
    let bytes = wire.read();
    if !bytes.is_empty() {
        to.receive(&bytes);
    }
    !bytes.is_empty()
}
