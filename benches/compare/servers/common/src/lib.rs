//! What the peers on tokio share: one `current_thread` runtime, an echo that flushes when no further message is ready, and
//! a room of queues. `server PORT MODE` has one port and does one thing.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::mpsc,
};

/// The largest message that is accepted: the scenarios have 16 MiB.
pub const MAX_MESSAGE: usize = 64 << 20;

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Echo,
    Broadcast,
    DeflateNoTakeover,
    DeflateTakeover,
}

/// Serves the port of the command line. Every library gets sockets without Nagle's algorithm.
pub fn serve<F, Fut>(handler: F)
where
    F: Fn(TcpStream, Mode) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: server PORT echo|broadcast|deflate-no-takeover|deflate-takeover";
    let [port, mode] = &arguments[..] else { panic!("{usage}") };
    let mode = match mode.as_str() {
        "echo" => Mode::Echo,
        "broadcast" => Mode::Broadcast,
        "deflate-no-takeover" => Mode::DeflateNoTakeover,
        "deflate-takeover" => Mode::DeflateTakeover,
        _ => panic!("{usage}"),
    };
    let port: u16 = port.parse().expect(usage);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("SO_REUSEADDR");
        socket.bind(([127, 0, 0, 1], port).into()).expect("a free port");
        let listener = socket.listen(4096).expect("listening");
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(handler(stream, mode));
            }
        }
    });
}

/// Sends back each message that `is_data`, and flushes when nothing more is ready to be read.
pub async fn echo<W, M, E, F>(mut socket: W, is_data: impl Fn(&M) -> bool)
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = F> + Unpin,
{
    let mut held: Option<M> = None;
    std::future::poll_fn(|context| {
        loop {
            if held.is_some() {
                match Pin::new(&mut socket).poll_ready(context) {
                    Poll::Ready(Ok(())) => {
                        let Some(message) = held.take() else { continue };
                        if Pin::new(&mut socket).start_send(message).is_err() {
                            return Poll::Ready(());
                        }
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match Pin::new(&mut socket).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => held = Some(message).filter(&is_data),
                Poll::Ready(_) => {
                    // The answer to a Close.
                    let _ = Pin::new(&mut socket).poll_flush(context);
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    return match Pin::new(&mut socket).poll_flush(context) {
                        Poll::Ready(Err(_)) => Poll::Ready(()),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    })
    .await;
}

/// As `echo`, for a library whose `poll_next` flushes: takes up to 32 messages that are ready, then sends them all.
pub async fn echo_batched<W, M, E, F>(mut socket: W, is_data: impl Fn(&M) -> bool)
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = F> + Unpin,
{
    const BATCH: usize = 32;
    let mut batch: Vec<M> = Vec::with_capacity(BATCH);
    while let Some(Ok(message)) = socket.next().await {
        batch.push(message);
        let mut ends = false;
        while batch.len() < BATCH {
            match socket.next().now_or_never() {
                Some(Some(Ok(message))) => batch.push(message),
                Some(_) => {
                    ends = true;
                    break;
                }
                None => break,
            }
        }
        for message in batch.drain(..) {
            if is_data(&message) && socket.feed(message).await.is_err() {
                return;
            }
        }
        if socket.flush().await.is_err() || ends {
            return;
        }
    }
}

/// Everyone who is there, by number, with a queue each.
#[derive(Debug)]
pub struct Room<M>(Mutex<(u64, HashMap<u64, mpsc::UnboundedSender<M>>)>);

impl<M: Clone> Room<M> {
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((0, HashMap::new()))))
    }

    pub fn join(&self) -> (u64, mpsc::UnboundedReceiver<M>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut room = self.0.lock().expect("one thread");
        room.0 += 1;
        let number = room.0;
        room.1.insert(number, sender);
        (number, receiver)
    }

    pub fn publish(&self, message: &M) {
        for sender in self.0.lock().expect("one thread").1.values() {
            let _ = sender.send(message.clone());
        }
    }

    pub fn leave(&self, number: u64) {
        self.0.lock().expect("one thread").1.remove(&number);
    }
}

/// A member: what it says goes to everyone, what the room says goes to it, with one flush for each time it wakes.
pub async fn member<W, M, E, F>(mut socket: W, room: Arc<Room<M>>, is_data: impl Fn(&M) -> bool)
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = F> + Unpin,
    M: Clone,
{
    let (number, mut receiver) = room.join();
    std::future::poll_fn(|context| {
        loop {
            loop {
                match Pin::new(&mut socket).poll_ready(context) {
                    Poll::Ready(Ok(())) => match receiver.poll_recv(context) {
                        Poll::Ready(Some(message)) => {
                            if Pin::new(&mut socket).start_send(message).is_err() {
                                return Poll::Ready(());
                            }
                        }
                        _ => break,
                    },
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            match Pin::new(&mut socket).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => {
                    if is_data(&message) {
                        room.publish(&message);
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    return match Pin::new(&mut socket).poll_flush(context) {
                        Poll::Ready(Err(_)) => Poll::Ready(()),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    })
    .await;
    room.leave(number);
}
