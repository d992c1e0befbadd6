#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The map of the house names floors that this build may leave out.
#![cfg_attr(not(feature = "rooms"), allow(rustdoc::broken_intra_doc_links))]
//! Raw RFC 6455 WebSocket: the opening handshake, the frames, the closing handshake and the event loop, written to be
//! read, with a thin layer of rooms on top that shows what Socket.IO abstracts away.
//!
//! # Three ways in
//!
//! * [`Connection`]: the protocol without I/O, for a loop of your own. Bytes in, events and bytes out; also with
//!   `--no-default-features`.
//! * [`EventLoop`]: sockets on mio, as server and as client, with [`EventLoop::turn`] and a closure, or inside your
//!   own [`mio::Poll`](https://docs.rs/mio/latest/mio/struct.Poll.html).
//! * [`Hub`] and [`Socket`]: rooms, `socket.to("room").emit(..)`.
//!
//! On several threads: [`Loops`], an event loop on each, and [`Hubs`], whose rooms span them.
//!
//! # The journey of a byte
//!
//! A client's frame arrives at a socket. The loop reads it into its one [`RecvBuffer`]; an idle connection has none.
//! The [`frame`] header is parsed, the payload is unmasked where it lies, a fragment is moved down to those before it,
//! text is checked: [`message`]. [`Connection::poll_event`] hands out an [`Event::Message`] that borrows the buffer, and
//! not the connection, so the handler can send it on in the same match arm.
//!
//! `socket.to("lobby").emit(message)` encodes it once, into a [`PreparedMessage`]: the journey's only allocation. The
//! room's members are walked, and each one's [`SendQueue`] takes a count of the same bytes. At the end of the turn each
//! connection that has something to say makes one vectored write. With several loops, the same bytes cross to each other one
//! by one entry in a queue.
//!
//! # The floors
//!
//! A floor uses only floors below it. Reading them in order is reading the RFC.
//!
//! | floor | module | what | RFC 6455 |
//! |---|---|---|---|
//! | 0 | [`buffer`] | bytes in and out | |
//! | 1 | [`frame`] | one frame | 5.2, 5.3, 5.5.1, 7.4 |
//! | 2 | [`message`] | frames become messages | 5.4 to 5.6, 8.1 |
//! | - | [`backoff`] | when a client comes back | |
//! | 3 | [`http`] | just enough HTTP/1.1 | (RFC 9110, 9112) |
//! | 3 | [`proxy_protocol`] | who a proxy's client is | |
//! | 3 | [`handshake`] | the opening handshake | 4, 9.1 |
//! | 3 | [`proxy`] | a way through HTTP CONNECT or SOCKS5 | (RFC 9110, 1928) |
//! | 4 | [`connection`] | the state machine | 5.5, 7 |
//! | 5 | [`net`] | mio: sockets, clock, entropy | 10.3 |
//! | 6 | [`rooms`] | what Socket.IO abstracts away | |
//!
//! # Limits
//!
//! Everything is bounded: see [`Config`] for each limit, its default, and what happens at it.
//!
//! # The guide
//!
//! Pages about the house as a whole: [how it is fast](guide::speed), [limits and defaults](guide::limits),
//! [memory per connection](guide::memory), [tuning](guide::tuning).
//! Out in the world: [deploying](guide::deploying), [in other loops](guide::embedding), [keepalive and timeouts](guide::keepalive),
//! [wss](guide::wss), [coming from other libraries](guide::migrating).
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `rooms` | yes | [`rooms`], on `net` |
//! | `net` | yes | [`net`], on mio and getrandom |
//! | `simdutf8` | no | UTF-8 validation with SIMD |
//! | `inherit` | no | listening sockets from systemd or a parent process, on listenfd; see `Inherited` |
//! | `log` | no | lines of the event loop by the crate log: connections and limits, never what is carried |
//! | `tls` | no | wss, on rustls with ring; see `net::tls` |
//! | `deflate` | no | compression of messages, on flate2 and zlib-rs; see `PermessageDeflate` |
//! | `testing` | no | `testing`: a kit to test your handlers without sockets |
//! | `cli` | no | the program `wireroom`: connect, serve, tap, bench |

pub mod backoff;
pub mod buffer;
pub mod connection;
pub mod error;
pub mod frame;
pub mod guide;
pub mod handshake;
pub mod http;
pub mod message;
#[cfg(feature = "net")]
pub mod net;
pub mod proxy;
pub mod proxy_protocol;
#[cfg(feature = "rooms")]
pub mod rooms;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

pub use buffer::{RecvBuffer, SendQueue};
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use connection::PermessageDeflate;
pub use connection::{
    Cause, Closed, Config, ConfigBuilder, ConnectError, Connection, ConnectionStats, Deadline, Direction, Dropped,
    Event, FailedAttempt, Initiator, MaskingKeys, MessageWriter, SendStatus, SlowConsumer, Transport, WatchedFrame,
};
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use error::TlsError;
pub use error::{ConfigError, ProtocolError, SendError};
pub use frame::{CloseCode, CloseFrame};
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use message::{Compression, DeflatePool};
pub use message::{Kind, Message, Part, PreparedMessage, Text};
#[cfg(all(feature = "inherit", unix))]
#[cfg_attr(docsrs, doc(cfg(feature = "inherit")))]
pub use net::Inherited;
#[cfg(all(feature = "net", unix))]
pub use net::UnixSocket;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use net::{
    ClientCertificates, ClientTls, ClientTlsBuilder, ServerTls, ServerTlsBuilder, TlsConfigError, TlsSession,
    TlsStream, TlsVersion,
};
#[cfg(feature = "net")]
pub use net::{
    ConnId, ConnMap, ConnectOptions, Connections, Detached, EventLoop, Handle, HandleError, ListenOptions, LoopSeed,
    Loops, LoopsHandle, ProxyProtocol, ReadyListener, SharedListener, Stats, Stream,
};
#[cfg(feature = "rooms")]
pub use rooms::{
    Adapter, Broadcast, Delivery, FullLoop, Hub, HubConfig, HubHandle, HubHandleError, Hubs, HubsHandle, Io, JoinError,
    Operation, Outlet, RoomEvent, RoomLimits, Rooms, Socket,
};
/// What [`ServerTls::from_config`] and [`ClientTls::from_config`] take.
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use rustls;

/// The README's code compiles.
#[cfg(all(doctest, feature = "rooms"))]
#[doc = include_str!("../README.md")]
struct Readme;
