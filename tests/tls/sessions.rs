//! What is agreed on: versions, protocols, names, resumption.

use std::sync::Arc;

use wireroom::{
    Cause, ClientTls, Config, ConnId, ServerTls, TlsError, TlsSession, TlsVersion,
    rustls::{
        self, HandshakeKind,
        pki_types::{CertificateDer, pem::PemObject},
        version,
    },
};

use crate::{
    kit::{
        TlsSocket, cert, client, client_config, client_config_of, connect, listening, open, opened, request, server,
        trusting,
    },
    support::World,
};

/// Opens a connection of our client; what both ends say of it.
fn session(world: &mut World, address: std::net::SocketAddr, tls: &ClientTls) -> (TlsSession, TlsSession) {
    let before = opened(world).len();
    let id = connect(world, address, tls, Config::default());
    world.until("open", |world| opened(world).len() == before + 2);
    let there = opened(world).into_iter().rfind(|other| *other != id).unwrap();
    // Tickets come behind the handshake.
    let _ = world.event_loop.connections().send(id, "hello").unwrap();
    world.until("the echo", |world| world.texts(id) == ["hello"]);
    let connections = world.event_loop.connections();
    (connections.tls(id).unwrap(), connections.tls(there).unwrap())
}

#[test]
fn both_versions_are_spoken_and_a_minimum_holds() {
    let of = |minimum| {
        let builder = ServerTls::builder().certificate(cert!("server.pem"), cert!("server.key"));
        listening(builder.minimum(minimum).build().unwrap(), Config::default())
    };
    let (mut world, address) = of(TlsVersion::Tls12);
    let (here, there) = session(&mut world, address, &client());
    assert_eq!((here.version, there.version), (TlsVersion::Tls13, TlsVersion::Tls13));
    assert_eq!((here.protocol.as_deref(), there.protocol.as_deref()), (Some("http/1.1"), Some("http/1.1")));
    assert!(here.cipher_suite.starts_with("TLS13_"), "{here:?}");
    let old = ClientTls::from_config(Arc::new(client_config_of(&[&version::TLS12])));
    assert_eq!(session(&mut world, address, &old).1.version, TlsVersion::Tls12);

    let (mut world, address) = of(TlsVersion::Tls13);
    let id = connect(&mut world, address, &old, Config::default());
    assert!(matches!(world.closed(id).cause, Cause::Tls(TlsError::NoCommonVersion)));
    let other = world.seen.iter().find(|(of, _)| *of != id).unwrap().0;
    assert!(matches!(world.closed(other).cause, Cause::Tls(TlsError::NoCommonVersion)));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let new = trusting().minimum(TlsVersion::Tls13).build().unwrap();
    let id = connect(&mut world, listener.local_addr().unwrap(), &new, Config::default());
    let old = crate::kit::server_config_of(&[&version::TLS12]);
    let mut peer = TlsSocket::server(listener.accept().unwrap().0, old);
    world.until("the end", |world| {
        peer.receive();
        world.ends(id) > 0
    });
    assert!(matches!(world.closed(id).cause, Cause::Tls(TlsError::NoCommonVersion)));
}

#[test]
fn a_client_that_speaks_only_other_protocols_is_refused() {
    let (mut world, address) = listening(server(), Config::default());
    let mut config = client_config();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut peer = TlsSocket::client(address, config.clone());
    world.until("the alert", |_| {
        peer.receive();
        peer.stream.fault.is_some()
    });
    let alert = rustls::AlertDescription::NoApplicationProtocol;
    assert_eq!(peer.stream.fault, Some(rustls::Error::AlertReceived(alert)));
    assert!(matches!(world.next_closed().cause, Cause::Tls(TlsError::NoCommonProtocol)));
    // With both, ours is taken; and who says nothing is not asked.
    for protocols in [vec![b"h2".to_vec(), b"http/1.1".to_vec()], Vec::new()] {
        let asks = !protocols.is_empty();
        config.alpn_protocols = protocols;
        let mut peer = TlsSocket::client(address, config.clone());
        open(&mut world, &mut peer);
        assert_eq!(peer.stream.tls.alpn_protocol(), asks.then_some(&b"http/1.1"[..]));
    }
}

#[test]
fn sessions_are_resumed_in_both_versions_and_roles() {
    let (mut world, address) = listening(server(), Config::default());
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let tls = ClientTls::from_config(Arc::new(client_config_of(versions)));
        for round in 0..3 {
            let (here, there) = session(&mut world, address, &tls.clone());
            assert_eq!((here.resumed, there.resumed), (round > 0, round > 0), "{versions:?}, {round}");
        }
        let config = Arc::new(client_config_of(versions));
        for round in 0..2 {
            let mut peer = TlsSocket::client_of(address, config.clone());
            open(&mut world, &mut peer);
            let kind = if round > 0 { HandshakeKind::Resumed } else { HandshakeKind::Full };
            assert_eq!(peer.stream.tls.handshake_kind(), Some(kind));
        }
    }
}

#[test]
fn resumption_can_be_off_on_either_side() {
    let off = ServerTls::builder().certificate(cert!("server.pem"), cert!("server.key")).resumption(false);
    let (mut world, address) = listening(off.build().unwrap(), Config::default());
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let tls = ClientTls::from_config(Arc::new(client_config_of(versions)));
        for _ in 0..2 {
            assert!(!session(&mut world, address, &tls).0.resumed);
        }
    }
    let (mut world, address) = listening(server(), Config::default());
    let tls = trusting().resumption(false).build().unwrap();
    for _ in 0..2 {
        assert!(!session(&mut world, address, &tls).0.resumed);
    }
}

fn own_certificate(world: &mut World, id: ConnId) -> CertificateDer<'static> {
    world.event_loop.connections().peer_certificates(id).unwrap()[0].clone().into_owned()
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let of = |pem| CertificateDer::from_pem_slice(pem).unwrap();
    let both = ServerTls::builder()
        .certificate(cert!("server.pem"), cert!("server.key"))
        .certificate(cert!("other.pem"), cert!("other.key"));
    let (mut world, address) = listening(both.build().unwrap(), Config::default());
    for (name, expected) in [
        ("localhost", cert!("server.pem")),
        ("other.example", cert!("other.pem")),
        ("OTHER.example", cert!("other.pem")),
        ("a.wild.example", cert!("other.pem")),
        // Without a name, for an address is none, the first.
        ("127.0.0.1", cert!("server.pem")),
    ] {
        let tls = client().server_name(name).unwrap();
        let before = opened(&world).len();
        let id = connect(&mut world, address, &tls, Config::default());
        world.until(name, |world| opened(world).len() == before + 2);
        assert_eq!(own_certificate(&mut world, id), of(expected), "{name}");
    }
    // A name that none is for gets the first, and the client says what it thinks of that.
    let id = connect(&mut world, address, &client().server_name("third.example").unwrap(), Config::default());
    let Cause::Tls(TlsError::WrongHost { presented, .. }) = &world.closed(id).cause else { panic!() };
    assert!(presented.iter().any(|name| name.contains("localhost")), "{presented:?}");
}

#[test]
fn certificates_are_replaced_while_connections_stay() {
    let tls = server();
    let (mut world, address) = listening(tls.clone(), Config::default());
    let first = connect(&mut world, address, &client(), Config::default());
    world.until("open", |world| opened(world).len() == 2);
    std::thread::spawn(move || {
        tls.replace(&ServerTls::from_pem(cert!("other.pem"), cert!("other.key")).unwrap());
    })
    .join()
    .unwrap();
    let fresh = client().server_name("other.example").unwrap();
    let second = world.event_loop.connect_tls(address, request(address), &fresh, Config::default()).unwrap();
    world.until("open with the new one", |world| opened(world).len() == 4);
    assert_ne!(own_certificate(&mut world, first), own_certificate(&mut world, second));
    let _ = world.event_loop.connections().send(first, "still here").unwrap();
    world.until("the echo", |world| world.texts(first) == ["still here"]);
}
