//! Too fast, too much, too slow.

use std::{
    io::{ErrorKind, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Client, PATIENCE, Server, frame};

#[test]
fn a_rate_has_a_burst_and_says_when_to_try_again() {
    let server = Server::start(&["--rate", "10"]);
    let mut ann = server.member("Ann", "red");
    let say = |ann: &mut Client, n: u64| {
        ann.send(json!({"type": "say", "id": format!("ann-{n:08}"), "room": "red", "text": "x"}));
    };
    let start = Instant::now();
    (0..100).for_each(|n| say(&mut ann, n));
    let refused = ann.until("error");
    assert_eq!((&refused["code"], &refused["room"]), (&json!("rate"), &json!("red")));
    let n: u64 = refused["id"].as_str().unwrap()[4..].parse().unwrap();
    // Forty at once, and one more for each tenth of a second that this took.
    assert!((40..=40 + start.elapsed().as_millis() as u64 / 100).contains(&n), "{refused}");
    let retry = refused["retry"].as_u64().unwrap();
    assert!((1..=101).contains(&retry), "{refused}");
    ann.has_come_to(&json!("ann-00000099"));
    std::thread::sleep(Duration::from_millis(retry));
    say(&mut ann, n);
    while ann.until("ack")["id"] != refused["id"] {}
}

#[test]
fn joins_and_the_like_have_a_rate_of_their_own() {
    let server = Server::start(&["--rate", "0"]);
    let start = Instant::now();
    let mut ann = server.member("Ann", "red");
    // Hello and join took two of the forty.
    let mut typed = 0;
    let refused = loop {
        ann.send(json!({"type": "typing", "room": "red"}));
        ann.send_frame(0x89, b"");
        let (first, payload) = ann.frame();
        if first == 0x81 {
            break serde_json::from_slice::<Value>(&payload).unwrap();
        }
        typed += 1;
    };
    assert!((38..=38 + start.elapsed().as_millis() as u64 / 100).contains(&typed), "{typed}");
    assert_eq!((&refused["code"], &refused["room"]), (&json!("rate"), &json!("red")), "{refused}");
    assert!((1..=101).contains(&refused["retry"].as_u64().unwrap()), "{refused}");
    assert_eq!(ann.frame().0, 0x8A);
    // That of messages to others is another one; and what is no message counts as all else.
    crate::support::say(&mut ann, "red", "ann-00000001", "still talking");
    (0..60).for_each(|_| ann.send_frame(0x81, b"nonsense"));
    while ann.expect("error")["code"] != "rate" {}
}

#[test]
fn a_flood_is_ended() {
    let server = Server::start(&["--rate", "1"]);
    let (mut ann, mut bob) = (server.person("Ann"), server.person("Bob"));
    ann.expect("arrived");
    let shout = |n: usize| {
        frame(0x81, json!({"type": "shout", "id": format!("ann-{n:08}"), "text": "x"}).to_string().as_bytes())
    };
    // One that is done in between begins the count anew.
    let flood: Vec<u8> = (0..203).flat_map(shout).collect();
    ann.send_bytes(&flood);
    (0..4).for_each(|_| _ = ann.expect("ack"));
    (0..199).for_each(|_| _ = ann.refused("rate"));
    std::thread::sleep(Duration::from_millis(1010));
    ann.send_bytes(&shout(900));
    ann.expect("ack");
    ann.send_bytes(&flood);
    (0..200).for_each(|_| _ = ann.refused("rate"));
    assert_eq!(ann.closed(), (4002, "flood".to_owned()));
    // What comes behind the Close is not heard, however slowly.
    std::thread::sleep(Duration::from_millis(1010));
    ann.send_bytes(&shout(901));
    std::thread::sleep(Duration::from_millis(50));
    (0..5).for_each(|_| _ = bob.expect("shouted"));
    bob.has_nothing();
}

#[test]
fn only_text_and_only_so_much() {
    let server = Server::start(&[]);
    for path in ["/ws", "/wire", "/live/ws"] {
        let mut client = server.connect(path);
        client.send_frame(0x82, b"bytes");
        assert_eq!(client.until_closed(), (1003, "text only".to_owned()), "{path}");
        let mut client = server.connect(path);
        client.send_frame(0x81, &vec![b'x'; 16 * 1024 + 1]);
        assert_eq!(client.until_closed().0, 1009, "{path}");
    }
    let mut ann = server.person("Ann");
    let mut whole = json!({"type": "shout", "id": "12345678", "text": "x"}).to_string();
    whole.push_str(&" ".repeat(16 * 1024 - whole.len()));
    ann.send_frame(0x81, whole.as_bytes());
    ann.expect("ack");
}

#[test]
fn who_does_not_read_is_let_go_and_the_others_are_not_held_up() {
    let server = Server::start(&["--rate", "0"]);
    let (mut ann, bob) = (server.member("Ann", "red"), server.member("Bob", "red"));
    let text = "x".repeat(2000);
    let start = Instant::now();
    // Bob reads nothing while Ann talks: first the system's buffers fill, then 4 MiB here.
    let mut said = 0;
    loop {
        for _ in 0..50 {
            let id = format!("ann-{said:08}");
            ann.send(json!({"type": "say", "id": id, "room": "red", "text": text}));
            said += 1;
        }
        let mut gone = false;
        for _ in 0..50 {
            loop {
                let message = ann.message();
                gone |= message["type"] == "gone";
                if message["type"] == "ack" {
                    break;
                }
            }
        }
        if gone {
            break;
        }
        assert!(start.elapsed() < 4 * PATIENCE, "after {said} messages");
    }
    ann.send(json!({"type": "whisper", "id": "whisper-1", "to": "Bob", "text": "there?"}));
    ann.refused("nobody");
    drop(bob);
}

#[test]
fn a_whisper_to_somebody_who_does_not_read_is_refused() {
    let server = Server::start(&["--rate", "0"]);
    let (mut ann, bob) = (server.person("Ann"), server.person("Bob"));
    ann.expect("arrived");
    let text = "x".repeat(2000);
    let mut n = 0;
    let refused = loop {
        n += 1;
        assert!(n < 50_000, "nothing is refused");
        ann.send(json!({"type": "whisper", "id": format!("ann-{n:08}"), "to": "Bob", "text": text}));
        let answer = ann.message();
        if answer["type"] != "whispered" {
            break answer;
        }
    };
    assert_eq!((&refused["code"], &refused["id"]), (&json!("too_slow"), &json!(format!("ann-{n:08}"))), "{refused}");
    assert_eq!(ann.expect("gone")["name"], "Bob");
    drop(bob);
}

/// A peer that sends and never reads is held back by its own answers.
#[test]
fn answers_that_nobody_reads_hold_back_their_questions() {
    let server = Server::start(&["--rate", "0"]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let address = server.address;
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
        .write_all(&frame(
            0x81,
            json!({"type": "hello", "name": "Ann", "secret": crate::support::SECRET}).to_string().as_bytes(),
        ))
        .unwrap();
    stream.set_nonblocking(true).unwrap();
    let shout = frame(
        0x81,
        json!({"type": "whisper", "id": "12345678", "to": "Ann", "text": "x".repeat(1000)}).to_string().as_bytes(),
    );
    let (mut sent, mut blocked) = (0, Instant::now());
    while blocked.elapsed() < Duration::from_millis(300) {
        match stream.write(&shout[sent % shout.len()..]) {
            Ok(n) => (sent, blocked) = (sent + n, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("ended after {sent} bytes: {error}"),
        }
        assert!(sent < 64 << 20, "the server takes it all");
    }
    // Everybody else is served.
    let mut bob = server.person("Bob");
    bob.has_nothing();
}

impl Client {
    /// Until the answer to this message.
    fn has_come_to(&mut self, id: &Value) {
        while &self.message()["id"] != id {}
    }
}
