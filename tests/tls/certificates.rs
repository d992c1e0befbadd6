//! Whom either side trusts, and what it says of those whom it does not.

use std::{cell::RefCell, rc::Rc};

use wireroom::{
    Cause, ClientCertificates, ClientTls, Config, ConnId, ListenOptions, ServerTls, ServerTlsBuilder, TlsConfigError,
    TlsError, TlsVersion,
    handshake::{ClientRequest, HandshakeError, Verdict},
    http::{Request, Response},
    rustls::pki_types::{CertificateDer, pem::PemObject},
};

use crate::{
    kit::{cert, client, connect, is_open, listening, opened, request, server, trusting},
    support::{World, loopback},
};

/// What a client and the server's end of its connection come to, when it is not opened.
fn fails(server: ServerTls, client: &ClientTls) -> (TlsError, TlsError) {
    let (mut world, address) = listening(server, Config::default());
    let id = connect(&mut world, address, client, Config::default());
    let here = tls(&mut world, id);
    world.until("the other end", |world| world.seen.iter().any(|(of, _)| *of != id));
    let other = world.seen.iter().find(|(of, _)| *of != id).unwrap().0;
    let there = tls(&mut world, other);
    world.empty();
    assert_eq!(world.event_loop.connections().stats().causes.tls, 2);
    (here, there)
}

fn tls(world: &mut World, id: ConnId) -> TlsError {
    match &world.closed(id).cause {
        Cause::Tls(error) => error.clone(),
        cause => panic!("{cause}"),
    }
}

fn of(chain: &[u8], key: &[u8]) -> ServerTls {
    ServerTls::from_pem(chain, key).unwrap()
}

#[test]
fn a_servers_certificate_is_looked_at() {
    for (server, expected, alert) in [
        (of(cert!("unknown.pem"), cert!("unknown.key")), TlsError::UnknownIssuer, 48),
        (of(cert!("expired.pem"), cert!("expired.key")), TlsError::Expired, 45),
        (of(cert!("future.pem"), cert!("future.key")), TlsError::NotYetValid, 45),
    ] {
        assert_eq!(fails(server, &client()), (expected, TlsError::Alert(alert)));
    }
    let (here, there) = fails(of(cert!("other.pem"), cert!("other.key")), &client());
    let TlsError::WrongHost { expected, presented } = &here else { panic!("{here}") };
    assert_eq!(expected, "localhost");
    assert!(presented.iter().any(|name| name.contains("other.example")), "{presented:?}");
    assert!(here.to_string().contains("localhost"), "{here}");
    assert_eq!(there, TlsError::Alert(42));
}

#[test]
fn the_name_is_the_urls_host_or_what_the_client_is_told() {
    let (mut world, address) = listening(server(), Config::default());
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let request = ClientRequest::new(&format!("wss://{host}:{}/", address.port())).unwrap();
        let id = world.event_loop.connect_tls(address, request, &client(), Config::default()).unwrap();
        world.until(host, |world| is_open(world, id));
    }
    // A name that the certificate is for, whatever the URL says.
    let request = || ClientRequest::new("wss://proxy.example/").unwrap();
    let id = world.event_loop.connect_tls(address, request(), &client(), Config::default()).unwrap();
    assert!(matches!(tls(&mut world, id), TlsError::WrongHost { .. }));
    for told in [trusting().server_name("localhost").build().unwrap(), client().server_name("localhost").unwrap()] {
        let id = world.event_loop.connect_tls(address, request(), &told, Config::default()).unwrap();
        world.until("the name that it was told", |world| is_open(world, id));
    }
    assert!(
        matches!(client().server_name("not a name"), Err(TlsConfigError::ServerName(name)) if name == "not a name")
    );
}

#[test]
fn the_platforms_roots_are_not_the_tests_authority() {
    match ClientTls::new() {
        // The machine's roots, if it has any, do not make us trust a stranger.
        Ok(platform) => assert_eq!(fails(server(), &platform).0, TlsError::UnknownIssuer),
        Err(TlsConfigError::NoRoots(_)) => {}
        Err(error) => panic!("{error}"),
    }
    let nobody = ClientTls::builder().no_platform_roots().build();
    assert!(matches!(nobody, Err(TlsConfigError::NoRoots(_))));
}

fn asking(clients: fn(Vec<u8>) -> ClientCertificates) -> ServerTlsBuilder {
    let roots = clients(cert!("client_ca.pem").to_vec());
    ServerTls::builder().certificate(cert!("server.pem"), cert!("server.key")).client_certificates(roots)
}

#[test]
fn a_clients_certificate_can_be_required_and_is_seen() {
    let known = || trusting().certificate(cert!("client.pem"), cert!("client.key")).build().unwrap();
    let stranger = || trusting().certificate(cert!("stranger.pem"), cert!("stranger.key")).build().unwrap();
    for minimum in [TlsVersion::Tls12, TlsVersion::Tls13] {
        for clients in [ClientCertificates::Required, ClientCertificates::Optional] {
            let (mut world, address) = listening(asking(clients).minimum(minimum).build().unwrap(), Config::default());
            let id = connect(&mut world, address, &known(), Config::default());
            world.until("open", |world| opened(world).len() == 2);
            let there = opened(&world).into_iter().find(|other| *other != id).unwrap();
            let shown = CertificateDer::from_pem_slice(cert!("client.pem")).unwrap();
            let connections = world.event_loop.connections();
            assert_eq!(connections.peer_certificates(there), Some(&[shown][..]));
            let servers = CertificateDer::from_pem_slice(cert!("server.pem")).unwrap();
            assert_eq!(connections.peer_certificates(id), Some(&[servers][..]));
        }
    }
    let (_, there) = fails(asking(ClientCertificates::Required).build().unwrap(), &client());
    assert_eq!(there, TlsError::NoClientCertificate);
    for clients in [ClientCertificates::Required, ClientCertificates::Optional] {
        let (here, there) = fails(asking(clients).build().unwrap(), &stranger());
        assert_eq!(there, TlsError::UnknownIssuer);
        assert_eq!(here, TlsError::Alert(48));
    }
    let (mut world, address) = listening(asking(ClientCertificates::Optional).build().unwrap(), Config::default());
    let id = connect(&mut world, address, &client(), Config::default());
    world.until("open without one", |world| opened(world).len() == 2);
    let there = opened(&world).into_iter().find(|other| *other != id).unwrap();
    assert_eq!(world.event_loop.connections().peer_certificates(there), None);
}

#[test]
fn who_verifies_a_request_can_look_at_the_certificate_by_deferring_the_answer() {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let waiting = asked.clone();
    let verify = move |id, _: &Request<'_>| {
        waiting.borrow_mut().push(id);
        Verdict::Defer
    };
    let mut world = World::new();
    let options = ListenOptions::new().tls(asking(ClientCertificates::Optional).build().unwrap());
    let address = world.event_loop.listen_with(loopback(), options, Config::default(), verify).unwrap();
    let known = trusting().certificate(cert!("client.pem"), cert!("client.key")).build().unwrap();
    for (tls, is_let_in) in [(known, true), (client(), false)] {
        let id = connect(&mut world, address, &tls, Config::default());
        world.until("the question", |_| !asked.borrow().is_empty());
        let there = asked.borrow_mut().pop().unwrap();
        let connections = world.event_loop.connections();
        let verdict = match connections.peer_certificates(there) {
            Some(_) => connections.deferred(there).unwrap().as_request().allow_any_origin(),
            None => Response::new(403).into(),
        };
        assert!(connections.answer(there, verdict));
        if is_let_in {
            world.until("open", |world| is_open(world, id));
        } else {
            assert!(
                matches!(&world.closed(id).cause, Cause::Handshake(HandshakeError::Refused(with)) if with.status() == 403)
            );
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_before_there_is_a_connection() {
    let (chain, key) = (cert!("server.pem"), cert!("server.key"));
    let refused = |chain: &[u8], key: &[u8]| ServerTls::from_pem(chain, key).unwrap_err();
    assert!(matches!(refused(chain, cert!("other.key")), TlsConfigError::KeyMismatch));
    assert!(matches!(refused(key, key), TlsConfigError::NoCertificate));
    assert!(matches!(refused(chain, chain), TlsConfigError::NoKey));
    assert!(matches!(refused(b"", key), TlsConfigError::NoCertificate));
    assert!(matches!(refused(&chain[..chain.len() / 2], key), TlsConfigError::Pem(_)));
    let spoilt = String::from_utf8(key.to_vec()).unwrap().replace("PRIVATE KEY-----\n", "PRIVATE KEY-----\n!!!!");
    let error = refused(chain, spoilt.as_bytes());
    assert!(matches!(error, TlsConfigError::Pem(_)), "{error}");
    let line = std::str::from_utf8(key).unwrap().lines().nth(1).unwrap();
    assert!(!format!("{error:?}{error}").contains(line), "the key is in the words");
    assert!(matches!(ServerTls::builder().build(), Err(TlsConfigError::NoCertificate)));
    let missing = ServerTls::from_pem_files("/nowhere/chain.pem", "/nowhere/key.pem").unwrap_err();
    assert!(missing.to_string().starts_with("/nowhere/chain.pem: "), "{missing}");
    let clients = ClientCertificates::Required(b"no PEM".to_vec());
    let builder = ServerTls::builder().certificate(chain, key).client_certificates(clients);
    assert!(matches!(builder.build(), Err(TlsConfigError::NoCertificate)));
    let client = trusting().certificate(chain, cert!("other.key")).build();
    assert!(matches!(client, Err(TlsConfigError::KeyMismatch)));
}

#[test]
fn a_ws_url_is_not_for_tls_and_a_wss_url_only_for_it() {
    let (mut world, address) = listening(server(), Config::default());
    let plain = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    let error = world.event_loop.connect_tls(address, plain, &client(), Config::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let error = world.event_loop.connect(address, request(address), Config::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(world.event_loop.connections().is_empty());
}
