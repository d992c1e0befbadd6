//! What permessage-deflate is asked to do (RFC 7692), and what it costs.

use std::time::Duration;

use super::config::is_time;
use crate::handshake::{ClientWindow, DeflateOffer, DeflateParams};

/// Compression of messages: permessage-deflate (RFC 7692), the value of `Config::permessage_deflate`. Off by default.
///
/// ```
/// use wireroom::{Config, PermessageDeflate};
///
/// let deflate = PermessageDeflate { server_no_context_takeover: true, ..PermessageDeflate::default() };
/// let config = Config::builder().permessage_deflate(Some(deflate)).build()?;
/// # Ok::<(), wireroom::ConfigError>(())
/// ```
///
/// # How it is agreed on
///
/// A client offers it in its opening handshake, and a server answers (section 7.1). An
/// `EventLoop` does that from the `Config` by itself; with sockets of your own, hand [`offers`](Self::offers) to the
/// [`ClientRequest`](crate::handshake::ClientRequest::deflate_offers), or [`terms`](Self::terms) to the
/// [`ServerHandshake`](crate::handshake::ServerHandshake::set_deflate).
///
/// * A server takes the first offer that it can, and declines what it cannot: parameters that are unknown, repeated or
///   invalid, and a window of 8 bits for itself, which zlib cannot compress with. Without an offer that it can take, the
///   connection goes on without compression. `verify` can decline for one request:
///   [`Acceptance::without_extensions`](crate::handshake::Acceptance::without_extensions).
/// * A client fails the handshake if the answer is not one to any of its offers, and says so with
///   [`AnswerError::Deflate`](crate::handshake::AnswerError::Deflate). A server that limits us to 8 bits gets our messages
///   as they are, which is always allowed.
/// * [`Connection::extensions`](crate::Connection::extensions) tells what was agreed on.
///
/// # What is compressed
///
/// Messages of [`threshold`](Self::threshold) bytes and more, and those in fragments; control frames never are.
/// [`Connection::send_with`](crate::Connection::send_with) chooses for one message. One that does not get shorter is sent
/// as it is, where windows are not kept. A [`PreparedMessage`](crate::PreparedMessage) is compressed once for all
/// connections with a window of the same size.
///
/// # What it costs
///
/// Memory, as measured in an event loop, for each connection:
///
/// | | windows kept (the default) | not kept, in both directions |
/// |---|---|---|
/// | agreed on, nothing compressed yet | 160 bytes | 160 bytes |
/// | after compressed messages in both directions | 418 KiB | 160 bytes |
/// | [`release_after`](Self::release_after) later | 47 KiB | 160 bytes |
///
/// A compressor takes 371 KiB with a window of 15 bits, 245 KiB with one of 9; a decompressor takes 47 KiB whatever the
/// window. They are made for the first message that needs them. Where a window is not kept, a context is taken for a message
/// and put back behind it, so that a loop holds a few for all its connections: a [`DeflatePool`](crate::DeflatePool). Where
/// it is kept, the decompressor lives as long as its connection, for the peer may refer to what it sent long ago; our
/// compressor may begin anew at any time, and is given up when idle. What is given up goes to the allocator, which may keep
/// it for the process (glibc's does, unless `MALLOC_MMAP_THRESHOLD_` is set).
///
/// Time: an echo of 1 KiB of JSON took 4.7 microseconds at level 1 and 15 at level 6 with windows kept, 6.4 and 15
/// without (one core; the echo alone, without system calls, for which about 0.1 is spent outside of zlib-rs). It came to
/// 340 and 257 bytes with windows kept, to 517 and 380 without. So level 1 is the default: a third of the time for a third
/// more bytes.
///
/// # Limits
///
/// `Config::max_message_size` and `max_streamed_size` count inflated bytes, and end the connection (1009) while the message
/// is inflated: a small frame that stands for gigabytes never takes more memory than the limit. In the streaming mode a part
/// has at most 64 KiB. The compressed bytes of a message may be twice the limit and 1 KiB, and 16 bytes for each fragment. Bytes that are not DEFLATE data,
/// and a message that is cut off, end the connection with 1007 ([`ProtocolError::InvalidDeflate`]); RFC 7692 names no code,
/// and 1007 is that for data that are not what they are said to be (RFC 6455, section 7.4.1).
///
/// # When to leave it off
///
/// * Where a message holds a secret beside text that an attacker can choose, its compressed length tells when the two are
///   alike, and the secret can be guessed bit by bit, through TLS (the attacks called CRIME and BREACH). With windows kept
///   that is so from message to message, too. Send such messages with [`Compression::Never`](crate::Compression::Never),
///   each compressed by itself at the least, or leave it off.
/// * For what is compressed already (images, archives, encrypted data) it is only work.
/// * For many connections with windows kept, see the memory above: set both `no_context_takeover`s.
/// * On a fast network with little to send, time is worth more than bytes.
///
/// [`ProtocolError::InvalidDeflate`]: crate::ProtocolError::InvalidDeflate
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermessageDeflate {
    /// The server compresses each message by itself (7.1.1.1). As server we do so; as client we ask for it. Default
    /// `false`.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself (7.1.1.2). As client we do so; as server we demand it, and every
    /// client complies. Default `false`.
    pub client_no_context_takeover: bool,
    /// The largest window of the server, as its size's binary logarithm, 9 to 15 (7.1.2.1). As server we use no larger
    /// one; as client we ask for it. Default 15.
    pub server_max_window_bits: u8,
    /// The largest window of the client, 9 to 15 (7.1.2.2). As client we use no larger one; as server we demand it of
    /// those who offer to comply. Default 15.
    pub client_max_window_bits: u8,
    /// As client: if the server declines what we ask of it (a smaller window, or none kept), compression without that is
    /// offered, too. Default `true`.
    pub offer_fallback: bool,
    /// 0 (stored) to 9 (smallest). Default 1, which takes a third of the time of 6 for a third more bytes.
    pub level: u8,
    /// Messages below so many bytes are sent as they are, unless they ask for it. Default 128: a shorter one saves less than
    /// the headers of its packet take.
    pub threshold: usize,
    /// After so long without a message to compress, and at most twice as long, a connection's compressor is given up; the
    /// next message begins with an empty window. `None` never. Default 10 s.
    pub release_after: Option<Duration>,
}

impl Default for PermessageDeflate {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            offer_fallback: true,
            level: 1,
            threshold: 128,
            release_after: Some(Duration::from_secs(10)),
        }
    }
}

impl PermessageDeflate {
    pub(super) fn is_valid(&self) -> bool {
        let windows = [self.server_max_window_bits, self.client_max_window_bits];
        windows.iter().all(|bits| (9..=15).contains(bits)) && self.level <= 9 && self.release_after.is_none_or(is_time)
    }

    /// What a server accepts offers with: for
    /// [`ServerHandshake::set_deflate`](crate::handshake::ServerHandshake::set_deflate).
    pub fn terms(&self) -> DeflateParams {
        DeflateParams {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self.client_max_window_bits,
        }
    }

    /// What a client offers, in order of preference: for
    /// [`ClientRequest::deflate_offers`](crate::handshake::ClientRequest::deflate_offers).
    pub fn offers(&self) -> Vec<DeflateOffer> {
        let first = DeflateOffer {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: Some(self.server_max_window_bits).filter(|bits| *bits < 15),
            client_window: ClientWindow::AtMost(self.client_max_window_bits),
        };
        let second = DeflateOffer { server_no_context_takeover: false, server_max_window_bits: None, ..first };
        let mut offers = vec![first];
        if self.offer_fallback && second != first {
            offers.push(second);
        }
        offers
    }
}
