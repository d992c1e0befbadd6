//! Tuning: which knobs for which use, of the library and of the system around it.
//!
//! The defaults are for a server on the open internet that is busy with messages of a few kilobytes. [`limits`](super::limits)
//! has every limit; this page says which to move when. Measure before and after: [`speed`](super::speed) and
//! [`memory`](super::memory) say how, and [`Stats`] counts what a running server meets.
//!
//! # Many idle connections
//!
//! * **`keepalive_interval`** decides what rest costs: a connection that is silent gets a Ping after each interval and answers
//!   with a Pong. 100,000 of them at 30 s are 3,333 Pings a second. Any byte of the peer counts as life, so busy ones cost
//!   nothing. A longer interval is cheaper; keep it below the timeout of every proxy and NAT on the way, and mind that a peer
//!   that vanished is noticed after `keepalive_interval` and `keepalive_timeout` together.
//! * **Descriptors**: one for each connection, one for each listener, a few for the loop. Raise the limit of the process
//!   (`ulimit -n`, `LimitNOFILE=`), and set `max_connections` below it with room for files of your own: over
//!   `max_connections` a peer is answered 503; without descriptors nobody is answered, and `accept` is tried again every
//!   100 ms.
//! * **The backlog** of a TCP listener is 128, mio's and the standard library's number, or `net.core.somaxconn` where that is
//!   smaller; of a Unix-domain one on Linux it is `somaxconn`. A burst beyond it is held up by the kernel, whose clients try
//!   again after a second or so. The loop empties it by `accept_budget` (128) in each turn. So spread those who come back:
//!   clients wait at random, and a server that goes down sends them away over a time ([`EventLoop::shut_down`],
//!   [`EventLoop::drain`]).
//! * **The kernel's memory** is larger than ours: `net.ipv4.tcp_mem` bounds it for all sockets together, in pages, and above
//!   its pressure mark windows shrink; `tcp_rmem` and `tcp_wmem` bound each.
//! * **Ports** are the client's matter: one address has about 28,000 by default (`net.ipv4.ip_local_port_range`) for each
//!   address and port that it connects to. A proxy or load generator needs more addresses, or a Unix-domain socket.
//! * `idle_timeout` closes who has nothing to say; `statistics` stays off; data of your own belongs into a [`ConnMap`].
//!
//! # Feeds
//!
//! What is sent to many, of whom some read slowly. Choose what a slow one misses, by name: [`SlowConsumer`] has the table.
//!
//! ```
//! # #[cfg(feature = "rooms")] {
//! use wireroom::{Config, SlowConsumer, rooms::{Delivery, Hub}};
//!
//! let config = Config::builder()
//!     .max_send_buffer(256 << 10) // for each who reads slowly
//!     .high_water_mark(16 << 10) // from here on what waits can still be replaced
//!     .low_water_mark(4 << 10)
//!     .slow_consumer(SlowConsumer::DropOldest)
//!     .build()?;
//!
//! fn tell(hub: &mut Hub, symbol: &str, price: &str) -> Delivery {
//!     hub.to(symbol).latest_of(symbol).emit(price)
//! }
//! # let _ = (config, tell);
//! # }
//! # Ok::<(), wireroom::ConfigError>(())
//! ```
//!
//! * States (prices, positions, presence): [`PreparedMessage::latest_of`], a key for each. A slow peer hears each state's
//!   latest, and less often.
//! * Below the high-water mark messages are framed at once and nothing can be replaced any more: set it low where what is
//!   fresh counts, and leave room up to `max_send_buffer`.
//! * Many messages in one turn leave in one write. A feed that is told in small pieces costs a write for each member in each
//!   turn; collect what comes within some milliseconds, if that is early enough.
//! * [`Event::Drain`] says when a sender that met backpressure may go on; `Broadcast::pause_sender` makes the slowest
//!   recipient set the pace.
//!
//! # Large messages
//!
//! * `max_message_size` is what one peer may make you hold; the streaming mode (`streaming`, or
//!   [`Connection::set_streaming`]) hands out parts as they come, in constant memory however long the message is.
//! * Send what you have in a `Bytes` by [`Connection::send_bytes`]: by reference from 4 KiB on (a client has to mask a copy). Send on what came by the
//!   loop's `send`, within the arm of its event: from 64 KiB on it is mostly not copied ([`speed`](super::speed)). To keep it, [`RecvBuffer::take_message`].
//! * A message is taken whole while less than `max_send_buffer` waits, so a message may be larger than that; two may not.
//!   Wait for [`Event::Drain`], or raise it.
//! * One connection is served 1 MiB in a turn, or 2 MiB of what was compressed; the others come in between.
//!
//! # Low latency
//!
//! * What a turn queues leaves at its end, and `TCP_NODELAY` is set: nothing else is waited for. So a turn has to be short.
//!   What takes long (a disk, a hash of a password) goes to a thread, and its answer comes back by [`Handle`] or
//!   [`HubHandle`].
//! * `accept_budget` below 128 keeps a crowd that comes back from holding up who is there.
//! * Small messages, or parts: a message of a megabyte is a megabyte of other people's time.
//! * Compression off, or level 1 above a `threshold`.
//! * A core of its own for the thread of the loop, if the machine has one to spare.
//!
//! # Small machines
//!
//! The worst case is a product, and nothing but its factors bounds it:
//!
//! ```
//! use wireroom::Config;
//!
//! let config = Config::builder()
//!     .max_connections(500)
//!     .max_message_size(64 << 10)
//!     .max_send_buffer(64 << 10)
//!     .high_water_mark(32 << 10)
//!     .low_water_mark(8 << 10)
//!     .build()?;
//! // An unfinished message in about three times its size, at most; a full queue, and a message above it.
//! let each = 3 * config.max_message_size() + config.max_send_buffer() + config.max_message_size();
//! assert_eq!(config.max_connections() * each >> 20, 156); // MiB, if everybody does their worst
//! # Ok::<(), wireroom::ConfigError>(())
//! ```
//!
//! The last term takes the largest message that *you* send; here as large as those that come. `max_connections` is for each
//! listener. Beside it the loop has a receive buffer of 256 KiB, a pool of 128 KiB, and for a second up to 256 MiB of what
//! messages of 64 KiB and more have left. With compression: no windows kept ([`PermessageDeflate`]'s two
//! `no_context_takeover`).
//!
//! # Behind a proxy
//!
//! * All connections come from one address: leave `max_connections_per_address` at none, and let the proxy count; or have it speak
//!   the PROXY protocol. [`deploying`](super::deploying) has all of this.
//! * `keepalive_interval` below the proxy's timeout for reading: nginx's `proxy_read_timeout` is 60 s.
//! * A Unix-domain socket ([`EventLoop::listen_unix`]) needs no ports.
//! * TLS may be the proxy's, or this library's ([`wss`](super::wss)). `Origin` passes unchanged, and is still yours to check.
//! * `handshake_timeout` counts from the proxy's connect, which may come long before its client's request; a header of the PROXY
//!   protocol comes out of the same time.
//!
//! # Compression
//!
//! Off by default. Level 1 is [`PermessageDeflate`]'s default; its page says what each level costs in time and saves in bytes,
//! what windows cost in memory, and when to leave it off. On a fast network time is worth more than bytes; a broadcast is
//! compressed once for all who agreed on a window of the same size.
//!
//! # Threads
//!
//! One loop is one thread. [`Loops`] are several, each on a thread of its own, with listeners that they share: the loop that
//! accepts hands each connection to the loop that has fewest. A message that stays in its loop meets no lock. Rooms span the loops
//! with `Hubs`: a broadcast is encoded once, and crosses to each other loop by one bounded queue and one wake. The example `echo`
//! takes `--threads N`. Take as many as there are processors that have nothing else to do; one loop is enough for as long as
//! its thread is not busy all the time.
//!
//! A connection moves with [`EventLoop::detach`] and [`EventLoop::adopt`], also between loops that are on threads of your own
//! ([`Loops::into_seeds`]).
//!
//! # The build
//!
//! * **Your own profile** counts, and not that of a dependency: `lto`, `codegen-units = 1`. This repository's release profile has
//!   thin LTO and one unit; `benches/compare` builds everybody with fat LTO, one unit and `panic = "abort"`. The last also
//!   means that a panic in a handler ends the process.
//! * **`simdutf8`** for text beyond ASCII: one more crate. Of 1 KiB in several scripts it takes a seventh of the instructions, of
//!   1 KiB of ASCII three quarters, of 32 bytes a little more than without. It finds the processor's vectors at run time.
//! * **`target-cpu=native`** where you build for the machine that you run on: unmasking is plain Rust that the compiler turns
//!   into whatever vectors the target has. SHA-1 and zlib-rs look at run time, and need no flag.
//!   `benches/compare/run --flags both` shows the difference.
//!
//! # What does not pay
//!
//! * Reading a connection right after `accept`: mostly in vain, for its request comes a moment later.
//! * A second read to learn that a socket is empty: one system call of three, for each message.
//! * Holding back reading by all that waits, and not by answers alone: two ends that had much to say waited for each other
//!   until the keepalive ended both.
//! * Lending compression contexts to connections as storage is lent: each that is active in a turn would hold one.
//!
//! `CONTRIBUTING.md` has these decisions with their reasons, and what was measured.
//!
#![doc = include_str!("links/core.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
#![cfg_attr(feature = "rooms", doc = include_str!("links/rooms.md"))]
#![cfg_attr(not(feature = "rooms"), doc = include_str!("links/without_rooms.md"))]
#![cfg_attr(feature = "deflate", doc = include_str!("links/deflate.md"))]
#![cfg_attr(not(feature = "deflate"), doc = include_str!("links/without_deflate.md"))]
