//! The closing handshake (RFC 6455 sections 5.5.1, 7.1) as one pure table.
//!
//! | | local close | peer's Close | data, ping, pong | protocol error | flushed | half-closed | end of stream | deadline | dead peer | abort |
//! |---|---|---|---|---|---|---|---|---|---|---|
//! | **Open** | Close, AwaitingClose | echo, Flushing | deliver; pong | Close(code), Flushing | - | Flushing | Closed | - | Close(1011), Closed | Closed |
//! | **AwaitingClose** | - | Flushing | deliver; pong | Flushing | - | Flushing | Closed | Closed | Closed | Closed |
//! | **Flushing** | - | discard | discard | discard | AwaitingEof | - | Closed | Closed | Closed | Closed |
//! | **AwaitingEof** | - | discard | discard | discard | - | - | Closed | Closed | Closed | Closed |
//! | **Closed** | - | discard | discard | discard | - | - | - | - | - | - |
//!
//! Half-closed is an end of the stream while output waits, before or behind the peer's Close: the peer may have closed its
//! side only, so what was accepted still leaves, within the close deadline.

/// Where the closing handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No Close frame yet.
    Open,
    /// Ours is queued or sent; the peer's is awaited. Data still arrives and Pings are answered (5.5.2).
    AwaitingClose,
    /// Both were seen, or the connection fails: what is queued still leaves, what arrives is thrown away, for a peer
    /// that is blocked in its own write must not hold us.
    Flushing,
    /// Everything was sent. A server has shut its side down and lingers, a client waits for the server's end of stream
    /// (7.1.1: the server closes first; a plain close with unread bytes would destroy our Close frame on its way). Once the
    /// peer's Close has come, no Pong is due, little was sent and nothing lies unread, `net` does not linger.
    AwaitingEof,
    /// The transport can go.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    LocalClose,
    PeerClose,
    /// A message, a part of one, a Ping or a Pong.
    Data,
    ProtocolError,
    Flushed,
    /// The peer's stream has ended, and output waits.
    HalfClosed,
    EndOfStream,
    Deadline,
    DeadPeer,
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Nothing,
    /// Queue the Close frame that the input brings with it.
    SendClose,
    /// Queue a Close frame with the peer's code.
    EchoClose,
    Deliver,
    Discard,
}

impl State {
    pub(crate) fn next(self, input: Input) -> (Self, Output) {
        use {Input as I, Output as O, State as S};
        match (self, input) {
            (S::Open, I::LocalClose) => (S::AwaitingClose, O::SendClose),
            (S::Open, I::PeerClose) => (S::Flushing, O::EchoClose),
            (S::Open, I::ProtocolError) => (S::Flushing, O::SendClose),
            (S::Open, I::DeadPeer) => (S::Closed, O::SendClose),
            (S::Open, I::Deadline) => (self, O::Nothing),
            (S::AwaitingClose, I::PeerClose | I::ProtocolError) => (S::Flushing, O::Nothing),
            (S::Open | S::AwaitingClose, I::Data) => (self, O::Deliver),
            (S::Open | S::AwaitingClose, I::HalfClosed) => (S::Flushing, O::Nothing),
            (S::Flushing, I::Flushed) => (S::AwaitingEof, O::Nothing),
            (S::Closed, I::EndOfStream | I::Deadline | I::DeadPeer | I::Abort) => (self, O::Nothing),
            (_, I::EndOfStream | I::Deadline | I::DeadPeer | I::Abort) => (S::Closed, O::Nothing),
            (_, I::LocalClose | I::Flushed | I::HalfClosed) => (self, O::Nothing),
            (_, I::PeerClose | I::Data | I::ProtocolError) => (self, O::Discard),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Input as I, Output as O, State as S};

    #[test]
    fn section_7_1_every_cell_of_the_table() {
        let inputs = [
            I::LocalClose,
            I::PeerClose,
            I::Data,
            I::ProtocolError,
            I::Flushed,
            I::HalfClosed,
            I::EndOfStream,
            I::Deadline,
            I::DeadPeer,
            I::Abort,
        ];
        let discards = |stays: S, flushed: S| {
            let gone = S::Closed;
            [
                (stays, O::Nothing),
                (stays, O::Discard),
                (stays, O::Discard),
                (stays, O::Discard),
                (flushed, O::Nothing),
                (stays, O::Nothing),
                (gone, O::Nothing),
                (gone, O::Nothing),
                (gone, O::Nothing),
                (gone, O::Nothing),
            ]
        };
        let table = [
            (
                S::Open,
                [
                    (S::AwaitingClose, O::SendClose),
                    (S::Flushing, O::EchoClose),
                    (S::Open, O::Deliver),
                    (S::Flushing, O::SendClose),
                    (S::Open, O::Nothing),
                    (S::Flushing, O::Nothing),
                    (S::Closed, O::Nothing),
                    (S::Open, O::Nothing),
                    (S::Closed, O::SendClose),
                    (S::Closed, O::Nothing),
                ],
            ),
            (
                S::AwaitingClose,
                [
                    (S::AwaitingClose, O::Nothing),
                    (S::Flushing, O::Nothing),
                    (S::AwaitingClose, O::Deliver),
                    (S::Flushing, O::Nothing),
                    (S::AwaitingClose, O::Nothing),
                    (S::Flushing, O::Nothing),
                    (S::Closed, O::Nothing),
                    (S::Closed, O::Nothing),
                    (S::Closed, O::Nothing),
                    (S::Closed, O::Nothing),
                ],
            ),
            (S::Flushing, discards(S::Flushing, S::AwaitingEof)),
            (S::AwaitingEof, discards(S::AwaitingEof, S::AwaitingEof)),
            (S::Closed, discards(S::Closed, S::Closed)),
        ];
        for (state, row) in table {
            for (input, expected) in inputs.into_iter().zip(row) {
                assert_eq!(state.next(input), expected, "{state:?} on {input:?}");
            }
        }
    }
}
