//! sockudo-ws, messages fed and flushed once for what was read. Its pings and timeouts are off, as those of its peers are.

use bytes::BytesMut;
use common::{MAX_MESSAGE, Mode, Room};
use sockudo_ws::{
    CompressedWebSocketStream, Compression, Config, Message, Role, WebSocketStream,
    handshake::{build_response, generate_accept_key, parse_request, server_handshake},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn main() {
    let room = Room::<Message>::new();
    let is_data = |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
    let mut config = Config::default();
    config.max_frame_size = MAX_MESSAGE;
    config.max_message_size = MAX_MESSAGE;
    config.auto_ping = false;
    config.idle_timeout = 0;
    common::serve(move |mut stream, mode| {
        let (room, config) = (room.clone(), config.clone());
        async move {
            match mode {
                Mode::DeflateNoTakeover => deflate(stream, config, Compression::Shared, is_data).await,
                Mode::DeflateTakeover => deflate(stream, config, Compression::Dedicated, is_data).await,
                Mode::Echo | Mode::Broadcast => {
                    let Ok(handshake) = server_handshake(&mut stream).await else { return };
                    let socket =
                        WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, handshake.leftover);
                    match mode {
                        Mode::Broadcast => common::member(socket, room, is_data).await,
                        _ => common::echo(socket, is_data).await,
                    }
                }
            }
        }
    });
}

/// The upgrade with permessage-deflate, for which `server_handshake` has no place.
async fn deflate(mut stream: TcpStream, config: Config, mode: Compression, is_data: impl Fn(&Message) -> bool) {
    let Some(deflate) = mode.to_deflate_config() else { return };
    let mut received = BytesMut::with_capacity(4096);
    loop {
        match stream.read_buf(&mut received).await {
            Ok(1..) => {}
            _ => return,
        }
        if let Ok(Some((request, _))) = parse_request(&received) {
            let header = deflate.to_response_header();
            let response = build_response(&generate_accept_key(request.key), None, Some(&header));
            if stream.write_all(&response).await.is_err() {
                return;
            }
            break;
        }
    }
    common::echo(CompressedWebSocketStream::server(stream, config, deflate), is_data).await;
}
