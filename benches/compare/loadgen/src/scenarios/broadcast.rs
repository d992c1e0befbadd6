//! One connection publishes; the server sends each of its messages to all of them, itself included. A message counts
//! each time it arrives.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{Outcome, connect};
use crate::{
    connection::{READ, State},
    measure::{Window, histogram, record},
    options::Options,
};

pub fn run(options: &Options) -> Outcome {
    let members = options.connections + 1;
    let mut poll = Poll::new()?;
    let (mut connections, ring) = connect(options, members, &mut poll)?;
    for connection in &mut connections {
        connection.start_at(0);
    }
    // Who has the answer to the upgrade may not be in the room yet.
    std::thread::sleep(Duration::from_millis(300));
    let mut scratch = vec![0; READ];
    let mut latencies = histogram();
    let mut window = Window::new(options);
    // When the broadcasts were published that may still be under way, and the number of the first of these.
    let (mut published, mut first) = (VecDeque::new(), 0);
    let (mut sent, mut received) = (0, 0);
    let mut events = Events::with_capacity(1024);
    let mut result = None;
    loop {
        if result.is_none() {
            // As many as everyone has on average; a member that lags by more than the history is not timed.
            let done = received / members as u64;
            while sent < done + options.depth as u64 {
                published.push_back(Instant::now());
                sent += 1;
                connections[0].owed += 1;
            }
            while first + 4 * options.depth as u64 + 64 < done {
                published.pop_front();
                first += 1;
            }
        }
        connections[0].flush(&ring);
        poll.poll(&mut events, Some(Duration::from_millis(20)))?;
        let now = Instant::now();
        window.tick(now, received);
        if now >= window.end && result.is_none() {
            result = Some(window.line(received, &latencies));
        }
        if result.is_some() && (received == sent * members as u64 || now > window.end + Duration::from_secs(5)) {
            break;
        }
        for event in events.iter().filter(|event| event.is_readable()) {
            let connection = &mut connections[event.token().0];
            let from = connection.expectation.received;
            let messages = connection.drain(&ring, &mut scratch);
            assert!(connection.state != State::Closed, "the server closed a connection");
            if window.is_open() && messages > 0 {
                let now = Instant::now();
                for number in from..from + messages {
                    let at = number.checked_sub(first).and_then(|index| published.get(index as usize));
                    if let Some(at) = at {
                        record(&mut latencies, now - *at);
                    }
                }
            }
            received += messages;
        }
    }
    let missing = sent * members as u64 - received;
    assert!(missing == 0, "{missing} of {} deliveries are missing 5 s after the end", sent * members as u64);
    result.ok_or_else(|| "the run has no end".into())
}
