//! web-socket. It has no handshake (httparse and sha1 here), reads two bytes at a time (a BufReader), writes each frame (a
//! BufWriter, flushed once nothing more was read) and leaves UTF-8 to its user.

use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use common::{MAX_MESSAGE, Mode};
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::TcpStream,
};
use web_socket::{DataType, Event, Frame, MessageType, Stream, WebSocket};

type Room = common::Room<(u8, Bytes)>;

const BUFFER: usize = 16 << 10;

async fn upgrade(stream: &mut TcpStream) -> Option<()> {
    let mut received = vec![0; 4096];
    let mut length = 0;
    loop {
        match stream.read(&mut received[length..]).await.ok()? {
            0 => return None,
            n => length += n,
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        if !request.parse(&received[..length]).ok()?.is_complete() {
            continue;
        }
        let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"))?.value;
        let digest = Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
        let accept = base64::engine::general_purpose::STANDARD.encode(digest);
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        return stream.write_all(response.as_bytes()).await.ok();
    }
}

/// One whole message, its fragments joined and its text checked; `None` at the end.
async fn next<IO: AsyncRead + Unpin>(socket: &mut WebSocket<IO>, part: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    loop {
        let (kind, whole) = match socket.recv().await.ok()? {
            Event::Data { ty: DataType::Complete(kind), data } => (kind, data.into_vec()),
            Event::Data { ty: DataType::Stream(Stream::End(kind)), data } => {
                part.extend_from_slice(&data);
                (kind, std::mem::take(part))
            }
            Event::Data { ty: DataType::Stream(_), data } => {
                part.extend_from_slice(&data);
                continue;
            }
            Event::Ping(_) | Event::Pong(_) => continue,
            _ => return None,
        };
        if kind == MessageType::Text && std::str::from_utf8(&whole).is_err() {
            return None;
        }
        return Some((kind as u8, whole));
    }
}

async fn echo(stream: TcpStream) -> Option<()> {
    let stream = BufReader::with_capacity(BUFFER, BufWriter::with_capacity(BUFFER, stream));
    let mut socket = WebSocket::server(stream);
    socket.max_payload_len = MAX_MESSAGE;
    let mut part = Vec::new();
    loop {
        let Some((opcode, data)) = next(&mut socket, &mut part).await else {
            let _ = socket.close(1000_u16).await;
            return None;
        };
        socket.send_raw(Frame { fin: true, opcode, data: &data }).await.ok()?;
        if socket.stream.buffer().is_empty() {
            socket.flash().await.ok()?;
        }
    }
}

async fn member(stream: TcpStream, room: Arc<Room>) -> Option<()> {
    let (read, write) = stream.into_split();
    let mut reader = WebSocket::server(BufReader::with_capacity(BUFFER, read));
    let mut writer = WebSocket::server(BufWriter::with_capacity(BUFFER, write));
    let (number, mut receiver) = room.join();
    let sends = tokio::spawn(async move {
        while let Some(first) = receiver.recv().await {
            let mut next = Some(first);
            while let Some((opcode, data)) = next {
                if writer.send_raw(Frame { fin: true, opcode, data: &data }).await.is_err() {
                    return;
                }
                next = receiver.try_recv().ok();
            }
            if writer.flash().await.is_err() {
                return;
            }
        }
    });
    let mut part = Vec::new();
    while let Some((opcode, data)) = next(&mut reader, &mut part).await {
        room.publish(&(opcode, Bytes::from(data)));
    }
    room.leave(number);
    sends.abort();
    Some(())
}

fn main() {
    let room: Arc<Room> = Room::new();
    common::serve(move |mut stream, mode| {
        let room = room.clone();
        async move {
            if upgrade(&mut stream).await.is_some() {
                if mode == Mode::Broadcast {
                    member(stream, room).await
                } else {
                    echo(stream).await
                };
            }
        }
    });
}
