//! Promise 9: connections that come and fail in every way leave descriptors and memory as they were.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use socket2::{Domain, Socket, Type};

use crate::{
    figures::{below, states},
    peer::{BINARY, CLOSE, FIRST, PING, PONG, Peer, TEXT, frame, header, upgrade},
    testee::{Echo, until},
};

const THREADS: u64 = 8;

/// Small numbers that are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        // Knuth's multiplier; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % end
    }
}

/// From an address of this thread's own, so that there are ports enough.
fn connect(address: SocketAddr, thread: u64) -> Peer {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 1, 1 + thread as u8], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    Peer::new(socket.into())
}

/// One connection, from its start to one of its ends. `Some`: it vanishes, and says nothing more.
fn cycle(mut peer: Peer, random: &mut Random) -> Option<Peer> {
    let path = ["/", "/broadcast"][random.below(2) as usize];
    let request = upgrade(path, "");
    match random.below(13) {
        0 => {}
        1 => peer.send(&request[..random.below(request.len() as u64) as usize]),
        2 => {
            peer.send("GET / HTTP/1.1\r\n\r\n");
            assert_eq!(peer.status(), 400);
            peer.rest();
        }
        3 => {
            peer.send(&request);
        }
        4 => {
            peer = peer.upgraded("/");
            peer.echoes();
            peer.send(frame(CLOSE, [3, 232]));
            assert_eq!(peer.close_frame().0, 1000);
            peer.rest();
        }
        5 => {
            peer = peer.upgraded(path);
            peer.send(header(BINARY, 100_000));
            let _ = peer.try_send(vec![0; random.below(100_000) as usize]);
        }
        6 => {
            peer = peer.upgraded(path);
            let _ = peer.try_send([frame(FIRST, "begun"), frame(PING, "p")].concat());
        }
        7 => {
            peer = peer.upgraded(path);
            peer.send(frame(0x83, ""));
            assert_eq!(peer.close_frame().0, 1002);
            peer.rest();
        }
        8 => {
            peer = peer.upgraded("/");
            let _ = peer.try_send(frame(BINARY, vec![7; 200_000]));
        }
        9 => {
            peer = peer.upgraded("/");
            peer.send(frame(PING, "well?"));
            peer.gets(PONG, "well?");
            peer.end();
            peer.rest();
        }
        10 => {
            peer = peer.upgraded("/");
            peer.send(header(BINARY, 1 << 40));
            assert_eq!(peer.close_frame().0, 1009);
        }
        11 => {
            peer = peer.upgraded("/broadcast");
            let _ = peer.try_send(frame(TEXT, "to all"));
        }
        _ => return Some(peer.upgraded(path)),
    }
    match random.below(3) {
        0 => peer.reset(),
        1 => peer.end(),
        _ => {}
    }
    None
}

/// So many connections; answers how many did not come to be, which has to be none.
fn cycles(echo: &Echo, count: u64, seed: u64) {
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut random = Random(seed ^ (thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let mut vanished = VecDeque::new();
                for _ in 0..count / THREADS {
                    vanished.extend(cycle(connect(echo.address, thread), &mut random));
                    if vanished.len() > 10 {
                        // It comes back from the dead for its end.
                        vanished.pop_front().into_iter().for_each(Peer::reset);
                    }
                }
            });
        }
    });
}

fn flat(count: u64) {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let echo = Echo::start(&["--stats", "0.2"]);
    let descriptors = echo.testee.descriptors();
    let settled = |echo: &Echo| {
        echo.testee.descriptors_fall_to(descriptors);
        until("no connection in the statistics", || echo.stat("connections").as_deref() == Some("0"));
        echo.testee.resident()
    };
    let start = Instant::now();
    // What is kept for the next ones has been allocated by then.
    cycles(&echo, count / 5, seed);
    let first = settled(&echo);
    let mut residents = vec![first];
    for part in 1..5 {
        cycles(&echo, count / 5, seed + part);
        residents.push(settled(&echo));
    }
    let took = start.elapsed();
    let residents: Vec<String> = residents.iter().map(|resident| format!("{resident:.2}")).collect();
    states(
        9,
        format_args!("{count} connect/fault cycles in {took:.1?}, seed {seed}: {descriptors} descriptors as before"),
    );
    let what = format!("{count} cycles, resident MiB at each fifth {}: growth from the first", residents.join(", "));
    below(9, &what, echo.testee.resident() - first, 1.0, "MiB");
    assert_eq!(echo.stat("accept_errors").as_deref(), Some("0"));
    Peer::open(echo.address, "/").echoes();
    assert!(took > Duration::ZERO);
}

#[test]
fn cycles_leave_nothing_behind() {
    flat(4_000);
}

#[test]
#[ignore = "takes minutes: 100,000 connections"]
fn a_hundred_thousand_cycles_leave_nothing_behind() {
    let count = std::env::var("WIREROOM_CYCLES").map_or(100_000, |count| count.parse().unwrap());
    flat(count);
}
