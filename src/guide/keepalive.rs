//! Keepalive and timeouts: which setting is against what, and how to choose.
//!
//! TCP says nothing while nothing is sent. A peer whose power was cut, a NAT that has forgotten the flow, a proxy that has lost
//! patience: none of them is noticed by an end that only waits. So whoever waits has to ask, and that is what a Ping is for
//! (RFC 6455 section 5.5.2). Browsers answer Pings, and have no way to send one: on the web the server asks, or nobody does.
//! It is on by default here, in both roles.
//!
//! # Which setting against what
//!
//! | `Config` | default | is against | what the peer sees |
//! |---|---|---|---|
//! | `handshake_timeout` | 5 s | who connects and says nothing, or says it byte by byte; for a client: a server that does not answer | 408 if a request has begun, then the end |
//! | `response_timeout` | 30 s | your own `verify` that never answers what it deferred; a peer that takes nothing of a streamed answer | 503; the end |
//! | `keepalive_interval` | 30 s | NATs and proxies that forget what is silent | a Ping |
//! | `keepalive_timeout` | 20 s | a peer, or a way to it, that has gone without a word | one Close 1011, if it can still be sent, and the end |
//! | `idle_timeout` | none | a peer that lives but says nothing: answers to Pings do not count, messages do | Close 1001, "idle" |
//! | `close_timeout` | 5 s | a peer that does not answer our Close, or does not end | the end |
//!
//! Only two of these are told as [`Cause::Timeout`]: [`Deadline::Keepalive`] and [`Deadline::Close`]. Times of the opening
//! handshake are told as [`HandshakeError::Timeout`] and [`HandshakeError::ResponseTimeout`]; who was idle has ended by a closing
//! handshake, of which we were the initiator. There is no deadline for a single read or write, and none is needed: while output is
//! blocked, the bytes that the peer's system takes count as its life.
//!
//! # Keepalive
//!
//! When the peer has sent nothing for `keepalive_interval`, it is sent an empty Ping. Any byte is an answer, not only a Pong. If none
//! has come `keepalive_timeout` later, the peer is given up. So a peer that has vanished is noticed after at most both
//! together, 50 seconds by default, and a busy one is never asked:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use wireroom::{Cause, Config, Connection, Deadline, Event, RecvBuffer, handshake::Accepted};
//!
//! let start = Instant::now();
//! let at = |seconds| start + Duration::from_secs(seconds);
//! let accepted = Accepted::upgraded_elsewhere(None, Default::default());
//! let mut server = Connection::server(accepted, Config::default(), start);
//! let mut rx = RecvBuffer::new();
//! assert!(matches!(server.poll_event(&mut rx, start), Some(Event::Open)));
//! assert_eq!(server.poll_timeout(), Some(at(30)));
//!
//! // A byte at 20 s: the Ping is due at 50.
//! rx.extend(&[0x8a, 0x80, 0, 0, 0, 0]); // a Pong that nobody has asked for
//! assert!(matches!(server.poll_event(&mut rx, at(20)), Some(Event::Pong(b""))));
//! assert_eq!(server.poll_timeout(), Some(at(50)));
//!
//! server.handle_timeout(at(50));
//! let mut out = Vec::new();
//! bytes::BufMut::put(&mut out, server.transmit());
//! assert_eq!(out, [0x89, 0x00], "a Ping");
//!
//! server.handle_timeout(at(70));
//! out.clear();
//! bytes::BufMut::put(&mut out, server.transmit());
//! assert_eq!(out[..4], [0x88, 19, 0x03, 0xf3], "a Close, 1011");
//! let Some(Event::Closed(closed)) = server.poll_event(&mut rx, at(70)) else { panic!("still there") };
//! assert!(matches!(closed.cause, Cause::Timeout(Deadline::Keepalive)));
//! ```
//!
//! `keepalive_interval(None)` turns it off; then only `idle_timeout` and the kernel notice, and Linux takes hours: TCP's own
//! keepalive is not turned on here, for it does not pass a proxy. While you [`pause`](crate::Connection::pause) a peer it is not
//! asked, since its answer would not be read.
//!
//! # What is on the way
//!
//! Each hop has its own idea of how long silence may last, and the shortest counts. These are other people's defaults, to be looked
//! up again:
//!
//! | hop | forgets after | setting |
//! |---|---|---|
//! | nginx | 60 s | `proxy_read_timeout`: bytes in either direction count, a Ping among them |
//! | HAProxy | what is configured | `timeout tunnel`; without it `timeout client` and `timeout server` |
//! | AWS Application Load Balancer | 60 s | idle timeout |
//! | AWS Network Load Balancer | 350 s | TCP idle timeout; for TLS listeners fixed |
//! | a mobile operator's NAT | minutes | none of yours; 4.5 minutes was [measured](https://blog.wirelessmoves.com/2020/09/carrier-grade-nat-timeouts-and-how-to-configure-your-xmpp-server.html) in one network |
//! | a NAT that keeps to RFC 5382 | 2 hours and 4 minutes at least | many do not |
//!
//! The default of 30 s is half of 60: one Ping may be late, and the hop still hears in time. It passes all of the above.
//! Where the hops are yours, raise theirs and not the number of your Pings: `proxy_read_timeout 1h` costs nginx nothing, and
//! the server still notices within 50 s who has gone. Keep in mind that with a proxy in between the server's Pings are answered by
//! the client (a proxy passes frames on), while TCP's keepalive would be answered by the proxy.
//!
//! # What to choose
//!
//! | for | `keepalive_interval` | `keepalive_timeout` | `idle_timeout` |
//! |---|---|---|---|
//! | the open internet, browsers | 30 s, the default | 20 s, the default | none |
//! | presence that has to be right soon: games, "is typing" | 5 to 10 s | 5 s | none |
//! | 100,000 connections at rest behind your own proxy | 60 s and more, below the proxy's limit | 20 s | none |
//! | phones with a battery: each Ping wakes the radio | 2 to 4 minutes, if nothing on the way is shorter | 30 s | none |
//! | machines in one data centre | 10 s | 5 s | none |
//! | a public service without logins | 30 s | 20 s | 5 minutes: who says nothing makes room |
//!
//! What that costs is arithmetic: `n` silent connections are `n / keepalive_interval` Pings a second, and as many Pongs, each of 2
//! bytes to a client, 6 from it. A `keepalive_timeout` below a round trip on a bad day ends connections that live; a lost
//! segment on a mobile network takes seconds to be sent again. A value that cannot work is refused by
//! [`ConfigBuilder::build`].
//!
//! ```
//! use std::time::Duration;
//! use wireroom::Config;
//!
//! let phones = Config::builder()
//!     .keepalive_interval(Some(Duration::from_secs(180)))
//!     .keepalive_timeout(Duration::from_secs(30))
//!     .build()?;
//! let public = Config::builder().idle_timeout(Some(Duration::from_secs(300))).build()?;
//! # assert_eq!(public.keepalive_interval(), Some(Duration::from_secs(30)));
//! # let _ = phones;
//! # Ok::<(), wireroom::ConfigError>(())
//! ```
//!
//! # What a client sees, and does
//!
//! A client has the same settings, and should have its own keepalive: the server's Pings tell the *server* that the way is
//! open, and a client that hears none for a while does not know whether there are none. A page in a browser cannot do that;
//! it learns by what it sends, so a page that matters sends a message of its own now and then, and expects an answer. Nor does
//! `WebSocket.onclose` tell a keepalive that failed from a server that fell over: both are 1006.
//!
//! A machine that sleeps hears nothing, and its clock for timeouts may stand still (on Linux it does). After waking, the
//! connection seems open until the next Ping has gone unanswered.
//!
//! Then it comes back: [`Reconnecting`] is a client over as many connections as it takes, and [`Backoff`] says when. The times
//! of a [`Backoff`] belong to these, for both ends of a restart are in them:
//!
//! | `Backoff` | default | is against |
//! |---|---|---|
//! | `base` | 1 s | a client that hammers: the first wait is a random part of it, and each that follows of twice as much |
//! | `cap` | 60 s | a wait that doubles for ever; `n` clients come back at about `n / cap` in a second |
//! | `max_retry_after` | 300 s | a server that asks for a day |
//! | `stable_after` | 10 s | a server that accepts and drops at once: only what was open so long begins anew |
//! | `max_attempts` | none | waiting for what will not come |
//! | `max_total` | none | the same |
//!
//! A server that goes down on purpose spreads its farewells ([`EventLoop::drain`], [`EventLoop::shut_down`]), so that not all
//! come at once; `Retry-After` in a 503 is obeyed. After 1000, and after what would happen again in the same way (1002, 1008, 401,
//! 404 ..), it does not come back; `Comeback::after` has the table.
//!
//! ```no_run
//! # #[cfg(feature = "net")] {
//! use std::time::{Duration, Instant};
//! use wireroom::net::reconnecting::{Change, ReconnectOptions, Reconnecting};
//! use wireroom::{Config, ConnectOptions, EventLoop, backoff::Backoff, handshake::ClientRequest};
//!
//! let config = Config::builder().keepalive_interval(Some(Duration::from_secs(20))).build()?;
//! let backoff = Backoff::new().cap(Duration::from_secs(30)).max_total(Some(Duration::from_secs(3600)));
//! let request = ClientRequest::new("ws://chat.example/")?;
//! let options = ReconnectOptions::new().backoff(backoff);
//! let mut client = Reconnecting::new(request, ConnectOptions::new(), config, options);
//! let mut event_loop = EventLoop::new()?;
//! while !client.is_stopped() {
//!     let until = client.poll(&mut event_loop);
//!     let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
//!     event_loop.turn(timeout, |connections, id, event| {
//!         if let Some(Change::Interrupted { wait, .. }) = client.handle(connections, id, &event) {
//!             println!("away; again in {wait:.1?}");
//!         }
//!     })?;
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Looking at it
//!
//! [`Stats`] counts ends by cause, keepalive among them: many of those at one age of their connections are a hop that forgets.
//! `Connections::measure_round_trip`, with `statistics` on, says how long a Ping takes. `wireroom tap` (feature `cli`) shows
//! the Pings as they pass.
//!
//! `tests/guide.rs` holds the defaults on this page against the code.
//!
#![doc = include_str!("links/core.md")]
#![doc = include_str!("links/world.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
#![cfg_attr(feature = "net", doc = include_str!("links/world_net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/world_without_net.md"))]
