//! Certificates, configurations, and a peer that speaks TLS.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use wireroom::{
    ClientTls, ClientTlsBuilder, Config, ConnId, ListenOptions, ServerTls,
    handshake::ClientRequest,
    rustls::{
        self, ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use crate::support::{Peer, Seen, Socket, UPGRADE, World, any, loopback};

/// A file of `tests/tls/certs`, which `make` there makes.
macro_rules! cert {
    ($name:literal) => {
        include_bytes!(concat!("certs/", $name)).as_slice()
    };
}
pub(crate) use cert;

pub(crate) fn server() -> ServerTls {
    ServerTls::from_pem(cert!("server.pem"), cert!("server.key")).unwrap()
}

/// Trusts the tests' authority alone.
pub(crate) fn client() -> ClientTls {
    trusting().build().unwrap()
}

pub(crate) fn trusting() -> ClientTlsBuilder {
    ClientTls::builder().no_platform_roots().root_pem(cert!("ca.pem"))
}

/// An echo server at this address.
pub(crate) fn listening(tls: ServerTls, config: Config) -> (World, SocketAddr) {
    let mut world = World::new();
    let address = listen(&mut world, tls, config);
    (world, address)
}

pub(crate) fn listen(world: &mut World, tls: ServerTls, config: Config) -> SocketAddr {
    let options = ListenOptions::new().tls(tls);
    world.event_loop.listen_with(loopback(), options, config, any).unwrap()
}

pub(crate) fn request(address: SocketAddr) -> ClientRequest {
    ClientRequest::new(&format!("wss://localhost:{}/chat", address.port())).unwrap()
}

/// Connects our own client.
pub(crate) fn connect(world: &mut World, address: SocketAddr, tls: &ClientTls, config: Config) -> ConnId {
    world.event_loop.connect_tls(address, request(address), tls, config).unwrap()
}

pub(crate) fn is_open(world: &World, id: ConnId) -> bool {
    world.seen.iter().any(|(of, seen)| *of == id && matches!(seen, Seen::Open))
}

/// The ids of connections that opened, in order.
pub(crate) fn opened(world: &World) -> Vec<ConnId> {
    world.seen.iter().filter(|(_, seen)| matches!(seen, Seen::Open)).map(|(id, _)| *id).collect()
}

/// rustls' configuration of a client, for peers.
pub(crate) fn client_config() -> ClientConfig {
    client_config_of(rustls::ALL_VERSIONS)
}

pub(crate) fn client_config_of(versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(cert!("ca.pem")) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// rustls' configuration of a server, for peers.
pub(crate) fn server_config() -> ServerConfig {
    server_config_of(rustls::ALL_VERSIONS)
}

pub(crate) fn server_config_of(versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(cert!("server.pem")).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(cert!("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

/// The other end: what it wrote is sent in pieces of at most `step` bytes, one for each time that it is looked at.
pub(crate) struct TlsSocket {
    pub(crate) tls: Connection,
    pub(crate) stream: TcpStream,
    /// Records that were not sent yet.
    pub(crate) out: Vec<u8>,
    pub(crate) step: usize,
    /// What was wrong with what we sent.
    pub(crate) fault: Option<rustls::Error>,
    pub(crate) eof: bool,
}

pub(crate) type TlsPeer = Peer<TlsSocket>;

impl TlsSocket {
    pub(crate) fn client(address: SocketAddr, config: ClientConfig) -> TlsPeer {
        Self::client_of(address, Arc::new(config))
    }

    pub(crate) fn client_of(address: SocketAddr, config: Arc<ClientConfig>) -> TlsPeer {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(config, name).unwrap();
        Self::over(tls.into(), TcpStream::connect(address).unwrap())
    }

    pub(crate) fn server(stream: TcpStream, config: ServerConfig) -> TlsPeer {
        Self::over(ServerConnection::new(Arc::new(config)).unwrap().into(), stream)
    }

    pub(crate) fn over(mut tls: Connection, stream: TcpStream) -> TlsPeer {
        tls.set_buffer_limit(None);
        stream.set_nodelay(true).unwrap();
        Peer::new(Self { tls, stream, out: Vec::new(), step: usize::MAX, fault: None, eof: false })
    }

    /// Moves what can be moved.
    pub(crate) fn pump(&mut self) {
        while !self.eof && self.fault.is_none() {
            match self.tls.read_tls(&mut self.stream) {
                Ok(0) => self.eof = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // rustls takes no more before what it has is read.
                Err(error) if error.kind() == io::ErrorKind::Other => break,
                Err(_) => self.eof = true,
            }
            if let Err(fault) = self.tls.process_new_packets() {
                self.fault = Some(fault);
            }
        }
        self.collect();
        let most = self.out.len().min(self.step);
        if most > 0 {
            match self.stream.write(&self.out[..most]) {
                Ok(n) => _ = self.out.drain(..n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.out.clear(),
            }
        }
    }

    /// Takes the records that rustls has ready.
    pub(crate) fn collect(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.out).unwrap();
        }
    }
}

impl Read for TlsSocket {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.pump();
        if self.fault.is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match self.tls.reader().read(space) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.eof => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            read => read,
        }
    }
}

impl Write for TlsSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.tls.writer().write(bytes)?;
        self.pump();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for TlsSocket {
    fn do_not_block(&self) {
        self.stream.set_nonblocking(true).unwrap();
    }
}

/// A peer on an open connection, and its id here.
pub(crate) fn open(world: &mut World, peer: &mut TlsPeer) -> ConnId {
    peer.send(UPGRADE);
    let head = world.head(peer);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    *opened(world).last().unwrap()
}
