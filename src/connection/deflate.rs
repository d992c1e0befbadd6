//! permessage-deflate on a connection: what was agreed on, mapped to the contexts of both directions.

use std::time::Instant;

use super::{
    Config, Connection, SendStatus,
    backlog::Offer,
    flags::Flag,
    rare::Parts,
    writer::{MessageWriter, Writing},
};
use crate::{
    SendError,
    frame::{FrameHeader, Opcode},
    handshake::{DeflateParams, Extensions},
    message::{
        Compression, DeflatePool, Inflation, Kind, Message, PreparedMessage,
        deflate::{Compressed, Deflation, Fragment},
    },
};

/// Of a connection that has agreed on permessage-deflate.
#[derive(Debug)]
pub(super) struct Deflate {
    params: DeflateParams,
    pub(super) inflation: Inflation,
    pub(super) deflation: Deflation,
    /// The compressor has to be looked at.
    look: Option<Instant>,
}

impl Deflate {
    /// Both roles read the same parameters, each from its side.
    pub(super) fn new(extensions: Extensions, is_client: bool, config: &Config) -> Option<Box<Self>> {
        let params = extensions.deflate()?;
        let server = (!params.server_no_context_takeover, params.server_max_window_bits);
        let client = (!params.client_no_context_takeover, params.client_max_window_bits);
        let ((takeover, bits), (peer_takeover, _)) = if is_client { (client, server) } else { (server, client) };
        let settings = config.permessage_deflate().unwrap_or_default();
        let inflation = Inflation::new(peer_takeover);
        let deflation = Deflation::new(bits, settings.level, takeover, settings.threshold);
        Some(Box::new(Self { params, inflation, deflation, look: None }))
    }
}

impl Connection {
    /// The extensions that were agreed on.
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn extensions(&self) -> Extensions {
        match self.rare.deflate() {
            Some(deflate) => Extensions::none().with_deflate(deflate.params),
            None => Extensions::none(),
        }
    }

    /// Takes the contexts of permessage-deflate from `pool`, and puts them back. Without one, this connection has its own
    /// from its first compressed message on. An event loop does it by itself.
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn set_deflate_pool(&mut self, pool: &DeflatePool) {
        if let Some(deflate) = self.rare.deflate_mut() {
            deflate.inflation.set_pool(pool);
            deflate.deflation.set_pool(pool);
        }
    }

    /// As [`Connection::send`], with a say in whether the message is compressed.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn send_with<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
        compression: Compression,
    ) -> Result<SendStatus, SendError> {
        let message = message.into();
        self.check_message()?;
        let room = self.has_room_for(message.as_bytes().len());
        if !room && let Some(status) = self.decide(Offer::Borrowed(message, compression))? {
            return Ok(status);
        }
        self.append_message(message.kind().opcode(), message.as_bytes(), compression);
        Ok(self.status_with(room))
    }

    /// As [`Connection::writer`], with a say in whether the message is compressed; one that was begun goes on as it began.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn writer_with(&mut self, kind: Kind, compression: Compression) -> Result<MessageWriter<'_>, SendError> {
        let _ = self.writer(kind)?;
        if let Some(writing) = self.writing.as_mut().filter(|_| !self.flags.has(Flag::Begun)) {
            writing.compression = if compression == Compression::Auto { Compression::Always } else { compression };
        }
        self.writer(kind)
    }

    /// Queues a fragment compressed. False: it is to be sent as it is.
    pub(super) fn append_compressed_fragment(&mut self, writing: Writing, payload: &[u8], fin: bool) -> bool {
        let begun = self.flags.has(Flag::Begun);
        let (opcode, fragment) = match (begun, fin) {
            (false, false) => (writing.kind.opcode(), Fragment::First),
            (true, false) => (Opcode::Continuation, Fragment::Middle),
            (true, true) => (Opcode::Continuation, Fragment::End),
            // A message that has come to nothing.
            (false, true) => return false,
        };
        if !self.compresses(payload.len(), writing.compression) {
            return false;
        }
        let compressed = self.append_compressed(opcode, payload, fragment);
        if !compressed && begun {
            // A compressor does not fail once it has begun. If it did, this message could not be ended.
            self.abort();
        }
        if !compressed {
            self.writing = Some(Writing { compression: Compression::Never, ..writing });
        }
        compressed
    }

    /// Queues `payload` compressed. False: it is to be sent as it is, and nothing was queued.
    pub(super) fn append_compressed(&mut self, opcode: Opcode, payload: &[u8], fragment: Fragment) -> bool {
        let Some(Parts { deflate: Some(deflate), keys, watch, .. }) = self.rare.parts() else { return false };
        let deflation = &mut deflate.deflation;
        let fin = matches!(fragment, Fragment::Whole | Fragment::End);
        let mask = keys.as_mut().map(|keys| (keys.0)());
        let header = FrameHeader { fin, rsv: 0, opcode, mask, payload_length: 0 };
        let mut compressed = Compressed::No;
        self.queue.append_with(FrameHeader::MAX + Deflation::room(payload.len()), |out| {
            compressed = deflation.append_frame(header, payload, fragment, out, |header, payload| {
                if let Some(watch) = watch {
                    watch.sent(header, payload);
                }
            });
        });
        self.watch_compressor();
        let compressed = compressed == Compressed::Yes;
        if compressed {
            self.count_frame(opcode, fin);
        }
        compressed
    }

    /// Queues a message whole, compressed if that is agreed on and worth it.
    pub(super) fn append_message(&mut self, opcode: Opcode, payload: &[u8], compression: Compression) {
        if !self.compresses(payload.len(), compression) || !self.append_compressed(opcode, payload, Fragment::Whole) {
            self.append_frame(opcode, payload);
        }
        self.queue.count_last();
    }

    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn has_compressor(&self) -> bool {
        self.rare.deflate().is_some_and(|deflate| deflate.deflation.has_compressor())
    }

    pub(super) fn compresses(&self, length: usize, compression: Compression) -> bool {
        self.rare.deflate().is_some_and(|deflate| deflate.deflation.wants(length, compression))
    }

    /// Queues the compressed form of a prepared message, which all connections with a window of the same size share.
    /// False: it is to be sent as it is.
    pub(super) fn append_deflated(&mut self, message: &PreparedMessage) -> bool {
        if !self.compresses(message.payload().len(), message.compression()) {
            return false;
        }
        let Some(deflate) = self.rare.deflate_mut() else { return false };
        let deflation = &mut deflate.deflation;
        let compressed = message.compressed(deflation);
        if compressed.is_some() {
            deflation.reset_next();
        }
        self.watch_compressor();
        let Some(compressed) = compressed else { return false };
        self.append_encoded(message.kind().opcode(), 0x4, compressed);
        true
    }

    /// If there is a compressor, it is to be given up when it has not been used for some time; if there is none, there is nothing
    /// to look at. A send does not tell when it is: the first look may come early, and then only notes that it was.
    fn watch_compressor(&mut self) {
        let Some(deflate) = self.rare.deflate_mut() else { return };
        if !deflate.deflation.has_compressor() {
            deflate.look = None;
        } else if deflate.look.is_none() {
            let time = self.config.permessage_deflate().unwrap_or_default().release_after;
            let heard = self.timers.last_heard(&self.config);
            deflate.look = heard.zip(time).and_then(|(heard, time)| heard.checked_add(time));
        }
    }

    /// When to look at the compressor; once the connection closes it has none.
    pub(super) fn compressor_deadline(&self) -> Option<Instant> {
        self.rare.deflate().and_then(|deflate| deflate.look).filter(|_| !self.timers.is_closing())
    }

    /// The compressor is given up if it is time to look and it has been idle since the last look.
    pub(super) fn look_at_compressor(&mut self, now: Instant) {
        if self.compressor_deadline().is_none_or(|at| now < at) {
            return;
        }
        let Some(deflate) = self.rare.deflate_mut() else { return };
        let time = self.config.permessage_deflate().unwrap_or_default().release_after;
        let released = deflate.deflation.release_if_idle();
        deflate.look = time.filter(|_| !released).and_then(|time| now.checked_add(time));
    }
}
