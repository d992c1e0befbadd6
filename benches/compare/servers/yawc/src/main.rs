//! yawc on hyper, messages fed and flushed once for what was read.

use common::{MAX_MESSAGE, Mode, Room};
use futures_util::StreamExt;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use yawc::{CompressionLevel, Frame, HttpStream, OpCode, Options, WebSocket, WebSocketError};

fn options(mode: Mode) -> Options {
    let options = Options::default().with_limits(MAX_MESSAGE, 2 * MAX_MESSAGE).with_utf8();
    let level = CompressionLevel::new(6);
    match mode {
        Mode::Echo | Mode::Broadcast => options.without_compression(),
        Mode::DeflateTakeover => options.with_compression_level(level),
        Mode::DeflateNoTakeover => {
            options.with_compression_level(level).server_no_context_takeover().client_no_context_takeover()
        }
    }
}

fn main() {
    let room = Room::<Frame>::new();
    let is_data = |frame: &Frame| matches!(frame.opcode(), OpCode::Text | OpCode::Binary);
    common::serve(move |stream, mode| {
        let room = room.clone();
        async move {
            let service = service_fn(move |mut request: Request<Incoming>| {
                let room = room.clone();
                async move {
                    let upgrade = WebSocket::<HttpStream>::upgrade_with_options(&mut request, options(mode));
                    let (response, socket) = upgrade?;
                    tokio::spawn(async move {
                        let Ok(socket) = socket.await else { return };
                        let socket = socket.map(Ok::<Frame, WebSocketError>);
                        match mode {
                            Mode::Broadcast => common::member(socket, room, is_data).await,
                            _ => common::echo(socket, is_data).await,
                        }
                    });
                    Ok::<_, WebSocketError>(response)
                }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = http1::Builder::new().serve_connection(io, service).with_upgrades().await;
        }
    });
}
