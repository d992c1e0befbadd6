//! What happened once is told again, from a text.

use std::{io, time::Duration};

use wireroom::{
    Config, Connection, Event, Message,
    testing::{Cuts, Endpoint, Pair, ROLES, Role, Transcript, frame},
};

use crate::{BINARY, INTERVAL, PING, service};

/// One end of a conversation with everything in it, and its transcript.
fn recorded(role: Role, handler: fn(&mut Connection, Event<'_>, std::time::Instant)) -> Transcript {
    let mut pair = Pair::new().cut(Cuts::seeded(7)).short_writes(Cuts::seeded(8)).narrow(300);
    pair.end(role).on_event(handler);
    pair.end(role).record();
    for text in ["one", "two \u{1f600}", &"three ".repeat(100)] {
        let _ = pair.end(role.peer()).send(text).unwrap();
        pair.advance(Duration::from_millis(12_345));
    }
    let _ = pair.end(role.peer()).connection.ping(b"?").unwrap();
    pair.advance(INTERVAL);
    let _ = pair.end(role.peer()).send("bye").unwrap();
    pair.advance(Duration::from_nanos(1));
    assert_eq!(pair.end(role).ending().cause, "Clean");
    pair.end(role).transcript()
}

#[test]
fn a_transcript_is_replayed_from_its_text() {
    for role in ROLES {
        let transcript = recorded(role, service);
        let text = transcript.to_string();
        let read: Transcript = text.parse().expect("what was written is read");
        assert_eq!(read.to_string(), text);
        assert_eq!(read.role(), role);
        let mut end = Endpoint::new(role, Config::default());
        end.on_event(service);
        read.replay(&mut end).unwrap_or_else(|mismatch| panic!("{role:?}: {mismatch}"));
        assert_eq!(end.ending().cause, "Clean", "the endpoint is as it was then");
        for part in ["= Text \"one\"", "timeout", "\n> ", "\n>> ", "@ 12.345", "= Closed Clean, local 1000"] {
            assert!(text.contains(part), "{role:?}: {part}: {text}");
        }
    }
}

#[test]
fn a_handler_that_does_something_else_is_found_out_at_the_line() {
    fn other(connection: &mut Connection, event: Event<'_>, now: std::time::Instant) {
        match event {
            Event::Message(Message::Text(text)) if text.as_str() == "one" => _ = connection.send("One"),
            event => service(connection, event, now),
        }
    }
    let transcript = recorded(Role::Server, service);
    let mut end = Endpoint::new(Role::Server, Config::default());
    end.on_event(other);
    let mismatch = transcript.replay(&mut end).unwrap_err();
    let text = transcript.to_string();
    let line = text.lines().nth(mismatch.line - 1).expect("a line of the text");
    assert_eq!(mismatch.expected.as_deref(), Some(line));
    assert!(line.starts_with("> ") && line.ends_with("4f 4e 45"), "ONE: {line}");
    assert!(mismatch.found.as_ref().is_some_and(|found| found.ends_with("4f 6e 65")), "One: {mismatch}");
    // One that says more, behind the end.
    let quiet: Transcript = "wireroom transcript 1 server\n< 81 81 37 fa 21 3d 56\n= Text \"a\"\n".parse().unwrap();
    let mut end = Endpoint::new(Role::Server, Config::default());
    end.echo();
    let mismatch = quiet.replay(&mut end).unwrap_err();
    assert_eq!((mismatch.line, mismatch.expected, mismatch.found), (4, None, Some("waits 3".into())));
}

#[test]
fn a_committed_transcript_still_holds() {
    let transcript: Transcript = include_str!("slow_reader.transcript").parse().unwrap();
    let config = Config::builder().high_water_mark(1_000).low_water_mark(100).max_send_buffer(2_000).build().unwrap();
    let mut end = Endpoint::new(Role::Server, config);
    end.echo();
    if let Err(mismatch) = transcript.replay(&mut end) {
        let mut end = Endpoint::new(Role::Server, end.connection.config().clone());
        end.echo();
        panic!("{mismatch}\nnow:\n{}", transcript.record_again(&mut end));
    }
}

#[test]
fn every_kind_of_line_is_written_and_read() {
    let mut end = Endpoint::new(Role::Client, Config::builder().streaming(true).build().unwrap());
    end.record();
    end.receive(&frame(Role::Server, 0x01, b"part\n\"of\" \x7f"));
    end.receive(&frame(Role::Server, PING, b""));
    end.receive(&frame(Role::Server, 0x80, &[b'x'; 300]));
    end.receive(&frame(Role::Server, BINARY, b""));
    end.receive(&frame(Role::Server, BINARY, &(0..200).collect::<Vec<u8>>()));
    let _ = end.send(&[0; 100]).unwrap();
    assert_eq!(end.write(0), b"");
    end.advance(Duration::from_nanos(1_000_000_001));
    assert_eq!(end.write(7).len(), 7);
    end.fail(io::ErrorKind::BrokenPipe);
    let transcript = end.transcript();
    let text = transcript.to_string();
    assert_eq!(text.parse(), Ok(transcript), "{text}");
    let lines = [
        "wireroom transcript 1 client\n< 01 0b 70 61",
        "= Part Text first 70 61 72 74",
        "\n< 80 7e 01 2c 78*300\n= Part Text last 78*300\n",
        " .. 200 bytes, fnv ",
        "\n= Part Binary first last -\n",
        "\n>>\n@ 1.000000001\ntimeout\n>> 8a 80 ",
        "\n< error BrokenPipe\n= Closed Io(BrokenPipe)\nwaits ",
    ];
    for part in lines {
        assert!(text.contains(part), "{part:?}: {text}");
    }
}

#[test]
fn a_text_that_is_no_transcript_is_refused_with_its_line() {
    let refused = |text: &str| text.parse::<Transcript>().unwrap_err().to_string();
    assert_eq!(refused(""), "line 1: no transcript");
    assert!(refused("\n@ 1").starts_with("line 2: `wireroom transcript 1 server`"));
    let refused = |line: &str| refused(&format!("\nwireroom transcript 1 server\n{line}\n"));
    for line in [
        "< 8",
        "< 8g",
        "< +8",
        "< 00*x",
        "< 00*999999999999",
        "  00",
        "@ x",
        "@ 1.0000000001",
        "@ -1",
        "@ 99999999999999",
        "@ 2\n@ 1",
        "< error Nonsense",
        "received 00",
        "waits",
        "timeout 7",
    ] {
        let reason = refused(line);
        assert!(reason.starts_with("line "), "{line:?}: {reason}");
    }
    assert_eq!(refused("@ 2\n@ 1"), "line 4: time goes back");
}
