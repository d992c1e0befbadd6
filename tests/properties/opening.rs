//! The opening handshake: both ends come to the same, however the bytes were cut (RFC 6455 section 4).

use std::cell::RefCell;

use proptest::{prelude::*, sample::subsequence};
use wireroom::{
    Event,
    handshake::{ClientRequest, HandshakeError},
    http::Response,
    testing::{Cuts, Opening},
};

use crate::common::Seen;

const SUBPROTOCOLS: [&str; 4] = ["chat", "chat.v2", "superchat", "x!#$%&'*+-.^_`|~"];

/// A header's value: visible characters, with blanks between them.
fn value() -> impl Strategy<Value = String> {
    "[!-~]([ -~]{0,60}[!-~])?"
}

fn name() -> impl Strategy<Value = String> {
    "X-[A-Za-z0-9-]{1,20}"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn both_ends_agree_and_what_is_sent_right_behind_it_arrives(
        (path, query) in ("(/[a-z0-9%20~.]{0,10}){1,4}", prop::option::of("[a-z0-9=&]{0,30}")),
        headers in prop::collection::vec((name(), value()), 0..8),
        offered in subsequence(&SUBPROTOCOLS[..], 0..=4),
        wanted in subsequence(&SUBPROTOCOLS[..], 0..=4).prop_shuffle(),
        answers in prop::collection::vec((name(), value()), 0..4),
        cuts in any::<u64>(),
    ) {
        let path = path.replace('%', "");
        let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        let mut request = ClientRequest::new(&format!("ws://chat.example:8080{target}")).unwrap();
        request = request.subprotocols(&offered).unwrap().origin("https://chat.example").unwrap();
        for (name, value) in &headers {
            request = request.header(name, value).unwrap();
        }
        let shown = RefCell::new(Vec::new());
        let mut opening = Opening::new(&request, |request| {
            let values = headers.iter().map(|(name, _)| request.header(name).map(str::to_owned));
            shown.borrow_mut().push((request.target().to_owned(), values.collect::<Vec<_>>()));
            let verdict = request.allow_origins(&["https://chat.example"]);
            let verdict = verdict.with_subprotocol(request.select_subprotocol(&wanted));
            answers.iter().fold(verdict, |verdict, (name, value)| verdict.with_header(name, value))
        })
        .on_event(|connection, event, _| {
            if let Event::Open = event {
                let _ = connection.send("from the server").unwrap();
            }
        })
        .cut(Cuts::seeded(cuts));
        let mut pair = opening.run().expect("an answer").expect("accepted");
        let agreed = wanted.iter().find(|wanted| offered.contains(wanted)).copied();
        prop_assert_eq!(pair.client.connection.subprotocol(), agreed, "the server's first choice that was offered");
        prop_assert_eq!(pair.server.connection.subprotocol(), agreed);
        let shown = shown.take();
        prop_assert_eq!(shown.len(), 1, "asked once");
        prop_assert_eq!(&shown[0].0, &target);
        for ((name, _), shown) in headers.iter().zip(&shown[0].1) {
            let first = headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
            prop_assert_eq!(shown, &first, "{}", name);
        }
        let _ = pair.client.send("from the client").unwrap();
        pair.run();
        prop_assert_eq!(pair.client.take_seen(), [Seen::Text("from the server".into())]);
        prop_assert_eq!(pair.server.take_seen(), [Seen::Text("from the client".into())]);
    }

    #[test]
    fn a_refusal_arrives_with_its_status_and_its_words(
        status in prop_oneof![Just(200_u16), 400..600_u16],
        body in prop::collection::vec(any::<u8>(), 0..2_000),
        headers in prop::collection::vec((name(), value()), 0..4),
        cuts in any::<u64>(),
    ) {
        let request = ClientRequest::new("ws://chat.example/").unwrap();
        let response = || {
            let response = Response::new(status).body(body.clone());
            headers.iter().fold(response, |response, (name, value)| response.header(name, value))
        };
        let mut opening = Opening::new(&request, |_| response().into()).cut(Cuts::seeded(cuts));
        let Some(Err(HandshakeError::Refused(refusal))) = opening.run() else { panic!("refused") };
        prop_assert_eq!((refusal.status(), refusal.body()), (status, &body[..]));
        for (name, _) in &headers {
            let first = headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value);
            prop_assert_eq!(refusal.header(name), first);
        }
    }

    /// A bad wire: no panic, no hang, no connection that only one end believes in without a byte having been changed.
    #[test]
    fn an_opening_over_a_bad_wire_ends_within_its_deadline(
        (position, mask) in (0..400_u64, 1..=255_u8),
        to_server in any::<bool>(),
        fault in 0..3_u8,
        cuts in any::<u64>(),
    ) {
        let request = ClientRequest::new("ws://chat.example/").unwrap();
        let mut opening = Opening::new(&request, |request| request.allow_any_origin()).cut(Cuts::seeded(cuts));
        let wire = if to_server { opening.to_server() } else { opening.to_client() };
        match fault {
            0 => wire.alter(position, mask),
            1 => wire.lose(),
            _ => wire.end(),
        }
        let opened = match opening.run() {
            None => opening.advance(std::time::Duration::from_secs(5)),
            opened => opened,
        };
        let opened = opened.expect("5 s are the deadline of the handshake as a whole");
        prop_assert!(fault == 0 || opened.is_err());
        if let Ok(mut pair) = opened {
            pair.run();
            prop_assert!(pair.client.connection.is_open() && pair.server.connection.is_open());
        }
    }
}
