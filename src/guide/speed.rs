//! How it is fast: the way of a message through the floors, what was done on each and why, and what each floor costs.
//!
//! A small message takes a few hundred instructions here, and more in the kernel. So what counts first is to call that
//! seldom; then to touch each byte seldom; then to ask few questions of a message that is like most others. Nothing of it is
//! bought with `unsafe`, a thread or a runtime.
//!
//! # The way of a message
//!
//! **One poll for many, one `recv` for each.** The poll tells of up to 1,024 sockets at once. mio is edge-triggered, so a socket has to be read until it is empty; but a read that
//! did not fill the room there was has emptied it (epoll(7), Q9), so there is no second one that only learns "not now".
//! Where the poll has told that the peer will send no more, and on Windows, the loop does read until the end.
//!
//! **One buffer.** The [`EventLoop`] has one [`RecvBuffer`] of 256 KiB, and each read begins at its start: small messages of all
//! connections pass through the same few kilobytes of memory. What a read leaves over, half a frame, is copied out while it
//! is below 16 KiB; above that the buffer itself changes hands.
//!
//! **In place.** A payload is unmasked where it lies, 32 bytes at a time, which compilers turn into vector instructions. The
//! first fragment of a message is where it belongs already; each later one is moved down over its own header. So a message
//! is contiguous, and one of a single frame was never moved.
//!
//! **The short way.** Most messages are one frame, without extensions, there as a whole, below 64 KiB, on a connection on which
//! nothing else is going on. `src/message/decoder/whole.rs` is for those: two bytes tell that it is one, and it is
//! delivered. Whatever is otherwise, rules that are broken included, stays untouched for the decoder that asks all the
//! questions. [`Connection::send`] has the same: with room for a small message, two or four bytes before it and its payload
//! are appended to what waits.
//!
//! **UTF-8 once.** A text that is there whole is checked where it becomes a `str`, and only there; one that comes in pieces,
//! piece by piece, so that a bad byte fails as soon as it is there (section 8.1). The feature `simdutf8` makes the check
//! itself faster, most of all for text beyond ASCII: see the table.
//!
//! **The handler** borrows the buffer, and not the connection, so that it can answer in the same match arm, without a copy
//! and without an allocation:
//!
//! ```
//! use std::time::Instant;
//! use wireroom::{Config, Connection, Event, RecvBuffer, handshake::Accepted};
//!
//! # let accepted = Accepted::upgraded_elsewhere(None, Default::default());
//! let mut connection = Connection::server(accepted, Config::default(), Instant::now());
//! let mut rx = RecvBuffer::with_capacity(256 << 10);
//! rx.extend(b"\x81\x82\x01\x02\x03\x04ik\x81\x82\x01\x02\x03\x04ik"); // one read, two masked texts
//! while let Some(event) = connection.poll_event(&mut rx, Instant::now()) {
//!     if let Event::Message(message) = event {
//!         connection.send(message)?;
//!     }
//! }
//! let mut out = Vec::new();
//! bytes::BufMut::put(&mut out, connection.transmit()); // one write
//! assert_eq!(out, b"\x81\x02hi\x81\x02hi");
//! # Ok::<(), wireroom::SendError>(())
//! ```
//!
//! **The queue** is runs of storage: small messages are appended to one, so that many leave in one write, and a large or
//! shared payload is a run by reference. The first run lies in the queue itself: one broadcast that waits has allocated
//! nothing. Messages are counted by an increment; only above a mark are the frames that have left walked, each once.
//!
//! **Prepared messages.** A [`PreparedMessage`] is framed once, and where compression was agreed on, compressed once for all
//! with a window of the same size. A member of a room is told by a count on the same bytes, or, while little waits for it
//! and the message is below 4 KiB, by a copy into storage that it has already: then several broadcasts of a turn leave as one
//! run, and allocate nothing for each member.
//!
//! **Large messages** are not copied at all. From 64 KiB on a message leaves the receive buffer with its storage while it is
//! handled, if it fills half of that; sent on, it is queued by reference. When it has left, its storage serves the next
//! one, for a page that is new to the process costs more than the bytes in it. A text that came in one read is the
//! exception: it is a `str` where it lies.
//!
//! **Deadlines are lazy.** An arrival writes one number down. The connection's one entry among the timers stays where it was,
//! comes up, is held against that number, and goes back: no message moves a timer, and nothing scans all connections.
//!
//! **One write for each connection in a turn**, however many messages and broadcasts there were: it is marked when something
//! is queued, and written to when all events have been handed out. One slice leaves by `send`, several by one `writev`; the
//! poll is asked for writability only when the kernel did not take all.
//!
//! **The end, at once.** What a write has brought to its end is told in the same turn. Where both Close frames have passed,
//! none of our Pings waits for its Pong, little was sent and nothing lies unread, the server closes then and there and does
//! not linger (section 7.1.1).
//!
//! # What each floor costs
//!
//! Instructions, counted by callgrind: the totals of `benches/guard/run`, divided by the number of messages that stands in the
//! benchmark's name. rustc 1.95.0 on x86-64, default features and for the last two rows `deflate`, no `target-cpu`, thin LTO. The way in includes one copy of
//! the bytes into the buffer, as a read makes it; system calls are not in it. The last column is the same with `wireroom`'s
//! feature turned on in `benches/guard/Cargo.toml`, on a processor with AVX2.
//!
//! | floor | what | benchmark | instructions | with `simdutf8` |
//! |---|---|---|---:|---:|
//! | 1 | a payload unmasked, 16 bytes | `apply_mask::times_100_of_16` | 35 | |
//! | 1 | 1 KiB | `apply_mask::times_100_of_1024` | 273 | |
//! | 1 | 64 KiB | `apply_mask::times_100_of_65536` | 15,393 | |
//! | 0 to 4, in | a binary message of 32 bytes | `parse::binary_1000_of_32` | 270 | |
//! | | a text of 32 bytes, ASCII | `parse::ascii_1000_of_32` | 401 | 426 |
//! | | a text of 32 bytes, several scripts | `parse::mixed_1000_of_32` | 646 | 671 |
//! | | a text of 1 KiB, ASCII | `parse::ascii_100_of_1024` | 1,191 | 891 |
//! | | a text of 1 KiB, several scripts | `parse::mixed_100_of_1024` | 11,358 | 1,596 |
//! | | a text of 64 KiB, several scripts | `parse::mixed_4_of_65536` | 712,495 | 86,470 |
//! | | a binary message of 1 MiB | `parse::binary_1_of_1048576` | 446,041 | |
//! | | a text of 256 KiB, several scripts, in 16 fragments | `parse_fragments::mixed_in_16384` | 2,876,886 | 386,782 |
//! | | the same in 256 fragments | `parse_fragments::mixed_in_1024` | 2,967,603 | 500,514 |
//! | 4 to 0, out | a text of 32 bytes queued and taken | `encode::count_1000_of_32` | 125 | |
//! | | a text of 1 KiB | `encode::count_64_of_1024` | 343 | |
//! | | a text of 64 KiB | `encode::count_4_of_65536` | 16,498 | |
//! | 3 | a browser's opening handshake, answered | `handshake` | 12,508 | |
//! | 2, 4 | a broadcast of 128 bytes, for each of 1,000 members | `broadcast::to_1000_of_128` | 671 | |
//! | | of 16 KiB, for each | `broadcast::to_1000_of_16384` | 674 | |
//! | | of 128 bytes, one of four before a write, for each | `four_broadcasts::to_1000_of_128` | 730 | |
//! | 6 | of 128 bytes, by way of a room, for each | `room::to_1000_of_128` | 682 | |
//! | 2 | 1 KiB of JSON compressed, level 1, window not kept | `deflate_compress::no_takeover_16_of_1024` | 52,237 | |
//! | 2 | 1 KiB of JSON inflated, of level 6, window not kept | `deflate_inflate::no_takeover_16_of_1024` | 33,508 | |
//!
//! What can be read from it: a byte of binary costs 0.43 instructions, the copy into the buffer included. A byte of text in
//! several scripts costs 11, nearly all of them the standard library's UTF-8 check, and 1.3 with `simdutf8`; a text of 32
//! bytes is a little dearer with it. A fragment costs 378 more. A room adds 12 to a delivery. A broadcast costs the same
//! for 128 bytes as for 16 KiB. Compressing 1 KiB costs more than all floors together.
//!
//! Instructions are not time: a cache miss costs none. `cargo bench` tells nanoseconds, beside a `memcpy` of the same bytes
//! in the same run; take the ratio of the two, for a machine changes its speed.
//!
//! # Beside others
//!
//! Messages per second of the server's processor time, as a share of a raw TCP echo's that knows no protocol, in the same
//! round; of the compressed ones, as a share of uWebSockets'. The last two rows are in their own units.
//!
//! <!-- figures -->
//! | scenario | `wireroom` | with `simdutf8` | uWebSockets |
//! |---|---:|---:|---:|
//! | echo 125 B, 64 connections, one in flight | | | |
//! | echo 32 B text, 64 connections, 16 in flight | | | |
//! | echo 125 B, 2,000 connections | | | |
//! | echo 1 KiB non-ASCII text, 64 connections, one in flight | | | |
//! | echo 1 KiB non-ASCII text, 16 connections, 16 in flight | | | |
//! | echo 16 KiB binary, 16 connections | | | |
//! | echo 1 MiB binary, 4 connections | | | |
//! | echo 1 MiB non-ASCII text in 16 KiB fragments, 4 connections | | | |
//! | echo 16 MiB binary, 2 connections | | | |
//! | broadcast 128 B to 100 | | | |
//! | broadcast 128 B to 2,000 | | | |
//! | broadcast 16 KiB to 100 | | | |
//! | connect, upgrade, one message, close; 32 at a time | | | |
//! | permessage-deflate, 1 KiB JSON, no context takeover | | | |
//! | permessage-deflate, 1 KiB JSON, context takeover | | | |
//! | latency at 20,000 messages a second, 125 B, 64 connections | | | |
//! | memory of 10,000 idle connections | | | |
//!
//! `benches/compare/run` makes it anew: it builds the peers, runs them in turns on one core with a load generator on another,
//! and prints the whole table, with more peers and the spread. `--quick` does so in little, `--scenarios` and `--peers`
//! choose, and `benches/README.md` says what was done for fairness.
//!
//! # What is counted in the tests
//!
//! That a message allocates nothing once warm, in and out, is `cargo test --test no_alloc`; system calls for each message are
//! counted with strace, and stand in `CONTRIBUTING.md` under "Measured", with the command.
//!
#![doc = include_str!("links/core.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
