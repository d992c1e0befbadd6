//! Limits and defaults: everything is bounded, and this is by what.
//!
//! [`Config`] has the limits of a connection and of the listener that it came by; the defaults are safe for the open
//! internet. A `Config` that exists is valid: a value that cannot work is refused by
//! [`ConfigBuilder::build`], with the name of its field.
//!
//! ```
//! use wireroom::Config;
//!
//! let config = Config::builder().max_message_size(64 << 10).max_connections(5_000).build()?;
//! assert_eq!((config.max_message_size(), config.max_fragments()), (65_536, 131_072));
//!
//! let error = Config::builder().high_water_mark(16 << 10).build().unwrap_err();
//! assert_eq!(error.to_string(), "Config::low_water_mark: below high_water_mark");
//! # Ok::<(), wireroom::ConfigError>(())
//! ```
//!
//! A limit that ends a connection is told twice: to the peer by a status or a Close code, where a byte can still be sent, and
//! to the application by exactly one [`Event::Closed`], whose [`Cause`] says why. (A [`Hub`] tells of connections that never
//! opened by [`Hub::on_unopened`].) The one exception is a crowd that is refused, beyond 64 at a time: those are closed, and
//! counted. [`Stats`] counts all of it: refusals by status, Close frames by code, ends by cause.
//!
//! # What is received
//!
//! | `Config` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `max_message_size` | 16 MiB | bytes of one message, all fragments together, inflated | Close 1009: by the frame's header, before its payload is read; compressed, while it is inflated | both: [`ProtocolError::MessageTooBig`] |
//! | `max_fragments` | 131,072 | frames of one message, also in the streaming mode | Close 1008 | both: [`ProtocolError::TooManyFragments`] |
//! | `streaming` | off | | messages arrive as [`Event::Part`], as much as has come | |
//! | `max_streamed_size` | 2^63 - 1 | bytes of one message in the streaming mode | Close 1009 | both: [`ProtocolError::MessageTooBig`] |
//!
//! # What is sent
//!
//! | `Config` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `max_send_buffer` | 1 MiB | bytes that wait; a message is taken whole while fewer do, so one may go above | `slow_consumer` decides; a streamed HTTP answer is refused | the caller: [`SendError::BufferFull`] |
//! | `max_send_messages` | 65,536 | messages that wait, however small | `slow_consumer` decides; from half of them on [`SendStatus::Backpressure`], and echoes are withheld | the caller: [`SendError::QueueFull`] |
//! | `slow_consumer` | Refuse | | what becomes of the message: see [`SlowConsumer`] | the caller by `send`'s answer, then [`Event::Drain`]; drops by [`Event::Dropped`]; `Close` by [`Cause::SlowConsumer`] and to the peer, such as 1013 |
//! | `high_water_mark` | 256 KiB | bytes that wait; and those of them that answer this peer | `send` answers [`SendStatus::Backpressure`]; above it in answers the peer is not read from | the caller; the peer's system, for its window fills |
//! | `low_water_mark` | 64 KiB | bytes that wait | the pressure is off, the peer is read from again | the application: [`Event::Drain`], if a send had met it |
//!
//! # Times
//!
//! | `Config` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `handshake_timeout` | 5 s | the opening handshake as a whole; each plain HTTP request; a client's from its connect on | server: 408 if a request has begun; the connection ends | [`HandshakeError::Timeout`], but for one that was served before and asks no more |
//! | `response_timeout` | 30 s | from [`Verdict::Defer`] to the answer; the time in which a peer takes nothing of a streamed answer | 503 for what was deferred; the connection ends | [`HandshakeError::ResponseTimeout`]; streamed: `Timeout` |
//! | `close_timeout` | 5 s | the closing handshake as a whole, the wait for the end of the stream included; the wait behind a last HTTP answer | the connection ends, what waits is lost | [`Cause::Timeout`] with [`Deadline::Close`] |
//! | `keepalive_interval` | 30 s | since the peer's last byte | a Ping | the peer |
//! | `keepalive_timeout` | 20 s | since that Ping, without a byte | one attempt at Close 1011, the connection ends | [`Cause::Timeout`] with [`Deadline::Keepalive`] |
//! | `idle_timeout` | none | since the peer's last message | Close 1001, "idle" | both, by the closing handshake |
//!
//! # Plain HTTP, and the opening handshake
//!
//! | `Config` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `max_head_size` | 16 KiB | bytes of a head, at most 64 KiB | 431; a client fails | [`RequestError::HeadTooLarge`]; a client: [`HandshakeError::Response`] |
//! | `max_target_size` | 8 KiB | bytes of a request's target | 414 | [`RequestError::TargetTooLong`] |
//! | `max_header_fields` | 100 | fields of a head | 431; a client fails | [`RequestError::TooManyHeaders`]; a client: [`HandshakeError::Response`] |
//! | `max_request_body` | 0 | bytes of a request's content, decoded | 413 | [`RequestError::BodyTooLarge`] |
//! | `max_response_body` | 64 KiB | bytes of a refusal's content that a client keeps | the rest is cut off | [`Refusal::is_truncated`] |
//! | `max_requests` | 1,000 | requests of one connection | it is closed behind the answer | the peer, by `Connection: close`; [`Cause::Served`] |
//!
//! # Connections of a listener
//!
//! | `Config` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `max_connections` | 100,000 | connections in any phase | 503 at once, without `verify` | [`HandshakeError::TooManyConnections`], [`Stats::refused_by_total`] |
//! | `max_connections_per_address` | none | the same from one IPv4 address, or one /64 of IPv6 | 429 at once, without `verify` | [`HandshakeError::TooManyConnectionsFromAddress`], [`Stats::refused_by_address`] |
//! | `accept_budget` | 128 | connections accepted in one turn | the others are accepted in the next turn | nobody |
//!
//! # Clients that find their server, and come back
//!
//! `handshake_timeout` spans names, addresses, proxies and redirects. `max_head_size` and `max_header_fields` hold for an HTTP
//! proxy's answer, too.
//!
//! | `ConnectOptions` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `attempt_timeout` | 5 s | one address; at most its share of the time that is left | the next is tried | [`ConnectError::Unreachable`], when none is left |
//! | `max_addresses` | 8 | addresses of one name, IPv6 and IPv4 in turns | those behind are not tried | the same |
//! | `max_names_waiting` | 256 | names that wait for the loop's resolver | one more is not looked up | [`ConnectError::TooManyNames`] |
//! | `max_redirects` | 0 | redirects of one connection | they are not followed | [`HandshakeError::Redirect`], or [`ConnectError::TooManyRedirects`] |
//! | `proxy` | none | | the way is direct | |
//! | `resolver` | none | | the operating system looks names up | |
//! | `tls` | none | | `wss://` URLs are refused | the caller: `io::ErrorKind::Unsupported`, or [`ConnectError::NoTls`] |
//!
//! | `Backoff` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `base` | 1 s | the first wait is a random part of it, each that follows of twice as much | | |
//! | `cap` | 60 s | a wait, without `Retry-After` | it does not grow | nobody |
//! | `max_retry_after` | 300 s | what a server asks for | it is given this | nobody |
//! | `stable_after` | 10 s | how long a connection was open | its end begins a new row of failures | nobody |
//! | `max_attempts` | none | failures in a row | it gives up | the caller |
//! | `max_total` | none | from the first failure of a row to the next attempt | it gives up | the caller |
//!
//! | `ReconnectOptions` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `max_queue_bytes` | 1 MiB | payload that no connection has accepted | `send` refuses | the caller |
//! | `max_queue_messages` | 1,024 | such messages | the same | the same |
//! | `policy` | none | | close codes and statuses decide whether it comes back | |
//!
//! # Behind proxies
//!
//! Where [`ListenOptions::proxy_protocol`] is on, a header counts as well:
//!
//! | `ProxyProtocol` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `max_header_size` | 4 KiB | bytes of a header of version 2, at least 232 | 400; where the listener speaks TLS, no answer | [`HandshakeError::Proxy`] |
//!
//! # Others
//!
//! | `Config` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `statistics` | off | | each connection counts: [`Connection::stats`] | |
//! | `permessage_deflate` | none | | none is offered, every offer is declined | |
//!
//! [`PermessageDeflate`] has settings of its own:
//!
//! | `PermessageDeflate` | default | counts | at it |
//! |---|---|---|---|
//! | `server_no_context_takeover` | off | | the server begins each message with an empty window |
//! | `client_no_context_takeover` | off | | the client does |
//! | `server_max_window_bits` | 15 | 9 to 15, as a binary logarithm of bytes | the server's window is no larger |
//! | `client_max_window_bits` | 15 | the same | the client's window is no larger, if it offers to comply |
//! | `offer_fallback` | on | | a client offers compression without its wishes, too |
//! | `level` | 1 | 0 to 9 | the work that is done for fewer bytes |
//! | `threshold` | 128 | bytes of a message | a shorter one is sent as it is |
//! | `release_after` | 10 s | since the last message that was compressed | the connection's compressor is given up, at most twice as late |
//!
//! # Rooms
//!
//! [`HubConfig`] has the first two, [`RoomLimits`] the others.
//!
//! | `HubConfig` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `handle_capacity` | 1,024 | calls of all its handles that wait, and that are carried out in one turn | the call is refused | that thread: [`HubHandleError::Full`] |
//! | `presence_capacity` | 0 | [`RoomEvent`]s that wait | the event is not kept | [`RoomEvent::Missed`], with how many; 0 keeps and tells none |
//! | `full_loop` | HoldSender | operations for which another loop's hub has no room | they wait here, as many again, and their socket is not read from; beyond, lost | [`Hub::missed_elsewhere`] |
//!
//! | `RoomLimits` | default | counts | at it | who is told |
//! |---|---|---|---|---|
//! | `max_rooms_per_socket` | 1,024 | rooms of one connection | `join` refuses | the caller: [`JoinError`]; for a handle [`RoomEvent::Refused`] |
//! | `max_room_name` | 256 | bytes of a name | the same | the same |
//! | `max_rooms` | 1,000,000 | rooms that exist | the same | the same |
//!
//! # Fixed
//!
//! What no use has asked to change yet, and what the RFC says.
//!
//! | fixed | value | at it | who is told |
//! |---|---|---|---|
//! | payload of a control frame received (5.5) | 125 bytes | Close 1002 | both: [`ProtocolError::LongControlFrame`] |
//! | payload of a control frame sent (5.5) | 125 bytes | it is refused | the caller: [`SendError::LongControlFrame`] |
//! | the reason of a Close (5.5.1) | 123 bytes | cut between characters | nobody |
//! | a time in `Config` | 24 days | `build` refuses it | the caller: [`ConfigError`] |
//! | control frames that overtake blocked output | 8 | Pongs coalesce to the latest (5.5.3) | nobody |
//! | a message that waits apart for a slow peer | 128 bytes | counts so many more against `max_send_buffer` | nobody |
//! | frames that `watch_frames` keeps | 65,536 | the oldest gives way | [`Connection::frames_missed`] |
//! | bytes of a payload that it keeps | 16 bytes | the rest is left out | nobody |
//! | a part of a message that is inflated | 64 KiB | another part follows | nobody |
//! | compressors kept by a [`DeflatePool`] | 4 | the oldest is freed | nobody |
//! | decompressors kept by it | 16 | the next is freed | nobody |
//! | a line of a chunk's size | 256 bytes | 400 | [`RequestError::Chunk`] |
//! | chunk extensions of a body | 4 KiB | 400 | [`RequestError::Chunk`] |
//! | the trailer of a body | 4 KiB | 431 | [`RequestError::TrailerTooLarge`] |
//! | HTTP answers that wait, in bytes | 64 KiB | further requests of the pipeline wait | nobody |
//! | interim responses to a client | 8 | the handshake fails | [`HandshakeError::Response`] |
//! | TLS: records that are kept of a handshake message, or of one that is not whole | 96 KiB | an alert, or none; the connection ends | `TlsError::HandshakeTooLarge` |
//! | TLS: plaintext that is encrypted for one write | 64 KiB | so many bytes of records may wait, and no more are made | nobody |
//! | a `Location` that is followed | 8 KiB | it is not | [`RedirectError::TooLong`] |
//! | bytes kept of an HTTP proxy's reason | 128 bytes | the rest is cut off | nobody |
//! | entries of `NO_PROXY` | 1,024 | the list is refused | the caller: [`ProxyUrlError::TooManyEntries`] |
//! | a header of version 1 of the PROXY protocol | 107 bytes | 400 | [`HandshakeError::Proxy`] |
//! | a unique id in one of version 2 | 128 bytes | 400 | [`HandshakeError::Proxy`] |
//! | sockets that a process is started with | 1,024 | `Inherited::from_env` fails | the caller: `io::ErrorKind::InvalidData` |
//! | listeners of a loop | 63 | `listen` fails | the caller: `io::ErrorKind::InvalidInput` |
//! | refusals over `max_connections` that are answered at once | 64 | those beyond are closed without an answer | [`Stats::refused_unanswered`] |
//! | the pause after `accept` has failed, such as for want of descriptors | 100 ms | then it is tried again | [`Stats::accept_errors`] |
//! | connections in a row that fail while they are accepted | 16 | as if `accept` had failed | [`Stats::accept_errors`] |
//! | events taken from the kernel in one poll | 1,024 | the others with the next turn | nobody |
//! | one read | 256 KiB | another read, within the budget | nobody |
//! | bytes that one connection brings in a turn | 1 MiB | it goes on in the next turn | nobody |
//! | bytes read between the writes of a turn, then no more are | 64 KiB | what is there goes on in the next turn | nobody |
//! | payload that it hands out in a turn | 2 MiB | the same | nobody |
//! | slices in one write | 64 | another write | nobody |
//! | commands that are carried out between the writes of a turn | 4,096 | the next turn goes on | nobody |
//! | commands that wait, of a [`Handle`] | 4,096 | the command is refused | that thread: [`HandleError::Full`] |
//! | storage for sending that a loop keeps | 128 KiB | what is above is freed | nobody |
//! | storage of large messages that a loop keeps | 256 MiB | what is above is freed | nobody |
//! | how long without a large message | 1 s | all of it is freed | nobody |
//! | storage of unfinished messages above three times what they hold, of a loop | 64 MiB | it is copied to storage of its size | nobody |
//!
//! # What has no limit of its own
//!
//! There is none on the sum over all connections: each may hold an unfinished message, and a full queue. The worst case is
//! the product, and [`tuning`](super::tuning) says how to choose its factors. Nor is there one on how often a peer speaks:
//! rates are the application's, which can [`pause`](crate::Connection::pause) a peer.
//!
//! `tests/guide.rs` holds these tables against the code.
//!
//!
#![doc = include_str!("links/core.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
#![cfg_attr(feature = "rooms", doc = include_str!("links/rooms.md"))]
#![cfg_attr(not(feature = "rooms"), doc = include_str!("links/without_rooms.md"))]
#![cfg_attr(feature = "deflate", doc = include_str!("links/deflate.md"))]
#![cfg_attr(not(feature = "deflate"), doc = include_str!("links/without_deflate.md"))]
