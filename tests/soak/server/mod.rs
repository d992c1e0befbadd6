//! The server: a hub as anyone would write one, and beside it a model of who is in which room and what each was sent.

mod model;
mod replies;
mod stats;

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use wireroom::{
    CloseCode, Config, ConnId, Event, EventLoop, Hub, HubHandle, Message, PermessageDeflate, Socket,
    handshake::{Acceptance, Verdict},
    http::{Request, Response},
};

use crate::{Failure, label, process, report::Report, wire::Chat};
use model::Model;
use replies::Reply;

/// The longest wait for something to happen.
const TURN: Duration = Duration::from_millis(10);
/// Between two ticks to everyone.
const TICK: Duration = Duration::from_millis(250);
/// Between two lines of counts.
const TELL: Duration = Duration::from_millis(500);

/// The defaults, but for times that a soak can wait for, and compression in one of two ways.
fn config(windows_kept: bool) -> Result<Config, Failure> {
    let deflate = PermessageDeflate {
        server_no_context_takeover: !windows_kept,
        client_no_context_takeover: !windows_kept,
        release_after: Some(Duration::from_secs(2)),
        ..PermessageDeflate::default()
    };
    Ok(Config::builder()
        .keepalive_interval(Some(Duration::from_secs(3)))
        .keepalive_timeout(Duration::from_secs(8))
        .close_timeout(Duration::from_secs(8))
        .handshake_timeout(Duration::from_secs(8))
        .statistics(windows_kept)
        .permessage_deflate(Some(deflate))
        .build()?)
}

/// What `verify` leaves for the handler.
#[derive(Debug, Default)]
struct Arrivals {
    /// The numbers that clients gave themselves, until they are open.
    numbers: Vec<(ConnId, u64)>,
    /// Answers that were put off.
    later: Vec<(Instant, ConnId)>,
}

struct Server {
    report: Report,
    model: Model,
    arrivals: Rc<RefCell<Arrivals>>,
    /// Paused connections, and until when.
    paused: Vec<(Instant, ConnId)>,
    limit: usize,
}

pub(crate) fn run() -> Result<bool, Failure> {
    let arrivals = Rc::new(RefCell::new(Arrivals::default()));
    let mut event_loop = EventLoop::new()?;
    let mut addresses = Vec::new();
    for last in 1..=8 {
        let arrivals = arrivals.clone();
        let address = SocketAddr::from(([127, 0, 0, last], 0));
        // Windows that are kept cost 400 KiB for each connection that uses them: for one in eight.
        let config = config(last == 8)?;
        addresses
            .push(event_loop.listen(address, config, move |id, request| verify(&arrivals, id, request))?.to_string());
    }
    let limit = config(false)?.max_send_buffer();
    let mut hub = Hub::new(event_loop);
    let (sender, commands) = mpsc::channel();
    process::commands(sender);
    let unopened = Rc::new(RefCell::new(Vec::new()));
    let told = unopened.clone();
    hub.on_unopened(move |id, closed| told.borrow_mut().push((id, label::of(&closed.cause))));
    let ticks = hub.handle();
    thread::spawn(move || tick(&ticks));
    let mut server = Server { report: Report::new(), model: Model::default(), arrivals, paused: Vec::new(), limit };
    server.report.line(format_args!("addresses {}", addresses.join(",")));
    let mut tell_at = Instant::now();
    loop {
        let began = Instant::now();
        hub.turn(Some(TURN), |socket, event| server.on_event(socket, event))?;
        server.after_turn(&mut hub);
        for (id, label) in unopened.borrow_mut().drain(..) {
            server.arrivals.borrow_mut().numbers.retain(|(of, _)| *of != id);
            server.report.add("unopened", 1);
            server.report.add(&format!("ended:{label}"), 1);
            server.report.line(format_args!("unopened {label}"));
        }
        let now = Instant::now();
        server.report.at_most("slowest_turn", now.duration_since(began).as_millis() as u64);
        if now >= tell_at {
            tell_at = now + TELL;
            server.tell(&mut hub, "progress");
        }
        match commands.try_recv().as_deref() {
            Ok("report") => server.tell(&mut hub, "report"),
            Ok("stop") => {
                server.hold_against_stats(&mut hub);
                server.tell(&mut hub, "final");
                return Ok(true);
            }
            Ok("quit") => return Ok(true),
            _ => {}
        }
    }
}

/// From a thread of its own, as an application's timer would be.
fn tick(hub: &HubHandle) {
    for number in 1u64.. {
        thread::sleep(TICK);
        if hub.emit(format!("t{number}").as_str()).is_err() {
            return;
        }
    }
}

fn verify(arrivals: &RefCell<Arrivals>, id: ConnId, request: &Request<'_>) -> Verdict {
    let number = request.query().and_then(|query| query.strip_prefix("n=")?.parse().ok());
    let mut arrivals = arrivals.borrow_mut();
    match (request.path(), number) {
        ("/plain", _) => return Response::text(200, "plain").into(),
        (path @ ("/soak" | "/bare" | "/later"), Some(number)) if request.is_upgrade() => {
            arrivals.numbers.push((id, number));
            match path {
                "/later" => arrivals.later.push((Instant::now() + Duration::from_millis(30), id)),
                "/bare" => return Acceptance::new().without_extensions().into(),
                _ => return request.allow_any_origin(),
            }
        }
        _ => return request.reject(403, "no\n"),
    }
    Verdict::Defer
}

impl Server {
    fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>) {
        let id = socket.id();
        if let Event::Open = event {
            return self.on_open(id);
        }
        let Some(seat) = self.model.seat_mut(id) else {
            return self.report.fault(format_args!("{id}: an event before Open or behind Closed: {event:?}"));
        };
        match event {
            Event::Message(message) => {
                seat.heard += 1;
                self.report.add("heard", 1);
                self.on_message(socket, message);
            }
            Event::Drain => {
                let pressed = std::mem::take(&mut seat.pressed) | std::mem::take(&mut seat.may_drain);
                seat.looks = 0;
                self.report.check(pressed, || format!("{id}: Drain without backpressure"));
                self.pay(socket);
            }
            Event::Closed(closed) => {
                let (number, heard) = (seat.number, seat.heard);
                let label = label::of(&closed.cause);
                let mut rooms: Vec<_> = socket.rooms().map(str::to_owned).collect();
                rooms.sort_unstable();
                let expected: Vec<_> = seat.rooms.iter().cloned().collect();
                self.report.check(rooms == expected, || format!("{number} is in {rooms:?}, not in {expected:?}"));
                // Who says farewell says how many messages it has sent.
                let sent = closed.peer.as_ref().and_then(|peer| peer.reason.strip_prefix("sent=")?.parse().ok());
                if let Some(sent) = sent.filter(|_| label == "clean") {
                    self.report.check(heard == sent, || format!("{number} sent {sent}, of which {heard} came"));
                }
                let told = socket.io().connections().stats_of(id).map(|stats| stats.messages_received);
                let same = told.is_none_or(|told| told == heard);
                self.report
                    .check(same, || format!("{number} ({label}): its stats say {told:?}, {heard} messages came"));
                self.model.closed(id);
                self.report.add("closed", 1);
                self.report.add(&format!("ended:{label}"), 1);
                for (side, frame) in [("sent", &closed.local), ("received", &closed.peer)] {
                    self.report.add(&format!("{side}:{}", stats::code(frame.as_ref())), 1);
                }
                self.report.line(format_args!("closed {number} {label}"));
            }
            Event::Ping(_) | Event::Pong(_) => {}
            other => self.report.fault(format_args!("{id}: {other:?}, which nobody asked for")),
        }
    }

    fn on_open(&mut self, id: ConnId) {
        let mut arrivals = self.arrivals.borrow_mut();
        let Some(place) = arrivals.numbers.iter().position(|(of, _)| *of == id) else {
            return self.report.fault(format_args!("{id} opened, but was not let in, or twice"));
        };
        let (_, number) = arrivals.numbers.swap_remove(place);
        self.report.add("opened", 1);
        self.model.opened(id, number);
    }

    fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
        let bytes = message.as_bytes();
        let words = std::str::from_utf8(bytes.get(1..).unwrap_or_default()).unwrap_or_default();
        match bytes.first() {
            None | Some(b'e' | b'E') => self.echo(socket, message),
            Some(b'c') => match Chat::parse(bytes) {
                Some(chat) => self.pass_on(socket, &chat, message),
                None => self.report.fault("a chat message came in damaged"),
            },
            Some(b'j') => match socket.join(words) {
                Ok(new) if self.model.join(socket.id(), words) == new => {}
                other => self.report.fault(format_args!("joining {words:?}: {other:?}")),
            },
            Some(b'l') => {
                let left = socket.leave(words);
                let known = self.model.leave(socket.id(), words);
                self.report.check(left == known, || format!("left {words:?}: {left}, by the model {known}"));
                self.reply(socket, Reply::Left(words.to_owned()));
            }
            Some(b'q') => self.reply(socket, Reply::Census),
            Some(b'k') => match words.parse().ok().and_then(CloseCode::new) {
                Some(code) => socket.close(code, "as you like"),
                None => self.report.fault(format_args!("no close code: {words:?}")),
            },
            Some(b'a') => socket.abort(),
            Some(b'p') => {
                let time = Duration::from_millis(words.parse().unwrap_or(0));
                self.paused.push((Instant::now() + time, socket.id()));
                let id = socket.id();
                socket.io().connections().pause(id);
            }
            _ => self.report.fault(format_args!("{} bytes that no client sends", bytes.len())),
        }
    }

    /// Passes a message on, and notes for whom it is, and for whom not because their queue is full.
    fn pass_on(&mut self, socket: &mut Socket<'_>, chat: &Chat<'_>, message: Message<'_>) {
        let id = socket.id();
        let recipients = self.model.recipients(chat.rooms, (!chat.including_me).then_some(id));
        let connections = socket.io().connections();
        let takes =
            |id: ConnId| connections.get(id).is_some_and(|peer| peer.is_open() && peer.buffered_amount() < self.limit);
        let (taking, refusing): (Vec<&ConnId>, Vec<&ConnId>) = recipients.iter().partition(|id| takes(**id));
        let mut rooms = chat.rooms.split('+');
        let mut broadcast = socket.to(rooms.next().unwrap_or_default());
        for room in rooms {
            broadcast = broadcast.to(room);
        }
        let delivery = if chat.including_me { broadcast.including_me() } else { broadcast }.emit(message);
        let told = (delivery.queued + delivery.backpressure, delivery.dropped);
        let known = (taking.len(), refusing.len());
        self.report
            .check(told == known, || format!("{:?}: {told:?} took it or not, by the model {known:?}", chat.rooms));
        let connections = socket.io().connections();
        let mut pressed = 0;
        for id in &taking {
            if connections.get(**id).is_some_and(|peer| peer.buffered_amount() > peer.config().high_water_mark())
                && let Some(seat) = self.model.seat_mut(**id)
            {
                seat.pressed = true;
                pressed += 1;
            }
        }
        let told_pressed = delivery.backpressure;
        self.report.check(pressed == told_pressed, || format!("{told_pressed} are pressed, by the model {pressed}"));
        self.report.add("passed_on", 1);
        self.report.add("accepted", told.0 as u64);
        self.report.add("dropped", told.1 as u64);
        self.model.meant(&taking, false);
        self.model.meant(&refusing, true);
    }

    fn after_turn(&mut self, hub: &mut Hub) {
        let now = Instant::now();
        // What the ticks of this turn came to.
        let delivery = hub.take_handle_delivery();
        if delivery.recipients() > 0 {
            let connections = hub.event_loop().connections();
            let full = |id: ConnId| {
                !connections.get(id).is_some_and(|peer| peer.is_open() && peer.buffered_amount() < self.limit)
            };
            let everyone = self.model.count();
            let whole = everyone > 0 && delivery.recipients().is_multiple_of(everyone);
            self.report.check(whole, || format!("a tick reached {} of {everyone}", delivery.recipients()));
            let ticks = delivery.recipients().checked_div(everyone).unwrap_or(0);
            self.report.add("ticks_dropped", delivery.dropped as u64);
            self.report.add("accepted", (delivery.queued + delivery.backpressure) as u64);
            self.model.ticked(ticks as u64, |id| delivery.dropped > 0 && full(id));
        }
        if delivery.backpressure > 0 {
            let connections = hub.event_loop().connections();
            let high =
                |id| connections.get(id).is_some_and(|peer| peer.buffered_amount() > peer.config().high_water_mark());
            self.model.press(high);
        }
        self.paused.retain(|(until, id)| {
            let due = *until <= now;
            if due {
                hub.event_loop().connections().resume(*id);
            }
            !due
        });
        let mut due = Vec::new();
        self.arrivals.borrow_mut().later.retain(|(at, id)| {
            due.extend((*at <= now).then_some(*id));
            *at > now
        });
        for id in due {
            // False: the client has gone meanwhile.
            hub.event_loop().connections().answer(id, Acceptance::new());
        }
        self.report.flush();
    }

    fn tell(&mut self, hub: &mut Hub, word: &str) {
        let (resident, threads) = process::memory_and_threads();
        let (rooms, everyone) = (hub.rooms().count(), hub.rooms().everyone().len());
        let stats = hub.event_loop().connections().stats();
        let connections = hub.event_loop().connections();
        let open_and_empty = |id| connections.get(id).is_some_and(|peer| peer.is_open() && peer.buffered_amount() == 0);
        for number in self.model.undrained(open_and_empty) {
            self.report.fault(format_args!("{number} was answered with backpressure, and no Drain came"));
        }
        let left = stats.buffered_amount + rooms + everyone + self.model.count() + self.model.rooms();
        self.report.tell_counts(
            word,
            &[
                ("connections", stats.connections as u64),
                ("open", stats.open as u64),
                ("rooms", rooms as u64),
                ("left", left as u64),
                ("arriving", self.arrivals.borrow().numbers.len() as u64),
                ("accepts", stats.accepted),
                ("accept_errors", stats.accept_errors),
                ("resident", resident as u64),
                ("threads", threads as u64),
                ("descriptors", process::descriptors() as u64),
                ("bytes_received", stats.bytes_received),
                ("bytes_sent", stats.bytes_sent),
            ],
        );
    }
}
