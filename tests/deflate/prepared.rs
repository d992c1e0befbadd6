//! Messages that are compressed once for many (RFC 7692, 7.2.1; the window of each connection goes on behind them).

use wireroom::{Compression, Config, PermessageDeflate, PreparedMessage};

use crate::support::*;

#[test]
fn what_follows_a_prepared_message_can_be_read() {
    let prepared = PreparedMessage::new(&prose(600));
    for params in [takeover(), no_takeover(), windows(9)] {
        let mut pair = Pair::agreed(compressing(6), compressing(6), agreed(params));
        let own = prose(500);
        for round in 0..3 {
            for sender in 0..2 {
                let (from, to) = match sender {
                    0 => (&mut pair.server, &mut pair.client),
                    _ => (&mut pair.client, &mut pair.server),
                };
                let _ = from.send(&own).unwrap();
                let _ = from.connection.send_prepared(&prepared).unwrap();
                let _ = from.send(&own).unwrap();
                let _ = from.send(&own).unwrap();
                let bytes = from.flush();
                to.receive(&bytes);
                let texts = [&own, &prose(600), &own, &own].map(|text| Seen::Text(text.clone()));
                assert_eq!(to.take_seen(), texts, "round {round}, sender {sender}, {params:?}");
                let firsts: Vec<u8> = frames(from.role, &bytes).into_iter().map(|(first, _)| first).collect();
                assert_eq!(firsts, [0xc1; 4]);
            }
        }
    }
}

#[test]
fn it_is_compressed_once_for_all_windows_of_a_size() {
    let text = prose(2000);
    let prepared = PreparedMessage::new(&text);
    let shared = prepared.clone();
    let mut payloads = Vec::new();
    for (params, level) in [(takeover(), 6), (takeover(), 1), (no_takeover(), 9), (windows(9), 6), (windows(9), 1)] {
        let mut member = endpoint(Role::Server, compressing(level), params);
        let _ = member.connection.send_prepared(if level == 9 { &shared } else { &prepared }).unwrap();
        let (first, payload) = member.flush_frames().remove(0);
        assert_eq!(first, 0xc1);
        assert_eq!(Reader::new(params.server_max_window_bits).read(&payload).unwrap(), text.as_bytes());
        payloads.push(payload);
    }
    // Levels differ, and would have told.
    assert!(payloads[0] == payloads[1] && payloads[1] == payloads[2], "one form for windows of 15 bits");
    assert!(payloads[3] == payloads[4], "one form for windows of 9 bits");
    assert!(payloads[0] != payloads[3]);
}

#[test]
fn members_without_the_extension_get_it_plain() {
    let text = prose(2000);
    let prepared = PreparedMessage::new(&text);
    for role in ROLES {
        for _ in 0..2 {
            let mut with = endpoint(role, compressing(1), takeover());
            let mut without = Endpoint::new(role, compressing(1));
            let _ = with.connection.send_prepared(&prepared).unwrap();
            let _ = without.connection.send_prepared(&prepared).unwrap();
            assert_eq!(with.flush_frames()[0].0, 0xc1);
            assert_eq!(without.flush_frames(), [(0x81, text.clone().into_bytes())]);
        }
    }
}

#[test]
fn it_can_be_chosen_to_be_compressed() {
    let config = || -> Config { config(|config| config.permessage_deflate(Some(PermessageDeflate::default()))) };
    let mut member = endpoint(Role::Server, config(), takeover());
    let mut first = |prepared: PreparedMessage| {
        let _ = member.connection.send_prepared(&prepared).unwrap();
        member.flush_frames()[0].0
    };
    let long = prose(500);
    assert_eq!(first(PreparedMessage::new(&long)), 0xc1);
    assert_eq!(first(PreparedMessage::with_compression(&long, Compression::Never)), 0x81);
    assert_eq!(first(PreparedMessage::new("wire wire wire wire wire")), 0x81, "below the threshold");
    assert_eq!(first(PreparedMessage::with_compression("wire wire wire wire", Compression::Always)), 0xc1);
    assert_eq!(first(PreparedMessage::new(&noise(500))), 0x82, "it does not get shorter");
}

#[test]
fn forms_do_not_make_messages_differ() {
    let (used, fresh) = (PreparedMessage::new(&prose(500)), PreparedMessage::new(&prose(500)));
    let mut member = endpoint(Role::Server, compressing(1), takeover());
    let _ = member.connection.send_prepared(&used).unwrap();
    assert_eq!(used, fresh);
    assert_eq!(used, used.clone());
    assert_ne!(used, PreparedMessage::new("another"));
    assert_eq!(used.payload(), prose(500).as_bytes());
}
