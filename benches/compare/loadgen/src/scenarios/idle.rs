//! Memory per connection: fresh, and after a message of each size was echoed on every connection.

use std::{ops::Range, time::Duration};

use mio::{Events, Poll};

use super::Outcome;
use crate::{
    connection::{Connection, READ, State, Target, connect_all},
    measure::{Cpu, Line, resident},
    options::{Deflate, Options},
    ring::Ring,
};

pub fn run(options: &Options) -> Outcome {
    let count = options.connections;
    let mut poll = Poll::new()?;
    let (before, cpu) = (resident(options.server_pid), Cpu::of(options.server_pid));
    let (mut connections, took) = connect_all(&Target::new(options), count, &mut poll)?;
    let cpu = Cpu::of(options.server_pid).since(cpu);
    std::thread::sleep(options.hold);
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / count as f64;
    let mut line = Line::default();
    line.put("connections", count);
    line.put("connect_seconds", took.as_secs_f64());
    line.put("connect_cpu_us", cpu.total * 1e6 / count as f64);
    line.put("fresh_bytes", each(resident(options.server_pid)));
    let cpu = Cpu::of(options.server_pid);
    std::thread::sleep(options.hold);
    line.put("idle_cpu", Cpu::of(options.server_pid).since(cpu).total / options.hold.as_secs_f64());
    for &size in &options.touch {
        let ring = Ring::new(&Options { size, ..options.clone() }, Deflate::Off);
        // In groups, so that the server's peak is not that of all messages at once.
        for from in (0..count).step_by(64) {
            echo(&mut connections, from..count.min(from + 64), &ring, &mut poll)?;
        }
        std::thread::sleep(options.hold);
        line.put(&format!("after_{size}_bytes"), each(resident(options.server_pid)));
    }
    Ok(line)
}

/// One message on each connection of a group, and back.
fn echo(connections: &mut [Connection], group: Range<usize>, ring: &Ring, poll: &mut Poll) -> std::io::Result<()> {
    let mut scratch = vec![0; READ];
    let mut events = Events::with_capacity(1024);
    let mut missing = group.len() as u64;
    for number in group {
        connections[number].start_at(ring.first_of(number));
        connections[number].owed = 1;
        connections[number].flush(ring);
    }
    while missing > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(5)))?;
        assert!(!events.is_empty(), "no reply for 5 s");
        for event in &events {
            let connection = &mut connections[event.token().0];
            missing -= connection.drain(ring, &mut scratch);
            assert!(connection.state != State::Closed, "the server closed an idle connection");
            connection.flush(ring);
        }
    }
    Ok(())
}
