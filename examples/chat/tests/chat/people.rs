//! Hello, taking over, who is here, and private messages.

use serde_json::json;

use crate::support::{Client, SECRET, Server};

fn hello(client: &mut Client, name: &str, secret: &str) {
    client.send(json!({"type": "hello", "name": name, "secret": secret}));
}

#[test]
fn a_welcome_tells_all_there_is_to_know() {
    let server = Server::start(&[]);
    let mut bob = server.member("Bob", "lobby");
    let mut ann = server.connect("/ws");
    hello(&mut ann, "Ann", SECRET);
    let welcome = ann.expect("welcome");
    assert_eq!(welcome["name"], "Ann");
    assert!(welcome["id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(welcome["rooms"], json!(["lobby"]));
    let mut people: Vec<_> = welcome["people"].as_array().unwrap().clone();
    people.sort_by_key(|person| person["name"].to_string());
    assert_eq!(people, [json!({"name": "Ann", "idle": false}), json!({"name": "Bob", "idle": false})]);
    assert_eq!(welcome["limits"], json!({"text": 2000, "name": 32, "room": 32, "rate": 5, "burst": 20}));
    assert!(welcome["time"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(bob.message(), json!({"type": "arrived", "name": "Ann", "idle": false}));
    // Nobody is told of those who have not said hello.
    let stranger = server.connect("/ws");
    drop(stranger);
    drop(ann);
    assert_eq!(bob.message(), json!({"type": "gone", "name": "Ann"}));
    bob.has_nothing();
}

#[test]
fn a_name_belongs_to_its_secret() {
    let server = Server::start(&[]);
    let _ann = server.person("Ann");
    let mut other = server.connect("/ws");
    hello(&mut other, "Ann", "another-secret-00");
    other.refused("name_taken");
    // Hello may be tried again.
    hello(&mut other, "ann", "another-secret-00");
    other.expect("welcome");
}

#[test]
fn the_same_secret_takes_the_place() {
    let server = Server::start(&[]);
    let mut bob = server.member("Bob", "red");
    let mut ann = server.member("Ann", "red");
    bob.expect("arrived");
    bob.expect("entered");
    ann.send(json!({"type": "idle", "idle": true}));
    bob.expect("presence");

    let mut again = server.connect("/ws");
    hello(&mut again, "Ann", SECRET);
    let welcome = again.expect("welcome");
    assert_eq!(welcome["people"].as_array().unwrap().len(), 2);
    assert_eq!(ann.closed(), (4001, "replaced".to_owned()));
    // What the old one still says is not heard.
    ann.send(json!({"type": "shout", "id": "late-0001", "text": "still here"}));
    hello(&mut ann, "Ann", SECRET);

    // To the others nobody has gone; a person who was idle is back.
    assert_eq!(bob.message(), json!({"type": "presence", "name": "Ann", "idle": false}));
    bob.has_nothing();
    again.send(json!({"type": "join", "room": "red"}));
    let people = again.expect("joined")["people"].as_array().unwrap().len();
    assert_eq!(people, 2);
    assert_eq!(bob.message(), json!({"type": "entered", "room": "red", "name": "Ann", "idle": false}));
    drop(ann);
    bob.has_nothing();
    // The new one's own end is told as any other.
    drop(again);
    assert_eq!(bob.message(), json!({"type": "left", "room": "red", "name": "Ann"}));
    assert_eq!(bob.message(), json!({"type": "gone", "name": "Ann"}));
    bob.has_nothing();
}

#[test]
fn coming_in_anew_does_not_get_round_the_rate() {
    let server = Server::start(&["--rate", "1"]);
    let shout = |ann: &mut Client, n: u32| {
        ann.send(json!({"type": "shout", "id": format!("shout-{n:03}"), "text": "again"}));
        ann.message()["type"] == "ack"
    };
    let mut ann = server.person("Ann");
    while shout(&mut ann, 1) {}
    let mut again = server.connect("/ws");
    hello(&mut again, "Ann", SECRET);
    again.expect("welcome");
    let shouted = (0..4).filter(|n| shout(&mut again, *n)).count();
    assert!(shouted < 4, "a burst of four was given anew");
}

/// Ten seconds: the only test here that waits for a deadline, and it looks at all of them.
#[test]
fn deadlines_of_those_who_say_nothing_and_of_rooms_not_joined_again() {
    let server = Server::start(&[]);
    let mut silent = server.connect("/ws");
    let mut viewer = server.connect("/wire");
    let join = |client: &mut Client, room: &str| {
        client.send(json!({"type": "join", "room": room}));
        client.until("history");
    };
    let mut bob = server.member("Bob", "red");
    join(&mut bob, "blue");
    let mut ann = server.member("Ann", "red");
    join(&mut ann, "blue");
    let mut again = server.connect("/ws");
    hello(&mut again, "Ann", SECRET);
    again.expect("welcome");
    join(&mut again, "blue");
    drop(ann);
    bob.expect("arrived");
    for room in ["red", "blue", "blue"] {
        assert_eq!(bob.expect("entered")["room"], room);
    }
    assert_eq!(silent.closed(), (4003, "no hello".to_owned()));
    assert_eq!(viewer.closed(), (4003, "no watch".to_owned()));
    assert_eq!(bob.message(), json!({"type": "left", "room": "red", "name": "Ann"}));
    again.has_nothing();
    drop(again);
    assert_eq!(bob.message(), json!({"type": "left", "room": "blue", "name": "Ann"}));
    assert_eq!(bob.message(), json!({"type": "gone", "name": "Ann"}));
}

#[test]
fn idle_is_told_when_it_changes() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = (server.person("Ann"), server.person("Bob"));
    ann.expect("arrived");
    ann.send(json!({"type": "idle", "idle": true}));
    assert_eq!(bob.message(), json!({"type": "presence", "name": "Ann", "idle": true}));
    ann.send(json!({"type": "idle", "idle": true}));
    ann.has_nothing();
    bob.has_nothing();
    bob.send(json!({"type": "join", "room": "red"}));
    bob.expect("joined");
    bob.expect("history");
    ann.send(json!({"type": "join", "room": "red"}));
    let joined = ann.expect("joined");
    assert!(joined["people"].as_array().unwrap().contains(&json!({"name": "Ann", "idle": true})), "{joined}");
    assert_eq!(bob.message(), json!({"type": "entered", "room": "red", "name": "Ann", "idle": true}));
    ann.send(json!({"type": "idle", "idle": false}));
    assert_eq!(bob.message(), json!({"type": "presence", "name": "Ann", "idle": false}));
}

#[test]
fn a_whisper_reaches_one() {
    let server = Server::start(&[]);
    let (mut ann, mut bob, mut eve) = (server.person("Ann"), server.person("Bob"), server.person("Eve"));
    ann.until("arrived");
    ann.until("arrived");
    bob.expect("arrived");
    ann.send(json!({"type": "whisper", "id": "whisper-1", "to": "Bob", "text": "<b>psst</b>"}));
    let mut heard = bob.message();
    assert!(heard["time"].as_u64().is_some());
    assert_eq!(ann.message(), heard);
    heard.as_object_mut().unwrap().remove("time");
    let whispered = json!({"type": "whispered", "id": "whisper-1", "from": "Ann", "to": "Bob", "text": "<b>psst</b>"});
    assert_eq!(heard, whispered);
    eve.has_nothing();
    ann.send(json!({"type": "whisper", "id": "whisper-2", "to": "Zoe", "text": "psst"}));
    assert_eq!(ann.refused("nobody")["id"], "whisper-2");
    // To oneself: one copy.
    ann.send(json!({"type": "whisper", "id": "whisper-3", "to": "Ann", "text": "note"}));
    ann.expect("whispered");
    ann.has_nothing();
}

#[test]
fn a_shout_reaches_all_who_said_hello() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = (server.person("Ann"), server.member("Bob", "red"));
    let mut stranger = server.connect("/ws");
    ann.until("arrived");
    ann.send(json!({"type": "shout", "id": "shout-001", "text": "all hands"}));
    assert_eq!(ann.message(), json!({"type": "ack", "id": "shout-001"}));
    let shouted = bob.message();
    assert_eq!(
        (&shouted["type"], &shouted["from"], &shouted["text"]),
        (&json!("shouted"), &json!("Ann"), &json!("all hands"))
    );
    assert_eq!(shouted["id"], "shout-001");
    stranger.has_nothing();
}

#[test]
fn hostile_names_and_texts_are_only_text() {
    let server = Server::start(&[]);
    let name = "<img src=x onerror=alert(1)>";
    let text = "</script>\u{202e}\"\\\u{0}\n' OR 1=1; DROP TABLE message; --";
    let mut ann = server.member(name, "'; --");
    crate::support::say(&mut ann, "'; --", "hostile-1", text);
    ann.send(json!({"type": "history", "room": "'; --"}));
    let history = ann.expect("history");
    assert_eq!((&history["messages"][0]["from"], &history["messages"][0]["text"]), (&json!(name), &json!(text)));
}
