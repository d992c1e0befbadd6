//! soketto with buffers on both sides, flushed when nothing more is ready to be read.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use common::{MAX_MESSAGE, Mode};
use futures_util::io::{BufReader, BufWriter};
use soketto::{
    Data,
    extension::deflate::Deflate,
    handshake::{Server, server::Response},
};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

type Room = common::Room<(bool, Bytes)>;
type Io = BufReader<BufWriter<Compat<TcpStream>>>;

async fn run(stream: TcpStream, mode: Mode, room: Arc<Room>) -> Option<()> {
    let io = BufReader::with_capacity(8 << 10, BufWriter::with_capacity(16 << 10, stream.compat()));
    let mut server = Server::new(io);
    if matches!(mode, Mode::DeflateNoTakeover | Mode::DeflateTakeover) {
        server.add_extension(Box::new(Deflate::new(soketto::Mode::Server)));
    }
    let key = server.receive_request().await.ok()?.key();
    server.send_response(&Response::Accept { key, protocol: None }).await.ok()?;
    let mut builder = server.into_builder();
    builder.set_max_message_size(MAX_MESSAGE);
    builder.set_max_frame_size(MAX_MESSAGE);
    let (sender, receiver) = builder.finish();
    if mode == Mode::Broadcast { member(sender, receiver, room).await } else { echo(sender, receiver).await }
}

async fn echo(mut sender: soketto::Sender<Io>, mut receiver: soketto::Receiver<Io>) -> Option<()> {
    let mut message = Vec::new();
    loop {
        message.clear();
        let received = {
            let mut receives = pin!(receiver.receive_data(&mut message));
            match poll_fn(|context| Poll::Ready(receives.as_mut().poll(context))).await {
                Poll::Ready(received) => received,
                Poll::Pending => {
                    sender.flush().await.ok()?;
                    receives.await
                }
            }
        };
        match received.ok()? {
            Data::Binary(_) => sender.send_binary_mut(&mut message).await.ok()?,
            Data::Text(_) => sender.send_text(std::str::from_utf8(&message).ok()?).await.ok()?,
        }
    }
}

async fn member(mut sender: soketto::Sender<Io>, mut receiver: soketto::Receiver<Io>, room: Arc<Room>) -> Option<()> {
    let (number, mut queue) = room.join();
    let sends = tokio::spawn(async move {
        while let Some(first) = queue.recv().await {
            let mut next = Some(first);
            while let Some((text, bytes)) = next {
                let sent = match std::str::from_utf8(&bytes) {
                    Ok(bytes) if text => sender.send_text(bytes).await,
                    _ => sender.send_binary(&bytes[..]).await,
                };
                if sent.is_err() {
                    return;
                }
                next = queue.try_recv().ok();
            }
            if sender.flush().await.is_err() {
                return;
            }
        }
    });
    let mut message = Vec::new();
    while let Ok(data) = receiver.receive_data(&mut message).await {
        room.publish(&(data.is_text(), Bytes::copy_from_slice(&message)));
        message.clear();
    }
    room.leave(number);
    sends.abort();
    None
}

fn main() {
    let room: Arc<Room> = Room::new();
    common::serve(move |stream, mode| {
        let room = room.clone();
        async move {
            run(stream, mode, room).await;
        }
    });
}
