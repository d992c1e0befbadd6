//! `wireroom tap` for a `wss://` server.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use wireroom::rustls;

use super::{
    secure::{certificate, records, requiring, serving},
    support::{LIMIT, Program, by_hand, fails, run, succeeds},
};

#[test]
fn a_tap_shows_what_was_encrypted() {
    let (_server, url) = serving("server");
    let ca = certificate("ca.pem");
    let (tap, address) = Program::serving(&["tap", "0", &url, "--ca", &ca]);
    let plain = format!("ws://{address}/");
    assert_eq!(succeeds(&["connect", &plain, "--once"], b"hello\n"), "hello\n");
    let lines = tap.lines_to("both streams have ended").concat();
    for wanted in ["GET / HTTP/1.1\n", "101 Switching Protocols\n", "hello"] {
        assert!(lines.contains(wanted), "{wanted}: {lines}");
    }
    // Much in both directions at once, in messages above a record.
    let big = ["bench", &plain, "-c", "2", "--in-flight", "4", "--size", "300000", "-w", "0", "-d", "0.5"];
    assert_eq!(run(&big, b"").status, 0);
}

#[test]
fn a_tap_trusts_nobody_else() {
    let (_server, url) = serving("unknown");
    let ca = certificate("ca.pem");
    let (tap, address) = Program::serving(&["tap", "0", &url, "--ca", &ca]);
    let plain = format!("ws://{address}/");
    fails(3, &["connect", &plain]);
    let lines = tap.lines_to("the client is reset").concat();
    assert!(lines.contains("cannot connect to the server: TLS: invalid peer certificate: UnknownIssuer"), "{lines}");
    let mut tap = Program::start(&["tap", "0", &url, "--insecure"]);
    assert!(tap.complaint().contains("warning: --insecure"));
    let line = tap.line();
    let address = line.strip_prefix("listening on ").unwrap().split(',').next().unwrap();
    assert_eq!(succeeds(&["connect", &format!("ws://{address}/"), "--once"], b"hi\n"), "hi\n");
    tap.signal("TERM");
    assert_eq!(tap.wait().code(), Some(0));
}

/// A server that speaks no TLS, one that hangs up, one that is silent; and a half-closed client.
#[test]
fn a_tap_of_servers_that_do_not_shake_hands() {
    let ca = certificate("ca.pem");
    let plain = by_hand(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let gone = by_hand(|mut stream| _ = stream.read(&mut [0; 1024]));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (at, why) in [
        (plain, "it does not speak TLS"),
        (gone, "TLS: the server hung up during the handshake"),
        (silent.local_addr().unwrap(), "timed out"),
    ] {
        let (tap, address) = Program::serving(&["tap", "0", &format!("wss://{at}/"), "--ca", &ca, "--timeout", "1"]);
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let written = client.write_all(b"GET / HTTP/1.1\r\n\r\n").and_then(|()| client.shutdown(Shutdown::Write));
        assert!(written.and_then(|()| client.read(&mut [0; 16])).is_err(), "it is reset");
        let lines = tap.lines_to("the client is reset").concat();
        assert!(lines.contains(why), "{why}: {lines}");
    }
}

/// Much, slowly, then the end: of one direction, then of the other.
#[test]
fn a_tap_carries_everything_and_each_end_over_tls() {
    const BYTES: usize = 4 << 20;
    let sent: Vec<u8> = (0..BYTES).map(|n| (n / 251) as u8).collect();
    let expected = sent.clone();
    let at = by_hand(move |mut socket| {
        let mut records = records();
        records.complete_io(&mut socket).unwrap();
        thread::sleep(Duration::from_millis(300));
        let mut stream = rustls::StreamOwned::new(records, socket);
        let mut received = Vec::new();
        // Without a close_notify it would be an error.
        stream.read_to_end(&mut received).unwrap();
        assert!(received == expected, "{} bytes", received.len());
        stream.write_all(&received).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    let arguments = ["tap", "0", &format!("wss://{at}/"), "--ca", &certificate("ca.pem")];
    let (tap, address) = Program::serving(&arguments);
    let mut client = TcpStream::connect(&address).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.set_write_timeout(Some(LIMIT)).unwrap();
    client.write_all(&sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    thread::sleep(Duration::from_millis(300));
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    assert!(back == sent, "{} bytes", back.len());
    tap.lines_to("both streams have ended");
}

/// TLS 1.3 tells a client behind its handshake that its certificate is missing.
#[test]
fn a_tap_says_what_a_server_does_not_like() {
    let (address, handle, server) = requiring();
    let arguments = ["tap", "0", &format!("wss://{address}/"), "--ca", &certificate("ca.pem")];
    let (tap, at) = Program::serving(&arguments);
    run(&["connect", &format!("ws://{at}/"), "--once"], b"");
    let lines = tap.lines_to("the client is reset").concat();
    assert!(lines.contains("the server's side broke: TLS: ") && lines.contains("ertificate"), "{lines}");
    handle.shut_down(Duration::ZERO, Duration::from_millis(200));
    server.join().unwrap();
}

/// A part of the last that the client said may wait as records: it goes when the server reads again, though nobody says more.
#[test]
fn a_tap_holds_nothing_back_when_a_slow_server_reads_again_over_tls() {
    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    const PAYLOAD: usize = 40_000;
    let frame = [&[0x82, 0xFE, (PAYLOAD >> 8) as u8, PAYLOAD as u8, 0, 0, 0, 0], &[7; PAYLOAD][..]].concat();
    let (go, goes) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let at = by_hand(move |mut socket| {
        socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 16).unwrap();
        let mut records = records();
        records.complete_io(&mut socket).unwrap();
        let wanted: usize = goes.recv().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut stream = rustls::StreamOwned::new(records, socket);
        let (mut received, mut space) = (0, vec![0; 1 << 16]);
        while received < wanted
            && let Ok(n @ 1..) = stream.read(&mut space)
        {
            received += n;
        }
        tell.send(received).unwrap();
    });
    let arguments = ["tap", "0", &format!("wss://{at}/"), "--ca", &certificate("ca.pem"), "--payload", "0"];
    let (tap, address) = Program::serving(&arguments);
    let connect = || {
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_write_timeout(Some(LIMIT)).unwrap();
        client.write_all(HEAD).unwrap();
        tap.lines_to("> Upgrade");
        client
    };
    // How much passes while nobody reads, and then all around that.
    let (mut client, mut frames) = (connect(), 0);
    loop {
        client.write_all(&frame).unwrap();
        frames += 1;
        let mut lines = std::iter::from_fn(|| tap.line_within(Duration::from_millis(300)));
        if !lines.any(|line| line.contains("> binary fin")) {
            break;
        }
    }
    let most = frame.len() * frames;
    for sent in (0..30).map(|step| most - 6_000 * step) {
        if sent < most {
            client = connect();
            let all: Vec<u8> = frame.iter().copied().cycle().take(sent).collect();
            client.write_all(&all).unwrap();
            thread::sleep(Duration::from_millis(30));
        }
        go.send(HEAD.len() + sent).unwrap();
        assert_eq!(told.recv_timeout(LIMIT).unwrap(), HEAD.len() + sent, "of {most} at most");
    }
}
