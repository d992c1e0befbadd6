//! Floor 5: mio. The only floor with sockets, a clock and entropy.
//!
//! One turn of the [`EventLoop`]: poll; accept; read what is ready, each connection up to its budget, and hand its
//! events to the caller's closure; look at the deadlines that are due; write, once per connection that has something
//! to say. mio is edge-triggered: a read that did not fill the room there was has drained the socket (epoll(7), Q9),
//! so there is no second `read` that only learns "not now"; what stays ready is kept in a list of our own.
//!
//! The loop has one large receive buffer, and lends storage for sending from a bounded pool: an idle connection owns
//! neither. What is left of a read, such as half a frame, is copied to a buffer of its size.

#![allow(clippy::disallowed_methods)] // the floor with the clock

mod accept;
mod admission;
mod arrivals;
mod commands;
mod conn_map;
mod connect_options;
mod connections;
mod counts;
mod deadlines;
#[cfg(feature = "deflate")]
mod deflate;
mod detach;
mod dial;
mod drive;
mod event_loop;
mod fan_out;
mod flush;
mod handle;
#[cfg(all(feature = "inherit", unix))]
mod inherit;
mod large;
mod listen;
mod listen_options;
mod log;
mod loops;
mod loops_handle;
#[cfg(not(feature = "tls"))]
mod no_tls;
mod phase;
mod pool;
mod preface;
pub mod reconnecting;
mod resolver;
mod shared_listener;
mod shutdown;
mod siblings;
mod slots;
mod socket;
mod stats;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;
mod unconnected;
#[cfg(unix)]
mod unix_listener;
mod unopened;
mod upkeep;

pub use conn_map::ConnMap;
pub use connect_options::ConnectOptions;
pub use connections::Connections;
pub use counts::{CauseCounts, CloseCounts, StatusCounts};
pub use detach::Detached;
pub use event_loop::EventLoop;
pub use handle::{Handle, HandleError};
#[cfg(all(feature = "inherit", unix))]
#[cfg_attr(docsrs, doc(cfg(feature = "inherit")))]
pub use inherit::Inherited;
pub use listen::ReadyListener;
pub use listen_options::ListenOptions;
pub use loops::{LoopSeed, Loops};
pub use loops_handle::LoopsHandle;
#[cfg(not(feature = "tls"))]
use no_tls::Scratch;
pub use preface::ProxyProtocol;
pub use shared_listener::SharedListener;
pub use slots::ConnId;
pub use socket::Stream;
pub use stats::Stats;
#[cfg(feature = "tls")]
use tls::Scratch;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use tls::{
    ClientCertificates, ClientTls, ClientTlsBuilder, ServerTls, ServerTlsBuilder, TlsConfigError, TlsSession,
    TlsStream, TlsVersion,
};
pub use unconnected::Unconnected;
#[cfg(unix)]
pub use unix_listener::UnixSocket;
