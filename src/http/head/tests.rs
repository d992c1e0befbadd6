use super::*;
use crate::http::Limits;
use crate::http::error::ResponseError;

fn parse(input: &[u8], step: usize, limits: &Limits) -> Result<Option<RequestHead>, RequestError> {
    let mut parser = RequestParser::new();
    let mut end = 0;
    while end < input.len() {
        end = input.len().min(end + step);
        if let Some(head) = parser.parse(&input[..end], limits)? {
            return Ok(Some(*head));
        }
    }
    Ok(None)
}

/// Parses whole and in pieces, and requires the same outcome.
fn verdict(input: &str) -> Result<Option<RequestHead>, RequestError> {
    let limits = Limits { max_request_body: 10, ..Limits::default() };
    let whole = parse(input.as_bytes(), usize::MAX >> 1, &limits);
    for step in [1, 2, 3, 7, 8, 9] {
        let cut = parse(input.as_bytes(), step, &limits);
        let form = |head: RequestHead| format!("{head:?}");
        assert_eq!(cut.map(|head| head.map(form)), whole.map(|head| head.map(form)), "{input:?} in steps of {step}");
    }
    whole
}

fn fault(input: &str) -> RequestError {
    verdict(input).map(|_| ()).expect_err(input)
}

fn head(input: &str) -> RequestHead {
    verdict(input).expect(input).expect("complete")
}

#[test]
fn rfc9112_section_3_request_line() {
    let input = "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nrest";
    let parsed = head(input);
    assert_eq!(parsed.method(input.as_bytes()), b"GET");
    assert_eq!(parsed.target(input.as_bytes()), b"/a?b");
    assert_eq!(parsed.len as usize, input.len() - 4);
    for bad in [
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.12",
        "G(T / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "",
    ] {
        assert_eq!(fault(&format!("{bad}\r\nHost: x\r\n\r\n")), RequestError::RequestLine, "{bad:?}");
    }
    for version in ["0.9", "2.0", "9.9"] {
        assert_eq!(fault(&format!("GET / HTTP/{version}\r\n\r\n")), RequestError::Version);
    }
    assert_eq!(head("GET / HTTP/1.9\r\nHost: x\r\n\r\n").version, Version::Http11);
    assert_eq!(fault("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), RequestError::Method);
}

#[test]
fn rfc9112_section_3_2_target_forms() {
    for (target, authority, path) in [
        ("/", None, "/"),
        ("/a?b=http://c", None, "/a?b=http://c"),
        ("http://h:80/p?q", Some("h:80"), "/p?q"),
        ("WS://[::1]", Some("[::1]"), ""),
        ("http://h?q", Some("h"), "?q"),
    ] {
        let input = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let parsed = head(&input);
        assert_eq!(parsed.target_authority(input.as_bytes()), authority.map(str::as_bytes), "{target}");
        assert_eq!(&input[parsed.path_start as usize..parsed.target_end as usize], path);
    }
    for bad in ["a", "*", "ftp://h/", "http:/h", "/a#b", "/\u{fc}", "mailto:a@b"] {
        assert_eq!(fault(&format!("GET {bad} HTTP/1.1\r\nHost: x\r\n\r\n")), RequestError::Target, "{bad}");
    }
    assert_eq!(fault("GET http:///p HTTP/1.1\r\nHost: x\r\n\r\n"), RequestError::InvalidHost);
    assert_eq!(fault("GET http://u@h/p HTTP/1.1\r\nHost: x\r\n\r\n"), RequestError::InvalidHost);
    head("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
}

#[test]
fn rfc9112_section_3_2_host_exactly_once_and_valid() {
    assert_eq!(fault("GET / HTTP/1.1\r\n\r\n"), RequestError::MissingHost);
    assert_eq!(fault("GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n\r\n"), RequestError::DuplicateHost);
    assert_eq!(fault("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), RequestError::InvalidHost);
    assert_eq!(fault("GET / HTTP/1.1\r\nHost:\r\n\r\n"), RequestError::InvalidHost);
    head("GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn rfc9112_section_5_field_lines() {
    for (line, expected) in [
        ("A : b", RequestError::WhitespaceBeforeColon),
        ("A\t: b", RequestError::WhitespaceBeforeColon),
        (" A: b", RequestError::ObsFold),
        ("\tb", RequestError::ObsFold),
        ("A: b\r\n c", RequestError::ObsFold),
        (": b", RequestError::FieldName),
        ("A", RequestError::FieldName),
        ("A b: c", RequestError::FieldName),
        ("\u{fc}: c", RequestError::FieldName),
        ("A: b\nC: d", RequestError::BareLf),
        ("A: b\rC: d", RequestError::BareCr),
        ("A: b\r\r\nC: d", RequestError::BareCr),
        ("A: \0", RequestError::ControlByte(0)),
        ("A: \x1b", RequestError::ControlByte(0x1b)),
        ("A: \x7f", RequestError::ControlByte(0x7f)),
    ] {
        let input = format!("GET / HTTP/1.1\r\n{line}\r\nHost: x\r\n\r\n");
        assert_eq!(fault(&input), expected, "{line:?}");
    }
    let input = "GET / HTTP/1.1\r\nhOsT:\t x \t\r\nA:\r\nB: \u{fc} \t y\r\n\r\n";
    let parsed = head(input);
    assert_eq!(parsed.fields.first(input.as_bytes(), Known::Host), Some(&b"x"[..]));
    let fields: Vec<_> = parsed.fields.iter(input.as_bytes()).collect();
    assert_eq!(fields, [("hOsT", &b"x"[..]), ("A", b""), ("B", "\u{fc} \t y".as_bytes())]);
}

#[test]
fn rfc9112_section_6_3_length_and_coding() {
    let get = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    for (fields, expected) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", RequestError::ContentLength),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", RequestError::ContentLength),
        ("Content-Length: 5, 5\r\n", RequestError::ContentLength),
        ("Content-Length: +5\r\n", RequestError::ContentLength),
        ("Content-Length: -1\r\n", RequestError::ContentLength),
        ("Content-Length:\r\n", RequestError::ContentLength),
        ("Content-Length: 0x5\r\n", RequestError::ContentLength),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", RequestError::LengthAndCoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", RequestError::TransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", RequestError::TransferEncoding),
        ("Transfer-Encoding: chunked, gzip\r\n", RequestError::TransferEncoding),
        ("Transfer-Encoding: \r\n", RequestError::TransferEncoding),
        ("Transfer-Encoding: gzip\r\n", RequestError::UnknownCoding),
        ("Transfer-Encoding: gzip, chunked\r\n", RequestError::UnknownCoding),
        ("Transfer-Encoding: identity\r\n", RequestError::UnknownCoding),
        ("Content-Length: 11\r\n", RequestError::BodyTooLarge { limit: 10 }),
        ("Content-Length: 99999999999999999999999999\r\n", RequestError::BodyTooLarge { limit: 10 }),
        ("Content-Length: 1\r\nExpect: tea\r\n", RequestError::Expectation),
        ("Expect: tea\r\n", RequestError::Expectation),
        ("Upgrade: websocket\r\nContent-Length: 1\r\n", RequestError::BodyOnUpgrade),
        ("Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n", RequestError::BodyOnUpgrade),
        ("Origin: http://a\r\nOrigin: http://b\r\n", RequestError::DuplicateOrigin),
    ] {
        assert_eq!(fault(&get(fields)), expected, "{fields:?}");
    }
    assert_eq!(fault("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), RequestError::TransferEncoding);
    assert_eq!(head(&get("Content-Length: 010\r\n")).body, BodyLength::Length(10));
    assert_eq!(head(&get("Content-Length: 0\r\n")).body, BodyLength::None);
    assert_eq!(head(&get("Transfer-Encoding: Chunked\r\n")).body, BodyLength::Chunked);
    assert!(head(&get("Content-Length: 1\r\nExpect: 100-Continue\r\n")).expects_continue);
    assert!(!head(&get("Expect: 100-continue\r\n")).expects_continue);
}

#[test]
fn rfc9112_section_9_3_persistence() {
    let keeps =
        |version: &str, fields: &str| head(&format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n")).keep_alive;
    assert!(keeps("1.1", "") && !keeps("1.0", ""));
    assert!(!keeps("1.1", "Connection: x, CLOSE\r\n"));
    assert!(!keeps("1.1", "Connection: x\r\nA: b\r\nConnection: close\r\n"));
    assert!(keeps("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keeps("1.0", "Connection: Keep-Alive, close\r\n"));
}

#[test]
fn rfc9110_section_7_8_upgrade_in_lists_over_lines_and_not_in_http_1_0() {
    let upgrades =
        |version: &str, fields: &str| head(&format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n")).is_upgrade;
    assert!(upgrades("1.1", "Upgrade: h2c, WebSocket\r\n"));
    assert!(upgrades("1.1", "Upgrade: h2c\r\nX: y\r\nUPGRADE: ,websocket\r\n"));
    assert!(!upgrades("1.1", "Upgrade: websocket/13\r\n") && !upgrades("1.0", "Upgrade: websocket\r\n"));
}

#[test]
fn limits_hold_at_their_edges() {
    let limits = Limits { max_request_head: 100, max_request_target: 20, max_headers: 2, ..Limits::default() };
    let check = |input: &str| {
        let whole = parse(input.as_bytes(), usize::MAX >> 1, &limits).map(|head| head.is_some());
        assert_eq!(parse(input.as_bytes(), 1, &limits).map(|head| head.is_some()), whole);
        whole
    };
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(length - 1));
    assert_eq!(check(&target(20)), Ok(true));
    assert_eq!(check(&target(21)), Err(RequestError::TargetTooLong { limit: 20 }));
    assert_eq!(check(&"a".repeat(83)), Ok(false));
    assert_eq!(check(&"a".repeat(84)), Err(RequestError::TargetTooLong { limit: 20 }));
    let sized = |length: usize| format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(length - 26));
    assert_eq!(sized(100).len(), 100);
    assert_eq!(check(&sized(100)), Ok(true));
    assert_eq!(check(&sized(101)), Err(RequestError::HeadTooLarge { limit: 100 }));
    assert_eq!(check(&sized(99)[..99]), Ok(true));
    assert_eq!(check(&sized(200)[..99]), Ok(false));
    assert_eq!(check(&sized(200)[..100]), Err(RequestError::HeadTooLarge { limit: 100 }));
    assert_eq!(check("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n"), Ok(true));
    assert_eq!(check("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nB: c\r\n"), Err(RequestError::TooManyHeaders { limit: 2 }));
}

fn response(input: &str) -> Result<Option<ResponseHead>, ResponseError> {
    let limits = Limits { max_response_head: 200, ..Limits::default() };
    let run = |step: usize| {
        let mut parser = ResponseParser::new();
        let mut end = 0;
        while end < input.len() {
            end = input.len().min(end + step);
            if let Some(head) = parser.parse(&input.as_bytes()[..end], &limits)? {
                return Ok(Some(head));
            }
        }
        Ok(None)
    };
    let whole = run(usize::MAX >> 1);
    assert_eq!(format!("{whole:?}"), format!("{:?}", run(1)));
    whole
}

#[test]
fn rfc9112_section_4_status_line() {
    for (line, reason) in [("HTTP/1.1 404 Not Found", "Not Found"), ("HTTP/1.0 404 ", ""), ("HTTP/1.1 404", "")] {
        let input = format!("{line}\r\nA: b\r\n\r\nrest");
        let head = response(&input).unwrap().unwrap();
        assert_eq!((head.status, head.reason(input.as_bytes())), (404, reason.as_bytes()));
        assert_eq!(head.len as usize, input.len() - 4);
        assert_eq!(head.field_lines(input.as_bytes()), b"A: b\r\n");
    }
    for bad in [
        "HTTP/2.0 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000",
        "HTTP/1.1  200",
        "http/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/1.1 099 x",
        "",
    ] {
        assert_eq!(response(&format!("{bad}\r\n\r\n")).map(|_| ()), Err(ResponseError::StatusLine), "{bad}");
    }
    assert_eq!(response("HTTP/1.1 200 OK\r\nA : b\r\n\r\n").map(|_| ()), Err(ResponseError::Field));
    assert_eq!(response("HTTP/1.1 200 OK\nA: b\r\n\r\n").map(|_| ()), Err(ResponseError::ControlByte(b'\n')));
    assert_eq!(response(&"H".repeat(200)).map(|_| ()), Err(ResponseError::HeadTooLarge { limit: 200 }));
}
