//! wss: served, connected to, tapped and measured, and what is not trusted.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use wireroom::{
    ClientCertificates, Config, Event, EventLoop, Handle, ListenOptions, ServerTls,
    rustls::{
        self,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};

use super::support::{Echo, LIMIT, Program, answering, by_hand, fails, run, succeeds};

/// Of the tests of TLS.
pub(crate) fn certificate(name: &str) -> String {
    format!("{}/tests/tls/certs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// An echo with this certificate, and its URL.
pub(crate) fn serving(name: &str) -> (Program, String) {
    let (chain, key) = (certificate(&format!("{name}.pem")), certificate(&format!("{name}.key")));
    let (server, url) = Program::serving(&["serve", "0", "--tls-cert", &chain, "--tls-key", &key]);
    assert!(url.starts_with("wss://127.0.0.1:"), "{url}");
    (server, url + "/")
}

/// The server's end of TLS, that asks for a certificate and takes those of `client_ca.pem`, or none.
pub(crate) fn records() -> rustls::ServerConnection {
    let read = |name: &str| std::fs::read(certificate(name)).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&read("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&read("client_ca.pem")).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap());
    rustls::ServerConnection::new(Arc::new(config.with_single_cert(chain, key).unwrap())).unwrap()
}

/// As [`by_hand`], behind the TLS handshake and the head of a request.
pub(crate) fn by_hand_over_tls(
    mut serve: impl FnMut(&mut rustls::StreamOwned<rustls::ServerConnection, TcpStream>) + Send + 'static,
) -> SocketAddr {
    by_hand(move |socket| {
        let mut stream = rustls::StreamOwned::new(records(), socket);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            head.push(byte[0]);
        }
        serve(&mut stream);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}

#[test]
fn an_echo_over_tls() {
    let (mut server, url) = serving("server");
    let ca = certificate("ca.pem");
    assert_eq!(succeeds(&["connect", &url, "--ca", &ca, "--count", "2"], b"a\nb\n"), "a\nb\n");
    let localhost = url.replace("127.0.0.1", "localhost");
    assert_eq!(succeeds(&["connect", &localhost, "--ca", &ca, "--once", "-z"], b"hi\n"), "hi\n");
    let measured = succeeds(&["bench", &url, "--ca", &ca, "-c", "3", "-w", "0", "-d", "0.2", "--json"], b"");
    let measured: serde_json::Value = serde_json::from_str(&measured).unwrap();
    assert!(measured["answers"].as_u64().unwrap() > 0, "{measured}");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn over_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("skipped: no IPv6 here");
    }
    let (chain, key, ca) = (certificate("server.pem"), certificate("server.key"), certificate("ca.pem"));
    let (_server, url) = Program::serving(&["serve", "[::1]:0", "--tls-cert", &chain, "--tls-key", &key]);
    assert!(url.starts_with("wss://[::1]:"), "{url}");
    assert_eq!(succeeds(&["connect", &format!("{url}/"), "--ca", &ca, "--once"], b"hi\n"), "hi\n");
    let (_server, address) = Program::serving(&["serve", "[::1]:0"]);
    assert_eq!(succeeds(&["connect", &format!("ws://{address}/"), "--once"], b"hi\n"), "hi\n");
}

#[test]
fn a_unix_domain_socket_with_tls_and_with_a_mode() {
    let path = std::env::temp_dir().join(format!("wireroom-tls-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let (chain, key, ca) = (certificate("server.pem"), certificate("server.key"), certificate("ca.pem"));
    let at = format!("unix:{path}");
    let (server, address) = Program::serving(&["serve", &at, "--tls-cert", &chain, "--tls-key", &key]);
    assert_eq!(address, at);
    let arguments = ["connect", "wss://localhost/", "--unix", path, "--ca", &ca, "--once"];
    assert_eq!(succeeds(&arguments, b"hi\n"), "hi\n");
    server.signal("KILL");
    drop(server);
    // Its file is left, and replaced.
    let (mut server, _) = Program::serving(&["serve", &at, "--socket-mode", "0620"]);
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o620);
    assert_eq!(succeeds(&["connect", "ws://localhost/", "--unix", path, "--once"], b"hi\n"), "hi\n");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!std::path::Path::new(path).exists(), "the socket's file is removed");
    assert_eq!(fails(2, &["serve", "0", "--socket-mode", "0600"]), "--socket-mode is for unix:PATH");
    assert_eq!(run(&["serve", &at, "--socket-mode", "1777"], b"").status, 2);
}

#[test]
fn servers_that_are_not_trusted() {
    let ca = certificate("ca.pem");
    for (name, why) in [
        ("expired", "the server's certificate has expired"),
        ("future", "the server's certificate is not valid yet"),
        ("unknown", "the server's certificate is of an unknown issuer; name its issuer with --ca FILE if you trust it"),
        ("other", "the server's certificate is not for 127.0.0.1 but for other.example, *.wild.example"),
    ] {
        let (_server, url) = serving(name);
        for command in ["connect", "bench"] {
            assert_eq!(fails(9, &[command, &url, "--ca", &ca]), format!("{url}: {why}"));
        }
        let ended = run(&["connect", &url, "--insecure", "--once"], b"hi\n");
        assert_eq!((ended.status, ended.out.as_str()), (0, "hi\n"), "{ended:?}");
        assert!(ended.err.starts_with("wireroom: warning: --insecure"), "{ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn another_name_than_that_of_the_url() {
    let (_server, url) = serving("other");
    let ca = certificate("ca.pem");
    let with = |name: &str| run(&["connect", &url, "--ca", &ca, "--server-name", name, "--once"], b"hi\n");
    assert_eq!(with("other.example").out, "hi\n");
    assert_eq!(with("a.wild.example").out, "hi\n");
    assert_eq!(with("another.example").status, 9);
    assert_eq!(with("not a name").err, "wireroom: \"not a name\" is neither a DNS name nor an address\n");
}

#[test]
fn one_side_speaks_tls_and_the_other_does_not() {
    let ca = certificate("ca.pem");
    let echo = Echo::start();
    let url = echo.url.replace("ws:", "wss:");
    assert_eq!(
        fails(9, &["connect", &url, "--ca", &ca]),
        format!("{url} does not speak TLS; it may be a ws:// server")
    );
    let (_server, url) = serving("server");
    let plain = url.replace("wss:", "ws:");
    assert!(fails(4, &["connect", &plain]).starts_with("the server answered 400"));
    let at = by_hand(|mut stream| _ = stream.read(&mut [0; 1024]));
    let sentence = fails(3, &["connect", &format!("wss://{at}/"), "--ca", &ca]);
    assert_eq!(sentence, format!("wss://{at}/ hung up during the TLS handshake"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sentence = fails(3, &["connect", &format!("wss://{closed}/"), "--ca", &ca]);
    assert_eq!(sentence, format!("cannot connect to wss://{closed}/: connection refused"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", silent.local_addr().unwrap());
    let sentence = fails(7, &["connect", &url, "--ca", &ca, "--timeout", "0.3"]);
    assert_eq!(sentence, format!("no answer from {url} within 0.3 s"));
}

/// An echo that wants a certificate of the client.
pub(crate) fn requiring() -> (SocketAddr, Handle, JoinHandle<()>) {
    let clients = std::fs::read(certificate("client_ca.pem")).unwrap();
    let tls = ServerTls::builder()
        .certificate_files(certificate("server.pem"), certificate("server.key"))
        .client_certificates(ClientCertificates::Required(clients))
        .build()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let server = thread::spawn(move || {
        let mut event_loop = EventLoop::new().unwrap();
        let verify = |_id, request: &wireroom::http::Request<'_>| request.allow_any_origin();
        let any = ([127, 0, 0, 1], 0).into();
        let address = event_loop.listen_with(any, ListenOptions::new().tls(tls), Config::default(), verify).unwrap();
        tell.send((address, event_loop.handle())).unwrap();
        while !event_loop.is_shut_down() {
            let turned = event_loop.turn(None, |connections, id, event| {
                if let Event::Message(message) = event {
                    let _ = connections.send(id, message);
                }
            });
            turned.unwrap();
        }
    });
    let (address, handle) = told.recv_timeout(LIMIT).unwrap();
    (address, handle, server)
}

#[test]
fn a_certificate_of_the_client() {
    let (address, handle, server) = requiring();
    let (url, ca) = (format!("wss://{address}/"), certificate("ca.pem"));
    let with = |name: &str| {
        let (chain, key) = (certificate(&format!("{name}.pem")), certificate(&format!("{name}.key")));
        run(&["connect", &url, "--ca", &ca, "--cert", &chain, "--key", &key, "--once"], b"hi\n")
    };
    assert_eq!(with("client").out, "hi\n");
    let stranger = with("stranger");
    assert_eq!(stranger.status, 9, "{stranger:?}");
    assert!(stranger.err.contains("TLS: the peer's alert"), "{stranger:?}");
    assert!(fails(9, &["connect", &url, "--ca", &ca]).contains("certificate_required"));
    handle.shut_down(Duration::ZERO, Duration::from_millis(200));
    server.join().unwrap();
}

#[test]
fn files_and_options_that_are_wrong() {
    let (chain, key) = (certificate("client.pem"), certificate("client.key"));
    let with = |status, options: &[&str]| fails(status, &[&["connect", "wss://127.0.0.1:1/"], options].concat());
    assert!(with(1, &["--ca", "/nonexistent.pem"]).starts_with("--ca /nonexistent.pem: No such file"));
    assert_eq!(with(1, &["--ca", &key]), format!("--ca {key}: there is no certificate in PEM"));
    let swapped = with(1, &["--ca", &chain, "--cert", &chain, "--key", &chain]);
    assert_eq!(swapped, format!("--key {chain}: there is no private key in PEM"));
    let other = certificate("server.key");
    assert!(with(1, &["--ca", &chain, "--cert", &chain, "--key", &other]).starts_with(&format!("--cert {chain}: ")));
    for options in [&["--cert", &chain][..], &["--key", &key], &["--insecure", "--ca", &chain]] {
        let ended = run(&[&["connect", "wss://127.0.0.1:1/"], options].concat(), b"");
        assert_eq!(ended.status, 2, "{ended:?}");
    }
    let sentence = fails(1, &["serve", "0", "--tls-cert", "/nonexistent", "--tls-key", &key]);
    assert!(sentence.contains("/nonexistent: No such file"), "{sentence}");
    let sentence = fails(1, &["serve", "0", "--tls-cert", &chain, "--tls-key", &other]);
    assert!(sentence.contains("not that of the certificate"), "{sentence}");
    assert_eq!(run(&["serve", "0", "--tls-cert", &chain], b"").status, 2);
}

#[test]
fn a_system_without_roots() {
    let without = |arguments: &[&str]| {
        let none = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
        let ended = Program::start_with(arguments, &none).end();
        (ended.status, ended.err)
    };
    let told = "wireroom: the system has no root certificates to trust: --ca FILE names some\n".to_owned();
    for arguments in [&["connect", "wss://127.0.0.1:1/"][..], &["bench", "wss://h/"], &["tap", "0", "wss://127.0.0.1/"]]
    {
        assert_eq!(without(arguments), (1, told.clone()));
    }
    // A redirect to wss:// is where it is missed first.
    let at = answering(b"HTTP/1.1 302 Found\r\nLocation: wss://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    let (status, sentence) = without(&["connect", &format!("ws://{at}/"), "-L", "1"]);
    assert_eq!(status, 1, "{sentence}");
    assert!(sentence.contains("redirects to wss://, and the system has no root certificates"), "{sentence}");
}
