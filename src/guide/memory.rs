//! Memory per connection: what one consists of, what is added by what, and how to measure it.
//!
//! The rule: **an idle connection owns no buffer**, neither to receive nor to send, and what is rare is a pointer until it
//! happens. Buffers are the loop's, are lent for the turn in which there are bytes, and go round.
//!
//! # One that is idle
//!
//! An open connection of an [`EventLoop`], as server, with the defaults, that has nothing to read and nothing to send:
//!
//! | part | what it holds | bytes |
//! |---|---|---|
//! | its slot | socket, state machine ([`Connection`]), where its timer stands, which lists it is on | 200 bytes, in a page of 64 slots |
//! | its entry in the table of slots | the generation, so that an old [`ConnId`] names nobody | 4 bytes |
//! | its entry among the deadlines | when to look at it next: one, however often the deadline moves | 4 bytes |
//!
//! In all, as resident memory of the echo example over 10,000 connections: fresh 242 to 249 bytes for each, and after 16 KiB have been
//! echoed on each 262 to 275; of 19,000 connections 224 to 227, and 237 to 242. What is above 208 is the loop's own, shared by all.
//!
//! The limits are not in it: [`Config`] is shared by all connections of a listener. Before it is open, a connection has the
//! parser of its opening handshake in a box of its own; it is freed by the upgrade.
//!
//! The kernel's part is not in it either, and is larger: the socket, its descriptor, its place in epoll, and while bytes are
//! on their way what `net.ipv4.tcp_rmem` and `tcp_wmem` allow.
//!
//! # What is added by what
//!
//! Bytes of heap on a 64-bit system, as a counting allocator saw them; tables that grow by doubling count as they stood.
//!
//! | what | adds | until |
//! |---|---|---|
//! | a leftover of a read, such as half a frame | a [`RecvBuffer`] of 104 bytes, and what it holds: copied to storage of its size below 16 KiB, above it at most about three times of it | the rest has come |
//! | a queue that waits | the bytes of small frames, in storage that grows by doubling; a large or shared payload by reference, with 48 bytes in a table that grows by doubling, and 104 for that table | it is empty |
//! | one broadcast that waits, alone | nothing: its reference lies in the slot | it has left |
//! | messages that wait apart for a slow peer | the message, shared by count if it was prepared, and at most 128 bytes, which count against `max_send_buffer` | they are framed or dropped |
//! | permessage-deflate | the page of [`PermessageDeflate`] has the figures: little while nothing is compressed, hundreds of kilobytes with windows kept | see there: `release_after`, or not kept at all |
//! | `Config::statistics` | 160 bytes | its end |
//! | [`Connection::watch_frames`] | 40 bytes for each frame that is kept, 88 for the ring; 2.5 MiB at the most | it is called with 0 |
//! | a subprotocol | its name, boxed | its end |
//! | a client's masking keys | a source of its own, with 256 bytes of keys fetched ahead | its end |
//! | a header of the PROXY protocol | 88 bytes, the fields of a header of version 2 as they came (within `max_header_size`), and a place in a table that grows by doubling: 133 to 139 bytes for each of 1,000, 4,000 and 9,000 connections whose header has no such fields, as resident memory 131 to 152 | its end |
//! | TLS, at rest | about 3.6 KiB, nearly all of it rustls' state: as resident memory 3,938 bytes for each of 2,000 connections, 4,141 after 16 KiB on each, where without TLS it was 296 and 432 (`benches/tls`, load 8). A bare rustls echo with its buffered API: 8,675 and 12,818 | its end |
//! | TLS, under way | a record or a handshake message that is not whole, at most 96 KiB and mostly below 17; up to 64 KiB of records that the kernel did not take | the rest has come; they have left |
//! | a [`Hub`] | a place among everyone: 61 to 98 bytes | its end |
//! | a room that it is in | 40 to 60 bytes for each membership, in 100 rooms | it leaves |
//! | a room of its own | 230 bytes, its membership included | the last one leaves |
//! | a [`ConnMap`] of yours | your value, and its [`ConnId`] | the map's end: its size follows the largest slot |
//!
//! # How storage is lent and given back
//!
//! **To receive** the loop has one buffer of 256 KiB, and every connection that is ready is read into that. What is left when
//! its events have been handed out goes with the connection and comes back with the next read. A message of 64 KiB or more
//! may leave with the storage that it lies in, if it fills half of it: that is sent on by reference, or dropped, and the
//! storage serves the next large message. At most 256 MiB are kept so, and none of it after a second without a large
//! message.
//!
//! The storage follows bytes that came, never a length that was declared:
//!
//! ```
//! use std::time::Instant;
//! use wireroom::{Config, Connection, RecvBuffer, handshake::Accepted};
//!
//! let accepted = Accepted::upgraded_elsewhere(None, Default::default());
//! let mut connection = Connection::server(accepted, Config::default(), Instant::now());
//! let mut rx = RecvBuffer::new();
//! assert_eq!(rx.capacity(), 0);
//! rx.extend(b"\x82\xff\0\0\0\0\0\xff\0\0keys"); // the header of a binary message of 16 MiB less 64 KiB
//! while connection.poll_event(&mut rx, Instant::now()).is_some() {}
//! assert_eq!(rx.capacity(), 256); // the least that is ever allocated
//! ```
//!
//! **To send**, a connection borrows storage from the loop's pool with its first message of a turn, and its queue gives it
//! back when the kernel has taken all. The pool keeps 128 KiB (with
//! 64 KiB 10,000 idle connections were 255 bytes each instead of 272 after 16 KiB on each, and an echo of 16 KiB fell from 0.97 to 0.84 of raw TCP's);
//! what a broadcast has needed beyond that is freed. Storage of
//! more than 128 KiB is not kept. So ten thousand connections that speak now and then share what a few of them use at a
//! time, and a connection whose peer does not read keeps its own, up to `max_send_buffer` and one message.
//!
//! **To compress**, contexts are taken from the loop's [`DeflatePool`] for a message, where windows are not kept.
//!
//! In a loop of your own, a connection has a [`RecvBuffer`] of its own for as long as that holds something; an empty one can
//! serve the next connection. Its queue allocates what the loop would lend, and keeps up to 128 KiB of it.
//!
//! # The worst case
//!
//! Each connection may hold an unfinished message of `max_message_size`, in storage of about three times that at most, and a
//! queue of `max_send_buffer` and one message. Nothing bounds the sum but `max_connections`: [`tuning`](super::tuning) has
//! the arithmetic.
//!
//! # How to measure it
//!
//! ```text
//! cargo test --release --all-features --test soak -- idle --connections 10000
//! benches/compare/run --scenarios idle --peers wireroom
//! ```
//!
//! The first prints how the server's resident memory grew for each connection, in a [`Hub`], with its processor time at rest
//! and the time of a broadcast to all; over more than one process (`--processes 6`) it makes 100,000 of them. The second is the
//! echo example, fresh, and after 16 KiB on each. Both divide the growth of the resident size by the number of connections,
//! so a table that has just doubled shows; take several numbers of connections.
//!
#![doc = include_str!("links/core.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
#![cfg_attr(feature = "rooms", doc = include_str!("links/rooms.md"))]
#![cfg_attr(not(feature = "rooms"), doc = include_str!("links/without_rooms.md"))]
#![cfg_attr(feature = "deflate", doc = include_str!("links/deflate.md"))]
#![cfg_attr(not(feature = "deflate"), doc = include_str!("links/without_deflate.md"))]
