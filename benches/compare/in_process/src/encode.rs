//! A server's text messages are encoded and handed to a socket that takes all.

use bytes::Bytes;
use futures_util::SinkExt;

use crate::{
    WIREROOM,
    parse::sockudo_config,
    rounds::{Row, table},
    wire::{Wire, now},
    workload::send::Sender,
};

const SIZES: [usize; 3] = [32, 1024, 64 << 10];
/// Messages that are queued before they are flushed, where a library can do that.
const BATCH: usize = 64;

pub fn run() {
    let rows = vec![
        SIZES.iter().fold(Row::new(WIREROOM), |row, &size| {
            let mut sender = Sender::new(BATCH, size);
            row.cell(BATCH, move || assert!(sender.run() > BATCH * size))
        }),
        peer("by hand into one Vec, the least there is", by_hand),
        peer("tungstenite", tungstenite),
        peer("tokio-websockets", tokio_websockets),
        peer("fastwebsockets (a write for each)", fastwebsockets),
        peer("sockudo-ws", sockudo),
        peer("yawc", yawc),
        peer("web-socket (a write for each)", web_socket),
    ];
    table("Encode a server's texts, 64 at a time", &["32 B", "1 KiB", "64 KiB"], rows);
}

fn peer(name: &str, make: impl Fn(usize) -> Box<dyn FnMut()>) -> Row {
    SIZES.iter().fold(Row::new(name), |row, &size| {
        let mut run = make(size);
        row.cell(BATCH, move || run())
    })
}

fn by_hand(size: usize) -> Box<dyn FnMut()> {
    let payload = vec![b'x'; size];
    let mut out: Vec<u8> = Vec::with_capacity(BATCH * (size + 10));
    Box::new(move || {
        out.clear();
        for _ in 0..BATCH {
            match size {
                0..126 => out.extend_from_slice(&[0x81, size as u8]),
                126..65_536 => out.extend_from_slice(&[0x81, 126, (size >> 8) as u8, size as u8]),
                _ => {
                    out.extend_from_slice(&[0x81, 127]);
                    out.extend_from_slice(&(size as u64).to_be_bytes());
                }
            }
            out.extend_from_slice(std::hint::black_box(&payload));
        }
        std::hint::black_box(&out);
    })
}

fn tungstenite(size: usize) -> Box<dyn FnMut()> {
    let role = tungstenite::protocol::Role::Server;
    let mut socket = tungstenite::WebSocket::from_raw_socket(Wire::endless(&[]), role, None);
    let message = tungstenite::Message::text("x".repeat(size));
    Box::new(move || {
        for _ in 0..BATCH {
            socket.write(message.clone()).expect("room");
        }
        socket.flush().expect("room");
    })
}

fn tokio_websockets(size: usize) -> Box<dyn FnMut()> {
    let limits = tokio_websockets::Limits::unlimited();
    let mut socket = tokio_websockets::ServerBuilder::new().limits(limits).serve(Wire::endless(&[]));
    let message = tokio_websockets::Message::text("x".repeat(size));
    Box::new(move || {
        for _ in 0..BATCH {
            now(socket.feed(message.clone())).expect("room");
        }
        now(socket.flush()).expect("room");
    })
}

fn fastwebsockets(size: usize) -> Box<dyn FnMut()> {
    let role = fastwebsockets::Role::Server;
    let mut socket = fastwebsockets::WebSocket::after_handshake(Wire::endless(&[]), role);
    let payload: &'static [u8] = vec![b'x'; size].leak();
    Box::new(move || {
        for _ in 0..BATCH {
            let frame = fastwebsockets::Frame::text(fastwebsockets::Payload::Borrowed(payload));
            now(socket.write_frame(frame)).expect("room");
        }
    })
}

fn sockudo(size: usize) -> Box<dyn FnMut()> {
    let mut socket = sockudo_ws::WebSocketStream::server(Wire::endless(&[]), sockudo_config());
    let message = sockudo_ws::Message::text("x".repeat(size));
    Box::new(move || {
        for _ in 0..BATCH {
            now(socket.feed(message.clone())).expect("room");
        }
        now(socket.flush()).expect("room");
    })
}

fn yawc(size: usize) -> Box<dyn FnMut()> {
    let options = yawc::Options::default().without_compression();
    let socket = yawc::WebSocket::from_stream(Wire::endless(&[]), yawc::Role::Server, options);
    let mut socket = socket.expect("options in order");
    let payload = Bytes::from(vec![b'x'; size]);
    Box::new(move || {
        for _ in 0..BATCH {
            now(socket.feed(yawc::Frame::text(payload.clone()))).expect("room");
        }
        now(socket.flush()).expect("room");
    })
}

fn web_socket(size: usize) -> Box<dyn FnMut()> {
    let mut socket = web_socket::WebSocket::server(Wire::endless(&[]));
    let data = vec![b'x'; size];
    Box::new(move || {
        for _ in 0..BATCH {
            now(socket.send_raw(web_socket::Frame { fin: true, opcode: 1, data: &data })).expect("room");
        }
    })
}
