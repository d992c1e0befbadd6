//! Each mistake is one clear sentence and its exit status.

use std::{io::Write, net::TcpListener, process::Command, thread, time::Duration};

use super::support::{Echo, Program, answering, by_hand, fails, read_head, run};

fn connecting(status: i32, to: impl std::fmt::Display) -> String {
    fails(status, &["connect", &format!("ws://{to}/"), "--timeout", "2"])
}

#[test]
fn urls_that_are_none() {
    for (url, why) in [
        ("http://localhost/", "not a ws:// or wss:// URL"),
        ("localhost:9001", "not a ws:// or wss:// URL"),
        ("ws://", "invalid host"),
        ("ws://h:99999/", "invalid port"),
        ("ws://h/#x", "fragment"),
        ("ws://h/a b", "percent-encoded"),
    ] {
        for command in ["connect", "bench"] {
            let sentence = fails(2, &[command, url]);
            assert!(sentence.starts_with(url) && sentence.contains(why), "{sentence}");
        }
        let sentence = fails(2, &["tap", "0", url]);
        assert!(sentence.starts_with(url) && sentence.contains(why), "{sentence}");
    }
}

#[test]
fn options_that_cannot_be_sent() {
    let with = |option: &str, value: &str| fails(2, &["connect", "ws://h/", option, value]);
    // Which one it is, and not what it holds.
    let bearer = "Authorization Bearer sesame";
    let sentence = fails(2, &["connect", "ws://h/", "-H", "A: b", "-H", bearer]);
    assert_eq!(sentence, "--header, number 2: there is no colon, as in \"Name: value\"");
    let sentence = with("-H", "Authorization: Bearer sesame\nX");
    assert!(sentence.starts_with("--header \"Authorization\": ") && !sentence.contains("sesame"), "{sentence}");
    assert!(with("-H", "Upgrade: x").contains("set by the library"));
    assert!(with("-H", "A: b\r\nC: d").contains("control byte"));
    assert!(with("-s", "a b").contains("tokens"));
    assert!(with("-o", "a\nb").contains("control byte"));
    assert!(with("-n", "0").contains("at least 1"));
    for options in
        [&["--ping", "0"][..], &["--timeout", "x"], &["--wait", "-1"], &["--timeout", "1e300"], &["--nonsense"]]
    {
        let ended = run(&[&["connect", "ws://h/"], options].concat(), b"");
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{ended:?}");
        assert!(ended.err.starts_with("error: "), "{ended:?}");
    }
}

#[test]
fn nobody_there() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("ws://{closed}/"), format!("ws://localhost:{}/", closed.port())] {
        assert_eq!(fails(3, &["connect", &url]), format!("cannot connect to {url}: connection refused"));
        assert_eq!(fails(3, &["bench", &url]), format!("cannot connect to {url}: connection refused"));
    }
    assert!(connecting(3, "unknown.invalid").starts_with("unknown host unknown.invalid: "));
    let (tap, at) = Program::serving(&["tap", "0", &format!("ws://{closed}/")]);
    assert!(fails(3, &["connect", &format!("ws://{at}/")]).contains("cannot connect to"));
    tap.lines_to("cannot connect to the server: Connection refused; the client is reset");
}

#[test]
fn the_second_address_of_a_host_is_tried() {
    // `localhost` is mostly ::1 before 127.0.0.1, on which this server listens.
    let echo = Echo::start();
    let url = echo.url.replace("127.0.0.1", "localhost");
    assert_eq!(run(&["connect", &url, "--once"], b"hi\n").out, "hi\n");
    assert_eq!(run(&["bench", &url, "-c", "3", "-d", "0.1", "-w", "0"], b"").status, 0);
    let (_tap, at) = Program::serving(&["tap", "0", &url]);
    assert_eq!(run(&["connect", &format!("ws://{at}/"), "--once"], b"hi\n").out, "hi\n");
}

#[test]
fn servers_that_speak_no_websocket() {
    let at = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n<!doctype html>\nhi\n\n");
    assert_eq!(connecting(4, at), "the server answered 200 OK, as to a plain HTTP request: <!doctype html>");
    let at = answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 18\r\n\r\n\n go\x1b[2J away \n\nsecond");
    assert_eq!(connecting(4, at), "the server answered 403 Forbidden: go\\u{1b}[2J away");
    let at = answering(b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connecting(4, at), "the server redirects (302) to https://elsewhere/; --follow follows it");
    let at = answering(b"220 mail.example ESMTP\r\n\r\n");
    let sentence = connecting(5, at);
    assert!(sentence.starts_with(&format!("ws://{at}/ does not speak HTTP: malformed status line")), "{sentence}");
    let at = answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n");
    let sentence = connecting(5, at);
    assert!(sentence.contains("does not speak WebSocket") && sentence.contains("Sec-WebSocket-Accept"), "{sentence}");
    let at = by_hand(|mut stream| _ = read_head(&mut stream));
    assert_eq!(connecting(3, at), format!("ws://{at}/ hung up before it answered"));
    let at = by_hand(|stream| {
        thread::sleep(Duration::from_secs(10));
        drop(stream);
    });
    assert_eq!(connecting(7, at), format!("no answer from ws://{at}/ within 2 s"));
    // One that goes on for ever is not listened to for ever.
    let at = by_hand(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    assert!(connecting(5, at).contains("does not speak HTTP"));
}

#[test]
fn what_a_server_says_does_not_fill_the_screen() {
    let long = "x".repeat(7_000);
    for head in [
        format!("403 {long}\r\n"),
        format!("302 Found\r\nLocation: http://h/{long}\r\n"),
        format!("101 S\r\nUpgrade: {long}\r\nConnection: Upgrade\r\n"),
        format!("403 No\r\nX: {long}\r\n"),
    ] {
        let at = by_hand(move |mut stream| {
            read_head(&mut stream);
            let _ = write!(stream, "HTTP/1.1 {head}Content-Length: 4000\r\n\r\n{}", "\u{20ac}".repeat(1_333));
        });
        let sentence = run(&["connect", &format!("ws://{at}/"), "--timeout", "2"], b"").err;
        assert!(sentence.len() < 900 && !sentence.contains('\u{fffd}'), "{} bytes: {sentence}", sentence.len());
    }
}

#[test]
fn addresses_that_cannot_be_listened_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(fails(1, &["serve", &address]), format!("cannot listen on {address}: Address already in use"));
    let sentence = fails(1, &["tap", &address, "ws://127.0.0.1:1/"]);
    assert_eq!(sentence, format!("cannot listen on {address}: Address already in use"));
    for command in [&["serve", "unix:/nonexistent/x"][..], &["tap", "unix:/nonexistent/x", "ws://127.0.0.1:1/"]] {
        let sentence = fails(1, command);
        assert!(sentence.starts_with("cannot listen on unix:/nonexistent/x: No such file"), "{sentence}");
    }
    for address in ["nonsense", "1.2.3.4", "unix:", "127.0.0.1:99999"] {
        let ended = run(&["serve", address], b"");
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.err.contains(address), "{ended:?}");
    }
}

#[test]
fn files_that_are_not_there() {
    let sentence = fails(1, &["manual", "--directory", "/nonexistent/pages"]);
    assert!(sentence.starts_with("/nonexistent/pages: No such file"), "{sentence}");
    assert!(fails(2, &["manual", "nonsense"]).contains("no command"));
    let sentence = fails(1, &["connect", "ws://127.0.0.1:1/", "--history", "/nonexistent/history"]);
    assert!(sentence.starts_with("--history /nonexistent/history: No such file"), "{sentence}");
    assert!(fails(1, &["connect", "ws://127.0.0.1:1/", "--history", "/"]).contains("Is a directory"));
}

/// Where a disk is full; that a reader has gone is another thing.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let echo = Echo::start();
    for arguments in [
        &["connect", &echo.url, "--send", "lost"][..],
        &["connect", &echo.url, "--send", "lost", "--json"],
        &["bench", &echo.url, "-w", "0", "-d", "0.1"],
        &["tap", "0", &echo.url],
        &["completions", "bash"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = Command::new(env!("CARGO_BIN_EXE_wireroom")).args(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(said, "wireroom: standard output: No space left on device\n", "{arguments:?}");
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn a_password_in_the_url_is_not_shown() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("ws://user:secret@{closed}/@");
    assert_eq!(fails(3, &["connect", &url]), format!("cannot connect to ws://{closed}/@: connection refused"));
    for arguments in
        [&["connect", "ws://user:secret@h/ "][..], &["bench", &url], &["tap", "0", "ws://user:secret@h:x/"]]
    {
        let ended = run(arguments, b"");
        assert!(ended.status != 0 && !ended.err.contains("secret"), "{ended:?}");
    }
}
