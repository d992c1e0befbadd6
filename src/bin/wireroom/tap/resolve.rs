//! The server's addresses, once for all clients.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    dial::plain,
    failure::{Failure, Status},
};

/// A host's addresses. The system's resolver knows no timeout, so it is asked on a thread.
pub(super) fn resolve(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Failure> {
    let (tell, told) = mpsc::channel();
    let (name, unreachable) = (host.to_owned(), |why: String| Failure::new(Status::Unreachable, why));
    let ask = move || _ = tell.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(ask)
        .map_err(|error| Failure::here(format_args!("no thread to resolve {host}: {error}")))?;
    match told.recv_timeout(timeout) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(unreachable(format!("{host} has no address"))),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(unreachable(format!("unknown host {host}: {}", plain(&error)))),
        Err(_) => {
            let sentence = format!("no answer about the host {host} within {} s", timeout.as_secs_f64());
            Err(Failure::new(Status::Timeout, sentence))
        }
    }
}
