//! The measure: rustls' buffered API on mio, which sends back what comes, whatever it is.

use std::{
    collections::HashMap,
    error::Error,
    io::{self, Read, Write},
    sync::Arc,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use wireroom::rustls::{
    self, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

struct Connection {
    stream: TcpStream,
    tls: ServerConnection,
    both: bool,
}

pub(crate) fn serve() -> Result<(), Box<dyn Error>> {
    let chain = CertificateDer::pem_slice_iter(crate::server::CHAIN).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(crate::server::KEY)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    let config = Arc::new(config);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    println!("{}", listener.local_addr()?);
    let mut connections = HashMap::new();
    let mut next = 1;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == Token(0) {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(next), Interest::READABLE)?;
                    let mut tls = ServerConnection::new(config.clone())?;
                    tls.set_buffer_limit(None);
                    connections.insert(Token(next), Connection { stream, tls, both: false });
                    next += 1;
                }
                continue;
            }
            let Some(connection) = connections.get_mut(&event.token()) else { continue };
            if !turn(connection, &mut buffer).unwrap_or(false) {
                connections.remove(&event.token());
                continue;
            }
            if connection.tls.wants_write() != connection.both {
                connection.both = !connection.both;
                let interest =
                    if connection.both { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
                poll.registry().reregister(&mut connection.stream, event.token(), interest)?;
            }
        }
    }
}

/// False: it has ended.
fn turn(connection: &mut Connection, buffer: &mut [u8]) -> io::Result<bool> {
    let Connection { stream, tls, .. } = connection;
    let mut lives = true;
    loop {
        match tls.read_tls(stream) {
            Ok(0) => {
                lives = false;
                break;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        if state.plaintext_bytes_to_read() > 0 {
            let n = tls.reader().read(buffer)?;
            tls.writer().write_all(&buffer[..n])?;
        }
    }
    while tls.wants_write() {
        match tls.write_tls(stream) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(lives)
}
