//! The port: every path, method and header.

use crate::support::{Server, header, request, upgrade};

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Every answer, whatever it is.
fn is_secured(head: &str) {
    assert_eq!(header(head, "Content-Security-Policy"), Some(CONTENT_SECURITY_POLICY), "{head}");
    assert_eq!(header(head, "X-Content-Type-Options"), Some("nosniff"), "{head}");
    assert_eq!(header(head, "Referrer-Policy"), Some("no-referrer"), "{head}");
}

#[test]
fn each_file_of_the_page() {
    let server = Server::start(&[]);
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    let files = include_str!("../../page/FILES");
    assert!(files.lines().count() > 4);
    for line in files.lines() {
        let fields: Vec<&str> = line.splitn(3, ' ').collect();
        let [path, file, content_type] = fields[..] else { panic!("{line}") };
        let (status, head, body) = request(server.address, "GET", path, "");
        is_secured(&head);
        assert_eq!((status, header(&head, "Content-Type")), (200, Some(content_type)), "{path}");
        assert_eq!(header(&head, "Cache-Control"), Some("no-cache"), "{path}");
        assert_eq!(body, std::fs::read_to_string(page.join(file)).unwrap(), "{path}");
        let etag = header(&head, "ETag").unwrap();

        let (status, head_only, body) = request(server.address, "HEAD", path, "");
        assert_eq!((status, head_only.as_str(), body.as_str()), (200, head.as_str(), ""), "{path}");

        for tags in [etag.to_owned(), format!("\"other\", W/{etag}"), "*".to_owned()] {
            let (status, head, body) = request(server.address, "GET", path, &format!("If-None-Match: {tags}\r\n"));
            is_secured(&head);
            assert_eq!((status, header(&head, "ETag"), body.as_str()), (304, Some(etag), ""), "{path}");
            assert_eq!(header(&head, "Cache-Control"), Some("no-cache"), "{path}");
        }
        let (status, _, _) = request(server.address, "GET", path, "If-None-Match: \"other\"\r\n");
        assert_eq!(status, 200, "{path}");
    }
}

#[test]
fn tags_tell_contents_apart() {
    let server = Server::start(&[]);
    let tag = |path| header(&request(server.address, "GET", path, "").1, "ETag").unwrap().to_owned();
    assert_ne!(tag("/"), tag("/style.css"));
    assert_eq!(tag("/"), tag("/?from=elsewhere"));
}

#[test]
fn the_health_check() {
    let server = Server::start(&[]);
    let (status, head, body) = request(server.address, "GET", "/healthz", "");
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    is_secured(&head);
    let (status, _, body) = request(server.address, "HEAD", "/healthz", "");
    assert_eq!((status, body.as_str()), (200, ""));
}

#[test]
fn what_is_refused() {
    let server = Server::start(&[]);
    let address = server.address;
    for (method, path, status, allow) in [
        ("GET", "/nothing", 404, None),
        ("GET", "/..%2fsrc/main.rs", 404, None),
        ("GET", "/index.html", 404, None),
        ("POST", "/nothing", 404, None),
        ("POST", "/", 405, Some("GET, HEAD")),
        ("DELETE", "/style.css", 405, Some("GET, HEAD")),
        ("PUT", "/healthz", 405, Some("GET, HEAD")),
        ("POST", "/ws", 405, Some("GET")),
        ("OPTIONS", "/live/ws", 405, Some("GET")),
        ("GET", "/ws", 426, None),
        ("GET", "/ws?wire", 426, None),
        ("HEAD", "/wire", 426, None),
        ("GET", "/live/ws", 426, None),
    ] {
        let (found, head, _) = request(address, method, path, "");
        assert_eq!((found, header(&head, "Allow")), (status, allow), "{method} {path}");
        is_secured(&head);
        if status == 426 {
            assert_eq!(header(&head, "Upgrade"), Some("websocket"));
        }
    }
}

#[test]
fn upgrades_and_their_origins() {
    let server = Server::start(&["--allow-origin", "https://chat.example"]);
    let address = server.address;
    let own = format!("Origin: http://{address}\r\n");
    let localhost = format!("Origin: http://localhost:{}\r\n", address.port());
    for path in ["/", "/live", "/healthz", "/nothing", "/ws/", "/live/ws/x"] {
        let (status, head, _) = upgrade(address, path, &own);
        assert_eq!(status, 404, "{path}");
        is_secured(&head);
    }
    for origin in ["", "Origin: null\r\n", "Origin: https://evil.example\r\n", "Origin: http://127.0.0.1\r\n"] {
        for path in ["/ws", "/ws?wire", "/wire", "/live/ws"] {
            let (status, head, _) = upgrade(address, path, origin);
            assert_eq!(status, 403, "{path} {origin}");
            is_secured(&head);
        }
    }
    for origin in [&own, &localhost, "Origin: https://chat.example\r\n"] {
        let head = opened(address, origin);
        assert!(head.starts_with("HTTP/1.1 101 "), "{origin}: {head}");
    }
}

/// The head of an answer after which the connection goes on.
fn opened(address: std::net::SocketAddr, origin: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{origin}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = [0; 1024];
    let n = stream.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

#[test]
fn a_full_server_says_when_to_come_back() {
    let server = Server::start(&["--max-connections", "2"]);
    let own = format!("Origin: http://{}\r\n", server.address);
    let (ann, _viewer) = (server.person("Ann"), server.connect("/wire"));
    let (status, head, _) = upgrade(server.address, "/ws", &own);
    assert_eq!((status, header(&head, "Retry-After")), (503, Some("5")));
    is_secured(&head);
    // Pages and the health check are served all the same, and a place that becomes free is free.
    assert_eq!(request(server.address, "GET", "/healthz", "").0, 200);
    drop(ann);
    let start = std::time::Instant::now();
    while !opened(server.address, &own).starts_with("HTTP/1.1 101 ") {
        assert!(start.elapsed() < crate::support::PATIENCE);
    }
}
