//! Masked text messages are parsed, unmasked and found to be UTF-8.

use std::hint::black_box;

use bytes::BytesMut;
use futures_util::{StreamExt, io::BufReader};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::{
    WIREROOM,
    rounds::{Row, table},
    wire::{Wire, now},
    workload::{
        frames::{Content, masked},
        receive::Receiver,
    },
};

const SHAPES: [(Content, usize, usize); 6] = [
    (Content::Sparse, 1000, 32),
    (Content::Sparse, 1000, 1024),
    (Content::Sparse, 16, 64 << 10),
    (Content::Mixed, 1000, 32),
    (Content::Mixed, 1000, 1024),
    (Content::Mixed, 16, 64 << 10),
];
const COLUMNS: [&str; 6] =
    ["32 B", "1 KiB", "64 KiB", "32 B, several scripts", "1 KiB, several scripts", "64 KiB, several scripts"];

pub fn run() {
    let ours = SHAPES.iter().fold(Row::new(WIREROOM), |row, &(content, count, size)| {
        let mut receiver = Receiver::new(content, count, size);
        row.cell(count, move || assert_eq!(receiver.run(), count))
    });
    let rows = vec![
        ours,
        peer("memcpy of the bytes", |bytes, _| {
            let (from, mut to) = (bytes.to_vec(), bytes.to_vec());
            Box::new(move || black_box(&mut to[..]).copy_from_slice(black_box(&from)))
        }),
        peer("tungstenite", tungstenite),
        peer("tokio-websockets", tokio_websockets),
        peer("fastwebsockets (FragmentCollector)", fastwebsockets),
        peer("sockudo-ws (stream)", sockudo_stream),
        peer("sockudo-ws (Protocol on BytesMut)", sockudo_protocol),
        peer("yawc", yawc),
        peer("web-socket and std's UTF-8", web_socket),
        peer("soketto and std's UTF-8", soketto),
    ];
    table("Parse and check masked texts", &COLUMNS, rows);
}

/// A row for a library, by what makes its closure of the bytes and the count of messages.
fn peer(name: &str, make: impl Fn(&[u8], usize) -> Box<dyn FnMut()>) -> Row {
    SHAPES.iter().fold(Row::new(name), |row, &(content, count, size)| {
        let mut run = make(&masked(content, count, size, usize::MAX), count);
        row.cell(count, move || run())
    })
}

fn tungstenite(bytes: &[u8], count: usize) -> Box<dyn FnMut()> {
    let role = tungstenite::protocol::Role::Server;
    let mut socket = tungstenite::WebSocket::from_raw_socket(Wire::endless(bytes), role, None);
    Box::new(move || {
        for _ in 0..count {
            assert!(black_box(socket.read().expect("a message")).is_text());
        }
    })
}

fn tokio_websockets(bytes: &[u8], count: usize) -> Box<dyn FnMut()> {
    let limits = tokio_websockets::Limits::unlimited();
    let mut socket = tokio_websockets::ServerBuilder::new().limits(limits).serve(Wire::endless(bytes));
    Box::new(move || {
        for _ in 0..count {
            assert!(black_box(now(socket.next()).expect("no end").expect("a message")).is_text());
        }
    })
}

fn fastwebsockets(bytes: &[u8], count: usize) -> Box<dyn FnMut()> {
    let role = fastwebsockets::Role::Server;
    let socket = fastwebsockets::WebSocket::after_handshake(Wire::endless(bytes), role);
    let mut socket = fastwebsockets::FragmentCollector::new(socket);
    Box::new(move || {
        for _ in 0..count {
            black_box(now(socket.read_frame()).expect("a frame").payload.len());
        }
    })
}

fn sockudo_stream(bytes: &[u8], count: usize) -> Box<dyn FnMut()> {
    let mut socket = sockudo_ws::WebSocketStream::server(Wire::endless(bytes), sockudo_config());
    Box::new(move || {
        for _ in 0..count {
            black_box(now(socket.next()).expect("no end").expect("a message"));
        }
    })
}

fn sockudo_protocol(bytes: &[u8], count: usize) -> Box<dyn FnMut()> {
    let mut protocol = sockudo_ws::protocol::Protocol::new(sockudo_ws::Role::Server, 64 << 20, 64 << 20);
    let (mut messages, mut buffer) = (Vec::with_capacity(count), BytesMut::with_capacity(bytes.len()));
    let bytes = bytes.to_vec();
    Box::new(move || {
        buffer.extend_from_slice(&bytes);
        protocol.process_into(&mut buffer, &mut messages).expect("messages");
        assert_eq!(messages.len(), count);
        black_box(&messages);
        messages.clear();
    })
}

pub fn sockudo_config() -> sockudo_ws::Config {
    let mut config = sockudo_ws::Config::default();
    config.auto_ping = false;
    config.idle_timeout = 0;
    config
}

fn yawc(bytes: &[u8], count: usize) -> Box<dyn FnMut()> {
    let options = yawc::Options::default().without_compression().with_utf8();
    let socket = yawc::WebSocket::from_stream(Wire::endless(bytes), yawc::Role::Server, options);
    let mut socket = socket.expect("options in order");
    Box::new(move || {
        for _ in 0..count {
            black_box(now(socket.next_frame()).expect("a frame"));
        }
    })
}

fn web_socket(bytes: &[u8], count: usize) -> Box<dyn FnMut()> {
    let stream = tokio::io::BufReader::with_capacity(16 << 10, Wire::endless(bytes));
    let mut socket = web_socket::WebSocket::server(stream);
    Box::new(move || {
        for _ in 0..count {
            let Ok(web_socket::Event::Data { data, .. }) = now(socket.recv()) else { panic!("a message") };
            assert!(std::str::from_utf8(&data).is_ok());
        }
    })
}

fn soketto(bytes: &[u8], count: usize) -> Box<dyn FnMut()> {
    let stream = BufReader::with_capacity(8 << 10, Wire::endless(bytes).compat());
    let (sender, mut receiver) = soketto::connection::Builder::new(stream, soketto::Mode::Server).finish();
    let mut message = Vec::new();
    Box::new(move || {
        let _open = &sender;
        for _ in 0..count {
            message.clear();
            assert!(now(receiver.receive_data(&mut message)).expect("a message").is_text());
            assert!(std::str::from_utf8(&message).is_ok());
        }
    })
}
