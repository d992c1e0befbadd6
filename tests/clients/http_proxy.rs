//! HTTP proxies by hand.

use std::{
    net::Shutdown,
    time::{Duration, Instant},
};

use wireroom::{
    Cause, ConnectError, ConnectOptions,
    handshake::HandshakeError,
    http::ResponseError,
    proxy::{Proxy, ProxyError, ProxyRules},
};

use crate::{
    servers::{listener, nobody, upgrade},
    support::World,
};

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn by(url: &str) -> ConnectOptions {
    // Whoever is asked for the server's address is the proxy.
    ConnectOptions::new().proxy(Proxy::from_url(url).unwrap()).resolver(|host, _| panic!("{host} was looked up"))
}

#[test]
fn a_tunnel_is_asked_for_by_name_and_what_comes_early_belongs_to_it() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    world.echoes = false;
    let id = world.connect_to("ws://chat.test:8080/x", by(&format!("http://user:p%40ss@{address}")));
    let mut proxy = world.accept(&listener);
    let head = world.head(&mut proxy);
    assert_eq!(
        head,
        "CONNECT chat.test:8080 HTTP/1.1\r\nHost: chat.test:8080\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n"
    );
    proxy.send(ESTABLISHED);
    let head = world.head(&mut proxy);
    assert!(head.starts_with("GET /x HTTP/1.1\r\nHost: chat.test:8080\r\n"), "{head}");
    assert!(!head.contains("Proxy-"), "{head}");
    proxy.send([upgrade(&head).as_bytes(), b"\x81\x05hello"].concat());
    world.until("hello", |world| world.texts(id) == ["hello"]);

    // A server that speaks before it was asked: its refusal comes in one packet with the proxy's answer.
    let id = world.connect_to("ws://chat.test/", by(&format!("http://{address}")));
    let mut proxy = world.accept(&listener);
    let _ = world.head(&mut proxy);
    proxy.send(format!("{ESTABLISHED}HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"));
    match &world.closed(id).cause {
        Cause::Handshake(HandshakeError::Refused(refusal)) => assert_eq!(refusal.body(), b"no"),
        other => panic!("{other}"),
    }
}

#[test]
fn an_answer_in_single_bytes() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let id = world.connect_to("ws://chat.test/", by(&format!("http://{address}")));
    let mut proxy = world.accept(&listener);
    let _ = world.head(&mut proxy);
    for byte in "HTTP/1.0 103 Wait\r\n\r\nHTTP/1.0 200 OK\r\nVia: x\r\n\r\n".replacen("1.0", "1.1", 1).bytes() {
        proxy.send([byte]);
        world.spend(Duration::from_millis(1));
    }
    let head = world.head(&mut proxy);
    for byte in upgrade(&head).bytes() {
        proxy.send([byte]);
        world.turn();
    }
    world.until("open", |world| world.is_open(id));
}

#[test]
fn refusals_garbage_and_ends_are_told_apart() {
    let refused = |status, reason: &str| ProxyError::Refused { status, reason: reason.to_owned() };
    let long = format!("HTTP/1.1 200 ok\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    for (answer, expected) in [
        (
            "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n",
            ProxyError::AuthenticationRequired { reason: "Who are you".to_owned() },
        ),
        ("HTTP/1.1 403 Not there\r\n\r\n", refused(403, "Not there")),
        ("HTTP/1.1 502\r\n\r\n", refused(502, "")),
        ("HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n", refused(301, "Moved")),
        ("SSH-2.0-OpenSSH\r\n", ResponseError::StatusLine.into()),
        ("\0\0\0\0\0\0\0\0\r\n\r\n", ResponseError::ControlByte(0).into()),
        (&long, ResponseError::HeadTooLarge { limit: 16_384 }.into()),
        ("", ProxyError::Eof),
        ("HTTP/1.1 200 o", ProxyError::Eof),
    ] {
        let (listener, address) = listener("127.0.0.1:0");
        let mut world = World::new();
        let id = world.connect_to("ws://chat.test/", by(&format!("http://mallory:sesame@{address}")));
        let mut proxy = world.accept(&listener);
        let _ = world.head(&mut proxy);
        proxy.send(answer);
        proxy.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(world.unreached(id), ConnectError::Proxy(expected), "{answer:.40}");
        let closed = world.closed(id);
        let told = format!("{closed} {closed:?}");
        assert!(!told.contains("sesame") && !told.contains("mallory"), "{told}");
        world.empty();
        assert!(world.rests());
    }
}

#[test]
fn a_proxy_that_resets_the_connection_is_told_as_such_and_a_server_behind_one_too() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    for is_up in [false, true] {
        let id = world.connect_to("ws://chat.test/", by(&format!("http://{address}")));
        let mut proxy = world.accept(&listener);
        let _ = world.head(&mut proxy);
        if is_up {
            proxy.send(ESTABLISHED);
            let _ = world.head(&mut proxy);
        }
        socket2::SockRef::from(&proxy.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(proxy);
        let reset = std::io::ErrorKind::ConnectionReset;
        match &world.closed(id).cause {
            Cause::Io(error) if is_up => assert_eq!(*error, reset),
            Cause::Connect(error) if !is_up => assert_eq!(**error, ConnectError::Proxy(ProxyError::Io(reset))),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_proxy_that_hangs_has_the_time_of_the_opening_handshake_and_no_more() {
    for answer in ["", "HTTP/1.1 200 O", ESTABLISHED] {
        let (listener, address) = listener("127.0.0.1:0");
        let mut world = World::new();
        let start = Instant::now();
        let id = world.connect_within("ws://chat.test/", by(&format!("http://{address}")), 300);
        let mut proxy = world.accept(&listener);
        let _ = world.head(&mut proxy);
        proxy.send(answer);
        assert!(matches!(world.closed(id).cause, Cause::Handshake(HandshakeError::Timeout)), "{answer}");
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_millis(300) && elapsed < Duration::from_secs(2), "{elapsed:?}");
        world.empty();
    }
}

#[test]
fn a_proxy_that_is_not_there_is_told_as_such() {
    let address = nobody("127.0.0.1:0");
    let mut world = World::new();
    let id = world.connect_to("ws://chat.test/", by(&format!("http://{address}")));
    match world.unreached(id) {
        ConnectError::Unreachable { attempts } => assert_eq!(attempts[0].address, address),
        other => panic!("{other}"),
    }
}

#[test]
fn a_proxy_has_a_name_which_is_looked_up_and_the_servers_is_where_that_is_asked_for() {
    let (listener, address) = listener("127.0.0.1:0");
    let resolver = move |host: &str, port: u16| match host {
        "proxy.test" => Ok(vec![address]),
        "chat.test" => Ok(vec![([10, 1, 2, 3], port).into()]),
        other => panic!("{other}"),
    };
    for (here, target) in [(false, "chat.test:81"), (true, "10.1.2.3:81")] {
        let proxy = Proxy::from_url(&format!("http://proxy.test:{}", address.port())).unwrap().resolve_here(here);
        let mut world = World::new();
        let id = world.connect_to("ws://chat.test:81/", ConnectOptions::new().proxy(proxy).resolver(resolver));
        let mut proxy = world.accept(&listener);
        let head = world.head(&mut proxy);
        assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{head}");
        proxy.send(ESTABLISHED);
        let head = world.serves(&mut proxy, id);
        assert!(head.contains("Host: chat.test:81\r\n"), "{head}");
    }
}

#[test]
fn rules_choose_the_proxy() {
    let (proxies, proxy) = listener("127.0.0.1:0");
    let (servers, server) = listener("127.0.0.1:0");
    let rules = ProxyRules::from_variables(|name| match name {
        "http_proxy" => Some(proxy.to_string()),
        "no_proxy" => Some(server.to_string()),
        _ => None,
    });
    let options = ConnectOptions::new().proxy_rules(rules.unwrap());
    let mut world = World::new();
    let direct = world.connect_to(&format!("ws://{server}/"), options.clone());
    let mut peer = world.accept(&servers);
    world.serves(&mut peer, direct);
    let _ = world.connect_to("ws://chat.test/", options);
    let mut peer = world.accept(&proxies);
    assert!(world.head(&mut peer).starts_with("CONNECT chat.test:80 "));
}

#[cfg(target_os = "linux")]
#[test]
fn a_variable_that_is_no_text_is_told_and_not_taken_for_unset() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, process::Command};
    const NAME: &str = "http_proxy::a_variable_that_is_no_text_is_told_and_not_taken_for_unset";
    if crate::support::is_alone() {
        let error = ProxyRules::from_env().unwrap_err();
        assert_eq!(error.to_string(), "all_proxy: invalid user information in a proxy's URL");
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", NAME]).env("WIREROOM_ALONE", "1");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"] {
        child.env_remove(name);
    }
    let output = child.env("all_proxy", OsStr::from_bytes(b"socks5://me:p\xff@127.0.0.1:1")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
