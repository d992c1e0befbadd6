//! Promise 11: masking keys and nonces that nobody predicts, and browsers of other sites refused.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    figures::{below, states},
    peer::{CLOSE, PONG, Peer, unmasked, upgrade},
    server::{Server, field},
    testee::{Echo, Testee},
};

const KEYS: usize = 10_000;

/// The masking keys of a client that answers this many pings.
fn keys(count: usize) -> Vec<u32> {
    let server = Server::bind();
    let mut client = Testee::start(&[], "client", &[&server.url()]);
    let mut peer = server.accept();
    let mut keys = Vec::new();
    for batch in 0..count / 100 {
        peer.send(unmasked(0x89, batch.to_string()).repeat(100));
        for _ in 0..100 {
            let pong = peer.frame();
            assert_eq!((pong.first, &*pong.payload), (PONG, batch.to_string().as_bytes()));
            keys.push(u32::from_be_bytes(pong.mask.expect("a client masks every frame")));
        }
    }
    peer.send(unmasked(CLOSE, [3, 232]));
    assert!(peer.close_frame().0 == 1000 && client.finish().0.success());
    keys
}

/// How far the count of the most lopsided bit is from a half, in standard deviations.
fn lopsided(words: &[u32]) -> f64 {
    let half = words.len() as f64 / 2.0;
    let deviation = (words.len() as f64).sqrt() / 2.0;
    let off = |bit: u32| (words.iter().filter(|word| *word >> bit & 1 == 1).count() as f64 - half).abs() / deviation;
    (0..32).map(off).fold(0.0, f64::max)
}

fn distinct(words: impl IntoIterator<Item = u32>) -> usize {
    words.into_iter().collect::<HashSet<_>>().len()
}

#[test]
fn masking_keys_differ_and_follow_no_pattern() {
    let keys = keys(KEYS);
    let pairs = || keys.windows(2).map(|pair| (pair[0], pair[1]));
    let (xors, differences): (Vec<u32>, Vec<u32>) = pairs().map(|(a, b)| (a ^ b, b.wrapping_sub(a))).unzip();
    // Of 10,000 words at random 0.01 pairs are the same; three are no chance any more.
    for (what, words) in [("keys", &keys), ("of neighbours xored", &xors), ("of neighbours subtracted", &differences)] {
        let repeated = words.len() - distinct(words.iter().copied());
        below(11, &format!("{KEYS} masking keys, {what}: repeated"), repeated as f64, 3.0, "times");
        below(
            11,
            &format!("{KEYS} masking keys, {what}: the most lopsided bit is off by"),
            lopsided(words),
            6.0,
            "sigma",
        );
    }
    let mut counts = [0_u32; 256];
    keys.iter().flat_map(|key| key.to_be_bytes()).for_each(|byte| counts[byte as usize] += 1);
    let expected = 4.0 * KEYS as f64 / 256.0;
    let chi = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum::<f64>();
    // 255 degrees of freedom: a mean of 255, and 22.6 is one standard deviation.
    below(11, "chi-squared of the keys' bytes", chi, 255.0 + 6.0 * 22.6, "");
}

#[test]
fn nonces_and_first_keys_differ_from_run_to_run() {
    const RUNS: usize = 20;
    let (mut nonces, mut first_keys) = (HashSet::new(), HashSet::new());
    for _ in 0..RUNS {
        let server = Server::bind();
        let mut client = Testee::start(&[], "client", &[&server.url(), "--message", "hello"]);
        let (mut peer, request, accept) = server.request();
        let nonce = STANDARD.decode(field(&request, "sec-websocket-key")).unwrap();
        assert_eq!(nonce.len(), 16);
        nonces.insert(nonce);
        peer.send(crate::server::switch(&accept, ""));
        let hello = peer.frame();
        assert_eq!(hello.payload, b"hello");
        first_keys.insert(hello.mask.unwrap());
        peer.send(unmasked(CLOSE, [3, 232]));
        // The client waits for the server to close first (RFC 6455 section 7.1.1).
        drop(peer);
        client.finish();
    }
    assert_eq!((nonces.len(), first_keys.len()), (RUNS, RUNS));
    states(11, format_args!("{RUNS} clients: {RUNS} nonces of 16 bytes and {RUNS} first keys, all different"));
}

#[test]
fn origins_are_allowed_by_name() {
    let echo = Echo::start(&["--allow-origin", "https://good.example", "--allow-origin", "https://other.example:8443"]);
    let cases = [
        ("https://good.example", 101),
        ("HTTPS://GOOD.example", 101),
        ("https://other.example:8443", 101),
        ("https://other.example", 403),
        ("http://good.example", 403),
        ("https://good.example:444", 403),
        ("https://good.example.evil.example", 403),
        ("https://evil.example/https://good.example", 403),
        ("https://sub.good.example", 403),
        ("https://good.example@evil.example", 403),
        ("good.example", 403),
        ("null", 403),
        ("*", 403),
        ("", 403),
        ("https://good.example, https://evil.example", 403),
        ("https://good.example https://evil.example", 403),
    ];
    let asks = |lines: &str| {
        let mut peer = Peer::connect(echo.address);
        peer.send(upgrade("/", lines));
        peer.status()
    };
    for (origin, status) in cases {
        assert_eq!(asks(&format!("Origin: {origin}\r\n")), status, "{origin:?}");
    }
    // Without one: no browser. Nor is it let in by name, unless that is said.
    assert_eq!(asks(""), 403);
    assert_eq!(asks("Origin: https://good.example\r\nOrigin: https://evil.example\r\n"), 400);
    states(
        11,
        format_args!("{} Origins beside two that are allowed: 403 for each other, 400 for two at once", cases.len()),
    );
    let echo = Echo::start(&["--allow-origin", "null"]);
    let mut peer = Peer::connect(echo.address);
    peer.send(upgrade("/", "Origin: null\r\n"));
    assert_eq!(peer.status(), 101);
}
