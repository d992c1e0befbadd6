//! Many members of the chat on one event loop: they say hello and join their room by themselves.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::{Duration, Instant},
};

use wireroom::{
    CloseCode, Closed, Config, ConnId, ConnMap, Connections, Event, EventLoop, Message, SendError,
    handshake::ClientRequest,
};

use crate::{
    Failure,
    messages::{FromClient, FromServer},
    random::Random,
};

/// How long members may take to come in.
const GATHERING: Duration = Duration::from_secs(60);

/// Where the chat is.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    request: ClientRequest,
}

impl Target {
    /// From a host and a port. The `Origin` is the chat's own, as its page would send it.
    pub(crate) fn new(authority: &str) -> Result<Self, Failure> {
        let request = ClientRequest::for_target(authority, "/ws")?.origin(&format!("http://{authority}"))?;
        let address = (request.host(), request.port()).to_socket_addrs()?.next();
        let address = address.ok_or_else(|| format!("{authority} has no address"))?;
        Ok(Self { address, request })
    }
}

/// One member, over all their connections.
pub(crate) struct Member {
    name: String,
    secret: String,
    room: String,
    /// What the next join says it has; `None` asks for the last messages.
    after: Option<u64>,
    connection: Option<ConnId>,
    joined: bool,
}

/// What a member hears.
pub(crate) enum Heard<'m> {
    /// They are in their room, on this connection.
    Joined,
    /// Everything but `welcome` and `joined`.
    Message(&'m FromServer<'m>),
    Closed(&'m Closed),
}

pub(crate) struct Crowd {
    event_loop: EventLoop,
    config: Arc<Config>,
    target: Target,
    members: Vec<Member>,
    owners: ConnMap<usize>,
    later: BinaryHeap<Reverse<Later>>,
}

/// Something to do at a time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Later(Instant, usize, Deed);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Connect,
    /// A message for this connection; on another one it would be out of turn.
    Send(ConnId, String),
}

/// The members as whoever hears them may touch them.
pub(crate) struct Seats<'a> {
    connections: &'a mut Connections,
    members: &'a mut [Member],
    later: &'a mut BinaryHeap<Reverse<Later>>,
}

impl Crowd {
    pub(crate) fn new(target: Target) -> Result<Self, Failure> {
        Ok(Self {
            event_loop: EventLoop::new()?,
            config: Arc::new(Config::default()),
            target,
            members: Vec::new(),
            owners: ConnMap::new(),
            later: BinaryHeap::new(),
        })
    }

    /// A further member, who connects in the next turn. Answers their number.
    pub(crate) fn add(&mut self, name: String, room: &str, after: Option<u64>, random: &mut Random) -> usize {
        let member = self.members.len();
        let secret = format!("{:016x}{:016x}", random.next(), random.next());
        self.members.push(Member { name, secret, room: room.to_owned(), after, connection: None, joined: false });
        self.later.push(Reverse(Later(Instant::now(), member, Deed::Connect)));
        member
    }

    /// Turns until all have joined.
    pub(crate) fn gather(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + GATHERING;
        while !self.members.iter().all(|member| member.joined) {
            if Instant::now() > deadline {
                let count = self.members.iter().filter(|member| member.joined).count();
                return Err(format!("only {count} of {} came in", self.members.len()).into());
            }
            self.turn(Duration::from_millis(100), |seats, member, heard| seats.refuse_trouble(member, &heard))?;
        }
        Ok(())
    }

    /// Does what is due, and one turn of the loop of at most `timeout`. The first error of `on_heard` ends it.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        mut on_heard: impl FnMut(&mut Seats<'_>, usize, Heard<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.run_due()?;
        let until = self.later.peek().map(|Reverse(later)| later.0.saturating_duration_since(Instant::now()));
        let timeout = until.map_or(timeout, |until| until.min(timeout));
        let Self { event_loop, members, owners, later, .. } = self;
        let mut outcome = Ok(());
        event_loop.turn(Some(timeout), |connections, id, event| {
            let Some(&member) = owners.get(id) else { return };
            if matches!(event, Event::Closed(_)) {
                owners.remove(id);
            }
            let seats = &mut Seats { connections, members, later };
            if outcome.is_ok() {
                outcome = seats.handle(member, event, &mut on_heard);
            }
        })?;
        outcome
    }

    pub(crate) fn send(&mut self, member: usize, message: &FromClient<'_>) -> Result<(), Failure> {
        self.seats().send(member, message)
    }

    /// For what is done between turns.
    pub(crate) fn seats(&mut self) -> Seats<'_> {
        Seats { connections: self.event_loop.connections(), members: &mut self.members, later: &mut self.later }
    }

    /// Closes all with 1000, and waits a little for the answers.
    pub(crate) fn leave(mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(2);
        self.later.clear();
        for member in &self.members {
            if let Some(id) = member.connection {
                self.event_loop.connections().close(id, CloseCode::NORMAL, "");
            }
        }
        while !self.event_loop.connections().is_empty() && Instant::now() < deadline {
            self.turn(Duration::from_millis(100), |_, _, _| Ok(()))?;
        }
        Ok(())
    }

    fn run_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        while self.later.peek().is_some_and(|Reverse(later)| later.0 <= now) {
            let Some(Reverse(Later(_, member, deed))) = self.later.pop() else { break };
            match deed {
                Deed::Connect => self.connect(member)?,
                Deed::Send(id, json) if self.members[member].connection == Some(id) => {
                    deliver(self.event_loop.connections(), id, &json)?;
                }
                Deed::Send(..) => {}
            }
        }
        Ok(())
    }

    fn connect(&mut self, member: usize) -> io::Result<()> {
        let Target { address, request } = self.target.clone();
        let id = self.event_loop.connect(address, request, self.config.clone())?;
        self.owners.insert(id, member);
        self.members[member].connection = Some(id);
        Ok(())
    }
}

impl Seats<'_> {
    pub(crate) fn has_joined(&self, member: usize) -> bool {
        self.members[member].joined
    }

    /// What the member's next join says that they have.
    pub(crate) fn set_after(&mut self, member: usize, after: u64) {
        self.members[member].after = Some(after);
    }

    /// Sends now, if there is a connection.
    pub(crate) fn send(&mut self, member: usize, message: &FromClient<'_>) -> Result<(), Failure> {
        if let Some(id) = self.members[member].connection {
            deliver(self.connections, id, &serde_json::to_string(message)?)?;
        }
        Ok(())
    }

    /// Sends after a while, on this connection only.
    pub(crate) fn send_later(
        &mut self,
        member: usize,
        message: &FromClient<'_>,
        wait: Duration,
    ) -> Result<(), Failure> {
        if let Some(id) = self.members[member].connection {
            let deed = Deed::Send(id, serde_json::to_string(message)?);
            self.later.push(Reverse(Later(Instant::now() + wait, member, deed)));
        }
        Ok(())
    }

    /// Connects again after a while.
    pub(crate) fn connect_later(&mut self, member: usize, wait: Duration) {
        self.later.push(Reverse(Later(Instant::now() + wait, member, Deed::Connect)));
    }

    /// For those who cannot go on without this member, or against a refusal.
    pub(crate) fn refuse_trouble(&self, member: usize, heard: &Heard<'_>) -> Result<(), Failure> {
        let name = &self.members[member].name;
        match heard {
            Heard::Closed(closed) => Err(format!("{name} lost the connection: {closed}").into()),
            Heard::Message(FromServer { kind, code, message, .. }) if kind == "error" => {
                Err(format!("{name} was refused: {code}, {message}").into())
            }
            _ => Ok(()),
        }
    }

    fn handle(
        &mut self,
        member: usize,
        event: Event<'_>,
        on_heard: &mut impl FnMut(&mut Seats<'_>, usize, Heard<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match event {
            Event::Open => {
                let Member { name, secret, .. } = &self.members[member];
                let hello = FromClient::Hello { name: &name.clone(), secret: &secret.clone() };
                self.send(member, &hello)
            }
            Event::Message(Message::Text(text)) => {
                let message: FromServer<'_> = serde_json::from_str(text.as_str()).map_err(|error| {
                    format!("the chat sent what is none of its messages: {error}: {}", text.as_str())
                })?;
                match &*message.kind {
                    "welcome" => self.join(member, Duration::ZERO),
                    "joined" => {
                        self.members[member].joined = true;
                        on_heard(self, member, Heard::Joined)
                    }
                    // Too many joins, or no room in the reader's queue: again when the chat says it makes sense.
                    "error" if !self.members[member].joined && message.retry.is_some() => {
                        self.join(member, Duration::from_millis(message.retry.unwrap_or_default()))
                    }
                    _ => on_heard(self, member, Heard::Message(&message)),
                }
            }
            Event::Closed(closed) => {
                let Member { connection, joined, .. } = &mut self.members[member];
                (*connection, *joined) = (None, false);
                on_heard(self, member, Heard::Closed(&closed))
            }
            _ => Ok(()),
        }
    }

    fn join(&mut self, member: usize, wait: Duration) -> Result<(), Failure> {
        let Member { room, after, .. } = &self.members[member];
        let join = FromClient::Join { room: &room.clone(), after: *after };
        if wait.is_zero() { self.send(member, &join) } else { self.send_later(member, &join, wait) }
    }
}

/// To a connection that is opening or closing nothing is sent: `Open` or `Closed` follows, and decides.
fn deliver(connections: &mut Connections, id: ConnId, json: &str) -> Result<(), Failure> {
    match connections.send(id, json) {
        Ok(_) | Err(SendError::Closed | SendError::UnknownConnection) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
