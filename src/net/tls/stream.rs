//! One stream that speaks TLS, or will: what is left of the peer's records, and what the kernel did not take of ours.

use std::{
    fmt,
    io::{self, IoSlice},
    sync::Arc,
};

use rustls::{
    ClientConfig, ServerConfig,
    client::UnbufferedClientConnection,
    pki_types::{CertificateDer, ServerName},
    server::UnbufferedServerConnection,
    unbuffered::EncryptError,
};

use super::{
    Scratch, TlsSession,
    encrypt::encrypt_all,
    plain,
    session::{self, Session, Sink, Step},
};
use crate::{error::TlsError, net::Stream};

/// The most that is kept of records that are not whole, or hold a handshake message that is not whole: RFC 8446, section 4
/// lets a certificate be larger, rustls takes 64 KiB, and the rest is for the records around it.
pub(super) const PARTIAL: usize = 96 * 1024;
/// A record and its overhead: RFC 5246, section 6.2.3 has the larger one.
pub(super) const RECORD: usize = 5 + 16 * 1024 + 2048;
/// A stream that speaks TLS, or will as soon as it is told to begin.
///
/// It is what [`Stream::Tls`] holds, and comes out of the house with
/// [`Detached::into_parts`](crate::Detached::into_parts). There it reads and writes plaintext by [`std::io::Read`] and
/// [`std::io::Write`], with buffers that it makes for each call: for those who go on with a few bytes. Before the last of
/// them call [`TlsStream::close_notify`].
pub struct TlsStream {
    /// What it is on.
    pub(in crate::net) stream: Stream,
    session: Session,
    begun: Begun,
    /// Records that are not whole, just as rustls left them.
    partial: Vec<u8>,
    /// Records that the kernel has not taken, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    /// Plaintext that found no room in the reader's space.
    held: Vec<u8>,
    ended: Option<End>,
    /// The last read took all that the socket had.
    drained: bool,
    /// `partial` has not been looked at yet.
    unseen: bool,
    /// Our close_notify is among what was written.
    closed: bool,
    /// Bytes of records that were read since [`TlsStream::take_cost`].
    cost: usize,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// Bytes pass as they are: something plain stands before TLS.
    No,
    /// Nothing of the peer's was TLS yet.
    Started,
    /// Records have come.
    Speaking,
}

/// Nothing more comes from the peer.
#[derive(Debug)]
enum End {
    /// It said so.
    Closed,
    Failed(TlsError),
}

impl TlsStream {
    pub(super) fn server(stream: Stream, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self::new(stream, Session::Server(UnbufferedServerConnection::new(config)?)))
    }

    pub(super) fn client(
        stream: Stream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self::new(stream, Session::Client(UnbufferedClientConnection::new(config, name)?)))
    }

    fn new(stream: Stream, session: Session) -> Self {
        Self {
            stream,
            session,
            begun: Begun::No,
            partial: Vec::new(),
            out: Vec::new(),
            sent: 0,
            held: Vec::new(),
            ended: None,
            drained: false,
            unseen: false,
            closed: false,
            cost: 0,
        }
    }

    /// From here on it is TLS, both ways. `early`: bytes of the peer that were read behind what was plain.
    pub(in crate::net) fn begin(&mut self, early: &[u8]) {
        if self.begun != Begun::No {
            return;
        }
        self.begun = Begun::Started;
        self.partial = early.to_vec();
        self.unseen = true;
        if matches!(self.session, Session::Client(_)) {
            // The ClientHello. Nothing of the server's can be an answer to it yet.
            let early = std::mem::take(&mut self.partial);
            self.digest(&mut [], &mut []);
            self.partial = early;
        }
    }

    /// Neither side can send what is ours yet.
    pub(in crate::net) fn is_handshaking(&self) -> bool {
        self.begun != Begun::No && self.ended.is_none() && self.session.state().is_handshaking()
    }

    /// Something more can be had without another edge.
    pub(in crate::net) fn is_drained(&self) -> bool {
        self.drained && self.held.is_empty() && self.ended.is_none()
    }

    /// Bytes of records that wait for the kernel to take them.
    pub(in crate::net) fn pending(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Why it has failed, or been cut off.
    pub(in crate::net) fn error(&self) -> Option<&TlsError> {
        if let Some(End::Failed(error)) = &self.ended { Some(error) } else { None }
    }

    /// Bytes of records that were read since this was last asked: a turn's budget is for those.
    pub(in crate::net) fn take_cost(&mut self) -> usize {
        std::mem::take(&mut self.cost)
    }

    /// What was agreed on, once the handshake is over.
    pub fn session(&self) -> Option<TlsSession> {
        TlsSession::of(self.session.state())
    }

    /// The peer's certificates, its own first, once they have been verified.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        let state = self.session.state();
        state.peer_certificates().filter(|_| !state.is_handshaking())
    }

    /// Reads into `space`. `WouldBlock`: nothing came, or nothing for us. `Interrupted`: nothing for us yet, and there may be
    /// more; a peer can send records without content for ever, so who calls again looks at its budget. 0: the stream has ended.
    /// `to_the_end`: a short read does not say that there is no more.
    pub(in crate::net) fn receive(
        &mut self,
        space: &mut [u8],
        scratch: &mut Scratch,
        to_the_end: bool,
    ) -> io::Result<usize> {
        if self.begun == Begun::No {
            let n = self.stream.read(space)?;
            self.drained = n < space.len();
            self.cost += n;
            return Ok(n);
        }
        loop {
            if !self.held.is_empty() {
                let n = self.held.len().min(space.len());
                space[..n].copy_from_slice(&self.held[..n]);
                self.held.drain(..n);
                return Ok(n);
            }
            match &self.ended {
                Some(End::Closed) => return Ok(0),
                Some(End::Failed(TlsError::Truncated | TlsError::Eof)) => return Ok(0),
                Some(End::Failed(_)) => return Err(io::ErrorKind::InvalidData.into()),
                None => {}
            }
            if std::mem::take(&mut self.unseen) && !self.partial.is_empty() {
                // As it lies: it may be as long as the buffer that it was read into, and longer than the one for records.
                let mut early = std::mem::take(&mut self.partial);
                match self.digest(&mut early, space) {
                    0 => continue,
                    got => return Ok(got),
                }
            }
            let rx = scratch.rx();
            let kept = self.partial.len();
            rx[..kept].copy_from_slice(&self.partial);
            // Plaintext is shorter than its records; of what was kept at most one will be that.
            let most = space.len().saturating_sub(kept.min(RECORD)).max(RECORD).min(rx.len() - kept);
            let read = self.stream.read(&mut rx[kept..kept + most]);
            self.drained |= read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            let read = read?;
            self.drained = read < most;
            if read == 0 {
                self.cut_off();
                continue;
            }
            self.cost += read;
            let got = self.digest(&mut rx[..kept + read], space);
            if got > 0 {
                return Ok(got);
            }
            if self.held.is_empty() && self.ended.is_none() {
                // Elsewhere a short read says nothing; see the page of `net`.
                let drained = cfg!(unix) && !to_the_end && self.drained;
                return Err(if drained { io::ErrorKind::WouldBlock } else { io::ErrorKind::Interrupted }.into());
            }
        }
    }

    /// The peer's stream has ended without a word.
    fn cut_off(&mut self) {
        let handshaking = self.session.state().is_handshaking();
        self.ended = Some(End::Failed(if handshaking { TlsError::Eof } else { TlsError::Truncated }));
    }

    /// Works through records, of which the first were kept, and keeps what is left. Answers how much plaintext there was.
    fn digest(&mut self, records: &mut [u8], space: &mut [u8]) -> usize {
        let (mut at, mut got) = (0, 0);
        if self.begun == Begun::Started {
            match plain::look(records, matches!(self.session, Session::Server(_))) {
                plain::Seen::Http => {
                    self.out.extend_from_slice(plain::ANSWER);
                    self.ended = Some(End::Failed(TlsError::PlainHttp));
                    self.partial = Vec::new();
                    return 0;
                }
                plain::Seen::Undecided => {
                    self.partial = records.to_vec();
                    return 0;
                }
                plain::Seen::Other => {}
            }
        }
        loop {
            let sink = Sink { space: &mut space[got..], held: &mut self.held, out: &mut self.out };
            let begun = self.begun == Begun::Speaking;
            let (used, step) = self.session.step(&mut records[at..], sink, begun);
            at = records.len().min(at + used);
            if used > 0 {
                self.begun = Begun::Speaking;
            }
            match step {
                Step::Plaintext(n) => got += n,
                Step::Again => {}
                Step::Blocked => break,
                Step::PeerClosed => {
                    // RFC 8446, 6.1: "Any data received after a closure alert has been received MUST be ignored."
                    self.ended = Some(End::Closed);
                    break;
                }
                Step::Failed(error) => {
                    self.fail(error);
                    break;
                }
            }
        }
        self.partial = Vec::new();
        if self.ended.is_none() {
            let rest = &records[at..];
            if rest.len() > PARTIAL {
                self.fail(TlsError::HandshakeTooLarge { limit: PARTIAL });
            } else if !rest.is_empty() {
                self.partial = rest.to_vec();
            }
        }
        got
    }

    fn fail(&mut self, error: TlsError) {
        // The alert, if there is one.
        self.session.drain(&mut self.out);
        self.ended = Some(End::Failed(error));
    }

    /// Writes the records that wait. False: the kernel did not take them all.
    pub(in crate::net) fn send_pending(&mut self) -> io::Result<bool> {
        while self.pending() > 0 {
            match self.stream.write_vectored(&[IoSlice::new(&self.out[self.sent..])]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        (self.out, self.sent) = (Vec::new(), 0);
        Ok(true)
    }

    /// Encrypts and writes what `slices` hold, up to a limit, when nothing else waits. Answers how much of it was taken:
    /// what the kernel did not take of the records is kept. `None`: not in this phase.
    pub(in crate::net) fn send(&mut self, slices: &[IoSlice<'_>], scratch: &mut Scratch) -> io::Result<Option<usize>> {
        if self.begun == Begun::No {
            return self.stream.write_vectored(slices).map(Some);
        }
        if self.pending() > 0 || self.closed || !self.may_send() {
            return Ok(None);
        }
        if self.session.state().wants_write() {
            self.session.drain(&mut self.out);
            if !self.send_pending()? {
                return Ok(None);
            }
        }
        let Scratch { tx, gather, .. } = scratch;
        let mut used = 0;
        let written =
            self.session.write(&mut self.partial, |encrypt| encrypt_all(encrypt, slices, gather, tx, &mut used));
        let taken = match written {
            None => return Ok(None),
            Some(Err(_)) => {
                // RFC 8446, 5.5: TLS 1.2 cannot change its keys within a connection.
                self.fail(TlsError::Other("the keys of this connection are used up".into()));
                return Err(io::ErrorKind::InvalidData.into());
            }
            Some(Ok(taken)) => taken,
        };
        let mut at = 0;
        while at < used {
            match self.stream.write_vectored(&[IoSlice::new(&tx[at..used])]) {
                Ok(n) if n < used - at => {
                    at += n;
                    break;
                }
                Ok(n) => at += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if at < used {
            (self.out, self.sent) = (tx[at..used].to_vec(), 0);
        }
        Ok(Some(taken))
    }

    /// Queues our close_notify (RFC 8446, section 6.1: "Each party MUST send a "close_notify" alert before closing its write
    /// side of the connection, unless it has already sent some error alert"); it leaves with the next write.
    pub fn close_notify(&mut self) {
        if self.closed || !self.may_send() {
            return;
        }
        self.closed = true;
        self.session.drain(&mut self.out);
        let out = &mut self.out;
        self.session.write(&mut self.partial, |encrypt| {
            session::append(out, |room| match encrypt.close(room) {
                Err(EncryptError::InsufficientSize(size)) => Err(Some(size.required_size)),
                Err(EncryptError::EncryptExhausted) => Err(None),
                Ok(written) => Ok(written),
            })
        });
    }

    /// Our close_notify is due: nothing else will be sent.
    pub(in crate::net) fn owes_close_notify(&self) -> bool {
        !self.closed && self.may_send()
    }

    /// The handshake is over, and nothing has failed. Who was cut off may have ended its own side only.
    fn may_send(&self) -> bool {
        let failed = matches!(&self.ended, Some(End::Failed(error)) if *error != TlsError::Truncated);
        self.begun != Begun::No && !failed && !self.session.state().is_handshaking()
    }

    /// Our close_notify was the last word, and the peer may still talk. To rustls a bad record is a mistake of ours by then.
    pub(in crate::net) fn only_lingers(&self) -> bool {
        self.closed && self.ended.is_none()
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("stream", &self.stream)
            .field("begun", &self.begun)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
