//! WebSocket inside a mio loop that you have already: here beside a UDP socket, in one `Poll`. What arrives as a
//! datagram goes out to all WebSockets.
//!
//! `cargo run --example own_poll`, then `echo hi | nc -u -w0 127.0.0.1 9003`

#![allow(clippy::disallowed_methods)] // an example has a clock

use std::{error::Error, sync::Arc, time::Instant};

use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};
use wireroom::{Config, Event, EventLoop};

/// Ours. The event loop takes the tokens from 1000 on.
const WAKER: Token = Token(0);
const DATAGRAMS: Token = Token(1);
const WEBSOCKETS: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut datagrams = UdpSocket::bind(([127, 0, 0, 1], 9003).into())?;
    poll.registry().register(&mut datagrams, DATAGRAMS, Interest::READABLE)?;

    // A poll has one waker: the event loop's handle is told how to use ours.
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let mut event_loop = EventLoop::in_poll(poll.registry(), WEBSOCKETS, move || _ = waker.wake())?;
    let listen = ([127, 0, 0, 1], 9002).into();
    let address = event_loop.listen(listen, Config::default(), |_id, request| request.allow_any_origin())?;
    println!("WebSockets on {address}, datagrams on {}", datagrams.local_addr()?);

    let mut events = Events::with_capacity(256);
    loop {
        let timeout = event_loop.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        poll.poll(&mut events, timeout)?;
        for event in &events {
            if !event_loop.process(event) && event.token() == DATAGRAMS {
                let mut datagram = [0; 1500];
                while let Ok((n, _)) = datagrams.recv_from(&mut datagram) {
                    let (taken, refused) = event_loop.connections().broadcast(&datagram[..n]);
                    println!("a datagram for {taken} WebSockets, {refused} do not keep up");
                }
            }
        }
        event_loop.finish_turn(|connections, id, event| {
            if let Event::Message(message) = event {
                let _ = connections.send(id, message);
            }
        });
    }
}
