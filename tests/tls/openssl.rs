//! Against the openssl command line, which is another implementation. Without it these tests say so, and pass.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use wireroom::{Cause, ClientCertificates, Config, ServerTls, TlsError, TlsVersion};

use crate::{
    kit::{cert, client, connect, is_open, listening, opened, server},
    support::{UPGRADE, World, frame},
};

/// A child process that does not outlive its test.
struct Openssl(Child);

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_here() -> bool {
    let here =
        Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !here {
        eprintln!("skipped: there is no openssl command here");
    }
    here
}

fn file(name: &str) -> String {
    format!("{}/tests/tls/certs/{name}", env!("CARGO_MANIFEST_DIR"))
}

impl Openssl {
    fn run(arguments: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(bytes.as_ref()).and_then(|()| stdin.flush()).unwrap();
    }

    /// What it says until it ends; it is told to when its input ends.
    fn said(mut self, world: &mut World) -> (Vec<u8>, String) {
        drop(self.0.stdin.take());
        world.until("the end of openssl", |_| self.0.try_wait().unwrap().is_some());
        let (mut out, mut errors) = (Vec::new(), String::new());
        self.0.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (out, errors)
    }
}

#[test]
fn s_client_opens_and_is_echoed_in_both_versions() {
    if !is_here() {
        return;
    }
    let (mut world, address) = listening(server(), Config::default());
    for (flag, version) in [("-tls1_2", TlsVersion::Tls12), ("-tls1_3", TlsVersion::Tls13)] {
        let (address, root) = (address.to_string(), file("ca.pem"));
        let arguments = ["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost", "-servername"];
        let mut openssl = Openssl::run(
            &[&arguments[..], &["localhost", "-alpn", "http/1.1", "-CAfile", &root, flag, "-connect", &address]]
                .concat(),
        );
        openssl.write([UPGRADE.as_bytes(), &frame(0x81, "by openssl")].concat());
        let before = opened(&world).len();
        world.until("open", |world| opened(world).len() > before);
        let id = *opened(&world).last().unwrap();
        assert_eq!(world.event_loop.connections().tls(id).unwrap().version, version);
        world.until("the text", |world| world.texts(id) == ["by openssl"]);
        openssl.write(frame(0x88, b"\x03\xe8"));
        assert!(matches!(world.closed(id).cause, Cause::Clean));
        let (out, errors) = openssl.said(&mut world);
        assert!(out.windows(12).any(|bytes| bytes == b"\x81\x0aby openssl"), "{errors}");
    }
}

#[test]
fn renegotiation_is_refused() {
    if !is_here() {
        return;
    }
    let (mut world, address) = listening(server(), Config::default());
    let mut openssl = Openssl::run(&["s_client", "-tls1_2", "-connect", &address.to_string()]);
    openssl.write("GET / HTTP/1.1\r\n");
    // It looks at the first letter of what it reads at once.
    world.until("the line", |world| world.event_loop.connections().stats().bytes_received >= 16);
    // A line that begins with R asks for it; openssl gives up at our warning, or goes on without.
    openssl.write("R\n");
    let cause = &world.next_closed().cause;
    assert!(!matches!(cause, Cause::Clean | Cause::Served), "{cause}");
    let (_, errors) = openssl.said(&mut world);
    assert!(errors.contains("RENEGOTIATING") || errors.contains("renegotiation"), "{errors}");
    world.empty();
}

#[test]
fn s_client_of_an_old_version_has_none_in_common() {
    if !is_here() {
        return;
    }
    let (mut world, address) = listening(server(), Config::default());
    for flag in ["-tls1", "-tls1_1"] {
        // Debian's policy keeps openssl from offering them.
        let openssl =
            Openssl::run(&["s_client", flag, "-cipher", "DEFAULT@SECLEVEL=0", "-connect", &address.to_string()]);
        assert!(matches!(world.next_closed().cause, Cause::Tls(TlsError::NoCommonVersion)), "{flag}: {:?}", world.seen);
        let (_, errors) = openssl.said(&mut world);
        assert!(errors.contains("alert"), "{errors}");
        world.seen.clear();
    }
}

#[test]
fn s_client_without_a_certificate_is_told_that_one_is_required() {
    if !is_here() {
        return;
    }
    let clients = ClientCertificates::Required(cert!("client_ca.pem").to_vec());
    let asking =
        ServerTls::builder().certificate(cert!("server.pem"), cert!("server.key")).client_certificates(clients);
    let (mut world, address) = listening(asking.build().unwrap(), Config::default());
    let address = address.to_string();
    let openssl = Openssl::run(&["s_client", "-quiet", "-connect", &address]);
    assert!(matches!(world.next_closed().cause, Cause::Tls(TlsError::NoClientCertificate)));
    let (_, errors) = openssl.said(&mut world);
    assert!(errors.contains("alert certificate required") || errors.contains("alert number 116"), "{errors}");
    world.seen.clear();
    let (chain, key) = (file("client.pem"), file("client.key"));
    let mut openssl = Openssl::run(&["s_client", "-quiet", "-connect", &address, "-cert", &chain, "-key", &key]);
    openssl.write(UPGRADE);
    world.until("open", |world| opened(world).len() == 1);
    let id = opened(&world)[0];
    assert_eq!(world.event_loop.connections().peer_certificates(id).map(<[_]>::len), Some(1));
}

/// On a port that was free a moment ago, and is still.
fn s_server(flag: &str) -> (Openssl, SocketAddr) {
    let (chain, key) = (file("server.pem"), file("server.key"));
    for _ in 0..50 {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let accept = address.to_string();
        let mut openssl = Openssl::run(&[
            "s_server", "-quiet", flag, "-accept", &accept, "-cert", &chain, "-key", &key, "-naccept", "1",
        ]);
        std::thread::sleep(Duration::from_millis(100));
        if openssl.0.try_wait().unwrap().is_none() {
            return (openssl, address);
        }
    }
    panic!("openssl finds no port");
}

#[test]
fn our_client_opens_on_s_server() {
    if !is_here() {
        return;
    }
    for flag in ["-tls1_2", "-tls1_3"] {
        let (mut openssl, address) = s_server(flag);
        let mut world = World::new();
        let mut id = connect(&mut world, address, &client(), Config::default());
        let mut asked = String::new();
        // It is not there at once.
        world.until("the request", |world| {
            if world.ends(id) > 0 {
                id = connect(world, address, &client(), Config::default());
            }
            world.turn();
            world.event_loop.connections().tls(id).is_some()
        });
        let out = openssl.0.stdout.as_mut().unwrap();
        while !asked.ends_with("\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(out.read(&mut byte).unwrap(), 1, "{asked}");
            asked.push(char::from(byte[0]));
            world.turn();
        }
        let key = asked.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = wireroom::handshake::accept_key(key);
        openssl.write(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ));
        world.until("open", |world| is_open(world, id));
        openssl.write(b"\x81\x03abc");
        world.until("the text", |world| world.texts(id) == ["abc"]);
    }
}
