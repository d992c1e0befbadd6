//! Proxies and redirects, each written by hand.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
};

use super::{
    secure::{by_hand_over_tls, certificate, serving},
    support::{Echo, Program, answering, by_hand, fails, read_head, run, succeeds},
};

/// A proxy that carries what goes through it, and tells what it was asked.
fn proxy() -> (SocketAddr, Receiver<String>) {
    let (tell, told) = mpsc::channel();
    let at = by_hand(move |mut client| {
        let head = read_head(&mut client);
        let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).expect("CONNECT").to_owned();
        tell.send(head).unwrap();
        let mut server = TcpStream::connect(to).unwrap();
        client.write_all(b"HTTP/1.1 200 Fine\r\n\r\n").unwrap();
        let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut into);
            let _ = into.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(Shutdown::Both);
        up.join().unwrap();
    });
    (at, told)
}

#[test]
fn by_a_proxy() {
    let (echo, ca) = (Echo::start(), certificate("ca.pem"));
    let (at, told) = proxy();
    let by = format!("http://user:pass@{at}");
    assert_eq!(succeeds(&["connect", &echo.url, "--proxy", &by, "--once"], b"hi\n"), "hi\n");
    let head = told.recv().unwrap();
    assert!(head.contains("roxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{head}");
    let (_server, url) = serving("server");
    assert_eq!(succeeds(&["connect", &url, "--ca", &ca, "--proxy", &by, "--once"], b"hi\n"), "hi\n");
    told.recv().unwrap();
    // The environment's, which is not asked unless that is said.
    let with = |options: &[&str], exceptions: &str| {
        let arguments = [&["connect", &echo.url, "--send", "hi", "--once"], options].concat();
        let proxy = at.to_string();
        let ended = Program::start_with(&arguments, &[("http_proxy", &proxy), ("no_proxy", exceptions)]).end();
        assert_eq!((ended.status, ended.out.as_str()), (0, "hi\n"), "{ended:?}");
        told.try_iter().count()
    };
    assert_eq!(with(&["--proxy-from-env"], ""), 1);
    assert_eq!(with(&["--proxy-from-env"], "127.0.0.0/8"), 0);
    assert_eq!(with(&[], ""), 0);
}

#[test]
fn proxies_that_do_not_lead_there() {
    let to = |status, at: SocketAddr| {
        let by = format!("http://user:secret@{at}");
        let sentence = fails(status, &["connect", "ws://h.example/", "--proxy", &by, "--timeout", "2"]);
        let start = format!("cannot connect to ws://h.example/ by the proxy http://{at}: ");
        sentence.strip_prefix(&start).unwrap_or_else(|| panic!("{sentence}")).to_owned()
    };
    let at = answering(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(to(11, at), "the proxy wants credentials, or others: 407 Who are you");
    let at = answering(b"HTTP/1.1 403 Not there\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(to(10, at), "the proxy refused: 403 Not there");
    assert!(to(10, answering(b"220 mail.example ESMTP\r\n\r\n")).starts_with("bad answer of the proxy: "));
    assert_eq!(to(10, answering(b"")), "the proxy closed the connection");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(to(3, closed), "connection refused");
}

#[test]
fn options_that_are_wrong() {
    let with = |options: &[&str]| run(&[&["connect", "ws://127.0.0.1:1/"], options].concat(), b"");
    let ended = with(&["--proxy", "https://u:secret@h"]);
    let sentence = "wireroom: --proxy: a proxy's URL begins with http://, socks5:// or socks5h://\n";
    assert_eq!((ended.status, ended.err.as_str()), (2, sentence));
    for options in [
        &["--proxy", "http://h", "--proxy-from-env"][..],
        &["--unix", "/x", "--proxy", "http://h"],
        &["--unix", "/x", "-L", "1"],
        &["--follow", "-1"],
    ] {
        assert_eq!(with(options).status, 2, "{options:?}");
    }
    let arguments = ["connect", "ws://h/", "--proxy-from-env"];
    let ended = Program::start_with(&arguments, &[("http_proxy", "ftp://u:secret@h")]).end();
    let sentence = ended.err;
    assert_eq!(ended.status, 2, "{sentence}");
    assert!(
        sentence.starts_with("wireroom: --proxy-from-env: http_proxy: ") && !sentence.contains("secret"),
        "{sentence}"
    );
}

/// Answers each request with a redirect to there.
fn redirecting(to: String) -> SocketAddr {
    by_hand(move |mut stream| {
        read_head(&mut stream);
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.read(&mut [0; 1]);
    })
}

#[test]
fn redirects_are_followed_as_far_as_is_said() {
    let echo = Echo::start();
    let second = redirecting(echo.url.clone());
    let first = format!("ws://{}/", redirecting(format!("http://{second}/")));
    assert_eq!(succeeds(&["connect", &first, "-L", "2", "--once"], b"hi\n"), "hi\n");
    assert_eq!(run(&["bench", &first, "--follow", "2", "-w", "0", "-d", "0.1"], b"").status, 0);
    assert_eq!(
        fails(4, &["connect", &first]),
        format!("the server redirects (302) to http://{second}/; --follow follows it")
    );
    let beyond = fails(4, &["connect", &first, "-L", "1"]);
    assert_eq!(beyond, format!("the server redirects again, to {}, beyond --follow 1", echo.url));
    let (_server, secure) = serving("server");
    let up = format!("ws://{}/", redirecting(secure.replace("wss", "https")));
    let ca = certificate("ca.pem");
    assert_eq!(succeeds(&["connect", &up, "-L", "1", "--ca", &ca, "--once"], b"hi\n"), "hi\n");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("ws://{}/", redirecting(format!("http://{closed}/")));
    let sentence = fails(3, &["connect", &nobody, "-L", "1"]);
    assert_eq!(sentence, format!("cannot connect to {nobody} (or where it redirects): connection refused"));
    let with_password = redirecting("ws://u:secret@h/".to_owned());
    let sentence = fails(4, &["connect", &format!("ws://{with_password}/")]);
    assert_eq!(sentence, "the server redirects (302) to ws://h/; --follow follows it");
    let sentence = fails(4, &["connect", &format!("ws://{with_password}/"), "-L", "1"]);
    assert!(sentence.starts_with("the server redirects, which is not followed: ") && !sentence.contains("secret"));
}

#[test]
fn secrets_stay_with_the_host_that_they_are_for() {
    let (tell, told) = mpsc::channel();
    let elsewhere = by_hand(move |mut stream| {
        tell.send(read_head(&mut stream)).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    });
    let first = redirecting(format!("http://{elsewhere}/"));
    let url = format!("ws://user:sesame@{first}/");
    for authorization in [&["-H", "Authorization: Bearer sesame"][..], &[]] {
        let options = ["connect", &url, "-L", "1", "-H", "Cookie: sesame=1", "-H", "Proxy-Authorization: sesame"];
        let sentence = fails(4, &[&options[..], authorization].concat());
        assert_eq!(sentence, "the server answered 404 No");
        let head = told.recv().unwrap();
        assert!(!head.contains("sesame") && !head.to_ascii_lowercase().contains("authorization"), "{head}");
    }
}

/// A certificate says who we are.
#[test]
fn the_certificate_of_a_client_stays_with_the_host_that_it_is_for() {
    let (tell, told) = mpsc::channel();
    let asks = by_hand_over_tls(move |stream| {
        let _ = tell.send(stream.conn.peer_certificates().is_some());
        let _ = stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    });
    let (ca, chain, key) = (certificate("ca.pem"), certificate("client.pem"), certificate("client.key"));
    for (to, shown) in [("127.0.0.1", true), ("localhost", false)] {
        let location = format!("https://{to}:{}/", asks.port());
        let first = by_hand_over_tls(move |stream| {
            assert!(stream.conn.peer_certificates().is_some(), "the URL's host asks for it");
            let _ = write!(stream, "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        });
        let url = format!("wss://{first}/");
        let options = ["connect", &url, "-L", "1", "--ca", &ca, "--cert", &chain, "--key", &key];
        assert_eq!(fails(4, &options), "the server answered 404 No");
        assert_eq!(told.recv().unwrap(), shown, "{to}");
    }
}

#[test]
fn a_redirect_out_of_tls_is_refused() {
    let (echo, ca) = (Echo::start(), certificate("ca.pem"));
    for to in [echo.url.clone(), echo.url.replace("ws:", "http:")] {
        let first = by_hand_over_tls(move |stream| {
            let _ = write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        });
        let sentence = fails(4, &["connect", &format!("wss://{first}/"), "-L", "5", "--ca", &ca]);
        assert!(sentence.ends_with("it leads from wss:// to a URL without TLS"), "{sentence}");
    }
}
