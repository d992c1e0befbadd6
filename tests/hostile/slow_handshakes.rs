//! Promise 3: a total deadline on the opening handshake, and nobody waits for a slow one. (The client's is in `client`.)

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    figures::{below, best_of, states},
    peer::{Peer, upgrade},
    testee::Echo,
};

/// Drips bytes for as long as they are taken: after how long the answer or the end came, and what it was.
fn drip(echo: &Echo, bytes: &mut dyn Iterator<Item = u8>, pause: Duration) -> (Duration, Vec<u8>) {
    let mut peer = Peer::connect(echo.address);
    peer.stream.set_read_timeout(Some(pause)).unwrap();
    let start = Instant::now();
    loop {
        if peer.try_send([bytes.next().unwrap_or(b'x')]).is_err() {
            return (start.elapsed(), Vec::new());
        }
        let mut byte = [0; 512];
        match std::io::Read::read(&mut peer.stream, &mut byte) {
            Ok(length) => return (start.elapsed(), byte[..length].to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return (start.elapsed(), Vec::new()),
        }
        assert!(start.elapsed() < crate::testee::PATIENCE, "it goes on for ever");
    }
}

#[test]
fn drips_and_silence_end_at_the_deadline() {
    // The default of 5 s, all at once.
    let echo = Echo::start(&[]);
    let drips = [
        ("a request, a byte every 100 ms", upgrade("/", "").into_bytes()),
        ("a field without end", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Drip: ".to_vec()),
        ("fields without end", b"GET / HTTP/1.1\r\n".iter().chain(&b"A: b\r\n".repeat(99)).copied().collect()),
    ];
    thread::scope(|scope| {
        for (what, bytes) in &drips {
            let echo = &echo;
            scope.spawn(move || {
                let (after, answer) = drip(echo, &mut bytes.iter().copied(), Duration::from_millis(100));
                assert!(answer.starts_with(b"HTTP/1.1 408 "), "{what}: {}", String::from_utf8_lossy(&answer));
                assert!(after > Duration::from_millis(4900), "{what}: too soon, {after:?}");
                below(3, &format!("{what}: 408, after"), after.as_secs_f64(), 6.0, "s");
            });
        }
        scope.spawn(|| {
            let mut peer = Peer::connect(echo.address);
            let after = peer.ended().as_secs_f64();
            assert!(after > 4.9, "too soon, {after}");
            below(3, "a client that says nothing: the end, after", after, 6.0, "s");
        });
    });
    // Whoever has been answered, and does not go, is not waited for either.
    echo.testee.descriptors_fall_to(Echo::start(&[]).testee.descriptors());
}

#[test]
fn a_newcomer_does_not_wait_for_300_slow_handshakes() {
    let echo = Echo::start(&["--handshake-timeout", "60"]);
    let mut slow: Vec<Peer> = (0..300).map(|_| Peer::connect(echo.address)).collect();
    let request = upgrade("/", "").into_bytes();
    slow.iter_mut().for_each(|peer| peer.send(&request[..20]));
    let mut sent = 20;
    let mut meet = || {
        // Each of the slow ones says one more byte.
        slow.iter_mut().for_each(|peer| peer.send(&request[sent..sent + 1]));
        sent += 1;
        let start = Instant::now();
        Peer::open(echo.address, "/").echoes();
        start.elapsed()
    };
    let wait = best_of(3, &mut meet).as_secs_f64();
    below(3, "beside 300 slow handshakes a newcomer is open and has its echo after", wait, 0.2, "s");
    slow.iter_mut().for_each(|peer| peer.send(&request[sent..]));
    slow.iter_mut().for_each(|peer| assert_eq!(peer.status(), 101));
    states(3, "and the 300 all end well");
}
