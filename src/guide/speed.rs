//! How it is fast: the way of a message through the floors, what was done on each and why, and what each floor costs.
//!
//! A small message that is echoed takes some fifteen hundred instructions here, from the poll to the write, and many times that in
//! the kernel. So what counts first is to call that
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
//! comes up, is held against that number, and goes back: no message moves a timer, and nothing scans all connections. Whether
//! the entry is early enough is asked only where the deadline may have come nearer: a connection on which nothing but messages
//! has happened only moves it on.
//!
//! **At rest.** A connection that is open, holds nothing back, owes no event and has little to say is at rest, which one look
//! tells. Where it is at rest before a read, there is nothing to hand out first; where it is at rest behind a write, there is nothing
//! to do with its stream; between the two its deadline has not come nearer. So most messages skip all three.
//!
//! **No return across a system call.** With today's mitigations the kernel leaves a processor without its predictions of
//! returns. Behind a call of the system each return into a function that was there before it is mispredicted: 14 ns each here,
//! as much as some hundred instructions. So the loops around `recv` and `send` are one function each, down to the call.
//!
//! **One write for each connection in a turn**, however many messages and broadcasts there were: it is marked when something
//! is queued, and written to when all events have been handed out. (A long row of writes is interleaved with reading: who has been
//! written to, and is told of what was read then, gets a second write at the end of the turn.) One slice leaves by `send`, several by one `writev`; the
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
//! | 0 to 4, in | a binary message of 32 bytes | `parse::binary_1000_of_32` | 195 | |
//! | | a text of 32 bytes, ASCII | `parse::ascii_1000_of_32` | 219 | 218 |
//! | | a text of 32 bytes, several scripts | `parse::mixed_1000_of_32` | 578 | 302 |
//! | | a text of 1 KiB, ASCII | `parse::ascii_100_of_1024` | 1,118 | 794 |
//! | | a text of 1 KiB, several scripts | `parse::mixed_100_of_1024` | 11,285 | 1,499 |
//! | | a text of 64 KiB, several scripts | `parse::mixed_4_of_65536` | 712,451 | 86,176 |
//! | | a binary message of 1 MiB | `parse::binary_1_of_1048576` | 445,887 | |
//! | | a text of 256 KiB, several scripts, in 16 fragments | `parse_fragments::mixed_in_16384` | 2,878,245 | 383,351 |
//! | | the same in 256 fragments | `parse_fragments::mixed_in_1024` | 2,991,130 | 509,511 |
//! | 4 to 0, out | a text of 32 bytes queued and taken | `encode::count_1000_of_32` | 112 | |
//! | | a text of 1 KiB | `encode::count_64_of_1024` | 329 | |
//! | | a text of 64 KiB | `encode::count_4_of_65536` | 16,472 | |
//! | 3 | a browser's opening handshake, answered | `handshake` | 9,600 | |
//! | 2, 4 | a broadcast of 128 bytes, for each of 1,000 members | `broadcast::to_1000_of_128` | 566 | |
//! | | of 16 KiB, for each | `broadcast::to_1000_of_16384` | 569 | |
//! | | of 128 bytes, one of four before a write, for each | `four_broadcasts::to_1000_of_128` | 719 | |
//! | 6 | of 128 bytes, by way of a room, for each | `room::to_1000_of_128` | 577 | |
//! | 2 | 1 KiB of JSON compressed, level 1, window not kept | `deflate_compress::no_takeover_16_of_1024` | 52,251 | |
//! | 2 | 1 KiB of JSON inflated, of level 6, window not kept | `deflate_inflate::no_takeover_16_of_1024` | 33,515 | |
//!
//! What can be read from it: a byte of binary costs 0.43 instructions, the copy into the buffer included. A byte of text in
//! several scripts costs 11, nearly all of them the standard library's UTF-8 check, and 1.3 with `simdutf8`; a text of 32
//! bytes of ASCII costs the same with it. A fragment costs 470 more. A room adds 12 to a delivery. A broadcast costs the same
//! for 128 bytes as for 16 KiB. Compressing 1 KiB costs more than all floors together.
//!
//! The echo example on 64 connections takes 1,478 for a message of 125 bytes with all that belongs to it (`valgrind
//! --tool=callgrind` around the server, while `benches/compare`'s load generator sends): 76 where the poll tells of it, 813 to
//! read and decode (86 of them unmask), 269 in the handler with its `send`, 300 around the write, the rest for each turn. It was 2,909
//! before connections were asked whether they are at rest.
//!
//! Instructions are not time: a cache miss costs none. `cargo bench` tells nanoseconds, beside a `memcpy` of the same bytes
//! in the same run; take the ratio of the two, for a machine changes its speed.
//!
//! # Beside others
//!
//! Messages per second of the server's processor time, as a share of a raw TCP echo's that knows no protocol, in the same
//! round; of the compressed ones, as a share of uWebSockets'. The last two rows are in their own units.
//!
//! | scenario | `wireroom` | with `simdutf8` | uWebSockets | best Rust peer |
//! |---|---:|---:|---:|---|
//! | echo 125 B, 64 connections, one in flight | 1.00 | 1.03 | 1.02 | 0.96 fastwebsockets |
//! | echo 32 B text, 64 connections, 16 in flight | 0.94 | 1.00 | 0.94 | 0.79 sockudo-ws |
//! | echo 125 B, 2,000 connections | 0.98 | 1.00 | 1.00 | 0.81 fastwebsockets |
//! | echo 1 KiB non-ASCII text, 64 connections, one in flight | 0.91 | 1.00 | 0.90 | 0.92 fastwebsockets |
//! | echo 1 KiB non-ASCII text, 16 connections, 16 in flight | 0.37 | 0.79 | 0.36 | 0.64 sockudo-ws |
//! | echo 16 KiB binary, 16 connections | 0.96 | 0.97 | 0.95 | 0.95 sockudo-ws |
//! | echo 1 MiB binary, 4 connections | 0.93 | 0.97 | 0.68 | 1.20 fastwebsockets |
//! | echo 1 MiB non-ASCII text in 16 KiB fragments, 4 connections | 0.31 | 0.72 | 0.26 | 0.72 sockudo-ws |
//! | echo 16 MiB binary, 2 connections | 0.81 | 0.87 | 0.60 | 0.63 fastwebsockets |
//! | broadcast 128 B to 100 | 1.31 | 1.30 | 0.97 | 1.04 yawc |
//! | broadcast 128 B to 2,000 | 1.95 | 1.82 | 0.97 | 0.78 fastwebsockets |
//! | broadcast 16 KiB to 100 | 1.65 | 1.52 | 0.89 | 0.90 sockudo-ws |
//! | connect, upgrade, one message, close; 32 at a time | 0.94 | 0.94 | 0.91 | 0.89 yawc |
//! | permessage-deflate, 1 KiB JSON, no context takeover | 1.30 | 1.30 | 1.00 | 1.14 sockudo-ws |
//! | permessage-deflate, 1 KiB JSON, context takeover | 1.39 | 1.27 | 1.00 | 1.18 yawc |
//! | latency at 20,000 messages a second, 125 B, 64 connections | 31 us p50, 32 p90 | 31, 37 | 31, 32 | 31, 32 fastwebsockets |
//! | memory of 10,000 idle connections | 247 bytes each, 274 after 16 KiB | 245, 270 | 257, 258 | 7,050, 28,979 fastwebsockets |
//!
//! Two cores of an AMD EPYC that others use too, Linux 6.18, rustc 1.95, default flags; libuwebsockets-sys 0.0.10, tokio-tungstenite
//! 0.30, tokio-websockets 0.13.3, fastwebsockets 0.10, sockudo-ws 3.1, yawc 0.5. Medians of three rounds of 0.6 s, of the rows of
//! 2,000 connections, 1 KiB with 16 in flight, 16 KiB, 1 MiB and connecting of five of 0.5 s; two figures within 3 % of each other are
//! tied. Both compress at level 6 here, to the same size without takeover (288 and 287 bytes), with it to 198 bytes where uWebSockets
//! makes 281. At level 1, our default, it is 2.71 times uWebSockets' for 389 bytes, and with takeover 4.06 times for 286.
//!
//! Of the first row, in another run, of six rounds of 3 s on a quieter machine: 1.10 for us and 1.00 for uWebSockets, and of the
//! server's own time, outside of the kernel, 0.19 us a message, 0.23 for uWebSockets, 0.16 for the raw echo (medians; the system
//! tells that time in ticks, so that single rounds lie between 0.13 and 0.30). Sampled 15,000 times a second it is 0.20 to 0.25 us
//! for us and 0.17 to 0.19 for the raw echo, whose three calls alone are most of it.
//!
//! Eleven rows once more since the loop became cheaper, beside builds (load 2 to 3), medians of three rounds of 0.8 s; a binary message
//! knows nothing of `simdutf8`, so the first two columns of such a row tell how noisy it was:
//!
//! | eleven rows | `wireroom` | with `simdutf8` | uWebSockets |
//! |---|---:|---:|---:|
//! | echo 125 B, 64 connections, one in flight | 0.97 | 1.00 | 0.99 |
//! | echo 32 B text, 64 connections, 16 in flight | 0.92 | 0.93 | 0.72 |
//! | echo 125 B, 2,000 connections | 0.93 | 1.01 | 1.03 |
//! | echo 1 KiB non-ASCII text, 64 connections, one in flight | 0.93 | 0.99 | 0.85 |
//! | echo 1 KiB non-ASCII text, 16 connections, 16 in flight | 0.42 | 0.83 | 0.37 |
//! | echo 16 KiB binary, 16 connections | 1.01 | 0.97 | 0.96 |
//! | echo 1 MiB binary, 4 connections | 0.98 | 0.98 | 0.72 |
//! | broadcast 128 B to 100 | 1.29 | 1.29 | 0.99 |
//! | broadcast 128 B to 2,000 | 1.82 | 1.84 | 0.98 |
//! | broadcast 16 KiB to 100 | 1.52 | 1.69 | 0.87 |
//! | connect, upgrade, one message, close; 32 at a time | 0.92 | 0.92 | 0.84 |
//!
//! Where a peer wins: fastwebsockets echoed 1 MiB cheaper in the one run with all peers; why is not known, and the row is noisy, for in
//! that run we had 0.90, and 1.12 with a feature that binary messages do not touch. Text beyond ASCII without `simdutf8` is the
//! standard library's affair. Connecting is dearer than the raw echo for anyone who answers a Close: one more read, one more write.
//!
//! `benches/compare/run` makes it anew: it builds the peers, runs them in turns on one core with a load generator on another,
//! and prints the whole table, with more peers and the spread. `--quick` does so in little, `--scenarios` and `--peers`
//! choose, and `benches/README.md` says what was done for fairness.
//!
//! ## All peers, and `target-cpu=native`
//!
//! The same on the same machine, twice: with default flags, and with `-C target-cpu=native` for us and for them. Medians of two rounds of
//! 0.4 s only: coarse, so that the table above holds where the two differ. soketto 0.8.1, `ws` 8.23.0 on Node 20.20.
//!
//! | default, native | `wireroom` | with `simdutf8` | uWebSockets | best of the five above | soketto | Node `ws` |
//! |---|---:|---:|---:|---|---:|---:|
//! | echo 125 B, 64 connections, one in flight | 1.06, 1.08 | 1.07, 1.07 | 1.06, 1.07 | 0.95 tokio-websockets; 0.88 fastwebsockets | 0.88, 1.01 | 0.61 |
//! | echo 32 B text, 64 connections, 16 in flight | 0.87, 0.89 | 0.94, 0.79 | 0.73, 0.72 | 0.67 sockudo-ws; 0.66 sockudo-ws | 0.52, 0.53 | 0.23 |
//! | echo 125 B, 2,000 connections | 1.03, 1.00 | 0.93, 0.98 | 0.98, 1.02 | 0.90 fastwebsockets; 0.83 fastwebsockets | 0.65, 0.74 | 0.49 |
//! | echo 1 KiB non-ASCII text, 64 connections, one in flight | 1.04, 1.05 | 1.13, 1.10 | 1.03, 1.05 | 1.08 fastwebsockets; 1.08 fastwebsockets | 0.72, 0.69 | 0.52 |
//! | echo 1 KiB non-ASCII text, 16 connections, 16 in flight | 0.42, 0.42 | 0.82, 0.84 | 0.39, 0.42 | 0.73 sockudo-ws; 0.73 sockudo-ws | 0.17, 0.19 | 0.24 |
//! | echo 16 KiB binary, 16 connections | 0.94, 0.98 | 0.94, 0.97 | 0.95, 1.09 | 1.07 sockudo-ws; 1.09 fastwebsockets | 0.30, 0.29 | 0.58 |
//! | echo 1 MiB binary, 4 connections | 1.04, 1.09 | 1.09, 1.13 | 0.76, 0.92 | 1.23 fastwebsockets; 1.25 fastwebsockets | 0.24, 0.23 | 0.32 |
//! | echo 1 MiB non-ASCII text in 16 KiB fragments, 4 connections | 0.25, 0.27 | 0.70, 0.72 | 0.25, 0.30 | 0.64 sockudo-ws; 0.71 sockudo-ws | 0.13, 0.14 | 0.33 |
//! | echo 16 MiB binary, 2 connections | 0.74, 0.75 | 0.69, 0.76 | 0.52, 0.59 | 0.64 fastwebsockets; 0.61 fastwebsockets | 0.27, 0.26 | 0.32 |
//! | broadcast 128 B to 100 | 1.54, 1.53 | 1.47, 1.51 | 1.13, 1.12 | 1.17 yawc; 1.25 yawc | 0.83, 0.96 | 0.26 |
//! | broadcast 128 B to 2,000 | 1.74, 1.74 | 1.70, 1.83 | 1.03, 1.06 | 0.77 sockudo-ws; 0.79 fastwebsockets | 0.63, 0.68 | 0.44 |
//! | broadcast 16 KiB to 100 | 1.52, 1.53 | 1.52, 1.51 | 0.89, 0.90 | 0.89 fastwebsockets; 0.89 fastwebsockets | 0.39, 0.40 | 0.69 |
//! | connect, upgrade, one message, close; 32 at a time | 0.92, 0.92 | 0.92, 0.86 | 0.90, 0.89 | 0.87 tokio-websockets; 0.88 yawc | 0.88, 0.89 | 0.12 |
//! | permessage-deflate, 1 KiB JSON, no context takeover | 1.30, 1.32 | 1.30, 1.32 | 1.00, 1.00 | 1.05 sockudo-ws; 1.06 sockudo-ws | 0.56, 0.58 | 0.25 |
//! | permessage-deflate, 1 KiB JSON, context takeover | 1.34, 1.24 | 1.32, 1.35 | 1.00, 0.91 | 1.23 sockudo-ws; 1.28 sockudo-ws | -, - | 0.25 |
//!
//! `benches/compare/run --rounds 2 --seconds 0.4 --flags both --peers raw-tcp,wireroom,wireroom+simdutf8,uwebsockets,tokio-tungstenite,tokio-websockets,fastwebsockets,sockudo-ws,yawc,soketto,node-ws`
//!
//! ## In process
//!
//! Nanoseconds, of texts that are mostly ASCII; in brackets the best peer in the same run. `benches/compare/run in-process --flags both`.
//!
//! | what | default flags | `target-cpu=native` |
//! |---|---|---|
//! | 32 B parsed and checked | 16.9 (36.7 tungstenite) | 19.9 (43.1 tungstenite) |
//! | the same with `simdutf8` | 20.6 (35.7 tungstenite) | 12.2 (38.6 tungstenite) |
//! | 1 KiB, with `simdutf8` | 79.3 (105.5 sockudo-ws) | 69.3 (99.5 sockudo-ws) |
//! | 64 KiB, with `simdutf8` | 4,848 (4,564 tokio-websockets) | 4,171 (4,269 tokio-websockets) |
//! | 32 B encoded | 3.4 to 4.7 (3.4 to 4.2 web-socket) | 3.3 to 3.4 |
//! | a request to upgrade parsed, and its answer built | 376 to 380 (517 to 546 sockudo-ws) | 381 to 397 (470 to 476 sockudo-ws) before the last changes, which took it from 436 to 380 with default flags |
//!
//! Without `unsafe`, vector instructions are those that the compiler may use: by default SSE2, and unmasking 64 KiB takes twice as
//! many of them as with AVX2, which tokio-websockets chooses at run time. `simdutf8` chooses at run time too.
//!
//! # With TLS
//!
//! An echo over wss on 32 connections, one in flight each, against a bare rustls echo on mio, which sends back what comes and
//! knows no frames, and against the same echo without TLS: messages for each second of the server's processor, medians of
//! rounds in turns.
//!
//! | of | to bare rustls | to `wireroom` without TLS | rounds | beside it |
//! |---|---:|---:|---|---|
//! | 16 KiB | 1.16 | 0.60 | 7 of 2 s | nothing |
//! | 16 KiB | 0.93 | 0.79 | 7 of 3 s | builds, load 8 to 14 |
//! | 16 KiB | 0.90 | 0.78 | 5 of 2 s | the same |
//! | 125 bytes | 1.07 | 0.90 | 5 of 2 s | the same |
//!
//! A large message is read, unmasked, queued and encrypted; the bare echo knows no mask and no queue. A small one saves the read
//! that only learns "not now".
//!
//! ```text
//! cargo run --release --manifest-path benches/tls/Cargo.toml -- --rounds 7 --seconds 3
//! ```
//!
//! # What is counted in the tests
//!
//! That a message allocates nothing once warm, in and out, is `cargo test --test no_alloc`; system calls for each message are
//! counted with strace, and stand in `CONTRIBUTING.md` under "Measured", with the command.
//!
#![doc = include_str!("links/core.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
