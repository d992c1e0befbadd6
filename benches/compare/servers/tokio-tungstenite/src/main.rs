//! tokio-tungstenite, messages fed and flushed once for what was read.

use common::{MAX_MESSAGE, Mode, Room};
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};

fn main() {
    let room = Room::<Message>::new();
    let is_data = |message: &Message| message.is_text() || message.is_binary();
    common::serve(move |stream, mode| {
        let room = room.clone();
        async move {
            let config =
                WebSocketConfig::default().max_frame_size(Some(MAX_MESSAGE)).max_message_size(Some(MAX_MESSAGE));
            let accepted = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await;
            let Ok(socket) = accepted else { return };
            match mode {
                Mode::Broadcast => common::member(socket, room, is_data).await,
                _ => common::echo(socket, is_data).await,
            }
        }
    });
}
