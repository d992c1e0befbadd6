//! Each connection keeps a number of messages under way: a reply is answered by the next message.

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
    let mut received = 0;
    let mut under_way: Vec<VecDeque<Instant>> = Vec::new();
    for connection in &mut connections {
        under_way.push(std::iter::repeat_n(Instant::now(), options.depth).collect());
        connection.owed = options.depth;
        connection.flush(&ring);
    }
    let mut events = Events::with_capacity(1024);
    let mut heard = Instant::now();
    loop {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        let now = Instant::now();
        window.tick(now, received);
        if now >= window.end {
            break;
        }
        for event in &events {
            let number = event.token().0;
            let connection = &mut connections[number];
            if event.is_readable() {
                let messages = connection.drain(&ring, &mut scratch);
                assert!(connection.state != State::Closed, "the server closed a connection");
                let now = Instant::now();
                let sent = &mut under_way[number];
                for _ in 0..messages {
                    let at = sent.pop_front().expect("no more replies than messages");
                    if window.is_open() {
                        record(&mut latencies, now - at);
                    }
                    sent.push_back(now);
                }
                if messages > 0 {
                    heard = now;
                }
                received += messages;
                connection.owed += messages as usize;
            }
            connection.flush(&ring);
        }
        assert!(heard.elapsed() < Duration::from_secs(5), "no whole reply for 5 s");
    }
    let mut line = window.line(received, &latencies);
    let wire: u64 = connections.iter().map(|connection| connection.expectation.wire).sum();
    line.put("wire_bytes", wire as f64 / received.max(1) as f64);
    Ok(line)
}
