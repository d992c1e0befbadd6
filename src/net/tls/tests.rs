//! A stream whose kernel takes little, which no test from outside can have.

use std::{
    io::{ErrorKind, Read, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use mio::net::UnixStream;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::{ClientTls, Scratch, ServerTls, Shows, TlsStream};
use crate::{
    Config, Connection, Kind, RecvBuffer,
    handshake::{Accepted, ServerHandshake},
    http::{Limits, Response, Timeouts, Transport},
    net::{
        Stream,
        admission::Place,
        log::Warned,
        phase::{OUTGOING, Phase, Readiness, Slot},
    },
};

/// The other side, and what it has read.
struct Peer {
    tls: ClientConnection,
    stream: UnixStream,
    plaintext: Vec<u8>,
    ended: bool,
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(include_bytes!("../../../tests/tls/certs/ca.pem")) {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = super::provider();
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let tls = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        Self { tls, stream, plaintext: Vec::new(), ended: false }
    }

    /// Writes what it has, and reads at most so much.
    fn pump(&mut self, mut most: usize) {
        while self.tls.wants_write() && self.tls.write_tls(&mut self.stream).is_ok() {}
        while most > 0 {
            match self.tls.read_tls(&mut (&mut self.stream).take(most as u64)) {
                Ok(0) | Err(_) => break,
                Ok(n) => most -= n,
            }
            self.tls.process_new_packets().unwrap();
            let mut bytes = [0; 4096];
            loop {
                match self.tls.reader().read(&mut bytes) {
                    Ok(0) => {
                        self.ended = true;
                        break;
                    }
                    Ok(n) => self.plaintext.extend_from_slice(&bytes[..n]),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
            }
        }
        while self.tls.wants_write() && self.tls.write_tls(&mut self.stream).is_ok() {}
    }
}

/// An open connection of which the kernel takes a few kilobytes at once, and its peer.
fn narrow() -> (Slot, Peer, Scratch) {
    let (here, there) = UnixStream::pair().unwrap();
    socket2::SockRef::from(&here).set_send_buffer_size(4 * 1024).unwrap();
    let chain = include_bytes!("../../../tests/tls/certs/server.pem");
    let tls = ServerTls::from_pem(chain, include_bytes!("../../../tests/tls/certs/server.key")).unwrap();
    let mut stream = tls.wrap(here.into()).unwrap();
    stream.begin(&[]);
    let accepted = Accepted::upgraded_elsewhere(None, Default::default());
    let config = Config::builder().max_send_buffer(1 << 20).build().unwrap();
    let connection = Connection::server(accepted, config, Instant::now());
    let slot = Slot {
        stream,
        phase: Phase::Open(connection),
        leftover: None,
        listener: OUTGOING,
        place: Place::NONE,
        ready: Readiness::default(),
        warned: Warned::default(),
    };
    let (mut slot, mut peer, mut scratch) = (slot, Peer::new(there), Scratch::default());
    for _ in 0..100 {
        peer.pump(usize::MAX);
        let _ = stream_of(&mut slot).receive(&mut [0; 70_000], &mut scratch, true);
        slot.write(&mut scratch).unwrap();
    }
    assert!(!stream_of(&mut slot).is_handshaking() && !peer.tls.is_handshaking());
    (slot, peer, scratch)
}

fn stream_of(slot: &mut Slot) -> &mut TlsStream {
    let Stream::Tls(tls) = &mut slot.stream else { panic!() };
    tls
}

fn connection(slot: &mut Slot) -> &mut Connection {
    slot.phase.connection_mut().unwrap()
}

#[test]
fn a_queue_counts_as_empty_when_its_records_have_left() {
    let (mut slot, mut peer, mut scratch) = narrow();
    let mut rx = RecvBuffer::new();
    let now = Instant::now();
    let payload = vec![7; 60_000];
    let _ = connection(&mut slot).send_bytes(Kind::Binary, payload.clone().into()).unwrap();
    // The peer's Close, unmasked keys: the echo of it queues behind the message.
    rx.extend(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
    while connection(&mut slot).poll_event(&mut rx, now).is_some() {}
    slot.write(&mut scratch).unwrap();
    // All of it is encrypted, and only a part of it has left.
    assert_eq!(connection(&mut slot).buffered_amount(), 0);
    assert!(slot.ready.blocked && stream_of(&mut slot).pending() > 0);
    let mut steps = 0;
    while stream_of(&mut slot).pending() > 0 {
        assert_eq!(slot.phase.transport(), Transport::Open, "something waits yet");
        assert!(connection(&mut slot).poll_event(&mut rx, now).is_none(), "the end is told too early");
        assert!(connection(&mut slot).transmit().is_blocked());
        peer.pump(1000);
        slot.ready.blocked = false;
        slot.write(&mut scratch).unwrap();
        steps += 1;
    }
    assert!(steps > 10, "{steps}: the kernel took more than it should");
    // Told, now that it has left; close_notify has left with it.
    assert_ne!(slot.phase.transport(), Transport::Open);
    assert!(connection(&mut slot).poll_event(&mut rx, now).is_some());
    peer.pump(usize::MAX);
    assert!(peer.plaintext.ends_with(&[&payload[..], &[0x88, 0x02, 0x03, 0xe8]].concat()));
    assert!(peer.ended, "by a close_notify");
}

#[test]
fn at_most_one_write_of_records_is_kept() {
    let (mut slot, mut peer, mut scratch) = narrow();
    let payload = vec![7; 400_000];
    let _ = connection(&mut slot).send_bytes(Kind::Binary, payload.clone().into()).unwrap();
    let mut most = 0;
    while connection(&mut slot).wants_write() {
        slot.ready.blocked = false;
        slot.write(&mut scratch).unwrap();
        most = most.max(stream_of(&mut slot).pending());
        peer.pump(3000);
    }
    assert!(most > 32 * 1024 && most < 65 * 1024, "{most}");
    assert_eq!(stream_of(&mut slot).pending(), 0);
    peer.pump(usize::MAX);
    assert!(peer.plaintext.ends_with(&payload));
}

#[test]
fn a_read_takes_of_the_budget_what_its_records_are() {
    let (mut slot, mut peer, mut scratch) = narrow();
    for byte in 0..100 {
        peer.tls.writer().write_all(&[byte]).unwrap();
    }
    peer.pump(0);
    stream_of(&mut slot).take_cost(); // the handshake's
    let mut space = vec![0; 70_000];
    let received = slot.receive(&mut space, &mut scratch, Instant::now()).unwrap();
    assert_eq!((received.bytes, received.drained), (100, true));
    // A header, a type and a tag for each byte: RFC 8446, section 5.2.
    assert_eq!(received.cost, 100 * (5 + 1 + 1 + 16));
}

/// Records that bring nothing are the handshake's own, here tickets: a server can send as many as it likes.
#[test]
fn records_without_content_are_paid_from_the_budget() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let chain = CertificateDer::pem_slice_iter(include_bytes!("../../../tests/tls/certs/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../../tests/tls/certs/server.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(super::provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap();
    config.send_tls13_tickets = 3000;
    // Else all of them are one run of messages across records, whose end never comes.
    config.max_fragment_size = Some(100);
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let root = include_bytes!("../../../tests/tls/certs/ca.pem");
    let client = ClientTls::builder().no_platform_roots().root_pem(root).build().unwrap();
    let Stream::Tls(mut tls) = client.wrap(here.into(), "localhost", Shows::Certificate).unwrap() else { panic!() };
    tls.begin(&[]);
    let (mut scratch, mut space) = (Scratch::default(), vec![0; 64 * 1024]);
    while server.is_handshaking() {
        tls.send_pending().unwrap();
        while server.read_tls(&mut there).is_ok_and(|n| n > 0) {
            server.process_new_packets().unwrap();
        }
        if server.is_handshaking() {
            while server.wants_write() && server.write_tls(&mut there).is_ok() {}
            let _ = tls.receive(&mut space, &mut scratch, false);
        }
    }
    tls.take_cost();
    let mut reads = 0;
    while server.wants_write() {
        while server.wants_write() && server.write_tls(&mut there).is_ok() {}
        loop {
            let error = tls.receive(&mut space, &mut scratch, false).unwrap_err();
            let cost = tls.take_cost();
            assert!(
                cost <= 64 * 1024 && tls.error().is_none(),
                "{cost} bytes of records in one call, {:?}",
                tls.error()
            );
            reads += usize::from(cost > 0);
            if error.kind() == ErrorKind::WouldBlock {
                break;
            }
        }
    }
    assert!(reads > 2, "{reads}");
}

#[test]
fn records_that_leave_are_the_slow_peers_sign_of_life() {
    let (mut slot, mut peer, mut scratch) = narrow();
    let mut rx = RecvBuffer::new();
    let start = Instant::now();
    let mut now = start;
    while connection(&mut slot).poll_event(&mut rx, now).is_some() {}
    let _ = connection(&mut slot).send_bytes(Kind::Binary, vec![7; 60_000].into()).unwrap();
    slot.write(&mut scratch).unwrap();
    // Everything is encrypted; a Ping waits behind it, which the peer cannot answer yet.
    while stream_of(&mut slot).pending() > 0 {
        now += Duration::from_secs(2);
        peer.pump(1000);
        slot.ready.blocked = false;
        slot.write(&mut scratch).unwrap();
        connection(&mut slot).note_progress(now);
        connection(&mut slot).handle_timeout(now);
        assert_eq!(slot.phase.transport(), Transport::Open, "given up while it reads");
    }
    assert!(now > start + Duration::from_secs(60), "past every Ping's time");
}

#[test]
fn records_that_leave_give_the_rest_of_an_answer_its_time() {
    let (mut slot, mut peer, mut scratch) = narrow();
    let start = Instant::now();
    let mut handshake = ServerHandshake::new(Limits::default(), Timeouts::default(), start);
    let mut rx = RecvBuffer::new();
    rx.extend(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let _ = handshake.poll(&mut rx, start, &mut |_| Response::text(200, "x".repeat(60_000)).into());
    slot.phase = Phase::Serving { handshake: Box::new(handshake), config: Arc::default() };
    slot.write(&mut scratch).unwrap();
    let mut now = start;
    while stream_of(&mut slot).pending() > 0 {
        assert_eq!(slot.phase.transport(), Transport::Open, "given up while it reads, after {:?}", now - start);
        now += Duration::from_millis(500);
        peer.pump(1000);
        slot.ready.blocked = false;
        slot.write(&mut scratch).unwrap();
        slot.phase.handle_timeout(now);
    }
    assert!(now > start + 3 * Timeouts::default().close_timeout, "{:?}", now - start);
    // One that takes nothing is given up all the same.
    let (mut slot, _peer, mut scratch) = narrow();
    let mut handshake = ServerHandshake::new(Limits::default(), Timeouts::default(), start);
    rx.extend(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let _ = handshake.poll(&mut rx, start, &mut |_| Response::text(200, "x".repeat(60_000)).into());
    slot.phase = Phase::Serving { handshake: Box::new(handshake), config: Arc::default() };
    slot.write(&mut scratch).unwrap();
    for half_seconds in 1..=30 {
        slot.phase.handle_timeout(start + half_seconds * Duration::from_millis(500));
    }
    assert_eq!(slot.phase.transport(), Transport::Close);
}

/// The loop's receive buffer may have grown for large messages, and one read then brings more than the buffer for records takes.
#[test]
fn what_is_read_behind_a_plain_beginning_may_be_longer_than_the_buffer_for_records() {
    let server = || {
        let chain = include_bytes!("../../../tests/tls/certs/server.pem");
        ServerTls::from_pem(chain, include_bytes!("../../../tests/tls/certs/server.key")).unwrap()
    };
    let root = include_bytes!("../../../tests/tls/certs/ca.pem");
    let client = ClientTls::builder().no_platform_roots().root_pem(root).build().unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    for wrapped in [server().wrap(here.into()), client.wrap(there.into(), "localhost", Shows::Certificate)] {
        let Stream::Tls(mut tls) = wrapped.unwrap() else { panic!() };
        tls.begin(&vec![22; 1 << 20]);
        let error = tls.receive(&mut [0; 100], &mut Scratch::default(), false).unwrap_err();
        assert_eq!((error.kind(), tls.error()), (ErrorKind::InvalidData, Some(&crate::TlsError::NotTls)));
    }
}

#[test]
fn a_record_that_comes_slowly_is_a_sign_of_life() {
    let (mut slot, mut peer, mut scratch) = narrow();
    let mut rx = RecvBuffer::new();
    while connection(&mut slot).poll_event(&mut rx, Instant::now()).is_some() {}
    let due = connection(&mut slot).poll_timeout().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    peer.tls.writer().write_all(&[7; 10_000]).unwrap();
    let mut record = Vec::new();
    peer.tls.write_tls(&mut record).unwrap();
    peer.stream.write_all(&record[..100]).unwrap();
    let error = slot.receive(&mut vec![0; 70_000], &mut scratch, Instant::now()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(connection(&mut slot).poll_timeout().unwrap() >= due + Duration::from_millis(20), "it was not heard");
}
