//! Redirects: followed when asked for, so many, and without what is for others.

use std::time::{Duration, Instant};

use wireroom::{
    Cause, Config, ConnectError, ConnectOptions,
    handshake::{ClientRequest, HandshakeError, RedirectError},
    proxy::Proxy,
};

use crate::{
    servers::{config, listener},
    support::World,
};

fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 4\r\n\r\nbody")
}

#[test]
fn by_default_a_redirect_is_told_and_not_followed() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let id = world.connect_to(&format!("ws://{address}/"), ConnectOptions::new());
    let mut server = world.accept(&listener);
    let _ = world.head(&mut server);
    server.send(to(302, "/there"));
    let closed = world.closed(id);
    let Cause::Handshake(HandshakeError::Redirect { status: 302, location }) = &closed.cause else {
        panic!("{closed}")
    };
    assert_eq!(location, "/there");
}

#[test]
fn a_chain_is_followed_under_the_same_id_and_secrets_stay_behind() {
    let (first, a) = listener("127.0.0.1:0");
    let (second, b) = listener("127.0.0.1:0");
    let mut world = World::new();
    let request = ClientRequest::new(&format!("ws://user:pass@{a}/x/y?z")).unwrap();
    let request = request.header("Cookie", "a=b").unwrap().header("X-Own", "1").unwrap();
    let request = request.subprotocols(&["chat"]).unwrap();
    let options = ConnectOptions::new().max_redirects(5);
    let id = world.event_loop.connect_to(request, options, Config::default()).unwrap();
    let private = |head: &str| head.contains("\r\nAuthorization: ") && head.contains("\r\nCookie: a=b\r\n");
    for (status, location, target) in
        [(301, "../up", "/x/y?z"), (302, "/root?q", "/up"), (303, &*format!("http://{a}#f"), "/root?q")]
    {
        let mut server = world.accept(&first);
        let head = world.head(&mut server);
        assert!(head.starts_with(&format!("GET {target} HTTP/1.1\r\n")) && private(&head), "{head}");
        server.send(to(status, location));
        world.end_of_stream(&mut server);
    }
    let mut server = world.accept(&first);
    let head = world.head(&mut server);
    assert!(head.starts_with("GET / HTTP/1.1\r\n") && private(&head), "{head}");
    server.send(to(307, &format!("ws://{b}/other")));
    let mut server = world.accept(&second);
    let head = world.head(&mut server);
    let is_bare = !head.contains("uthorization") && !head.contains("Cookie") && !head.contains("a=b");
    assert!(head.starts_with(&format!("GET /other HTTP/1.1\r\nHost: {b}\r\n")) && is_bare, "{head}");
    assert!(head.contains("X-Own: 1\r\n") && head.contains("Sec-WebSocket-Protocol: chat\r\n"), "{head}");
    server.send(to(308, &format!("//{a}/back")));
    let mut server = world.accept(&first);
    let head = world.serves(&mut server, id);
    assert!(!head.contains("uthorization"), "gone is gone: {head}");
    assert_eq!(world.event_loop.connections().len(), 1);
}

#[test]
fn a_loop_ends_by_the_limit() {
    for limit in [1, 2] {
        let (listener, address) = listener("127.0.0.1:0");
        let mut world = World::new();
        let id = world.connect_to(&format!("ws://{address}/"), ConnectOptions::new().max_redirects(limit));
        for _ in 0..=limit {
            let mut server = world.accept(&listener);
            let _ = world.head(&mut server);
            server.send(to(302, "/again"));
        }
        assert_eq!(world.unreached(id), ConnectError::TooManyRedirects { limit, location: "/again".into() });
        assert!(listener.accept().is_err(), "nobody comes any more");
        world.empty();
    }
}

#[test]
fn where_a_redirect_may_not_lead() {
    let (listener, address) = listener("127.0.0.1:0");
    for (location, expected) in [
        ("ftp://x/", ConnectError::Redirect(RedirectError::Scheme)),
        ("http://user@x/", ConnectError::Redirect(RedirectError::Userinfo)),
        ("https://x/", ConnectError::NoTls),
    ] {
        let mut world = World::new();
        let id = world.connect_to(&format!("ws://{address}/"), ConnectOptions::new().max_redirects(1));
        let mut server = world.accept(&listener);
        let _ = world.head(&mut server);
        server.send(to(302, location));
        assert_eq!(world.unreached(id), expected, "{location}");
    }
}

#[test]
fn one_time_spans_all_redirects() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    let start = Instant::now();
    let options = ConnectOptions::new().max_redirects(1_000);
    let id = world.event_loop.connect_to(request, options, config(400)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut servers = Vec::new();
    while world.ends(id) == 0 && start.elapsed() < Duration::from_secs(3) {
        if let Ok((stream, _)) = listener.accept() {
            let mut server = crate::support::Peer::new(stream);
            world.spend(Duration::from_millis(30));
            server.send(to(302, "/again"));
            servers.push(server);
        }
        world.turn();
    }
    assert!(matches!(world.closed(id).cause, Cause::Handshake(HandshakeError::Timeout)));
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(400) && elapsed < Duration::from_millis(1_500), "{elapsed:?}");
    assert!(servers.len() > 3, "{}", servers.len());
}

#[test]
fn a_redirect_goes_by_the_proxy_too() {
    let (listener, address) = listener("127.0.0.1:0");
    let proxy = Proxy::from_url(&format!("http://user:pass@{address}")).unwrap();
    let mut world = World::new();
    let id = world.connect_to("ws://a.test/", ConnectOptions::new().proxy(proxy).max_redirects(1));
    for (target, redirects) in [("a.test:80", true), ("b.test:81", false)] {
        let mut proxy = world.accept(&listener);
        let head = world.head(&mut proxy);
        assert!(
            head.starts_with(&format!("CONNECT {target} ")) && head.contains("\r\nProxy-Authorization: "),
            "{head}"
        );
        proxy.send("HTTP/1.1 200 OK\r\n\r\n");
        if redirects {
            let _ = world.head(&mut proxy);
            proxy.send(to(302, "ws://b.test:81/"));
        } else {
            world.serves(&mut proxy, id);
        }
    }
}
