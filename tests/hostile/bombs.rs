//! Promises 4 and 12, with permessage-deflate: a few kilobytes that stand for hundreds of megabytes.

use flate2::{Compress, Compression, FlushCompress};

use crate::{
    client::{client, fails},
    figures::below,
    peer::{MIDDLE, PING, Peer, frame, unmasked, upgrade},
    server::Server,
    testee::Echo,
};

/// What both are told; the bombs are of 512 MiB.
const LIMIT: [&str; 3] = ["--deflate", "--max-message-size", "1048576"];
const AGREED: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// "Hello", compressed (RFC 7692, 7.2.3.1).
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// A compressed text, a compressed binary message, and the first fragment of one.
const TEXT: u8 = 0xc1;
const BINARY: u8 = 0xc2;
const FIRST: u8 = 0x42;

/// A message of 512 MiB of zeros, compressed, without the bytes that RFC 7692, 7.2.1 leaves out.
fn bomb() -> Vec<u8> {
    const MIB: usize = 512;
    let mut deflate = Compress::new(Compression::best(), false);
    let (zeros, mut bytes) = (vec![0; 1 << 20], Vec::with_capacity(MIB * 1100));
    for _ in 0..MIB {
        deflate.compress_vec(&zeros, &mut bytes, FlushCompress::None).unwrap();
    }
    deflate.compress_vec(&[], &mut bytes, FlushCompress::Sync).unwrap();
    assert_eq!(deflate.total_in(), (MIB << 20) as u64);
    assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// The bomb whole, and in fragments of 1,000 bytes, each of which is a megabyte.
fn bombs(frame: fn(u8, &[u8]) -> Vec<u8>) -> [(String, Vec<u8>); 2] {
    let bomb = bomb();
    let what = format!("a bomb of 512 MiB in {} KiB, limit 1 MiB", bomb.len() >> 10);
    let mut pieces = frame(FIRST, b"");
    bomb.chunks(1000).for_each(|piece| pieces.extend(frame(MIDDLE, piece)));
    [(what.clone(), frame(BINARY, &bomb)), (what + ", in fragments", pieces)]
}

#[test]
fn bombs_for_the_client_stop_at_the_limit() {
    for (what, bytes) in bombs(|first, payload| unmasked(first, payload)) {
        let server = Server::bind();
        let mut client = client(&server, &LIMIT);
        let mut peer = server.accept_with(AGREED);
        // Its decompressor is made for the first message that needs one.
        peer.send([unmasked(TEXT, HELLO), unmasked(PING, "up?")].concat());
        assert_eq!(peer.frame().payload, b"up?");
        let meter = client.meter();
        peer.flood(&bytes, bytes.len());
        assert_eq!(peer.close_frame().0, 1009);
        below(12, &format!("{what}, growth of the client"), meter.growth(), 3.0, "MiB");
        peer.end();
        fails(&mut client, &what, "bigger than the limit of 1048576 bytes");
        assert_eq!(client.output(), "Hello\n");
    }
}

#[test]
fn bombs_for_the_server_stop_at_the_limit() {
    let echo = Echo::start(&LIMIT);
    for (what, bytes) in bombs(|first, payload| frame(first, payload)) {
        let mut peer = Peer::connect(echo.address);
        peer.send(upgrade("/", AGREED));
        assert!(peer.head().contains("permessage-deflate"));
        peer.send(frame(TEXT, HELLO));
        peer.frame();
        let meter = echo.testee.meter();
        peer.flood(&bytes, bytes.len());
        assert_eq!(peer.close_frame().0, 1009);
        below(4, &format!("{what}, growth of echo"), meter.growth(), 3.0, "MiB");
    }
}
