//! Floors 0 to 4 against tungstenite: what a peer sends means the same to both, and each understands what the other sends.
//!
//! Where the two differ, the RFC decides. These are the differences; any other is a failure:
//!
//! | RFC 6455 | here | tungstenite |
//! |---|---|---|
//! | 5.2 "the minimal number of bytes MUST be used to encode the length", 5.5 of a control frame, too | fails, 1002 | accepts longer forms |
//! | 7.4.1, 7.4.2: a code that must not stand in a Close frame | fails, 1002 | reports 1002 as if the peer had sent it |
//! | 7.4.2 with IANA's registry: 1014, "Bad Gateway" | may be sent | may not, as above |
//! | 8.1, and 5.2, 5.5: a frame that can no longer become valid | fails at the first byte that shows it | at its last byte, or never |
//! | 5.5.1 "it typically echos the status code" | echoes the code | echoes the code and the reason |
//! | 7.1.7 "An endpoint SHOULD send a Close frame" when it fails the connection | sends it | closes without one |

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use bytes::BufMut;
use tungstenite::{Error, Message, WebSocket, protocol::WebSocketConfig};
use wireroom::{CloseFrame, ProtocolError, RecvBuffer};

use crate::{
    common::{self, ROLES, Role},
    input::{Choices, cuts},
    recv_cuts::masked,
};

const LONGEST: usize = 4096;

/// What a user hears.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Eof,
    Failed(Option<ProtocolError>),
}

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    let role = ROLES[usize::from(flags & 1)];
    let limit = choices.of(&[1 << 16, 0, 10, 125, 300]);
    let places = choices.places();
    let mut bytes = choices.bytes(LONGEST).to_vec();
    match flags & 2 {
        0 => {
            if role == Role::Server && flags & 4 == 0 {
                bytes = masked(&bytes);
            }
            same_verdict(&bytes, &places, role, limit);
        }
        _ => each_hears_the_other(&bytes, &places, role),
    }
}

fn same_verdict(bytes: &[u8], places: &[u16], role: Role, limit: usize) {
    let (heard, end, sent) = ours(bytes, &cuts(places, bytes.len()), role, limit);
    let (theirs, their_end, they_sent) = tungstenites(bytes, role, limit);
    let heard = as_they_know(heard);
    let both = || format!("{heard:?} {end:?}\n{theirs:?} {their_end:?}");
    match end {
        End::Closed => assert!(heard == theirs && their_end == End::Closed, "{}", both()),
        End::Eof => assert!(heard == theirs && their_end == End::Eof, "{}", both()),
        // 5.2 and 7.4: listed above.
        End::Failed(Some(ProtocolError::NonMinimalLength | ProtocolError::LongControlFrame)) => {
            assert!(theirs.starts_with(&heard), "{}", both())
        }
        End::Failed(Some(ProtocolError::InvalidCloseCode(_))) => {
            let told = [Heard::Close(Some((1002, "Protocol violation".into())))];
            assert!(theirs.starts_with(&heard) && [&[][..], &told].contains(&&theirs[heard.len()..]), "{}", both());
        }
        // They wait for the end of the frame, and may not live to see it.
        End::Failed(_) => assert!(heard == theirs && matches!(their_end, End::Failed(_) | End::Eof), "{}", both()),
    }
    // 5.5.3: each answered the same Pings, up to where one of them stopped.
    let pongs = |bytes: &[u8]| -> Vec<_> {
        common::frames(role, bytes).into_iter().filter(|(first, _)| *first == 0x8a).collect()
    };
    assert!(pongs(&they_sent).starts_with(&pongs(&sent)), "{}", both());
}

/// A Close with 1014 is reported there as one with a code that must not be sent.
fn as_they_know(mut heard: Vec<Heard>) -> Vec<Heard> {
    if let Some(Heard::Close(Some(close @ (1014, _)))) = heard.last_mut() {
        *close = (1002, "Protocol violation".into());
    }
    heard
}

fn ours(bytes: &[u8], cuts: &[usize], role: Role, limit: usize) -> (Vec<Heard>, End, Vec<u8>) {
    use wireroom::{Cause, Event, Message};
    let now = common::start();
    let config = common::config(|config| config.max_message_size(limit));
    let mut connection = common::connection(role, Arc::new(config), now);
    let mut rx = RecvBuffer::new();
    let (mut heard, mut sent) = (Vec::new(), Vec::new());
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len(), bytes.len()]) {
        rx.extend(&bytes[start..end]);
        if start == bytes.len() {
            connection.handle_eof();
        }
        start = end;
        loop {
            while let Some(event) = connection.poll_event(&mut rx, now) {
                match event {
                    Event::Message(Message::Text(text)) => heard.push(Heard::Text(text.as_str().into())),
                    Event::Message(Message::Binary(bytes)) => heard.push(Heard::Binary(bytes.into())),
                    Event::Ping(payload) => heard.push(Heard::Ping(payload.into())),
                    Event::Pong(payload) => heard.push(Heard::Pong(payload.into())),
                    Event::Closed(closed) => {
                        let close = |frame: CloseFrame| {
                            Heard::Close(frame.code.map(|code| (code.as_u16(), frame.reason.into_string())))
                        };
                        heard.extend(closed.peer.map(close));
                        let end = match closed.cause {
                            Cause::Clean => End::Closed,
                            Cause::Eof => End::Eof,
                            Cause::Failed(error) => End::Failed(Some(error)),
                            other => panic!("{other:?}"),
                        };
                        sent.put(connection.transmit());
                        return (heard, end, sent);
                    }
                    _ => {}
                }
            }
            sent.put(connection.transmit());
            if !connection.wants_poll() {
                break;
            }
        }
    }
    connection.handle_eof();
    panic!("the end of the stream was not the end: {connection:?}");
}

/// Bytes to read, then the end of the stream; what is written is kept.
struct Wire<'b> {
    input: &'b [u8],
    output: Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.output.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tungstenites(input: &[u8], role: Role, limit: usize) -> (Vec<Heard>, End, Vec<u8>) {
    let role = match role {
        Role::Server => tungstenite::protocol::Role::Server,
        Role::Client => tungstenite::protocol::Role::Client,
    };
    let config = WebSocketConfig::default().max_message_size(Some(limit)).max_frame_size(Some(limit.max(125)));
    let config = config.read_buffer_size(LONGEST * 2);
    let mut socket = WebSocket::from_raw_socket(Wire { input, output: Vec::new() }, role, Some(config));
    let mut heard = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(Message::Text(text)) => heard.push(Heard::Text(text.as_str().into())),
            Ok(Message::Binary(bytes)) => heard.push(Heard::Binary(bytes.to_vec())),
            Ok(Message::Ping(payload)) => heard.push(Heard::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => heard.push(Heard::Pong(payload.to_vec())),
            Ok(Message::Close(frame)) => {
                heard.push(Heard::Close(frame.map(|frame| (frame.code.into(), frame.reason.as_str().into()))));
                let _ = socket.flush();
                break End::Closed;
            }
            Ok(Message::Frame(frame)) => panic!("a raw frame: {frame:?}"),
            Err(Error::ConnectionClosed) => break End::Closed,
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => break End::Eof,
            Err(_) => break End::Failed(None),
        }
    };
    let _ = socket.flush();
    let output = std::mem::take(&mut socket.get_mut().output);
    (heard, end, output)
}

/// What tungstenite sends is heard here, and what is sent here is heard by tungstenite: messages cut out of `bytes`.
fn each_hears_the_other(bytes: &[u8], places: &[u16], role: Role) {
    let (mut messages, mut start) = (Vec::new(), 0);
    for end in cuts(places, bytes.len()).into_iter().chain([bytes.len()]) {
        let piece = &bytes[start..end];
        start = end;
        messages.push(match piece.first().map_or(0, |first| first % 4) {
            0 => Heard::Text(String::from_utf8_lossy(piece).into()),
            1 => Heard::Binary(piece.into()),
            2 => Heard::Ping(piece[..piece.len().min(125)].into()),
            _ => Heard::Pong(piece[..piece.len().min(125)].into()),
        });
    }
    messages.push(Heard::Close(Some((4000, "bye".into()))));

    let wire = Wire { input: &[], output: Vec::new() };
    let their_role = match role {
        Role::Server => tungstenite::protocol::Role::Client,
        Role::Client => tungstenite::protocol::Role::Server,
    };
    let mut socket = WebSocket::from_raw_socket(wire, their_role, None);
    let mut connection = common::connection(role.peer(), Arc::<wireroom::Config>::default(), common::start());
    for message in &messages {
        let told = match message.clone() {
            Heard::Text(text) => {
                let _ = connection.send(&text).expect("room");
                socket.send(Message::text(text))
            }
            Heard::Binary(bytes) => {
                let _ = connection.send(&bytes).expect("room");
                socket.send(Message::binary(bytes))
            }
            Heard::Ping(payload) => {
                let _ = connection.ping(&payload).expect("room");
                socket.send(Message::Ping(payload.into()))
            }
            Heard::Pong(payload) => {
                let _ = connection.pong(&payload).expect("room");
                socket.send(Message::Pong(payload.into()))
            }
            Heard::Close(_) => {
                let code = wireroom::CloseCode::new(4000).expect("a code");
                connection.close(code, "bye", common::start());
                socket.close(Some(tungstenite::protocol::CloseFrame { code: 4000.into(), reason: "bye".into() }))
            }
        };
        told.expect("the wire takes everything");
    }
    let mut sent = Vec::new();
    sent.put(connection.transmit());
    let (heard, end, _) = ours(&socket.get_ref().output, &[], role, 1 << 20);
    assert_eq!((heard, end), (messages.clone(), End::Closed), "theirs, here");
    let (heard, end, _) = tungstenites(&sent, role, 1 << 20);
    assert_eq!((heard, end), (messages, End::Closed), "ours, there");
}
