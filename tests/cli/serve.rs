//! `wireroom serve`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::support::{Echo, LIMIT, Program, fails, run, succeeds};

/// The status line of the answer to a request with these fields.
fn asking(address: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn an_echo_on_a_free_port_that_is_printed() {
    let (server, address) = Program::serving(&["serve", "0", "-v", "-s", "chat"]);
    assert!(!address.ends_with(":0"), "{address}");
    let url = format!("ws://{address}/");
    assert_eq!(succeeds(&["connect", &url, "--count", "2"], b"a\nb\n"), "a\nb\n");
    assert!(run(&["connect", &url, "-v", "-s", "chat", "--wait", "0"], b"").err.contains("subprotocol chat"));
    server.signal("INT");
    let ended = server.end();
    assert_eq!((ended.status, ended.out.as_str()), (0, ""), "{ended:?}");
    assert!(ended.err.contains("open from 127.0.0.1:") && ended.err.contains("subprotocol chat"), "{ended:?}");
    assert_eq!(ended.err.matches("closed cleanly").count(), 2, "{ended:?}");
}

#[test]
fn who_connects_is_sent_away_with_1001_when_it_goes_down() {
    for (mode, threads) in [("echo", "1"), ("broadcast", "1"), ("echo", "2"), ("broadcast", "2")] {
        let (mut server, address) = Program::serving(&["serve", "0", "-m", mode, "--threads", threads]);
        let mut client = Program::start(&["connect", &format!("ws://{address}/"), "--json"]);
        assert!(client.line().contains("open"));
        client.write(b"hi\n");
        assert!(client.line().contains("hi"));
        server.signal("TERM");
        client.lines_to(r#""code":1001"#);
        assert_eq!(client.wait().code(), Some(0));
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_broadcast_reaches_all_the_sender_included() {
    for threads in ["1", "3"] {
        let (_server, address) = Program::serving(&["serve", "0", "--mode", "broadcast", "--threads", threads]);
        let url = format!("ws://{address}/");
        let others: Vec<_> = (0..4).map(|_| Program::start(&["connect", &url, "--json", "-n", "1"])).collect();
        others.iter().for_each(|other| assert!(other.line().contains("open")));
        assert_eq!(succeeds(&["connect", &url, "--once"], b"to all\n"), "to all\n");
        others.iter().for_each(|other| assert!(other.line().contains("to all")));
    }
}

#[test]
fn no_page_may_connect_unless_its_site_is_named() {
    let origin = |named: &[&str], origin: &str| {
        let (_server, address) = Program::serving(&[&["serve", "0"], named].concat());
        asking(&address, origin)
    };
    assert_eq!(origin(&[], ""), "HTTP/1.1 101");
    assert_eq!(origin(&[], "Origin: http://evil.example\r\n"), "HTTP/1.1 403");
    assert_eq!(origin(&[], "Origin: null\r\n"), "HTTP/1.1 403");
    let named = ["--allow-origin", "http://localhost:3000", "--allow-origin", "https://b"];
    assert_eq!(origin(&named, "Origin: http://localhost:3000\r\n"), "HTTP/1.1 101");
    assert_eq!(origin(&named, "Origin: https://b\r\n"), "HTTP/1.1 101");
    assert_eq!(origin(&named, "Origin: http://evil.example\r\n"), "HTTP/1.1 403");
    assert_eq!(origin(&["--any-origin"], "Origin: http://evil.example\r\n"), "HTTP/1.1 101");
}

#[test]
fn limits_are_answered() {
    let (_server, address) = Program::serving(&["serve", "0", "--max-connections", "1", "--max-size", "10"]);
    let url = format!("ws://{address}/");
    let mut first = Program::start(&["connect", &url, "--json"]);
    assert!(first.line().contains("open"));
    assert!(fails(4, &["connect", &url]).starts_with("the server answered 503"));
    first.write(b"12345678901\n");
    first.lines_to(r#""code":1009"#);
    assert_eq!(first.wait().code(), Some(8));
}

#[test]
fn compression_where_it_is_asked_for() {
    for (options, compressed) in [(&["-z"][..], true), (&[], false)] {
        let (_server, address) = Program::serving(&[&["serve", "0"], options].concat());
        let ended = run(&["connect", &format!("ws://{address}/"), "-z", "-v", "--wait", "0"], b"");
        assert_eq!(ended.err.contains("compressed"), compressed, "{ended:?}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (mut server, address) = Program::serving(&["serve", "0"]);
    // This one answers no Close, so going down takes seconds.
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    server.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn who_does_not_keep_up_with_a_broadcast_is_closed_and_the_others_have_everything() {
    let (server, address) = Program::serving(&["serve", "0", "-m", "broadcast", "-v"]);
    let url = format!("ws://{address}/");
    let mut slow = TcpStream::connect(&address).unwrap();
    slow.write_all(
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .unwrap();
    slow.read_exact(&mut [0; 12]).unwrap();
    let lines: String = (0..400).map(|number| format!("{number} {}\n", "x".repeat(50_000))).collect();
    assert!(succeeds(&["connect", &url, "-n", "400"], lines.as_bytes()) == lines);
    server.signal("TERM");
    let ended = server.end();
    assert!(ended.err.contains("read too slowly"), "{ended:?}");
}

/// Somebody else has put a server in its place: that one's file is not ours to remove.
#[test]
fn the_file_of_a_socket_is_removed_at_the_end_if_it_is_still_ours() {
    let echo = Echo::start();
    for command in [&["serve"][..], &["tap"]] {
        for replaced in [false, true] {
            let path = std::env::temp_dir().join(format!("wireroom-own-{}-{}", command[0], std::process::id()));
            let address = format!("unix:{}", path.display());
            let arguments: Vec<_> = match command {
                ["serve"] => vec!["serve", &address],
                _ => vec!["tap", &address, &echo.url],
            };
            let (mut program, _) = Program::serving(&arguments);
            let other = replaced.then(|| {
                std::fs::remove_file(&path).unwrap();
                std::os::unix::net::UnixListener::bind(&path).unwrap()
            });
            program.signal("TERM");
            assert_eq!(program.wait().code(), Some(0));
            assert_eq!(path.exists(), replaced, "{command:?}");
            if other.is_some() {
                std::fs::remove_file(&path).unwrap();
            }
        }
    }
}
