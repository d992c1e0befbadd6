//! An echo server in tokio: a task for each connection drives the core, and `AsyncFd` says when the socket is ready.

#![allow(clippy::disallowed_methods)] // an example has a clock

use std::{
    error::Error,
    io,
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::Instant,
};

use tokio::{io::unix::AsyncFd, net::TcpListener};
use wireroom::{Config, Transport};
use wireroom_embedding::{Peer, arguments, read, write};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (listen, config) = arguments()?;
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let config = config.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream.into_std()?, config).await {
                        eprintln!("{error}");
                    }
                    io::Result::Ok(())
                });
            }
            // Such as no descriptors: that passes, if it is not asked at once again.
            Err(error) => {
                eprintln!("accept: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, config: Arc<Config>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // SAFETY: a `TcpStream` is one and the same open descriptor for as long as it lives. (It does not block: it was tokio's.)
    let socket = unsafe { AsyncFd::register(stream) }?;
    let mut peer = Peer::new(config, Instant::now());
    loop {
        // 1. Events, then what is to be done with the socket.
        peer.poll(Instant::now());
        match peer.transport() {
            Transport::Close => return Ok(()),
            // It fails where the peer has gone already, which the next read tells.
            Transport::ShutdownWrite => _ = socket.get_ref().shutdown(Shutdown::Write),
            Transport::Open => {}
        }
        // 2. Sleep until the socket is ready for what is wanted of it, or time is up.
        let deadline = peer.poll_timeout();
        tokio::select! {
            biased;
            ready = socket.writable(), if peer.wants_write() => {
                // `Err`: it was not ready after all, and `AsyncFd` knows now.
                if let Ok(written) = ready?.try_io(|socket| write(&mut peer, socket.get_ref())) {
                    written?;
                }
            }
            ready = socket.readable(), if peer.wants_read() => {
                if let Ok(was_read) = ready?.try_io(|socket| read(&mut peer, socket.get_ref())) {
                    was_read?;
                }
            }
            () = until(deadline) => peer.handle_timeout(Instant::now()),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
