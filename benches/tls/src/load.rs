//! The load: on each connection one message, then all the echoes, over and over.

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use wireroom::rustls::{
    self, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

const CA: &[u8] = include_bytes!("../../../tests/tls/certs/ca.pem");

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

pub(crate) struct Load {
    streams: Vec<Box<dyn Stream>>,
    /// Its frame.
    message: Vec<u8>,
    /// What comes back.
    echo: Vec<u8>,
}

impl Load {
    pub(crate) fn new(address: SocketAddr, kind: &str, streams: usize, size: usize) -> Result<Self, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(CA) {
            roots.add(root?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        let config = Arc::new(config);
        let speaks = kind != "bare-rustls";
        let mut opened: Vec<Box<dyn Stream>> = Vec::new();
        for _ in 0..streams {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let mut stream: Box<dyn Stream> = if kind == "wireroom-plain" {
                Box::new(stream)
            } else {
                let tls = ClientConnection::new(config.clone(), ServerName::try_from("localhost")?)?;
                Box::new(StreamOwned::new(tls, stream))
            };
            let hello = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
            stream.write_all(hello.as_bytes())?;
            stream.flush()?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                head.push(byte[0]);
            }
            opened.push(stream);
        }
        let mut message = vec![0x82];
        let mut header = 2;
        match size {
            0..126 => message.push(0x80 | size as u8),
            126..65536 => {
                message.push(0x80 | 126);
                message.extend_from_slice(&(size as u16).to_be_bytes());
                header = 4;
            }
            _ => {
                message.push(0x80 | 127);
                message.extend_from_slice(&(size as u64).to_be_bytes());
                header = 10;
            }
        }
        message.extend_from_slice(&[1, 2, 3, 4]);
        message.extend((0..size).map(|at| at as u8));
        let echo = vec![0; if speaks { header + size } else { message.len() }];
        Ok(Self { streams: opened, message, echo })
    }

    /// One message on each. Answers how many.
    pub(crate) fn round(&mut self) -> Result<u64, Box<dyn Error>> {
        // Not all at once: nobody reads meanwhile.
        for streams in self.streams.chunks_mut(32) {
            for stream in &mut *streams {
                stream.write_all(&self.message)?;
                stream.flush()?;
            }
            for stream in streams {
                stream.read_exact(&mut self.echo)?;
            }
        }
        Ok(self.streams.len() as u64)
    }

    pub(crate) fn run(&mut self, time: Duration) -> Result<u64, Box<dyn Error>> {
        let (start, mut messages) = (Instant::now(), 0);
        while start.elapsed() < time {
            messages += self.round()?;
        }
        Ok(messages)
    }
}
