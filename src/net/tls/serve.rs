//! TLS in the loop: what the turn does with a stream that speaks it.

use std::{
    io::{self, IoSlice, Read, Write},
    time::Instant,
};

use bytes::Buf;
use rustls::pki_types::CertificateDer;

use super::{Scratch, TlsSession, TlsStream, encrypt};
use crate::{
    Cause, Event,
    error::TlsError,
    handshake::HandshakeError,
    http::Transport,
    net::{ConnId, Connections, Stream, flush, phase::Slot, socket::Received},
};

/// Slices that are looked at for one write.
const SLICES: usize = 64;

impl Connections {
    /// What TLS agreed on with this peer, once its handshake is over. `None` without TLS.
    pub fn tls(&self, id: ConnId) -> Option<TlsSession> {
        connection(&self.slots.get(id)?.stream)?.session()
    }

    /// The peer's certificates, its own first, once they have been verified. Of a client there are some if the listener
    /// [asks](super::ServerTlsBuilder::client_certificates) for them and it has given them. A `verify` that wants to see them
    /// defers its answer ([`Verdict::Defer`](crate::handshake::Verdict)), and gives it with [`Connections::answer`].
    pub fn peer_certificates(&self, id: ConnId) -> Option<&[CertificateDer<'static>]> {
        connection(&self.slots.get(id)?.stream)?.peer_certificates()
    }
}

impl Connections {
    /// The last event, in the words of TLS.
    pub(in crate::net) fn tell<'b>(&self, id: ConnId, mut event: Event<'b>) -> Event<'b> {
        if let (Event::Closed(closed), Some(slot)) = (&mut event, self.slots.get(id)) {
            let cause = std::mem::replace(&mut closed.cause, Cause::Eof);
            closed.cause = slot.tell(cause);
        }
        event
    }
}

/// The stream, if it speaks TLS.
fn connection(stream: &Stream) -> Option<&TlsStream> {
    if let Stream::Tls(tls) = stream { Some(tls) } else { None }
}

impl Slot {
    pub(in crate::net) fn speaks_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Does anything wait for bytes of the peer: what it carries, or TLS itself?
    pub(in crate::net) fn wants_read(&self) -> bool {
        self.phase.wants_read() || connection(&self.stream).is_some_and(TlsStream::is_handshaking)
    }

    /// One read, with the loop's buffers.
    #[inline]
    pub(in crate::net) fn receive(
        &mut self,
        space: &mut [u8],
        scratch: &mut Scratch,
        now: Instant,
    ) -> io::Result<Received> {
        match &mut self.stream {
            Stream::Tls(tls) if tls.only_lingers() => tls.ignore(scratch),
            Stream::Tls(tls) => match tls.receive(space, scratch, self.ready.read_closed) {
                Ok(0) => {
                    // An answer that waited for the handshake cannot leave any more, and is not waited for.
                    if let (Some(TlsError::Eof), Some(queue)) = (tls.error(), self.phase.queue()) {
                        queue.clear();
                    }
                    Ok(Received { bytes: 0, cost: 0, drained: true })
                }
                Ok(bytes) => Ok(Received { bytes, cost: tls.take_cost(), drained: tls.is_drained() }),
                Err(error) => {
                    let cost = tls.take_cost();
                    // A record that is not whole is a sign of life, as the bytes of a frame are.
                    if cost > 0
                        && let Some(connection) = self.phase.connection_mut()
                    {
                        connection.records_came(now);
                    }
                    match error.kind() {
                        io::ErrorKind::Interrupted => Ok(Received { bytes: 0, cost, drained: false }),
                        _ => Err(error),
                    }
                }
            },
            plain => {
                let bytes = plain.read(space)?;
                Ok(Received { bytes, cost: bytes, drained: bytes < space.len() })
            }
        }
    }

    /// Writes what waits.
    #[inline]
    pub(in crate::net) fn write(&mut self, scratch: &mut Scratch) -> io::Result<usize> {
        if self.speaks_tls() { write(self, scratch) } else { flush::write(self) }
    }

    /// A cause in the words of TLS, where that knows more.
    pub(in crate::net) fn tell(&self, cause: Cause) -> Cause {
        let Some(error) = connection(&self.stream).and_then(TlsStream::error) else { return cause };
        match (&cause, error) {
            (Cause::Eof, _) => {}
            (Cause::Handshake(HandshakeError::Eof), TlsError::Truncated) => return cause,
            (Cause::Handshake(HandshakeError::Eof), _) => {}
            (Cause::Io(io::ErrorKind::InvalidData), _) => {}
            _ => return cause,
        }
        Cause::Tls(error.clone())
    }
}

impl Stream {
    /// What stood before it is done with, and the stream may carry what it is for: TLS begins, if it is to speak that. `early`:
    /// bytes of the peer that were read behind what stood before.
    pub(in crate::net) fn begin(&mut self, early: &[u8]) {
        if let Stream::Tls(tls) = self {
            tls.begin(early);
        }
    }

    /// It is about to be closed, for good.
    pub(in crate::net) fn end(&mut self, scratch: &mut Scratch) {
        if let Stream::Tls(tls) = self {
            tls.discard(scratch);
        }
    }
}

impl TlsStream {
    /// The loop says goodbye when it wants to hear no more: what comes is thrown away as it is, up to the end.
    fn ignore(&mut self, scratch: &mut Scratch) -> io::Result<Received> {
        let rx = scratch.rx();
        let read = self.stream.read(rx)?;
        Ok(Received { bytes: 0, cost: read, drained: read < rx.len() })
    }

    /// It is about to be closed. What lies unread in the socket would make the system answer with a reset, which destroys an
    /// alert that is still on its way: so that is read, and thrown away.
    fn discard(&mut self, scratch: &mut Scratch) {
        /// A peer that goes on sending is reset.
        const READS: usize = 4;
        if self.error().is_none() {
            return;
        }
        self.stream.shutdown_write();
        for _ in 0..READS {
            if !self.stream.read(scratch.rx()).is_ok_and(|n| n > 0) {
                break;
            }
        }
    }
}

/// Writes what waits on a stream that speaks TLS: its own records first, then the queue's.
fn write(slot: &mut Slot, scratch: &mut Scratch) -> io::Result<usize> {
    let Slot { stream: Stream::Tls(tls), phase, ready, .. } = slot else { return Ok(0) };
    scratch.make();
    let mut total = 0;
    loop {
        let waited = tls.pending();
        let flushed = match tls.send_pending() {
            Ok(flushed) => flushed,
            Err(error) => {
                ready.blocked = false;
                return Err(error);
            }
        };
        if tls.pending() < waited {
            phase.records_left();
        }
        if let Some(queue) = phase.queue() {
            queue.hold(!flushed);
        }
        ready.blocked = !flushed;
        if !flushed {
            break;
        }
        let Some(queue) = phase.queue().filter(|queue| queue.has_remaining()) else {
            // Everything that was accepted has left.
            if phase.transport() != Transport::Open && tls.owes_close_notify() {
                tls.close_notify();
                continue;
            }
            break;
        };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = queue.chunks_vectored(&mut slices);
        match tls.send(&slices[..count], scratch) {
            Ok(Some(taken)) => {
                queue.advance(taken);
                total += taken;
            }
            // The handshake is not over: its last step brings us back. Or nothing can be sent any more.
            Ok(None) if tls.pending() == 0 => break,
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.blocked = true;
                break;
            }
            Err(error) => {
                ready.blocked = false;
                return Err(error);
            }
        }
    }
    scratch.shrink();
    Ok(total)
}

impl Read for TlsStream {
    /// What TLS itself has to answer to what was read is sent, too: the handshake goes on by this alone, while the system
    /// takes what it is given.
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut scratch = Scratch::default();
        loop {
            let read = self.receive(space, &mut scratch, true);
            // If it fails, or not all is taken, the next write tells.
            let _ = self.send_pending();
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Write for TlsStream {
    /// `WouldBlock` during the handshake, which reading carries on, and while records wait for the kernel. `BrokenPipe` when
    /// nothing can be sent any more: behind our close_notify, and when TLS has failed.
    fn write(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        if !self.send_pending()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = plaintext.len().min(encrypt::WRITE);
        let mut scratch = Scratch::default();
        scratch.make();
        match self.send(&[IoSlice::new(&plaintext[..most])], &mut scratch)? {
            Some(taken) => Ok(taken),
            None if self.is_handshaking() || self.owes_close_notify() => Err(io::ErrorKind::WouldBlock.into()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.send_pending()? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}
