//! fastwebsockets on hyper, as its examples do it: FragmentCollector, and a write for each frame, for it has no other.

use std::sync::Arc;

use bytes::Bytes;
use common::{MAX_MESSAGE, Mode};
use fastwebsockets::{FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError, upgrade};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};

type Room = common::Room<(bool, Bytes)>;

async fn echo(upgrade: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = upgrade.await?;
    socket.set_max_message_size(MAX_MESSAGE);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn member(upgrade: upgrade::UpgradeFut, room: Arc<Room>) -> Result<(), WebSocketError> {
    let (reader, mut writer) = upgrade.await?.split(tokio::io::split);
    let mut reader = FragmentCollectorRead::new(reader);
    let (number, mut receiver) = room.join();
    let sends = tokio::spawn(async move {
        while let Some((text, bytes)) = receiver.recv().await {
            let opcode = if text { OpCode::Text } else { OpCode::Binary };
            if writer.write_frame(Frame::new(true, opcode, None, Payload::Borrowed(&bytes))).await.is_err() {
                break;
            }
        }
    });
    loop {
        match reader.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await {
            Ok(frame) if matches!(frame.opcode, OpCode::Text | OpCode::Binary) => {
                room.publish(&(frame.opcode == OpCode::Text, Bytes::copy_from_slice(&frame.payload)));
            }
            Ok(frame) if frame.opcode != OpCode::Close => {}
            _ => break,
        }
    }
    room.leave(number);
    sends.abort();
    Ok(())
}

fn main() {
    let room: Arc<Room> = Room::new();
    common::serve(move |stream, mode| {
        let room = room.clone();
        async move {
            let service = service_fn(move |mut request: Request<Incoming>| {
                let room = room.clone();
                async move {
                    let (response, upgrade) = upgrade::upgrade(&mut request)?;
                    tokio::spawn(tokio::task::unconstrained(async move {
                        let _ = if mode == Mode::Broadcast { member(upgrade, room).await } else { echo(upgrade).await };
                    }));
                    Ok::<_, WebSocketError>(response)
                }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = http1::Builder::new().serve_connection(io, service).with_upgrades().await;
        }
    });
}
