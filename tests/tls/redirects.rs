//! Redirects to `wss://` and from there.

use std::time::Duration;

use wireroom::{
    Config, ConnectError, ConnectOptions,
    handshake::{ClientRequest, RedirectError},
};

use crate::{
    dial::{by, options, secure, serves, tunnels},
    servers::listener,
    support::World,
};

fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 4\r\n\r\nbody")
}

#[test]
fn a_redirect_to_wss_brings_tls_and_leaves_the_secrets_behind() {
    for (scheme, status) in [("wss", 301), ("https", 302), ("WSS", 307), ("HTTPS", 308)] {
        let (plain, first) = listener("127.0.0.1:0");
        let (secured, second) = listener("127.0.0.1:0");
        let mut world = World::new();
        world.echoes = false;
        let request = ClientRequest::new(&format!("ws://user:pass@{first}/a")).unwrap();
        let request = request.header("Cookie", "a=b").unwrap().header("X-Own", "1").unwrap();
        let id = world.event_loop.connect_to(request, options().max_redirects(1), Config::default()).unwrap();
        let mut server = world.accept(&plain);
        let head = world.head(&mut server);
        assert!(head.contains("\r\nAuthorization: ") && head.contains("\r\nCookie: a=b\r\n"), "{head}");
        server.send(to(status, &format!("{scheme}://localhost:{}/b?c#d", second.port())));
        let mut server = secure(world.accept(&secured));
        let head = serves(&mut world, &mut server, id);
        let start = format!("GET /b?c HTTP/1.1\r\nHost: localhost:{}\r\n", second.port());
        assert!(head.starts_with(&start) && head.contains("X-Own: 1\r\n"), "{head}");
        assert!(!head.contains("uthorization") && !head.contains("Cookie"), "{head}");
        assert_eq!(world.event_loop.connections().len(), 1);
    }
}

#[test]
fn over_tls_a_redirect_stays_there() {
    let (listener, address) = listener("127.0.0.1:0");
    let origin = format!("localhost:{}", address.port());
    let mut world = World::new();
    world.echoes = false;
    let id = world.connect_to(&format!("wss://{origin}/"), options().max_redirects(4));
    let steps =
        ["/relative".to_owned(), format!("https://{origin}/x"), format!("wss://{origin}/y"), "//".to_owned() + &origin];
    for location in &steps {
        let mut server = secure(world.accept(&listener));
        let _ = world.head(&mut server);
        server.send(to(302, location));
        // The next connection comes behind the end of this one.
        world.until("the end", |_| {
            server.receive();
            server.ended
        });
    }
    let mut server = secure(world.accept(&listener));
    let head = serves(&mut world, &mut server, id);
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
}

#[test]
fn a_redirect_from_wss_to_ws_is_refused() {
    let (plain, elsewhere) = listener("127.0.0.1:0");
    for location in [format!("ws://{elsewhere}/"), format!("http://{elsewhere}/"), "HTTP://localhost/".to_owned()] {
        let (listener, address) = listener("127.0.0.1:0");
        let mut world = World::new();
        let id = world.connect_to(&format!("wss://localhost:{}/", address.port()), options().max_redirects(5));
        let mut server = secure(world.accept(&listener));
        let _ = world.head(&mut server);
        server.send(to(302, &location));
        world.until("the end", |world| {
            server.receive();
            world.ends(id) > 0
        });
        assert_eq!(world.unreached(id), ConnectError::Redirect(RedirectError::Downgrade), "{location}");
        world.spend(Duration::from_millis(20));
        assert!(plain.accept().is_err(), "somebody went there");
    }
}

#[test]
fn a_redirect_to_wss_without_tls_in_the_options_is_told() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let id = world.connect_to(&format!("ws://{address}/"), ConnectOptions::new().max_redirects(1));
    let mut server = world.accept(&listener);
    let _ = world.head(&mut server);
    server.send(to(302, "wss://localhost/"));
    assert_eq!(world.unreached(id), ConnectError::NoTls);
}

#[test]
fn a_redirect_to_wss_goes_by_the_proxy_and_tls_begins_behind_it() {
    for scheme in ["http", "socks5"] {
        let (proxies, proxy) = listener("127.0.0.1:0");
        let mut world = World::new();
        world.echoes = false;
        let id = world.connect_to("ws://a.test/", by(scheme, proxy).max_redirects(1));
        let mut peer = world.accept(&proxies);
        tunnels(&mut world, scheme, &mut peer, "a.test", 80);
        let _ = world.head(&mut peer);
        peer.send(to(302, "wss://localhost/"));
        let mut peer = world.accept(&proxies);
        tunnels(&mut world, scheme, &mut peer, "localhost", 443);
        let mut peer = secure(peer);
        serves(&mut world, &mut peer, id);
    }
}
