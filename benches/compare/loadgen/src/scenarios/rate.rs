//! Messages at a fixed rate, whatever the server does. A latency counts from when its message was due, not from when it
//! left: a server that stalls is charged for everything that had to wait (without this, "coordinated omission").

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
    let mut poll = Poll::new()?;
    let (mut connections, ring) = connect(options, options.connections, &mut poll)?;
    let mut scratch = vec![0; READ];
    let mut latencies = histogram();
    let mut window = Window::new(options);
    let mut due: Vec<VecDeque<Instant>> = vec![VecDeque::new(); connections.len()];
    let began = Instant::now();
    let due_at = |message: u64| began + Duration::from_secs_f64(message as f64 / options.rate);
    let (mut sent, mut received) = (0, 0);
    let mut events = Events::with_capacity(1024);
    let mut result = None;
    loop {
        let now = Instant::now();
        window.tick(now, received);
        if now >= window.end && result.is_none() {
            result = Some((window.line(received, &latencies), sent));
        }
        if result.is_some() && (received == sent || now > window.end + Duration::from_secs(5)) {
            break;
        }
        while result.is_none() && due_at(sent) <= now {
            let number = sent as usize % connections.len();
            due[number].push_back(due_at(sent));
            sent += 1;
            connections[number].owed += 1;
            connections[number].flush(&ring);
        }
        // To sleep would be to wake up late, so this spins: it has a core of its own.
        poll.poll(&mut events, Some(Duration::ZERO))?;
        for event in &events {
            let number = event.token().0;
            let connection = &mut connections[number];
            if event.is_readable() {
                let messages = connection.drain(&ring, &mut scratch);
                assert!(connection.state != State::Closed, "the server closed a connection");
                let now = Instant::now();
                for _ in 0..messages {
                    let at = due[number].pop_front().expect("no more replies than messages");
                    if window.is_open() && result.is_none() {
                        record(&mut latencies, now - at);
                    }
                }
                received += messages;
            }
            connection.flush(&ring);
        }
    }
    let Some((mut line, sent_in_time)) = result else { return Err("the run has no end".into()) };
    assert!(received == sent, "{} of {sent} replies are missing 5 s after the end", sent - received);
    line.put("rate", options.rate);
    line.put("sent", sent_in_time);
    Ok(line)
}
