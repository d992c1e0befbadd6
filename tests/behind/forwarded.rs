//! `Forwarded` and `X-Forwarded-For`, by section of RFC 7239, as `verify` sees them.

use std::time::Instant;

use wireroom::{
    RecvBuffer,
    handshake::ServerHandshake,
    http::{ClientAddr, ClientNode, ForwardedHeader, Limits, Network, Response, Timeouts, TrustedProxies},
};

const PROXY: &str = "10.0.0.1:4000";

fn networks(of: &[&str]) -> Vec<Network> {
    of.iter().map(|network| network.parse().unwrap()).collect()
}

/// Asks for the client of a request with these header lines, from this peer.
fn ask<T>(peer: Option<&str>, lines: &str, proxies: &TrustedProxies, tell: impl Fn(&ClientAddr<'_>) -> T) -> T {
    let now = Instant::now();
    let mut handshake = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
    handshake.set_peer_addr(peer.map(|peer| peer.parse().unwrap()));
    let mut rx = RecvBuffer::new();
    rx.extend(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
    let mut told = None;
    let _ = handshake.poll(&mut rx, now, &mut |request| {
        told = Some(tell(&request.client_addr(proxies)));
        // A request that is kept says the same.
        assert_eq!(request.to_owned().as_request().client_addr(proxies), request.client_addr(proxies));
        Response::new(204).into()
    });
    told.unwrap_or_else(|| panic!("not served: {lines:?}"))
}

fn show(client: &ClientAddr<'_>) -> String {
    let node = match client.node() {
        ClientNode::Ip(ip) => ip.to_string(),
        ClientNode::Obfuscated(name) => name.to_string(),
        node => format!("{node:?}").to_lowercase(),
    };
    let port = client.port().map(|port| format!(" {port}")).unwrap_or_default();
    let proto = client.proto().map(|proto| format!(" {proto}")).unwrap_or_default();
    let host = client.host().map(|host| format!(" at {host}")).unwrap_or_default();
    format!("{node}{port}{proto}{host}")
}

/// What lines of `Forwarded` come to, where 10.0.0.0/8 is trusted and the peer is 10.0.0.1.
fn forwarded(values: &[&str]) -> String {
    let lines: String = values.iter().map(|value| format!("Forwarded: {value}\r\n")).collect();
    ask(Some(PROXY), &lines, &TrustedProxies::networks(ForwardedHeader::Forwarded, networks(&["10.0.0.0/8"])), show)
}

/// The same of `X-Forwarded-For`, and other lines.
fn x_forwarded(values: &[&str], others: &str) -> String {
    let lines: String = values.iter().map(|value| format!("X-Forwarded-For: {value}\r\n")).collect();
    let proxies = TrustedProxies::networks(ForwardedHeader::XForwardedFor, networks(&["10.0.0.0/8"]));
    ask(Some(PROXY), &(lines + others), &proxies, show)
}

#[test]
fn section_4_parameters_are_pairs_and_their_names_have_no_case() {
    assert_eq!(forwarded(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), "192.0.2.60 http");
    assert_eq!(forwarded(&["For=\"192.0.2.60\""]), "192.0.2.60");
    assert_eq!(forwarded(&["PROTO=https;FOR=192.0.2.60;secret=\"a, b;c\""]), "192.0.2.60 https");
    // The grammar lets pairs be empty, and we let blanks be there.
    assert_eq!(forwarded(&[";for=192.0.2.60;"]), "192.0.2.60");
    assert_eq!(forwarded(&["proto=http; for=192.0.2.60 ;"]), "192.0.2.60 http");
}

#[test]
fn section_4_malformed_elements_stop_the_walk() {
    for element in [
        "for",
        "for=",
        "=192.0.2.60",
        "for =192.0.2.60",
        "for= 192.0.2.60",
        "for=\"192.0.2.60",
        "for=192.0.2.60\"",
        "for=\"192.0.2.60\"x",
        "for=192.0.2.60 proto=http",
        "for=192.0.2.60;for=192.0.2.61",
        "for=192.0.2.60;FOR=192.0.2.60",
        "f(r=192.0.2.60",
        "for=\"\u{fc}\"",
        "for=\"192.0.2.60\\\"",
        "192.0.2.60",
    ] {
        assert_eq!(forwarded(&[element]), "malformed", "{element}");
        // What lies left of it was not reached.
        assert_eq!(forwarded(&["for=192.0.2.1", element]), "malformed", "{element}");
    }
}

#[test]
fn section_4_each_proxy_appends_an_element_or_a_line() {
    assert_eq!(forwarded(&["for=192.0.2.43, for=10.0.0.9"]), "192.0.2.43");
    assert_eq!(forwarded(&["for=192.0.2.43,for=\"10.0.0.9:80\"", "for=10.0.0.8"]), "192.0.2.43");
    assert_eq!(forwarded(&["for=192.0.2.43;proto=https,for=10.0.0.9;proto=http"]), "192.0.2.43 https");
    assert_eq!(forwarded(&["for=192.0.2.43, ,, for=10.0.0.9,", ""]), "192.0.2.43");
}

#[test]
fn section_4_quoted_strings_may_escape() {
    assert_eq!(forwarded(&["for=\"192.0.2.\\60\""]), "192.0.2.60");
    assert_eq!(forwarded(&["for=192.0.2.60;x=\"\\\", for=1.1.1.1\""]), "192.0.2.60");
    assert_eq!(forwarded(&["for=192.0.2.60;x=\"\\\\\""]), "192.0.2.60");
    assert_eq!(forwarded(&["for=192.0.2.60;x=\"1, \\\" 2\""]), "192.0.2.60");
    assert_eq!(forwarded(&["for=192.0.2.60;x=\"1, \\\\\\\", 2\""]), "192.0.2.60");
    assert_eq!(forwarded(&["for=192.0.2.60;x=\"\\\\\\\"\", for=10.0.0.2"]), "192.0.2.60");
}

#[test]
fn section_5_2_without_for_the_client_is_unknown() {
    assert_eq!(forwarded(&["proto=https;by=10.0.0.1"]), "unknown https");
    assert_eq!(forwarded(&["for=192.0.2.43, proto=https"]), "unknown https");
}

#[test]
fn sections_5_3_and_5_4_host_and_proto_are_those_of_the_element() {
    assert_eq!(forwarded(&["for=192.0.2.1;host=evil.example, for=192.0.2.2;host=\"a.example:8443\";proto=https"]), {
        "192.0.2.2 https at a.example:8443"
    });
    // Invalid, they are as if they were not there.
    assert_eq!(forwarded(&["for=192.0.2.2;host=\"a b\";proto=\"ht tp\""]), "192.0.2.2");
    assert_eq!(forwarded(&["for=192.0.2.2;host=a.example;host=b.example"]), "malformed");
}

#[test]
fn section_6_nodes() {
    for (value, shown) in [
        ("192.0.2.43", "192.0.2.43"),
        ("\"192.0.2.43:47011\"", "192.0.2.43 47011"),
        ("\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"),
        ("\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17 4711"),
        ("\"[::ffff:192.0.2.43]:1\"", "192.0.2.43 1"),
        ("unknown", "unknown"),
        ("UnKnown", "unknown"),
        ("\"unknown:_port\"", "unknown"),
        ("_hidden", "_hidden"),
        ("_SEVKISEK", "_SEVKISEK"),
        ("\"_gazonk.1-x:_e\"", "_gazonk.1-x"),
        ("\"192.0.2.43:_obf\"", "192.0.2.43"),
        ("\"192.0.2.43:0\"", "192.0.2.43 0"),
        ("\"192.0.2.43:00080\"", "192.0.2.43 80"),
    ] {
        assert_eq!(forwarded(&[&format!("for={value}")]), shown, "{value}");
    }
}

#[test]
fn section_6_what_is_no_node_is_malformed() {
    for value in [
        "\"\"",
        "\"2001:db8:cafe::17\"",
        "[2001:db8::1]",
        "192.0.2.43:80",
        "\"[192.0.2.43]\"",
        "\"[2001:db8::1\"",
        "\"[2001:db8::1]80\"",
        "\"[2001:db8::1]:\"",
        "\"[fe80::1%25eth0]\"",
        "192.0.2",
        "192.0.2.043",
        "192.0.2.256",
        "\"192.0.2.43:\"",
        "\"192.0.2.43:65536\"",
        "\"192.0.2.43:+80\"",
        "\"192.0.2.43:000080\"",
        "\"192.0.2.43:80:90\"",
        "_",
        "\"_a b\"",
        "\"_\u{fc}\"",
        "example.com",
        "hidden",
        "unknownx",
    ] {
        assert_eq!(forwarded(&[&format!("for={value}")]), "malformed", "{value}");
    }
}

#[test]
fn section_7_1_the_order_is_that_of_the_proxies() {
    // All are proxies of ours: the first of them asks for itself.
    assert_eq!(forwarded(&["for=10.0.0.3, for=10.0.0.2"]), "10.0.0.3");
    assert_eq!(forwarded(&[]), "10.0.0.1 4000");
    // Left of one that is not trusted, anything may stand.
    assert_eq!(forwarded(&["for=10.0.0.3, for=\"][, for=192.0.2.5, for=10.0.0.2"]), "192.0.2.5");
}

#[test]
fn section_8_1_whoever_is_not_trusted_is_the_client_whatever_it_says() {
    let proxies = TrustedProxies::networks(ForwardedHeader::Forwarded, networks(&["10.0.0.0/8"]));
    let lines = "Forwarded: for=10.0.0.1\r\nX-Forwarded-For: 10.0.0.1\r\n";
    assert_eq!(ask(Some("192.0.2.7:5"), lines, &proxies, show), "192.0.2.7 5");
    assert_eq!(ask(Some("192.0.2.7:5"), lines, &proxies, |client| client.proxies()), 0);
    assert_eq!(ask(Some("[::ffff:10.0.0.1]:5"), "Forwarded: for=192.0.2.8\r\n", &proxies, show), "192.0.2.8");
    // Nobody is trusted.
    let nobody = TrustedProxies::networks(ForwardedHeader::Forwarded, []);
    assert_eq!(ask(Some(PROXY), lines, &nobody, show), "10.0.0.1 4000");
    assert_eq!(ask(None, lines, &nobody, show), "unknown");
}

#[test]
fn section_8_1_a_client_cannot_reach_beyond_its_place() {
    // It leaves a quotation mark open, to swallow what the proxy appends; or closes one, or a backslash waits for the comma.
    for mine in ["for=\"10.0.0.2", "for=10.0.0.2;x=\"", "x=\"\\", "x=\\", "for=10.0.0.2\";x=\"", "\"", ",", ";"] {
        for proxys in ["for=192.0.2.66", "for=\"192.0.2.66\"", "for=\"192.0.2.66\";host=\"a.example\""] {
            let client = forwarded(&[&format!("{mine}, {proxys}")]);
            assert!(client.starts_with("192.0.2.66"), "{mine:?} and {proxys:?}: {client}");
        }
    }
}

#[test]
fn a_proxy_on_a_unix_domain_socket_is_trusted_by_name() {
    let lines = "Forwarded: for=192.0.2.9\r\n";
    let unix = TrustedProxies::networks(ForwardedHeader::Forwarded, [Network::UNIX]);
    assert_eq!(ask(None, lines, &unix, show), "192.0.2.9");
    assert_eq!(ask(None, "", &unix, show), "unknown");
    assert_eq!(ask(Some(PROXY), lines, &unix, show), "10.0.0.1 4000");
    let everyone = TrustedProxies::networks(ForwardedHeader::Forwarded, networks(&["0.0.0.0/0", "::/0"]));
    assert_eq!(ask(None, lines, &everyone, show), "unknown");
    // Further on nobody is on a socket of ours.
    assert_eq!(ask(None, "Forwarded: for=192.0.2.9, for=unknown\r\n", &unix, show), "unknown");
}

#[test]
fn hops_are_counted_from_the_peer_on() {
    let lines = "Forwarded: for=192.0.2.1, for=192.0.2.2, for=_hidden\r\n";
    let shown = ["10.0.0.1 4000", "_hidden", "192.0.2.2", "192.0.2.1", "192.0.2.1"];
    for (hops, shown) in shown.into_iter().enumerate() {
        let proxies = TrustedProxies::hops(ForwardedHeader::Forwarded, hops);
        assert_eq!(ask(Some(PROXY), lines, &proxies, show), shown, "{hops} hops");
        assert_eq!(ask(Some(PROXY), lines, &proxies, |client| client.proxies()), hops.min(3));
    }
    let two = TrustedProxies::hops(ForwardedHeader::Forwarded, 2);
    assert_eq!(ask(Some(PROXY), "Forwarded: for=192.0.2.1, for=x y\r\n", &two, show), "malformed");
}

#[test]
fn x_forwarded_for_is_a_list_of_addresses() {
    for (value, shown) in [
        ("192.0.2.43", "192.0.2.43"),
        ("192.0.2.43:47011", "192.0.2.43 47011"),
        ("2001:db8:cafe::17", "2001:db8:cafe::17"),
        ("[2001:db8:cafe::17]", "2001:db8:cafe::17"),
        ("[2001:db8:cafe::17]:4711", "2001:db8:cafe::17 4711"),
        ("::ffff:192.0.2.43", "192.0.2.43"),
        ("unknown", "unknown"),
        ("192.0.2.1, 192.0.2.2,10.0.0.4", "192.0.2.2"),
        ("192.0.2.1, 10.0.0.3, ", "192.0.2.1"),
        ("spoofed, 192.0.2.2", "192.0.2.2"),
        ("192.0.2.2, spoofed", "malformed"),
        ("\"192.0.2.43\"", "malformed"),
        ("\"a, 192.0.2.43", "192.0.2.43"),
        ("for=192.0.2.43", "malformed"),
        ("192.0.2.43 192.0.2.44", "malformed"),
        ("\u{fc}", "malformed"),
    ] {
        assert_eq!(x_forwarded(&[value], ""), shown, "{value}");
    }
    assert_eq!(x_forwarded(&["192.0.2.1", "192.0.2.2, 10.0.0.2", "10.0.0.3"], ""), "192.0.2.2");
}

#[test]
fn x_forwarded_proto_and_host_are_the_last_ones_and_only_a_proxys() {
    let others = "X-Forwarded-Proto: http, https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Host: a.example\r\n";
    assert_eq!(x_forwarded(&["192.0.2.1"], others), "192.0.2.1 https at a.example");
    let proxies = TrustedProxies::networks(ForwardedHeader::XForwardedFor, networks(&["10.0.0.0/8"]));
    let lines = format!("X-Forwarded-For: 10.0.0.7\r\n{others}");
    assert_eq!(ask(Some("192.0.2.7:5"), &lines, &proxies, show), "192.0.2.7 5");
}

#[test]
fn only_the_header_that_is_configured_is_believed() {
    assert_eq!(x_forwarded(&[], "Forwarded: for=192.0.2.1\r\n"), "10.0.0.1 4000");
    let forwarded = TrustedProxies::networks(ForwardedHeader::Forwarded, networks(&["10.0.0.0/8"]));
    assert_eq!(ask(Some(PROXY), "X-Forwarded-For: 192.0.2.1\r\n", &forwarded, show), "10.0.0.1 4000");
}
