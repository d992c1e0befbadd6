//! tokio-websockets, echoing in batches: its `poll_next` flushes.

use common::{Mode, Room};
use tokio_websockets::{Config, Limits, Message, ServerBuilder};

fn main() {
    let room = Room::<Message>::new();
    let is_data = |message: &Message| message.is_text() || message.is_binary();
    common::serve(move |stream, mode| {
        let room = room.clone();
        async move {
            let builder = ServerBuilder::new();
            // One frame for each message, as the others send.
            let builder = builder.config(Config::default().frame_size(usize::MAX)).limits(Limits::unlimited());
            let Ok((_, socket)) = builder.accept(stream).await else { return };
            match mode {
                Mode::Broadcast => common::member(socket, room, is_data).await,
                _ => common::echo_batched(socket, is_data).await,
            }
        }
    });
}
