//! What can be done to a server.

pub mod broadcast;
pub mod churn;
pub mod echo;
pub mod idle;
pub mod rate;

use std::{error::Error, io};

use mio::Poll;

use crate::{
    connection::{Connection, Target, connect_all},
    options::{Deflate, Options},
    ring::Ring,
};

pub type Outcome = Result<crate::measure::Line, Box<dyn Error>>;

/// Opens the connections of an echo and makes the ring for them. A server that agrees to something else than what was
/// offered is an error: its figures would be those of another scenario.
fn connect(options: &Options, count: usize, poll: &mut Poll) -> io::Result<(Vec<Connection>, Ring)> {
    let target = Target::new(options);
    let (mut connections, _) = connect_all(&target, count, poll)?;
    if let Some(other) = connections.iter().find(|connection| connection.deflate != options.deflate) {
        return Err(io::Error::other(format!(
            "offered {:?}, and the server chose {:?}",
            options.deflate, other.deflate
        )));
    }
    let ring = Ring::new(options, options.deflate);
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.start_at(ring.first_of(number));
    }
    if options.deflate != Deflate::Off {
        connections[0].expectation.inflate_all();
    }
    Ok((connections, ring))
}
