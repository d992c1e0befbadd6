//! `wireroom connect` in pipes.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use wireroom::{Config, PermessageDeflate};

use super::support::{Echo, Program, accept, by_hand, fails, read_frames, run, sending, succeeds};

#[test]
fn each_line_of_a_pipe_is_a_message_and_its_answer_is_waited_for() {
    let echo = Echo::start();
    let began = Instant::now();
    assert_eq!(succeeds(&["connect", &echo.url], b"one\ntwo\r\n\n/three\nno end"), "one\ntwo\n\n/three\nno end\n");
    assert!(began.elapsed() >= Duration::from_secs(1), "a second of silence by default");
    let began = Instant::now();
    assert_eq!(succeeds(&["connect", &echo.url, "--wait", "0.1"], b"one\n"), "one\n");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn what_waits_in_the_pipe_passes_in_order_however_much_it_is() {
    let echo = Echo::start();
    let lines: String = (0..20_000).map(|number| format!("{number} {}\n", "x".repeat(100))).collect();
    assert!(succeeds(&["connect", &echo.url, "--count", "20000"], lines.as_bytes()) == lines);
}

#[test]
fn a_count_ends_it() {
    let echo = Echo::start();
    assert_eq!(succeeds(&["connect", &echo.url, "-n", "2"], b"a\nb\nc\n"), "a\nb\n");
    assert_eq!(succeeds(&["connect", &echo.url, "-x", "hi", "-x", "ho", "--once"], b"not read\n"), "hi\n");
    let ended = run(&["connect", &echo.url, "-n", "2", "--wait", "0.2"], b"a\n");
    assert_eq!((ended.status, ended.out.as_str()), (7, "a\n"), "{ended:?}");
    assert!(ended.err.contains("only 1 of 2 messages"), "{ended:?}");
    // The server closes too early: 1000, but it is not what was wanted.
    let ended = run(&["connect", &sending(b"\x81\x01a\x88\x02\x03\xe8"), "-n", "2"], b"");
    assert_eq!((ended.status, ended.out.as_str()), (6, "a\n"), "{ended:?}");
}

#[test]
fn nothing_is_lost_that_comes_right_behind_the_handshake() {
    let greets = || sending(b"\x81\x01a\x81\x01b\x88\x00");
    assert_eq!(succeeds(&["connect", &greets()], b""), "a\nb\n");
    let out = succeeds(&["connect", &greets(), "--json"], b"");
    let events = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone());
    assert_eq!(events.collect::<Vec<_>>(), ["open", "message", "message", "closed"], "{out}");
}

#[test]
fn binary_messages() {
    let echo = Echo::start();
    let dump = succeeds(&["connect", &echo.url, "--binary", "--once"], b"\xff\x00abc\n");
    assert_eq!(dump, "binary, 5 bytes\n  00000000  ff 00 61 62 63                                    |..abc|\n");
    assert_eq!(succeeds(&["connect", &echo.url, "--commands", "--once", "--raw"], b"/binary 61 62\n"), "ab");
    let ended = run(&["connect", &echo.url], b"\xff\n");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.err.contains("not UTF-8"), "{ended:?}");
}

#[test]
fn texts_are_as_they_came_where_there_is_no_terminal() {
    let url = sending(b"\x81\x05a\x1b[mb\x88\x00");
    assert_eq!(succeeds(&["connect", &url], b""), "a\x1b[mb\n");
}

#[test]
fn one_json_object_for_each_event() {
    let echo = Echo::start();
    let out =
        succeeds(&["connect", &echo.url, "--json", "--commands", "-s", "chat"], b"hi\n/ping x\n/close 3000 bye\n");
    let events: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named =
        |name: &str| events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("{name}: {out}"));
    assert_eq!(named("open")["subprotocol"], "chat");
    assert_eq!((&named("message")["type"], &named("message")["text"]), (&"text".into(), &"hi".into()));
    assert_eq!(named("pong")["hex"], "78");
    assert!(named("pong")["round_trip_ms"].as_f64().unwrap() > 0.0);
    let closed = named("closed");
    assert_eq!((&closed["code"], &closed["reason"], &closed["by"]), (&3000.into(), &"bye".into(), &"us".into()));
    assert_eq!(closed["status"], 0);
    assert!(events.iter().all(|event| event["time"].is_number()));
}

#[test]
fn pings_tell_their_round_trip() {
    let echo = Echo::start();
    let ended = run(&["connect", &echo.url, "--ping", "0.1", "--wait", "0.5"], b"");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.err.lines().filter(|line| line.starts_with("Pong after ")).count() >= 2, "{ended:?}");
}

#[test]
fn the_handshake_says_what_it_was_told() {
    let address = by_hand(|mut stream| {
        let head = accept(&mut stream, "Sec-WebSocket-Protocol: b\r\n");
        let text = head.lines().filter(|line| !line.starts_with("Sec-WebSocket-Key")).collect::<Vec<_>>().join("|");
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        stream.write_all(&[&[0x81, 126], &length[..], text.as_bytes(), &[0x88, 0]].concat()).unwrap();
        read_frames(&mut stream);
    });
    let url = format!("ws://{address}/path?q");
    let options =
        ["-H", "X-One: 1", "-H", "Authorization: Bearer 2", "-s", "a", "-s", "b", "-o", "http://site", "-z", "-v"];
    let ended = run(&[&["connect", &url][..], &options].concat(), b"");
    assert_eq!(ended.status, 0, "{ended:?}");
    for line in [
        "GET /path?q HTTP/1.1",
        "X-One: 1",
        "Authorization: Bearer 2",
        "Sec-WebSocket-Protocol: a, b",
        "Origin: http://site",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ] {
        assert!(ended.out.trim_end().split('|').any(|found| found == line), "{line}: {ended:?}");
    }
    assert!(ended.err.contains(", subprotocol b\n"), "{ended:?}");
}

#[test]
fn compression_is_offered_and_used() {
    let config = Config::builder().permessage_deflate(Some(PermessageDeflate::default())).build().unwrap();
    let echo = Echo::with(config);
    let line = "wireroom ".repeat(1000);
    let ended = run(&["connect", &echo.url, "-z", "-v", "--once"], format!("{line}\n").as_bytes());
    assert_eq!((ended.status, ended.out), (0, format!("{line}\n")), "{}", ended.err);
    assert!(ended.err.contains(", compressed"), "{}", ended.err);
}

#[test]
fn each_end_has_its_status() {
    let closes = |bytes: &'static [u8]| run(&["connect", &sending(bytes), "--wait", "20"], b"");
    for (bytes, status, said) in [
        (&b"\x88\x02\x03\xe8"[..], 0, ""),
        (b"\x88\x02\x03\xe9", 0, ""),
        (b"\x88\x00", 0, ""),
        (b"\x88\x06\x0f\xa0\x1b[mx", 8, "closed by the server: 4000 (private use): \\u{1b}[mx"),
        (b"\x88\x02\x03\xf3", 8, "closed by the server: 1011 (internal error)"),
        (b"\x83\x00", 5, "the server broke the protocol: opcode 0x3 is reserved (RFC 6455 section 5.2)"),
        (b"\x81\x01\xff", 5, "the server broke the protocol: text is not valid UTF-8 (RFC 6455 section 8.1)"),
    ] {
        let ended = closes(bytes);
        let sentence = if said.is_empty() { String::new() } else { format!("wireroom: {said}\n") };
        assert_eq!((ended.status, ended.err), (status, sentence), "{bytes:?}");
    }
    let address = by_hand(|mut stream| _ = accept(&mut stream, ""));
    assert!(
        fails(6, &["connect", &format!("ws://{address}/"), "--wait", "20"]).contains("without a closing handshake")
    );
    let echo = Echo::start();
    let ended = run(&["connect", &echo.url, "--max-size", "3"], b"four\n");
    assert_eq!(ended.status, 5, "{ended:?}");
    assert!(ended.err.contains("a message is bigger than the limit of 3 bytes, --max-size"), "{ended:?}");
}

#[test]
fn a_signal_closes_and_a_second_ends_it() {
    let echo = Echo::start();
    for signal in ["INT", "TERM"] {
        let mut program = Program::start(&["connect", &echo.url]);
        program.write(b"hi\n");
        assert_eq!(program.line(), "hi\n");
        program.signal(signal);
        assert_eq!(program.wait().code(), Some(0));
    }
    // This server answers no Close.
    let deaf = by_hand(|mut stream| {
        accept(&mut stream, "");
        stream.write_all(b"\x81\x01a").unwrap();
        std::thread::sleep(Duration::from_secs(30));
    });
    let mut program = Program::start(&["connect", &format!("ws://{deaf}/")]);
    assert_eq!(program.line(), "a\n");
    program.signal("INT");
    std::thread::sleep(Duration::from_millis(300));
    program.signal("INT");
    assert_eq!(program.wait().code(), Some(130));
}

#[test]
fn a_reader_that_has_gone_ends_it() {
    let script =
        format!("{} connect {} | head -n 1", env!("CARGO_BIN_EXE_wireroom"), sending(b"\x81\x01a\x81\x01b\x81\x01c"));
    let began = Instant::now();
    let out =
        std::process::Command::new("sh").args(["-c", &script]).stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "a\n");
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[cfg(unix)]
#[test]
fn a_unix_domain_socket() {
    let path = std::env::temp_dir().join(format!("wireroom-cli-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let (server, address) = Program::serving(&["serve", &format!("unix:{path}"), "-v"]);
    assert_eq!(address, format!("unix:{path}"));
    assert_eq!(succeeds(&["connect", "ws://localhost/", "--unix", path, "--once"], b"hi\n"), "hi\n");
    let sentence = fails(1, &["serve", &format!("unix:{path}")]);
    assert!(sentence.contains("somebody listens there"), "{sentence}");
    server.signal("TERM");
    let ended = server.end();
    assert!(ended.err.contains("open from a Unix-domain socket"), "{ended:?}");
    assert!(!std::path::Path::new(path).exists(), "the socket's file is removed");
    assert!(fails(3, &["connect", "ws://localhost/", "--unix", path]).contains("No such file"));
}
