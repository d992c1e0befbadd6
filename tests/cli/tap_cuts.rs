//! `wireroom tap`: heads in pieces, and what comes together with a reset.

use std::{
    io::{ErrorKind, Read, Write},
    thread,
    time::Duration,
};

use super::tap::{Between, pass};

/// RFC 9112, 2.2: a server "MAY recognize a single LF as a line terminator", and there are clients that send no other.
#[test]
fn a_head_of_line_feeds_alone_is_a_head() {
    let between = Between::new(&["--rewrite-host"]);
    let (mut client, mut server) = between.pair();
    client.write_all(b"GET / HTTP/1.1\nHost: tap\nUpgrade: websocket\n\n\x89\x80\0\0\0\0").unwrap();
    let host = between.listener.local_addr().unwrap();
    let wanted = format!("GET / HTTP/1.1\nHost: {host}\nUpgrade: websocket\n\n\u{89}").into_bytes();
    let mut passed = vec![0; wanted.len() - 2];
    server.read_exact(&mut passed).unwrap();
    assert_eq!(passed, wanted[..wanted.len() - 2]);
    pass(&mut server, &mut client, b"HTTP/1.1 101 Fine\n\n\x8a\0");
    between.tap.lines_to("< pong fin");
}

#[test]
fn a_head_may_be_cut_anywhere() {
    for options in [&["--rewrite-host"][..], &[]] {
        let between = Between::new(options);
        let host = between.listener.local_addr().unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\r\n").into_bytes();
        let request = [&request, &b"\x89\x80\0\0\0\0"[..]].concat();
        let response = b"HTTP/1.1 101 Fine\r\nX: y\r\n\r\n\x8a\0";
        for cut in 1..request.len() {
            let (mut client, mut server) = between.pair();
            client.write_all(&request[..cut]).unwrap();
            thread::sleep(Duration::from_millis(2));
            client.write_all(&request[cut..]).unwrap();
            let mut passed = vec![0; request.len()];
            server.read_exact(&mut passed).unwrap();
            assert_eq!(String::from_utf8_lossy(&passed), String::from_utf8_lossy(&request), "cut at {cut}");
            let (begin, rest) = response.split_at(cut.min(response.len() - 1));
            pass(&mut server, &mut client, begin);
            pass(&mut server, &mut client, rest);
            let lines = between.tap.lines_to("< pong fin");
            assert!(lines.iter().any(|line| line.contains("> ping fin")), "cut at {cut}: {lines:#?}");
        }
    }
}

/// A server that refuses what it has not read says why, closes, and its system resets: both come at once.
#[test]
fn what_came_before_a_reset_is_shown_and_passed_on() {
    let between = Between::new(&[]);
    for (by_client, close) in [(true, &b"\x88\x82\0\0\0\0\x03\xf1"[..]), (false, b"\x88\x02\x03\xf1")] {
        let (client, server) = between.upgraded("");
        let (mut resets, mut sees) = if by_client { (client, server) } else { (server, client) };
        between.tap.signal("STOP");
        thread::sleep(Duration::from_millis(50));
        resets.write_all(close).unwrap();
        socket2::SockRef::from(&resets).set_linger(Some(Duration::ZERO)).unwrap();
        drop(resets);
        between.tap.signal("CONT");
        let mut passed = vec![0; close.len()];
        sees.read_exact(&mut passed).unwrap();
        assert_eq!(passed, close);
        assert_eq!(sees.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::ConnectionReset, "{by_client}");
        let lines = between.tap.lines_to(if by_client { "reset by the client" } else { "reset by the server" });
        assert!(lines.iter().any(|line| line.contains("2 bytes 1009")), "{lines:#?}");
    }
}
