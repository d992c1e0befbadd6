//! Embedding: `wireroom` inside a loop that is not its own.
//!
//! [`Connection`], [`ServerHandshake`] and [`ClientHandshake`] know no socket, no clock and no randomness: bytes go in, events
//! and bytes come out. So they fit into whatever waits for sockets already. This page shows four such places, each by a program
//! that the tests run:
//!
//! | loop | way in | program | `unsafe` |
//! |---|---|---|---|
//! | mio's `Poll`, yours | [`EventLoop::in_poll`] | `examples/own_poll.rs` | none |
//! | tokio | `AsyncFd`, a task for each connection | `examples/embedding/src/bin/tokio_echo.rs` | one line, tokio's |
//! | io_uring | a receive and a send under way for each connection | `examples/embedding/src/bin/io_uring_echo.rs` | buffers that the kernel works on |
//! | a thread for each connection | blocking sockets with a timeout | `examples/blocking_echo.rs` | none |
//!
//! Who needs no loop of another kind should take [`EventLoop`]: it has the budgets, the pools, the limits on connections and the
//! counters that a driver of one's own has to do without, or build. What one connection is held to, [`Config`] has for both.
//!
//! # What a driver has to do
//!
//! 1. **Events.** [`Connection::poll_event`] until it has none: when bytes have come, when output has left, and behind the
//!    calls of 4 and 5. [`Connection::wants_poll`] says whether it would have one without new bytes.
//! 2. **Bytes out.** [`Connection::transmit`] is a `bytes::Buf` with several slices: `chunks_vectored`, one vectored write,
//!    `advance` by what was written. While [`Connection::wants_write`], wait until the socket takes more.
//! 3. **The socket.** Do what [`Connection::transport`] says: go on, shut the write side down and read on, or close. A server
//!    that closes while bytes are unread sends a reset, which can destroy its own Close frame on the way.
//! 4. **Bytes in**, only while [`Connection::wants_read`]: not reading is what slows down a peer that does not read our answers.
//!    Into [`RecvBuffer::space`], then [`RecvBuffer::filled`]. The end of the stream is [`Connection::handle_eof`], a failure
//!    [`Connection::handle_io_error`].
//! 5. **Time.** Sleep no longer than to [`Connection::poll_timeout`], asked anew before each sleep; then
//!    [`Connection::handle_timeout`]. Too early does no harm. Without it there is no keepalive, and no end to a closing handshake.
//!
//! The opening handshake goes the same way, with calls of the same names; [`ServerHandshake::poll`] stands for the first. It ends
//! with `Progress::Upgraded`, and the receive buffer goes on to the connection: what the peer sent right behind its request is in
//! it. A server whose HTTP is another's begins with [`Accepted::upgraded_elsewhere`]. A client brings 16 random bytes for its
//! nonce and four for each frame ([`MaskingKeys`]), from the operating system: RFC 6455 section 10.3 says why.
//!
//! # A thread, and blocking sockets
//!
//! The five steps, each a line or two. It is the right form for a client with one connection, and for a few dozen at most.
//!
//! ```
//! use std::{
//!     io::{self, ErrorKind, IoSlice, Read, Write},
//!     net::{Shutdown, TcpStream},
//!     time::{Duration, Instant},
//! };
//! use bytes::Buf;
//! use wireroom::{Connection, Event, RecvBuffer, Transport};
//!
//! fn converse(mut socket: TcpStream, mut rx: RecvBuffer, mut connection: Connection) -> io::Result<()> {
//!     loop {
//!         // 1. Events.
//!         while let Some(event) = connection.poll_event(&mut rx, Instant::now()) {
//!             match event {
//!                 Event::Message(message) => _ = connection.send(message),
//!                 Event::Closed(closed) => println!("{closed}"),
//!                 _ => {}
//!             }
//!         }
//!         // 2. Bytes out.
//!         while connection.wants_write() {
//!             let mut slices = [IoSlice::new(&[]); 16];
//!             let queue = connection.transmit();
//!             let count = queue.chunks_vectored(&mut slices);
//!             let written = socket.write_vectored(&slices[..count])?;
//!             queue.advance(written);
//!         }
//!         // 3. The socket.
//!         match connection.transport() {
//!             Transport::Close => return Ok(()),
//!             // It fails where the peer has gone already, which the next read tells.
//!             Transport::ShutdownWrite => _ = socket.shutdown(Shutdown::Write),
//!             Transport::Open => {}
//!         }
//!         if connection.wants_poll() {
//!             continue;
//!         }
//!         // 4. Bytes in, or 5. time. (A timeout of zero would mean none.)
//!         let left = connection.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
//!         socket.set_read_timeout(left.map(|left| left.max(Duration::from_millis(1))))?;
//!         match socket.read(rx.space(4096)) {
//!             Ok(0) => connection.handle_eof(),
//!             Ok(n) => rx.filled(n),
//!             Err(error) => match error.kind() {
//!                 ErrorKind::WouldBlock | ErrorKind::TimedOut => connection.handle_timeout(Instant::now()),
//!                 ErrorKind::Interrupted => {}
//!                 kind => connection.handle_io_error(kind),
//!             },
//!         }
//!     }
//! }
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let mut peer = TcpStream::connect(listener.local_addr()?)?;
//! # let (socket, _) = listener.accept()?;
//! # let accepted = wireroom::handshake::Accepted::upgraded_elsewhere(None, Default::default());
//! # let connection = Connection::server(accepted, wireroom::Config::default(), Instant::now());
//! # peer.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i', 0x88, 0x80, 0, 0, 0, 0])?;
//! # let server = std::thread::spawn(move || converse(socket, RecvBuffer::new(), connection));
//! # let mut heard = Vec::new();
//! # peer.read_to_end(&mut heard)?;
//! # assert_eq!(heard, [0x81, 2, b'h', b'i', 0x88, 0]);
//! # drop(peer);
//! # server.join().unwrap()?;
//! # Ok::<(), io::Error>(())
//! ```
//!
//! A blocking write waits for the peer, and while it waits nothing is read: set a write timeout as well, or two ends that have
//! much to say to each other wait for ever. `examples/blocking_echo.rs` does, and has the opening handshake.
//!
//! # Your mio `Poll`
//!
//! [`EventLoop::in_poll`] puts the whole loop into a poll that has other sources, too: you give it the registry, the first of the
//! tokens that it may use, and a closure that wakes the poll. Then [`EventLoop::process`] is shown each event, and
//! [`EventLoop::finish_turn`] does the rest; sleep no longer than to [`EventLoop::next_deadline`]. `examples/own_poll.rs` has a UDP
//! socket beside WebSockets. A [`Hub`] goes along by `Hub::finish_turn`.
//!
//! # tokio
//!
//! Each connection is a task. `AsyncFd` tells when the descriptor is ready, and forgets it when the system call says "not now";
//! the deadline is a third branch. `Peer` is the five steps around a handshake and a connection, in `examples/embedding/src/lib.rs`;
//! `read` and `write` are one system call each.
//!
//! ```ignore
//! async fn converse(stream: TcpStream, config: Arc<Config>) -> io::Result<()> {
//!     stream.set_nodelay(true)?;
//!     // SAFETY: a `TcpStream` is one and the same open descriptor for as long as it lives. (It does not block: it was tokio's.)
//!     let socket = unsafe { AsyncFd::register(stream) }?;
//!     let mut peer = Peer::new(config, Instant::now());
//!     loop {
//!         // 1. Events, then what is to be done with the socket.
//!         peer.poll(Instant::now());
//!         match peer.transport() {
//!             Transport::Close => return Ok(()),
//!             // It fails where the peer has gone already, which the next read tells.
//!             Transport::ShutdownWrite => _ = socket.get_ref().shutdown(Shutdown::Write),
//!             Transport::Open => {}
//!         }
//!         // 2. Sleep until the socket is ready for what is wanted of it, or time is up.
//!         let deadline = peer.poll_timeout();
//!         tokio::select! {
//!             biased;
//!             ready = socket.writable(), if peer.wants_write() => {
//!                 // `Err`: it was not ready after all, and `AsyncFd` knows now.
//!                 if let Ok(written) = ready?.try_io(|socket| write(&mut peer, socket.get_ref())) {
//!                     written?;
//!                 }
//!             }
//!             ready = socket.readable(), if peer.wants_read() => {
//!                 if let Ok(was_read) = ready?.try_io(|socket| read(&mut peer, socket.get_ref())) {
//!                     was_read?;
//!                 }
//!             }
//!             () = until(deadline) => peer.handle_timeout(Instant::now()),
//!         }
//!     }
//! }
//! ```
//!
//! `AsyncFd` takes any descriptor, also one that a C library made; that this stays open is what the `unsafe` promises. For a
//! socket of tokio's own, `TcpStream::readable`, `try_read` and `try_write_vectored` are the same without it. A [`Connection`] is
//! `Send`, so a runtime of several threads takes such tasks, too.
//!
//! What other tasks have to say to a connection comes by a channel, as a fourth branch that calls [`Connection::send`]; bound
//! the channel, for the queue behind it is bounded, too. A message for many is a [`PreparedMessage`], encoded once.
//!
//! # io_uring
//!
//! Completions in place of readiness: a buffer is handed to the kernel *before* there are bytes, and may not move until it
//! comes back. The core's buffers do move, so the kernel gets buffers of the connection's own, and one copy is made on each way:
//!
//! ```ignore
//! (false, Ok(n)) => {
//!     slot.receiving = false;
//!     slot.peer.space()[..n].copy_from_slice(&slot.inbox[..n]);
//!     slot.peer.received(n);
//! }
//! ```
//!
//! and out, taken from the queue at once and not when it has left: a Pong may overtake what is still in the queue, and must not
//! overtake what the kernel has.
//!
//! ```ignore
//! // Taken out at once: what is in the queue may still change places, what is under way may not.
//! let queue = slot.peer.transmit();
//! let n = queue.remaining().min(64 * 1024);
//! slot.outbox.resize(n, 0);
//! queue.copy_to_slice(&mut slot.outbox);
//! self.send(number)?;
//! ```
//!
//! [`Connection::transport`] says "shut down" when the queue is empty, so such a driver waits for its own last send besides, and a
//! slot is free only when the kernel has given both buffers back. Deadlines are the timeout of the wait for completions. It is
//! what the program does; it does not say that io_uring is faster here, which nobody has measured. An idle connection holds a
//! receive buffer in it, where a task of the tokio program holds none; buffers that the kernel picks from a shared ring would end that.
//!
//! `examples/embedding/run` builds both programs, with a lock file of their own, and runs clients against them: messages in one
//! piece with the request and byte by byte, 48 MB from a peer that does not read and has to be held back, faults, resets, deadlines. Where
//! io_uring is not permitted, as in many containers, the program says so and is skipped.
//!
#![doc = include_str!("links/core.md")]
#![doc = include_str!("links/world.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
#![cfg_attr(feature = "net", doc = include_str!("links/world_net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/world_without_net.md"))]
#![cfg_attr(feature = "rooms", doc = include_str!("links/rooms.md"))]
#![cfg_attr(not(feature = "rooms"), doc = include_str!("links/without_rooms.md"))]
