//! rustls' unbuffered API, of either side: bytes in, bytes out, no buffer of its own.

use rustls::{
    CommonState,
    client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic},
};

use super::error;
use crate::error::TlsError;

/// What the peer's records and ours are worked with.
pub(super) enum Session {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What a step with the peer's records came to.
pub(super) enum Step {
    /// So many bytes of plaintext were written.
    Plaintext(usize),
    /// There may be more in what is left.
    Again,
    /// Nothing without more bytes.
    Blocked,
    /// The peer's close_notify: nothing follows.
    PeerClosed,
    Failed(TlsError),
}

/// Where what a step brings goes.
pub(super) struct Sink<'s> {
    /// Plaintext.
    pub(super) space: &'s mut [u8],
    /// Plaintext for which there is no room.
    pub(super) held: &'s mut Vec<u8>,
    /// Records to be sent.
    pub(super) out: &'s mut Vec<u8>,
}

macro_rules! either {
    ($self:expr, $connection:ident => $call:expr) => {
        match $self {
            Session::Server($connection) => $call,
            Session::Client($connection) => $call,
        }
    };
}

impl Session {
    /// One step with the peer's records. `.0` bytes in front are done with.
    pub(super) fn step(&mut self, records: &mut [u8], sink: Sink<'_>, begun: bool) -> (usize, Step) {
        either!(self, connection => step(connection.process_tls_records(records), sink, begun))
    }

    /// Records that rustls has ready without having looked at more of the peer's: alerts, mostly.
    pub(super) fn drain(&mut self, out: &mut Vec<u8>) {
        // It comes to no look at the peer's records while it has some of ours, and so may be told that there are none.
        while self.state().wants_write() {
            let (mut held, space) = (Vec::new(), &mut []);
            let (_, step) = self.step(&mut [], Sink { space, held: &mut held, out }, true);
            if !matches!(step, Step::Again | Step::Plaintext(_)) {
                break;
            }
        }
    }

    /// Lets `write` encrypt. `partial`: the records of the peer that are not whole yet. `None`: not now.
    pub(super) fn write<T>(&mut self, partial: &mut [u8], write: impl FnOnce(&mut dyn Encrypt) -> T) -> Option<T> {
        either!(self, connection => {
            let mut status = connection.process_tls_records(partial);
            match &mut status.state {
                Ok(ConnectionState::WriteTraffic(traffic)) => Some(write(traffic)),
                Ok(ConnectionState::TransmitTlsData(transmit)) => {
                    transmit.may_encrypt_app_data().map(|mut traffic| write(&mut traffic))
                }
                _ => None,
            }
        })
    }

    pub(super) fn state(&self) -> &CommonState {
        either!(self, connection => connection)
    }
}

/// `WriteTraffic` of either side.
pub(super) trait Encrypt {
    fn encrypt(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<usize, EncryptError>;
    fn close(&mut self, out: &mut [u8]) -> Result<usize, EncryptError>;
}

impl<Data> Encrypt for WriteTraffic<'_, Data> {
    fn encrypt(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<usize, EncryptError> {
        WriteTraffic::encrypt(self, plaintext, out)
    }

    fn close(&mut self, out: &mut [u8]) -> Result<usize, EncryptError> {
        self.queue_close_notify(out)
    }
}

fn step<Data>(status: UnbufferedStatus<'_, '_, Data>, sink: Sink<'_>, begun: bool) -> (usize, Step) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut got = 0;
            let mut failed = None;
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        // In order: once something is held back, all that follows is.
                        let room = if sink.held.is_empty() { sink.space.len() - got } else { 0 };
                        let (now, later) = record.payload.split_at(record.payload.len().min(room));
                        sink.space[got..got + now.len()].copy_from_slice(now);
                        got += now.len();
                        sink.held.extend_from_slice(later);
                    }
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) => Step::Failed(error::told(error, begun)),
                None => Step::Plaintext(got),
            }
        }
        Ok(ConnectionState::EncodeTlsData(mut encode)) => {
            match append(sink.out, |out| match encode.encode(out) {
                Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
                Err(EncodeError::AlreadyEncoded) => Err(None),
                Ok(written) => Ok(written),
            }) {
                Some(_) => Step::Again,
                None => Step::Failed(TlsError::Other("a handshake message could not be encoded".into())),
            }
        }
        Ok(ConnectionState::TransmitTlsData(transmit)) => {
            transmit.done();
            Step::Again
        }
        Ok(ConnectionState::PeerClosed) => Step::PeerClosed,
        Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) | ConnectionState::Closed) => {
            Step::Blocked
        }
        // Early data is off, in every configuration that gets here; other states do not exist yet.
        Ok(_) => Step::Failed(TlsError::Other("a state of TLS that is not known here".into())),
        Err(error) => Step::Failed(error::told(error, begun)),
    };
    (discard, step)
}

/// Room for most of what is encoded or encrypted at once.
const ROOM: usize = 18 * 1024;

/// Lets `write` append to `out`; it says how much room it lacks, if it does. `None`: it fails otherwise.
pub(super) fn append(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Option<usize> {
    let before = out.len();
    let mut room = ROOM;
    loop {
        out.resize(before + room, 0);
        match write(&mut out[before..]) {
            Ok(written) => {
                out.truncate(before + written);
                return Some(written);
            }
            Err(Some(needed)) if needed > room => room = needed,
            Err(_) => {
                out.truncate(before);
                return None;
            }
        }
    }
}
