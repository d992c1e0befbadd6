//! The wire made visible.

use serde_json::{Value, json};

use crate::support::{Client, SECRET, Server};

/// Long enough for the server to look at the frames that have passed.
const A_STEP: std::time::Duration = std::time::Duration::from_millis(60);

/// Somebody whose frames are kept, and the id of their connection.
fn watched(server: &Server, headers: &str) -> (Client, String) {
    let mut ann = Client::open_with(server.address, "/ws?wire", headers);
    ann.send(json!({"type": "hello", "name": "Ann", "secret": SECRET}));
    let id = ann.expect("welcome")["id"].as_str().unwrap().to_owned();
    (ann, id)
}

fn watch(server: &Server, id: &str, secret: &str) -> Client {
    let mut viewer = server.connect("/wire");
    viewer.send(json!({"type": "watch", "id": id, "secret": secret}));
    viewer
}

/// Frames until there are so many.
fn frames(viewer: &mut Client, count: usize) -> Vec<Value> {
    let mut frames = Vec::new();
    while frames.len() < count {
        let message = viewer.expect("frames");
        assert_eq!(message["missed"], 0);
        frames.extend(message["frames"].as_array().unwrap().iter().cloned());
    }
    frames
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_opening_handshake_of_this_very_connection() {
    let server = Server::start(&[]);
    let (ann, id) = watched(&server, "Cookie: session=mine\r\nauthorization: Basic bWU6bWU=\r\nX-Other: seen\r\n");
    let handshake = watch(&server, &id, SECRET).expect("handshake");
    let request = ann.request.replace("session=mine", "(hidden)").replace("Basic bWU6bWU=", "(hidden)");
    assert_eq!(handshake["request"], request);
    assert_eq!(handshake["response"], ann.response);
    // RFC 6455, section 1.3: the key and all that is made of it.
    assert_eq!(handshake["key"], "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(handshake["guid"], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    assert_eq!(handshake["sha1"], "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
    assert_eq!(handshake["accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn frames_from_the_first_to_the_last() {
    let server = Server::start(&[]);
    let (mut ann, id) = watched(&server, "");
    let mut viewer = watch(&server, &id, SECRET);
    viewer.expect("handshake");
    let first = frames(&mut viewer, 2);
    let hello = &first[0];
    let length = json!({"type": "hello", "name": "Ann", "secret": SECRET}).to_string().len();
    assert_eq!((&hello["n"], &hello["direction"], &hello["opcode"]), (&json!(1), &json!("out"), &json!(1)));
    assert_eq!((&hello["fin"], &hello["rsv"], &hello["masked"]), (&json!(true), &json!(0), &json!(true)));
    assert_eq!((&hello["key"], &hello["length"]), (&json!("37fa213d"), &json!(length)));
    assert_eq!(hello["start"].as_str().unwrap().len(), 32);
    assert!(hello["time"].as_u64().unwrap() > 1_700_000_000_000);
    let welcome = &first[1];
    assert_eq!((&welcome["n"], &welcome["direction"], &welcome["masked"]), (&json!(2), &json!("in"), &json!(false)));
    assert_eq!((welcome.get("key"), &welcome["start"]), (None, &json!(hex("{\"type\":\"welcome"))));

    // A message in two fragments with a Ping in between, and what the server makes of it.
    ann.send_frame(0x01, b"{\"type\":\"join\",");
    ann.send_frame(0x89, b"hi");
    ann.send_frame(0x80, b"\"room\":\"red\"}");
    ann.until_pong();
    ann.until("history");
    let seen = frames(&mut viewer, 6);
    let told: Vec<_> = seen
        .iter()
        .map(|frame| (frame["direction"].as_str().unwrap(), frame["opcode"].as_u64().unwrap(), frame["fin"] == true))
        .collect();
    let out: Vec<_> =
        told.iter().filter(|(direction, ..)| *direction == "out").map(|(_, opcode, fin)| (*opcode, *fin)).collect();
    assert_eq!(out, [(1, false), (9, true), (0, true)], "{seen:?}");
    let inwards: Vec<_> =
        told.iter().filter(|(direction, ..)| *direction == "in").map(|(_, opcode, fin)| (*opcode, *fin)).collect();
    assert_eq!(inwards, [(10, true), (1, true), (1, true)], "{seen:?}");

    // The Close, with its code and as much of its reason as is kept.
    ann.send_frame(0x88, &[&1000_u16.to_be_bytes()[..], "good bye, ünd".as_bytes()].concat());
    assert_eq!(ann.closed().0, 1000);
    let ends = frames(&mut viewer, 2);
    assert_eq!(
        (&ends[0]["opcode"], &ends[0]["code"], &ends[0]["reason"]),
        (&json!(8), &json!(1000), &json!("good bye, ünd"))
    );
    assert_eq!((&ends[1]["direction"], &ends[1]["code"]), (&json!("in"), &json!(1000)));
    assert_eq!(viewer.closed(), (1000, "closed".to_owned()));
}

#[test]
fn only_the_one_who_knows_the_secret() {
    let server = Server::start(&[]);
    let (mut ann, id) = watched(&server, "");
    let (mut bob, mut unwatched) = (server.connect("/ws"), String::new());
    bob.send(json!({"type": "hello", "name": "Bob", "secret": SECRET}));
    unwatched.push_str(bob.expect("welcome")["id"].as_str().unwrap());
    let nothing = (4004, "nothing to watch".to_owned());
    assert_eq!(watch(&server, &id, "0123456789abcdeF").closed(), nothing);
    assert_eq!(watch(&server, "0-fff-0", SECRET).closed(), nothing);
    assert_eq!(watch(&server, "", SECRET).closed(), nothing);
    assert_eq!(watch(&server, &unwatched, SECRET).closed(), nothing, "its frames are not kept");
    let mut viewer = server.connect("/wire");
    viewer.send(json!({"type": "hello", "name": "Ann", "secret": SECRET}));
    assert_eq!(viewer.closed(), nothing);
    // Nor does a connection that is not on /wire get to watch.
    ann.until("arrived");
    ann.send(json!({"type": "watch", "id": id, "secret": SECRET}));
    ann.refused("bad_message");
}

#[test]
fn a_second_viewer_takes_the_place_of_the_first() {
    let server = Server::start(&[]);
    let (mut ann, id) = watched(&server, "");
    let mut first = watch(&server, &id, SECRET);
    first.expect("handshake");
    frames(&mut first, 2);
    let mut second = watch(&server, &id, SECRET);
    second.expect("handshake");
    assert_eq!(first.closed(), (4001, "replaced".to_owned()));
    ann.send(json!({"type": "shout", "id": "shout-001", "text": "x"}));
    let seen = frames(&mut second, 2);
    assert_eq!((&seen[0]["n"], &seen[1]["n"]), (&json!(3), &json!(4)));
    // Without a viewer they are kept for the next one.
    drop(second);
    drop(first);
    std::thread::sleep(A_STEP);
    ann.send(json!({"type": "shout", "id": "shout-002", "text": "x"}));
    ann.until("ack");
    std::thread::sleep(A_STEP);
    let mut third = watch(&server, &id, SECRET);
    third.expect("handshake");
    assert_eq!(frames(&mut third, 2)[0]["n"], 5);
}

#[test]
fn the_last_256_frames_are_kept() {
    let server = Server::start(&["--rate", "0"]);
    let (mut ann, id) = watched(&server, "");
    for n in 0..200 {
        ann.send(json!({"type": "shout", "id": format!("shout-{n:03}"), "text": "x"}));
        ann.expect("ack");
        if n % 50 == 0 {
            std::thread::sleep(A_STEP);
        }
    }
    let mut viewer = watch(&server, &id, SECRET);
    viewer.expect("handshake");
    let message = viewer.expect("frames");
    let frames = message["frames"].as_array().unwrap();
    assert_eq!((frames.len(), message["missed"].as_u64()), (256, Some(402 - 256)));
    assert_eq!((&frames[0]["n"], &frames[255]["n"]), (&json!(147), &json!(402)));
}

impl Client {
    fn until_pong(&mut self) {
        let (first, payload) = self.frame();
        assert_eq!((first, &payload[..]), (0x8A, &b"hi"[..]));
    }
}
