//! A server restarts under many clients: they come back spread over time.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use wireroom::{
    Config, ConnMap, ConnectOptions, Event, EventLoop, Handle,
    backoff::Backoff,
    handshake::ClientRequest,
    net::reconnecting::{ReconnectOptions, Reconnecting, State},
};

use crate::support::any;

/// A server on a thread of its own, and when it opened each of its connections.
struct Server {
    address: SocketAddr,
    handle: Handle,
    opened: Arc<Mutex<Vec<Instant>>>,
    thread: JoinHandle<()>,
}

impl Server {
    fn start(address: SocketAddr) -> Self {
        let opened = Arc::new(Mutex::new(Vec::new()));
        let (tell, told) = std::sync::mpsc::channel();
        let times = opened.clone();
        let thread = thread::spawn(move || {
            let mut event_loop = EventLoop::new().unwrap();
            let address = event_loop.listen(address, Config::default(), any).unwrap();
            tell.send((address, event_loop.handle())).unwrap();
            while !event_loop.is_shut_down() {
                let on_event = |_: &mut _, _, event: Event<'_>| {
                    if matches!(event, Event::Open) {
                        times.lock().unwrap().push(Instant::now());
                    }
                };
                event_loop.turn(None, on_event).unwrap();
            }
        });
        let (address, handle) = told.recv().unwrap();
        Self { address, handle, opened, thread }
    }

    /// Everybody is told to go, at once.
    fn stop(self) {
        self.handle.shut_down(Duration::ZERO, Duration::from_secs(5));
        self.thread.join().unwrap();
    }
}

struct Crowd {
    event_loop: EventLoop,
    clients: Vec<Reconnecting>,
    /// Whose connection it is.
    owners: ConnMap<usize>,
    open: usize,
}

impl Crowd {
    fn new(count: usize, address: SocketAddr, backoff: &Backoff) -> Self {
        let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
        let (connect, config) = (Arc::new(ConnectOptions::new()), Arc::new(Config::default()));
        let client = |_| {
            let options = ReconnectOptions::new().backoff(backoff.clone());
            Reconnecting::new(request.clone(), connect.clone(), config.clone(), options)
        };
        let clients = (0..count).map(client).collect();
        Self { event_loop: EventLoop::new().unwrap(), clients, owners: ConnMap::new(), open: 0 }
    }

    fn turn(&mut self) {
        let Self { event_loop, clients, owners, open } = self;
        let mut until = Instant::now() + Duration::from_millis(20);
        for (number, client) in clients.iter_mut().enumerate() {
            let before = client.id();
            until = until.min(client.poll(event_loop).unwrap_or(until));
            if let Some(id) = client.id().filter(|id| Some(*id) != before) {
                owners.insert(id, number);
            }
        }
        let on_event = |connections: &mut _, id, event: Event<'_>| {
            let Some(client) = owners.get(id).map(|owner| &mut clients[*owner]) else { return };
            let was_open = matches!(client.state(), State::Open { .. });
            client.handle(connections, id, &event);
            let is_open = matches!(client.state(), State::Open { .. });
            *open = *open + usize::from(is_open) - usize::from(was_open);
        };
        event_loop.turn(Some(until.saturating_duration_since(Instant::now())), on_event).unwrap();
    }

    fn until(&mut self, patience: Duration, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < patience, "{} of {} are open", self.open, self.clients.len());
            self.turn();
        }
    }
}

/// Opens `count` clients, takes the server away for `down`, and answers when each came back, counted from the time when it was
/// there again.
fn come_back(count: usize, backoff: &Backoff, down: Duration) -> Vec<Duration> {
    let server = Server::start(([127, 0, 0, 1], 0).into());
    let address = server.address;
    let mut crowd = Crowd::new(count, address, backoff);
    crowd.until(Duration::from_secs(60), |crowd| crowd.open == count);
    let stopper = thread::spawn(move || server.stop());
    crowd.until(Duration::from_secs(60), |crowd| crowd.open == 0);
    stopper.join().unwrap();
    let gone = Instant::now();
    crowd.until(Duration::from_secs(60), |_| gone.elapsed() >= down);
    let server = Server::start(address);
    let back = Instant::now();
    crowd.until(Duration::from_secs(120), |crowd| crowd.open == count);
    let mut times: Vec<_> =
        server.opened.lock().unwrap().iter().map(|opened| opened.saturating_duration_since(back)).collect();
    times.sort_unstable();
    assert_eq!(times.len(), count, "each came back once");
    server.stop();
    times
}

/// How many came in each part of `step`.
fn rates(times: &[Duration], step: Duration) -> Vec<usize> {
    let last = times.last().copied().unwrap_or_default();
    let mut rates = vec![0; (last.as_nanos() / step.as_nanos()) as usize + 1];
    for time in times {
        rates[(time.as_nanos() / step.as_nanos()) as usize] += 1;
    }
    rates
}

#[test]
fn fifty_clients_come_back_spread_over_the_first_wait() {
    let window = Duration::from_millis(1_500);
    let times = come_back(50, &Backoff::new().base(window).cap(window), Duration::ZERO);
    let rates = rates(&times, window / 3);
    // The first wait is theirs, and begins a little before the server is back.
    let steady = 50.0 / 3.0;
    let most = rates.iter().copied().max().unwrap_or_default();
    assert!(most as f64 <= 2.0 * steady, "{rates:?}");
    assert!(*times.last().unwrap() > window / 2, "{rates:?}");
}

/// `cargo test --release --test clients -- --ignored --nocapture restart`
#[test]
#[ignore = "a measurement: some twenty seconds, 2,000 descriptors"]
fn a_thousand_clients_come_back_and_the_rate_is_printed() {
    static SPIKES: AtomicU32 = AtomicU32::new(0);
    let second = Duration::from_secs(1);
    for (what, backoff, down) in [
        ("back at once, base 5 s, cap 5 s", Backoff::new().base(5 * second).cap(5 * second), Duration::ZERO),
        ("down for 3 s, base 1 s, cap 5 s", Backoff::new().cap(5 * second), 3 * second),
        ("down for 10 s, base 1 s, cap 5 s", Backoff::new().cap(5 * second), 10 * second),
    ] {
        let step = second / 4;
        let times = come_back(1_000, &backoff, down);
        let rates = rates(&times, step);
        // Nine of ten have come by then; those behind waited longest.
        let most_of_them = times[times.len() * 9 / 10];
        let steady = 0.9 * times.len() as f64 / most_of_them.as_secs_f64();
        let peak = rates.iter().copied().max().unwrap_or_default() as f64 / step.as_secs_f64();
        println!("{what}: all back after {:?}, nine of ten after {most_of_them:?}", times[times.len() - 1]);
        println!("  in each quarter of a second: {rates:?}");
        println!("  steady {steady:.0} a second, peak {peak:.0}: {:.2} times", peak / steady);
        if peak > 2.0 * steady {
            SPIKES.fetch_add(1, Ordering::SeqCst);
        }
    }
    assert_eq!(SPIKES.load(Ordering::SeqCst), 0, "a spike above twice the steady rate");
}
