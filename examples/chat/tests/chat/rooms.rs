//! Joining, leaving, talking and typing in rooms.

use serde_json::{Value, json};

use crate::support::{Client, Server, say};

#[test]
fn one_conversation() {
    let server = Server::start(&[]);
    let mut bob = server.member("Bob", "lobby");
    let mut ann = server.person("Ann");
    bob.expect("arrived");
    ann.send(json!({"type": "join", "room": "lobby"}));
    let joined = ann.expect("joined");
    assert_eq!((&joined["room"], joined["people"].as_array().unwrap().len()), (&json!("lobby"), 2));
    assert_eq!(bob.message(), json!({"type": "entered", "room": "lobby", "name": "Ann", "idle": false}));
    assert_eq!(ann.message(), json!({"type": "history", "room": "lobby", "messages": [], "more": false}));

    let seq = say(&mut ann, "lobby", "ann-00000001", "Hello!");
    let mut said = bob.message();
    assert!(said.as_object_mut().unwrap().remove("time").unwrap().as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        said,
        json!({"type": "said", "room": "lobby", "seq": seq, "id": "ann-00000001", "from": "Ann", "text": "Hello!"})
    );
    ann.send(json!({"type": "leave", "room": "lobby"}));
    let left = json!({"type": "left", "room": "lobby", "name": "Ann"});
    assert_eq!((ann.message(), bob.message()), (left.clone(), left));
    say(&mut bob, "lobby", "bob-00000001", "Gone?");
    ann.has_nothing();
}

#[test]
fn typing_reaches_the_others_in_the_room_only() {
    let server = Server::start(&[]);
    let (mut ann, mut bob, mut eve) =
        (server.member("Ann", "red"), server.member("Bob", "red"), server.member("Eve", "blue"));
    ann.until("entered");
    ann.until("arrived");
    bob.until("arrived");
    ann.send(json!({"type": "typing", "room": "red"}));
    assert_eq!(bob.message(), json!({"type": "typing", "room": "red", "name": "Ann"}));
    ann.has_nothing();
    eve.has_nothing();
}

#[test]
fn the_same_again_is_acknowledged_again() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = (server.member("Ann", "red"), server.member("Bob", "red"));
    ann.until("entered");
    let seq = say(&mut ann, "red", "ann-00000001", "once");
    bob.expect("said");
    ann.send(json!({"type": "say", "id": "ann-00000001", "room": "red", "text": "once"}));
    assert_eq!(ann.message(), json!({"type": "ack", "id": "ann-00000001", "seq": seq}));
    ann.send(json!({"type": "say", "id": "ann-00000001", "room": "red", "text": "twice"}));
    let refused = ann.refused("id_reused");
    assert_eq!((&refused["id"], &refused["room"]), (&json!("ann-00000001"), &json!("red")));
    ann.send(json!({"type": "join", "room": "blue"}));
    ann.until("history");
    ann.send(json!({"type": "say", "id": "ann-00000001", "room": "blue", "text": "once"}));
    ann.refused("id_reused");
    bob.has_nothing();
}

#[test]
fn messages_come_in_order_of_seq_over_all_rooms() {
    let server = Server::start(&["--rate", "0"]);
    let mut ann = server.member("Ann", "red");
    ann.send(json!({"type": "join", "room": "blue"}));
    ann.until("history");
    for n in 0..500 {
        let room = ["red", "blue"][n % 2];
        ann.send(json!({"type": "say", "id": format!("ann-{n:08}"), "room": room, "text": n.to_string()}));
    }
    let (mut last, mut acked) = (0, 0);
    for n in 0..500 {
        let said = ann.until("said");
        assert_eq!(said["text"], n.to_string());
        let seq = said["seq"].as_u64().unwrap();
        assert!(seq > last, "{said}");
        last = seq;
        acked += u32::from(ann.expect("ack")["seq"] == seq);
    }
    assert_eq!(acked, 500);
}

#[test]
fn rooms_are_offered_most_recently_used_first() {
    let server = Server::start(&[]);
    let mut ann = server.member("Ann", "said in");
    say(&mut ann, "said in", "ann-00000001", "hello");
    for room in ["empty", "left", "joined"] {
        ann.send(json!({"type": "join", "room": room}));
        ann.until("history");
    }
    for room in ["empty", "left"] {
        ann.send(json!({"type": "leave", "room": room}));
        ann.until("left");
    }
    let mut bob = server.connect("/ws");
    bob.send(json!({"type": "hello", "name": "Bob", "secret": crate::support::SECRET}));
    assert_eq!(bob.expect("welcome")["rooms"], json!(["joined", "said in"]));
}

#[test]
fn everything_that_is_refused_says_why() {
    let server = Server::start(&["--rate", "0"]);
    let mut ann = server.connect("/ws");
    for (message, code) in [
        (json!({"type": "join", "room": "red"}), "hello_first"),
        (json!({"type": "say", "id": "12345678", "room": "red", "text": "x"}), "hello_first"),
        (json!({"type": "hello", "name": "", "secret": crate::support::SECRET}), "bad_name"),
        (json!({"type": "hello", "name": "Ann", "secret": "short"}), "bad_secret"),
        (json!({"type": "hello", "name": "Ann"}), "bad_message"),
        (json!(["hello"]), "bad_message"),
    ] {
        ann.send(message.clone());
        let refused = ann.refused(code);
        assert_eq!(refused.get("id"), message.get("id"), "{message}");
        assert_eq!(refused.get("retry"), None);
    }
    ann.send_frame(0x81, b"{\"type\":\"hello\",");
    ann.refused("bad_message");
    ann.send(json!({"type": "hello", "name": "Ann", "secret": crate::support::SECRET, "more": [1, 2]}));
    ann.expect("welcome");
    ann.send(json!({"type": "join", "room": "red"}));
    ann.until("history");
    let long = "x".repeat(2001);
    for (message, code) in [
        (json!({"type": "hello", "name": "Ann", "secret": crate::support::SECRET}), "hello_again"),
        (json!({"type": "dance"}), "bad_message"),
        (json!({"type": "join", "room": 7}), "bad_message"),
        (json!({"type": "join", "room": "red", "after": -1}), "bad_message"),
        (json!({"type": "join", "room": "red"}), "already_in"),
        (json!({"type": "join", "room": "\u{0}people"}), "bad_room"),
        (json!({"type": "leave", "room": "blue"}), "not_in_room"),
        (json!({"type": "leave", "room": "\u{0}people"}), "bad_room"),
        (json!({"type": "say", "id": "12345678", "room": "blue", "text": "x"}), "not_in_room"),
        (json!({"type": "say", "id": "12345678", "room": "\u{0}people", "text": "x"}), "bad_room"),
        (json!({"type": "say", "id": "12345678", "room": "red", "text": ""}), "bad_text"),
        (json!({"type": "say", "id": "12345678", "room": "red", "text": long}), "too_long"),
        (json!({"type": "say", "id": "1234567", "room": "red", "text": "x"}), "bad_id"),
        (json!({"type": "whisper", "id": "1234567!", "to": "Ann", "text": "x"}), "bad_id"),
        (json!({"type": "whisper", "id": "12345678", "to": "Ann", "text": long}), "too_long"),
        (json!({"type": "shout", "id": "12345678", "text": ""}), "bad_text"),
        (json!({"type": "typing", "room": "blue"}), "not_in_room"),
        (json!({"type": "history", "room": "blue"}), "not_in_room"),
        (json!({"type": "history", "room": "red", "before": 1, "after": 1}), "bad_message"),
        (json!({"type": "history", "room": "\u{0}people"}), "bad_room"),
    ] {
        ann.send(message.clone());
        let refused = ann.refused(code);
        let parsed = code != "bad_message" || message["type"] == "history";
        assert_eq!(refused.get("room"), message.get("room").filter(|_| parsed), "{message}");
        assert_eq!(refused.get("id"), message.get("id"), "{message}");
    }
    // At the edges, and all is as it was.
    say(&mut ann, "red", "12345678", &"😀".repeat(2000));
}

#[test]
fn one_is_in_a_hundred_rooms_at_most() {
    let server = Server::start(&[]);
    let mut ann = server.person("Ann");
    for n in 0..100 {
        let joined = when_allowed(&mut ann, json!({"type": "join", "room": format!("room {n}")}));
        assert_eq!(joined["type"], "joined");
    }
    let refused = when_allowed(&mut ann, json!({"type": "join", "room": "one more"}));
    assert_eq!((&refused["code"], &refused["room"]), (&json!("rooms_full"), &json!("one more")));
    assert_eq!(when_allowed(&mut ann, json!({"type": "leave", "room": "room 7"}))["type"], "left");
    assert_eq!(when_allowed(&mut ann, json!({"type": "join", "room": "one more"}))["type"], "joined");
}

/// The answer to a message that is sent again for as long as it comes too fast.
fn when_allowed(client: &mut Client, message: Value) -> Value {
    loop {
        client.send(message.clone());
        let mut answer = client.message();
        while answer["type"] == "history" {
            answer = client.message();
        }
        if answer["code"] != "rate" {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(answer["retry"].as_u64().unwrap()));
    }
}
