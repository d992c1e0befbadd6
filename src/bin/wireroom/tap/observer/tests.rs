use super::*;

/// What is seen of these bytes of a server, in pieces of this length.
fn seen(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut observer = Observer::new(From::Server, 8);
    let mut handshake = Handshake { asked: true, ..Handshake::default() };
    let mut seen = Vec::new();
    for piece in bytes.chunks(piece) {
        observer.see(piece, &mut handshake, &mut |what| seen.push(format!("{what:?}")));
    }
    observer.end(&mut |what| seen.push(format!("{what:?}")));
    // How much of a payload has passed when it is shown is a matter of the pieces.
    seen.iter().map(|seen| seen.split(", passed").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn any_cut_is_seen_alike() {
    let mut bytes =
        b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n".to_vec();
    for frame in [
        &b"\x81\x05hello"[..],
        b"\x01\x02a\xc3\x89\x04ping\x80\x01\xbc",
        b"\xc1\x03abc",
        b"\x41\x01a\x80\x01b",
        b"\x83\x02zz",
        b"\x82\x7e\0\x01x",
        b"\x82\x7f\0\0\0\0\0\0\0\x02xy",
        b"\x81\x83\x01\x02\x03\x04abc",
        b"\x81\x02\xff\xfe",
        b"\x88\x04\x03\xe8by",
        b"\x82\x10cut off",
    ] {
        bytes.extend_from_slice(frame);
    }
    let whole = seen(&bytes, bytes.len());
    assert_eq!(whole.len(), 16, "{whole:#?}");
    for piece in 1..40 {
        assert_eq!(seen(&bytes, piece), whole, "in pieces of {piece}");
    }
}

#[test]
fn what_follows_a_refusal_is_no_frame_on_either_side() {
    let mut handshake = Handshake::default();
    let (mut client, mut server) = (Observer::new(From::Client, 8), Observer::new(From::Server, 8));
    let mut seen = Vec::new();
    client.see(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", &mut handshake, &mut |what| {
        seen.push(format!("{what:?}"))
    });
    server.see(b"HTTP/1.1 403 no\r\n\r\n\x81\0", &mut handshake, &mut |what| seen.push(format!("{what:?}")));
    client.see(b"\x81\0", &mut handshake, &mut |what| seen.push(format!("{what:?}")));
    assert_eq!(seen.iter().filter(|seen| seen.starts_with("Frame")).count(), 0, "{seen:#?}");
}

#[test]
fn an_unknown_extension_owns_the_reserved_bits() {
    let head = b"HTTP/1.1 101 x\r\nSec-WebSocket-Extensions: own\r\n\r\n\xf1\0";
    let mut handshake = Handshake { asked: true, ..Handshake::default() };
    Observer::new(From::Server, 8).see(head, &mut handshake, &mut |what| {
        if let Seen::Frame(frame) = what {
            assert_eq!((frame.rsv, &frame.invalid), (7, &None));
        }
    });
}
