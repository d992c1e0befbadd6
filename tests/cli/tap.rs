//! `wireroom tap`: what passes is shown, and passes as it is.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::support::{Echo, LIMIT, Program, by_hand, read_head, run, succeeds};

/// A tap for a server that the test plays itself.
pub(crate) struct Between {
    pub(crate) tap: Program,
    pub(crate) address: String,
    pub(crate) listener: TcpListener,
}

impl Between {
    pub(crate) fn new(options: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let (tap, address) = Program::serving(&[&["tap", "0", &url], options].concat());
        Self { tap, address, listener }
    }

    /// A client's stream, and the server's end of it.
    pub(crate) fn pair(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(&self.address).unwrap();
        let (server, _) = self.listener.accept().unwrap();
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            stream.set_write_timeout(Some(LIMIT)).unwrap();
        }
        (client, server)
    }

    /// The same, behind the opening handshake, with these fields in its response.
    pub(crate) fn upgraded(&self, fields: &str) -> (TcpStream, TcpStream) {
        let (mut client, mut server) = self.pair();
        let request =
            format!("GET /x HTTP/1.1\r\nHost: {}\r\nUPGRADE: WebSocket\r\nX-Odd:  \tkept \r\n\r\n", self.address);
        pass(&mut client, &mut server, request.as_bytes());
        let response = format!("HTTP/1.1 101 Fine\r\nConnection: upgrade\r\n{fields}\r\n");
        pass(&mut server, &mut client, response.as_bytes());
        (client, server)
    }
}

/// What is written on one side has to come out on the other.
pub(crate) fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).unwrap();
    let mut passed = vec![0; bytes.len()];
    to.read_exact(&mut passed).unwrap();
    assert!(passed == bytes, "changed: {:?}", String::from_utf8_lossy(&passed));
}

#[test]
fn a_conversation_is_shown_frame_by_frame() {
    let echo = Echo::start();
    let (tap, address) = Program::serving(&["tap", "0", &echo.url]);
    let url = format!("ws://{address}/path");
    let options = ["-s", "chat", "-H", "X-Mine: 1", "--commands"];
    let input = b"hello\n/ping hi\n/binary 00ff\n/close 1000 bye\n";
    let ended = run(&[&["connect", &url], &options[..]].concat(), input);
    let dump = "binary, 2 bytes\n  00000000  00 ff                                             |..|\n";
    assert_eq!((ended.status, ended.out), (0, format!("hello\n{dump}")), "{}", ended.err);
    let lines = tap.lines_to("both streams have ended");
    let shown = |mark: &str, text: &str| {
        let found = lines.iter().any(|line| line.contains(&format!("#1 {mark} {text}")));
        assert!(found, "{mark} {text}: {lines:#?}");
    };
    shown(">", "GET /path HTTP/1.1\n");
    shown(">", &format!("Host: {address}\n"));
    shown(">", "X-Mine: 1\n");
    shown(">", "Sec-WebSocket-Protocol: chat\n");
    shown("<", "HTTP/1.1 101 Switching Protocols\n");
    shown("<", "Sec-WebSocket-Protocol: chat\n");
    shown(">", "text fin mask=");
    shown("<", "text fin 5 bytes \"hello\"\n");
    shown(">", "ping fin mask=");
    shown("<", "pong fin 2 bytes \"hi\"\n");
    shown("<", "binary fin 2 bytes 00ff\n");
    shown("<", "close fin 2 bytes 1000 (normal closure)\n");
    let close = lines.iter().find(|line| line.contains("> close")).unwrap();
    assert!(close.ends_with(" 5 bytes 1000 (normal closure) \"bye\"\n"), "{close}");
    assert!(lines.iter().all(|line| !line.contains("INVALID")), "{lines:#?}");
}

#[test]
fn bytes_pass_as_they_are_however_odd() {
    let between = Between::new(&[]);
    let (mut client, mut server) = between.upgraded("X-Odd:\t \r\n");
    // A length in more bytes than it needs, a reserved opcode, no mask, and then nothing that could be a frame.
    pass(&mut client, &mut server, &[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
    pass(&mut client, &mut server, &[0xFF; 1000]);
    let much: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let sent = much.clone();
    let mut writer = server.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut passed = vec![0; much.len()];
    client.read_exact(&mut passed).unwrap();
    writing.join().unwrap();
    assert!(passed == much, "3 MB were changed");
}

#[test]
fn each_broken_rule_is_shown_with_its_section() {
    let between = Between::new(&["--json"]);
    let masked = |first: u8, payload: &[u8]| [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat();
    let cases: [(bool, Vec<u8>, &str); 14] = [
        (true, vec![0x81, 0x01, b'a'], "a client's frame is not masked (RFC 6455 section 5.1)"),
        (false, masked(0x81, b"a"), "a server's frame is masked (RFC 6455 section 5.1)"),
        (false, vec![0x83, 0x00], "opcode 0x3 is reserved (RFC 6455 section 5.2)"),
        (false, vec![0xC1, 0x00], "reserved bits 0b100 are set"),
        (false, vec![0x82, 126, 0, 1, 7], "not encoded in the fewest bytes (RFC 6455 section 5.2)"),
        (false, vec![0x09, 0x00], "a control frame is fragmented (RFC 6455 section 5.5)"),
        (false, [&[0x89, 126, 0, 126][..], &[0; 126]].concat(), "more than 125 bytes (RFC 6455 section 5.5)"),
        (false, vec![0x80, 0x00], "without a message to continue (RFC 6455 section 5.4)"),
        (false, vec![0x01, 0x01, b'a', 0x81, 0x00], "before the fragmented one is finished (RFC 6455 section 5.4)"),
        (true, masked(0x81, b"\xc3("), "not valid UTF-8 (RFC 6455 section 8.1)"),
        (true, masked(0x81, b"\xe2\x82"), "not valid UTF-8 (RFC 6455 section 8.1)"),
        (true, masked(0x88, b"\x03"), "half a status code (RFC 6455 section 5.5.1)"),
        (true, masked(0x88, b"\x03\xed"), "close code 1005 must not be sent (RFC 6455 section 7.4)"),
        (true, [masked(0x88, b""), masked(0x81, b"")].concat(), "behind the Close (RFC 6455 section 5.5.1)"),
    ];
    for (from_client, frame, rule) in cases {
        let (mut client, mut server) = between.upgraded("");
        // A frame behind it is told as what it is.
        let (good, from) =
            if from_client { (masked(0x8A, b"ok"), "client") } else { (vec![0x8A, 2, b'o', b'k'], "server") };
        let bytes = [frame, good].concat();
        if from_client {
            pass(&mut client, &mut server, &bytes);
        } else {
            pass(&mut server, &mut client, &bytes);
        }
        let lines = between.tap.lines_to(r#""name":"pong""#);
        let invalid = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .any(|seen| seen["from"] == from && seen["invalid"].as_str().is_some_and(|invalid| invalid.contains(rule)));
        assert!(invalid, "{rule}: {lines:#?}");
        assert!(lines.last().unwrap().contains(r#""payload":"ok""#), "{lines:#?}");
    }
}

#[test]
fn text_is_checked_across_frames_and_cuts() {
    let between = Between::new(&["--json"]);
    let (mut client, mut server) = between.upgraded("");
    // "ü" over two fragments, with a Ping between them, byte by byte; then half a character at the end of a long text.
    for byte in [0x01, 1, 0xC3, 0x89, 0, 0x80, 1, 0xBC] {
        pass(&mut server, &mut client, &[byte]);
    }
    let mut long = vec![0x81, 126, 0, 200];
    long.extend([b'x'; 199]);
    long.push(0xC3);
    pass(&mut server, &mut client, &long[..150]);
    let lines = between.tap.lines_to(r#""length":200"#);
    assert!(lines.iter().all(|line| !line.contains("UTF-8")), "{lines:#?}");
    // What is shown already is told behind it.
    pass(&mut server, &mut client, &long[150..]);
    let late: Value = serde_json::from_str(&between.tap.line()).unwrap();
    assert_eq!((&late["event"], &late["from"]), (&"invalid".into(), &"server".into()));
    assert!(late["invalid"].as_str().unwrap().contains("UTF-8"), "{late}");
}

#[test]
fn compressed_frames_are_shown_as_they_are() {
    let (_server, address) = Program::serving(&["serve", "0", "-z"]);
    let (tap, at) = Program::serving(&["tap", "0", &format!("ws://{address}/")]);
    let line = "wireroom ".repeat(100);
    assert_eq!(succeeds(&["connect", &format!("ws://{at}/"), "-z", "--once"], line.as_bytes()), format!("{line}\n"));
    let lines = tap.lines_to("both streams have ended");
    for mark in [">", "<"] {
        let frame = lines.iter().find(|line| line.contains(&format!("{mark} text fin rsv1 compressed")));
        assert!(frame.is_some_and(|frame| !frame.contains("INVALID")), "{mark}: {lines:#?}");
    }
    assert!(lines.iter().any(|line| line.contains("< Sec-WebSocket-Extensions: permessage-deflate")), "{lines:#?}");
}

#[test]
fn a_payload_is_shown_as_far_as_asked() {
    let between = Between::new(&["--payload", "3"]);
    let (mut client, mut server) = between.upgraded("");
    // The frame is shown before all of it is there.
    pass(&mut server, &mut client, &[0x81, 10, b'a', 0x1B, b'c', b'd']);
    let lines = between.tap.lines_to("text fin");
    assert!(lines.last().unwrap().ends_with("text fin 10 bytes \"a\\u{1b}c\"..\n"), "{lines:#?}");
    drop(server);
    between.tap.lines_to("the stream ended within a frame");
    drop(client);
}

#[test]
fn an_end_of_one_side_is_carried_over_and_no_more() {
    let between = Between::new(&[]);
    let (mut client, mut server) = between.upgraded("");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0; 10]).unwrap(), 0, "the server sees the end");
    pass(&mut server, &mut client, b"\x81\x02hi");
    drop(server);
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
    between.tap.lines_to("both streams have ended");
}

#[test]
fn a_reset_is_carried_over_either_way() {
    let between = Between::new(&[]);
    for by_client in [true, false] {
        let (client, server) = between.upgraded("");
        let (resets, mut sees) = if by_client { (client, server) } else { (server, client) };
        socket2::SockRef::from(&resets).set_linger(Some(Duration::ZERO)).unwrap();
        drop(resets);
        assert_eq!(sees.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::ConnectionReset, "{by_client}");
        between.tap.lines_to(if by_client { "reset by the client" } else { "reset by the server" });
    }
}

#[test]
fn a_slow_side_holds_the_other_back() {
    let between = Between::new(&["--payload", "0"]);
    let (mut client, mut server) = between.upgraded("");
    server.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // Nobody reads at the client: what fits into the systems' buffers passes, and then it stops.
    let (mut written, block) = (0, vec![0; 1 << 16]);
    server.write_all(&[0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0]).unwrap();
    while written < 1 << 30 {
        match server.write(&block) {
            Ok(n) => written += n,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                break;
            }
        }
    }
    assert!(written < 64 << 20, "{written} bytes went into a side that nobody reads");
    if cfg!(target_os = "linux") {
        let status = std::fs::read_to_string(format!("/proc/{}/status", between.tap.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kilobytes < 32 << 10, "{line}");
    }
    // Another client is served all the same.
    let (mut other, mut its_server) = between.upgraded("");
    pass(&mut other, &mut its_server, b"\x8a\x80\0\0\0\0");
    // And when somebody reads, all of it is there.
    let mut left = written + 10;
    while left > 0 {
        let n = client.read(&mut vec![0; left.min(1 << 16)]).unwrap();
        assert!(n > 0, "{left} bytes are missing");
        left -= n;
    }
    pass(&mut server, &mut client, &[7; 1000]);
}

#[test]
fn many_clients_at_once_and_one_too_many() {
    let echo = Echo::start();
    let (tap, address) = Program::serving(&["tap", "0", &echo.url, "--max-clients", "50", "--payload", "0"]);
    let report = run(&["bench", &format!("ws://{address}/"), "-c", "50", "-d", "0.5", "-w", "0"], b"");
    assert_eq!(report.status, 0, "{report:?}");
    assert!(report.out.contains("50 of 50 connections"), "{report:?}");

    let between = Between::new(&["--max-clients", "1"]);
    let (_client, _server) = between.pair();
    let mut second = TcpStream::connect(&between.address).unwrap();
    second.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap_or(0), 0, "closed as it comes");
    between.tap.lines_to("is turned away: 1 clients are connected already");
    drop(tap);
}

#[test]
fn plain_http_and_refusals_pass_and_are_not_taken_for_frames() {
    let address: SocketAddr = by_hand(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n").unwrap();
    });
    let (tap, at) = Program::serving(&["tap", "0", &format!("ws://{address}/")]);
    let ended = run(&["connect", &format!("ws://{at}/")], b"");
    assert_eq!((ended.status, ended.err.as_str()), (4, "wireroom: the server answered 403 Forbidden: no\n"));
    let lines = tap.lines_to("both streams have ended");
    assert!(lines.iter().any(|line| line.contains("< HTTP/1.1 403 Forbidden")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("plain HTTP")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("INVALID")), "{lines:#?}");
}

#[test]
fn the_host_is_changed_where_that_is_asked_for_and_nothing_else() {
    let between = Between::new(&["--rewrite-host"]);
    let (mut client, mut server) = between.pair();
    for part in ["GET / HTTP/1.1\r\nho", "st: tap\r\nX: y\r\nUpgrade: websocket\r\n", "\r\n\u{8a}"] {
        client.write_all(part.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(30));
    }
    let host = between.listener.local_addr().unwrap();
    let wanted = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: y\r\nUpgrade: websocket\r\n\r\n\u{8a}");
    let mut passed = vec![0; wanted.len()];
    server.read_exact(&mut passed).unwrap();
    assert_eq!(String::from_utf8_lossy(&passed), wanted);
}

#[test]
fn an_endless_head_is_passed_on_and_not_kept() {
    for options in [&[][..], &["--rewrite-host"]] {
        let between = Between::new(options);
        let (mut client, mut server) = between.pair();
        pass(&mut client, &mut server, &[b'x'; 200_000]);
        between.tap.lines_to("a head above 64 KiB");
    }
}

/// Accepting is tried again ten times a second; for one more client there may be a descriptor, and none for the server.
#[test]
fn a_lack_of_descriptors_is_told_once_and_who_has_no_server_is_reset() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", server.local_addr().unwrap());
    let (mut accepting_failed, mut reset) = (0, 0);
    // Whichever is the odd one here.
    for limit in [16, 17] {
        let script = format!("ulimit -n {limit}; exec {} tap 0 {url}", env!("CARGO_BIN_EXE_wireroom"));
        let mut tap = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(tap.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").unwrap().split(',').next().unwrap().to_owned();
        let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(&address).unwrap()).collect();
        thread::sleep(Duration::from_millis(700));
        Command::new("kill").arg(tap.id().to_string()).status().unwrap();
        let mut said = String::new();
        out.read_to_string(&mut said).unwrap();
        assert!(tap.wait().unwrap().success());
        match said.matches("cannot accept: Too many open files").count() {
            0 => {
                let resets = clients.iter().filter_map(|mut client| client.read(&mut [0]).err());
                reset = said.matches("the client is reset").count();
                assert_eq!(resets.filter(|error| error.kind() == ErrorKind::ConnectionReset).count(), reset, "{said}");
            }
            told => accepting_failed += told,
        }
    }
    assert!(accepting_failed == 1 && reset > 0, "{accepting_failed} and {reset}");
}

#[test]
fn a_signal_ends_it() {
    let mut between = Between::new(&[]);
    let (mut client, _server) = between.pair();
    between.tap.signal("INT");
    assert_eq!(between.tap.wait().code(), Some(0));
    let began = Instant::now();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    assert!(began.elapsed() < LIMIT);
}

#[test]
fn a_reader_of_the_output_that_has_gone_ends_it() {
    let echo = Echo::start();
    let script = format!("{} tap 0 {} | head -n 1", env!("CARGO_BIN_EXE_wireroom"), echo.url);
    let mut shell = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("listening on ").unwrap().split(',').next().unwrap();
    let until = Instant::now() + LIMIT;
    // The first client that comes is shown to nobody.
    while shell.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "it goes on");
        let _ = TcpStream::connect(address);
        thread::sleep(Duration::from_millis(50));
    }
}
