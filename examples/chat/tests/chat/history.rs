//! What is kept, read back, and never lost.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Directory, Server, say, seqs};

/// Somebody who has said this many things in red.
fn talked(server: &Server, messages: usize) -> (Client, Vec<u64>) {
    let mut ann = server.member("Ann", "red");
    let said = (0..messages).map(|n| say(&mut ann, "red", &format!("ann-{n:08}"), &n.to_string())).collect();
    (ann, said)
}

fn history(client: &mut Client, bounds: Value) -> Value {
    let mut ask = json!({"type": "history", "room": "red"});
    ask.as_object_mut().unwrap().extend(bounds.as_object().unwrap().clone());
    client.send(ask);
    client.until("history")
}

#[test]
fn pages_of_history_at_their_edges() {
    let directory = Directory::new();
    let server = Server::with_database(&directory.file("chat.db"), &["--rate", "0"]);
    let (mut ann, said) = talked(&server, 101);
    let last = history(&mut ann, json!({}));
    assert_eq!((seqs(&last), last["more"].as_bool()), (said[51..].to_vec(), Some(true)));
    assert_eq!((last.get("before"), last.get("after")), (None, None));
    let message = &last["messages"][49];
    assert_eq!(
        (&message["id"], &message["from"], &message["text"]),
        (&json!("ann-00000100"), &json!("Ann"), &json!("100"))
    );

    let older = history(&mut ann, json!({"before": said[51]}));
    assert_eq!((seqs(&older), older["more"].as_bool()), (said[1..51].to_vec(), Some(true)));
    assert_eq!(older["before"], said[51]);
    let oldest = history(&mut ann, json!({"before": said[1]}));
    assert_eq!((seqs(&oldest), oldest["more"].as_bool()), (said[..1].to_vec(), Some(false)));
    // Exactly a page, and nothing beyond it.
    let exactly = history(&mut ann, json!({"before": said[50]}));
    assert_eq!((seqs(&exactly), exactly["more"].as_bool()), (said[..50].to_vec(), Some(false)));
    assert_eq!(seqs(&history(&mut ann, json!({"before": said[0]}))), [0_u64; 0]);

    let newer = history(&mut ann, json!({"after": said[0]}));
    assert_eq!((seqs(&newer), newer["more"].as_bool()), (said[1..51].to_vec(), Some(true)));
    assert_eq!(newer["after"], said[0]);
    let newest = history(&mut ann, json!({"after": said[50]}));
    assert_eq!((seqs(&newest), newest["more"].as_bool()), (said[51..].to_vec(), Some(false)));
    assert_eq!(seqs(&history(&mut ann, json!({"after": said[100]}))), [0_u64; 0]);
    assert_eq!(seqs(&history(&mut ann, json!({"after": u64::MAX}))), [0_u64; 0]);
    assert_eq!(seqs(&history(&mut ann, json!({"before": u64::MAX}))), said[51..]);

    // A join is a page too.
    let mut bob = server.person("Bob");
    bob.send(json!({"type": "join", "room": "red", "after": said[97]}));
    bob.expect("joined");
    let missed = bob.expect("history");
    assert_eq!(
        (seqs(&missed), &missed["after"], &missed["more"]),
        (said[98..].to_vec(), &json!(said[97]), &json!(false))
    );
}

#[test]
fn who_joins_while_others_talk_misses_nothing() {
    let directory = Directory::new();
    let server = Server::with_database(&directory.file("chat.db"), &["--rate", "0"]);
    let mut ann = server.member("Ann", "red");
    const MESSAGES: usize = 1500;
    let joiners: Vec<_> = std::thread::scope(|scope| {
        let talking = scope.spawn(|| {
            for n in 0..MESSAGES {
                ann.send(json!({"type": "say", "id": format!("ann-{n:08}"), "room": "red", "text": n.to_string()}));
                if n % 10 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            (0..MESSAGES).map(|_| ann.until("ack")["seq"].as_u64().unwrap()).collect::<Vec<_>>()
        });
        let server = &server;
        let joiners: Vec<_> = (0..8)
            .map(|n| {
                std::thread::sleep(Duration::from_millis(15));
                scope.spawn(move || all_there_is(&mut server.person(&format!("Bob {n}")), MESSAGES))
            })
            .collect();
        let said = talking.join().unwrap();
        joiners.into_iter().map(|joiner| (joiner.join().unwrap(), said.clone())).collect()
    });
    for (seen, said) in joiners {
        assert_eq!(seen, said);
    }
}

/// Joins with the cursor of somebody who has nothing, and goes on by pages and by what comes, until it has `wanted`.
fn all_there_is(client: &mut Client, wanted: usize) -> Vec<u64> {
    client.send(json!({"type": "join", "room": "red", "after": 0}));
    client.until("joined");
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < wanted {
        let message = client.message();
        match message["type"].as_str().unwrap() {
            "said" => _ = seen.insert(message["seq"].as_u64().unwrap()),
            "history" => {
                let page = seqs(&message);
                if message["more"] == true {
                    client.send(json!({"type": "history", "room": "red", "after": page.last()}));
                }
                seen.extend(page);
            }
            "error" => {
                assert_eq!((&message["code"], &message["room"]), (&json!("rate"), &json!("red")), "{message}");
                std::thread::sleep(Duration::from_millis(message["retry"].as_u64().unwrap()));
                // The last page that came, or none of them.
                let after = seen.iter().zip(1u64..).take_while(|(seq, n)| *seq == n).map(|(seq, _)| *seq).last();
                client.send(json!({"type": "history", "room": "red", "after": after.unwrap_or(0)}));
            }
            "arrived" | "entered" | "left" | "gone" => {}
            _ => panic!("{message}"),
        }
    }
    seen.into_iter().collect()
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let directory = Directory::new();
    let database = directory.file("chat.db");
    let server = Server::with_database(&database, &["--rate", "0"]);
    let mut ann = server.member("Ann", "red");
    let message = |n: usize| json!({"type": "say", "id": format!("ann-{n:08}"), "room": "red", "text": n.to_string()});
    const MESSAGES: usize = 600;
    (0..MESSAGES).for_each(|n| ann.send(message(n)));
    // Killed with some acknowledged and others under way.
    let acked: Vec<(String, u64)> = (0..100)
        .map(|_| ann.until("ack"))
        .map(|ack| (ack["id"].as_str().unwrap().to_owned(), ack["seq"].as_u64().unwrap()))
        .collect();
    server.kill();

    let server = Server::with_database(&database, &["--rate", "0"]);
    let mut ann = server.connect("/ws");
    ann.send(json!({"type": "hello", "name": "Ann", "secret": crate::support::SECRET}));
    assert_eq!(ann.expect("welcome")["rooms"], json!(["red"]), "the room is known by its history");
    ann.send(json!({"type": "join", "room": "red", "after": 0}));
    ann.expect("joined");
    let mut kept = ann.expect("history")["messages"].as_array().unwrap().clone();
    // All that was not acknowledged is sent again, as a client does; what had been stored is not stored twice.
    (100..MESSAGES).for_each(|n| ann.send(message(n)));
    (100..MESSAGES).for_each(|n| assert_eq!(ann.until("ack")["id"], format!("ann-{n:08}")));
    while kept.len() < MESSAGES {
        let after = kept.last().unwrap()["seq"].as_u64().unwrap();
        ann.send(json!({"type": "history", "room": "red", "after": after}));
        let answer = ann.message();
        if answer["type"] == "error" {
            std::thread::sleep(Duration::from_millis(answer["retry"].as_u64().unwrap()));
            continue;
        }
        kept.extend(answer["messages"].as_array().unwrap().iter().cloned());
        assert!(answer["more"] == true || kept.len() == MESSAGES, "{} are kept", kept.len());
    }
    let texts: Vec<usize> = kept.iter().map(|message| message["text"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(texts, (0..MESSAGES).collect::<Vec<_>>());
    for (id, seq) in acked {
        assert!(
            kept.iter().any(|message| message["id"] == id && message["seq"] == seq),
            "{id} was acknowledged as {seq}"
        );
    }
}

#[test]
fn only_so_many_are_kept() {
    let directory = Directory::new();
    let server = Server::with_database(&directory.file("chat.db"), &["--rate", "0", "--keep", "10"]);
    let (mut ann, said) = talked(&server, 15);
    let kept = history(&mut ann, json!({}));
    assert_eq!((seqs(&kept), kept["more"].as_bool()), (said[5..].to_vec(), Some(false)));
    drop((ann, server));
    // With a smaller number: what is too much goes while nobody says anything.
    let server = Server::with_database(&directory.file("chat.db"), &["--keep", "3"]);
    let mut ann = server.member("Ann", "red");
    let start = std::time::Instant::now();
    while seqs(&history(&mut ann, json!({}))) != said[12..] {
        assert!(start.elapsed() < crate::support::PATIENCE);
        std::thread::sleep(Duration::from_millis(110));
    }
}
