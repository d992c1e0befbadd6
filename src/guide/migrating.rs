//! Migrating: from tungstenite, from ws-rs, from Socket.IO. Their word, our call, and what there is not.
//!
//! # From tungstenite
//!
//! tungstenite is a socket that is read and written, by whoever owns it. Here a loop owns the sockets, and you get events. What
//! tungstenite does, a `WebSocket` around a stream of your own, is done by [`Connection`] and a few lines of I/O: [`embedding`] has
//! them, for blocking sockets, too.
//!
//! | tungstenite | here | what is different |
//! |---|---|---|
//! | `accept(stream)` | [`EventLoop::listen`]; by hand `ServerHandshake` | `verify` has to say whom it takes: nobody is let in by default |
//! | `accept_hdr(stream, callback)` | `verify`: `request.header("..")`, [`Acceptance`]'s `header` and `subprotocol` | an answer may come later: [`Verdict::Defer`] |
//! | `connect(url)` | [`EventLoop::connect_to`] | returns at once; names are looked up beside the loop, all addresses tried |
//! | `WebSocket::from_raw_socket(stream, role, config)` | [`Accepted::upgraded_elsewhere`], `Established::upgraded_elsewhere` | |
//! | `read()` | [`Event::Message`], in [`EventLoop::turn`] | the message is borrowed: what is to stay is copied |
//! | `send(message)`, `write(message)` | [`Connections::send`] | queued, whole or not at all; leaves at the end of the turn |
//! | `flush()` | nothing; within a long turn [`EventLoop::flush`] | |
//! | `Message::Text`, `Message::Binary` | `Message::Text`, `Message::Binary` | `send` takes a `&str` or bytes as they are |
//! | `Message::Ping`, `Message::Pong` | [`Event::Ping`], [`Event::Pong`]; [`Connections::ping`] | answered by itself in both; here also sent by itself ([`keepalive`]) |
//! | `close(Some(CloseFrame { .. }))`, then `read()` until `ConnectionClosed` | [`Connections::close`] | the loop sees to the rest, within `close_timeout` |
//! | `Message::Close(frame)` from `read()` | [`Event::Closed`]: `closed.peer` is the frame, `closed.cause` says why | exactly one, always the last |
//! | `Error::Io(WouldBlock)`, and try again | nothing | |
//! | `Error::ConnectionClosed`, `AlreadyClosed` | [`Event::Closed`]; a later `send` is refused | |
//! | `Error::Capacity`, `Error::Protocol` | [`Cause::Failed`] with a [`ProtocolError`] | the peer is told by a Close frame, with the code for it |
//! | `Error::WriteBufferFull` | [`SendError::BufferFull`], or what [`SlowConsumer`] says | before that [`SendStatus::Backpressure`], later [`Event::Drain`] |
//!
//! Its settings, with the defaults of tungstenite 0.30:
//!
//! | `WebSocketConfig` | its default | here | default |
//! |---|---|---|---|
//! | `max_message_size` | 64 MiB | `max_message_size` | 16 MiB |
//! | `max_frame_size` | 16 MiB | none: a frame counts as part of its message | |
//! | `max_write_buffer_size` | unlimited | `max_send_buffer` | 1 MiB |
//! | `read_buffer_size` | 128 KiB, of each connection | one buffer, the loop's | 256 KiB |
//! | `write_buffer_size` | 128 KiB | none: what a turn has queued leaves in one write | |
//! | `accept_unmasked_frames` | false | none: 1002 (section 5.1) | |
//!
//! A server that answers, and a client that asks and closes, in one loop here, so that it runs as it stands:
//!
//! ```
//! # #[cfg(feature = "net")] {
//! use wireroom::{Cause, CloseCode, Config, ConnectOptions, Event, EventLoop, handshake::ClientRequest};
//!
//! let mut event_loop = EventLoop::new()?;
//! let address = event_loop.listen("127.0.0.1:0".parse()?, Config::default(), |_id, request| {
//!     println!("{:?} from {:?}", request.path(), request.header("user-agent")); // accept_hdr's callback
//!     request.allow_origins_or_none(&["https://chat.example"])
//! })?;
//! let request = ClientRequest::new(&format!("ws://{address}/"))?;
//! let client = event_loop.connect_to(request, ConnectOptions::new(), Config::default())?;
//! let (mut answer, mut end) = (None, None);
//! while end.is_none() {
//!     event_loop.turn(None, |connections, id, event| match event {
//!         Event::Open if id == client => _ = connections.send(id, "question"),
//!         Event::Message(message) if id == client => {
//!             answer = message.as_text().map(str::to_owned); // it is borrowed: a copy stays
//!             connections.close(id, CloseCode::NORMAL, "that was all");
//!         }
//!         Event::Message(message) => _ = connections.send(id, message), // the server
//!         Event::Closed(closed) if id == client => end = Some(closed),
//!         _ => {}
//!     })?;
//! }
//! assert_eq!(answer.as_deref(), Some("question"));
//! assert!(end.is_some_and(|closed| matches!(closed.cause, Cause::Clean)));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A thread that is not the loop's sends by a [`Handle`], where two threads shared a `Mutex<WebSocket>` before.
//!
//! # From ws-rs
//!
//! The crate `ws` is also callbacks on mio, and no longer maintained; its unbounded outgoing buffer is RUSTSEC-2020-0043. Here
//! there is one closure in place of a trait and a factory, and what a handler had as fields is in a [`ConnMap`].
//!
//! | ws-rs | here |
//! |---|---|
//! | `ws::listen(address, factory)` | [`EventLoop::listen`], and [`EventLoop::turn`] in a loop of yours |
//! | `ws::connect(url, factory)` | [`EventLoop::connect_to`], any number in one loop, beside listeners |
//! | `Factory::connection_made`, a `Handler`'s fields | a [`ConnMap`], filled by `verify` or with [`Event::Open`] |
//! | `Factory::connection_lost` | [`Event::Closed`], the last event: take it out there |
//! | `Handler::on_request` | `verify`; also plain HTTP is answered there |
//! | `Handler::on_open` | [`Event::Open`] |
//! | `Handler::on_message` | [`Event::Message`] |
//! | `Handler::on_close(code, reason)` | [`Event::Closed`]: `closed.peer`, which has both |
//! | `Handler::on_error` | [`Event::Closed`]: `closed.cause`; what concerns a single `send` is its answer |
//! | `Handler::on_timeout`, `Sender::timeout` | [`EventLoop::turn`] with a timeout, and a list of your own; for liveness [`keepalive`] |
//! | `Handler::on_frame`, `on_send_frame` | to look: [`Connection::watch_frames`]; to change frames: nothing |
//! | `Sender::send` | [`Connections::send`] in the loop; [`Handle::send`] from another thread |
//! | `Sender::broadcast` | [`Connections::broadcast`], [`Handle::broadcast`]; to some: a [`Hub`] and rooms |
//! | `Sender::close_with_reason` | [`Connections::close`] |
//! | `Sender::ping` | [`Connections::ping`] |
//! | `Sender::shutdown` | [`EventLoop::shut_down`], [`Handle::shut_down`]: everybody gets a 1001 and time for it |
//! | `Sender::connection_id` | [`ConnId`], which is never that of another connection later |
//! | `Settings::max_connections` (100), `queue_size`, `fragments_capacity` .. | [`Config`]: [`limits`] |
//! | `Settings::panic_on_..` | nothing: no peer makes the loop panic |
//! | features `ssl`, `permessage-deflate` | features `tls` ([`wss`]), `deflate` |
//!
//! The broadcaster of its documentation:
//!
//! ```no_run
//! # #[cfg(feature = "net")] {
//! use wireroom::{Config, ConnMap, Event, EventLoop};
//!
//! // ws::listen("127.0.0.1:3012", |out| move |message| out.broadcast(message))
//! let mut event_loop = EventLoop::new()?;
//! event_loop.listen("127.0.0.1:3012".parse()?, Config::default(), |_id, request| request.allow_any_origin())?;
//! let mut said: ConnMap<u32> = ConnMap::new(); // what was a field of the handler
//! loop {
//!     event_loop.turn(None, |connections, id, event| match event {
//!         Event::Open => _ = said.insert(id, 0),
//!         Event::Message(message) => {
//!             said.get_mut(id).map(|said| *said += 1);
//!             let (_taken, slow) = connections.broadcast(message);
//!             if slow > 0 {
//!                 eprintln!("{slow} do not keep up"); // ws-rs kept it all for them
//!             }
//!         }
//!         Event::Closed(closed) => println!("{id}: {closed}, after {:?} messages", said.remove(id)),
//!         _ => {}
//!     })?;
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # From Socket.IO
//!
//! The page of [`rooms`] has the table of `emit`, `to`, `except`, `join` and their like, with the bytes of each. This one has
//! what is around them. **The wire is another**: a page that loads `socket.io.js` cannot talk to this library, and there is no
//! long-polling for networks that let no WebSocket through. The page uses the browser's own `WebSocket`, and messages are in a
//! format of yours.
//!
//! | Socket.IO | here |
//! |---|---|
//! | `new Server(port, options)` | [`Hub::new`] on an [`EventLoop`], [`Config`] |
//! | `io.on("connection", socket => ..)` | [`Event::Open`] |
//! | `socket.on("chat", text => ..)` | [`Event::Message`], and a `match` on what is in it: "Named events" |
//! | `socket.on("disconnecting")` | [`Event::Closed`], rooms still joined |
//! | `socket.on("disconnect", reason => ..)` | the same; `closed.cause` |
//! | `emit("chat", text, answer => ..)` | a number in the message: "Acknowledgements" |
//! | `socket.timeout(5000).emit(..)` | your deadline, and [`Hub::turn`]'s timeout |
//! | `io.use((socket, next) => ..)` | `verify`: "Middleware and namespaces" |
//! | `io.of("/admin")` | the path of the request, in `verify`; then a room for each |
//! | `socket.handshake.headers`, `.query`, `.address` | `request`, in `verify`: `header`, `cookie`, `query`, `peer_addr`, `client_addr` |
//! | `socket.data` | a [`ConnMap`] |
//! | `socket.id` | `Socket::id`, a [`ConnId`]; the client does not know it unless it is told |
//! | `cors: { origin: .. }` | `request.allow_origins(..)`: CORS does not bind WebSockets, this does |
//! | `socket.volatile.emit(..)` | `SlowConsumer::DropNewest` on the broadcast; `latest_of` for what is overtaken by newer |
//! | `io.fetchSockets()`, `socketsJoin`, `disconnectSockets` | `Rooms::members`, or `ids` of a broadcast; `Io::join` and `Connections::close` for each |
//! | `pingInterval` (25 s), `pingTimeout` (20 s) | `keepalive_interval` (30 s), `keepalive_timeout` (20 s): [`keepalive`] |
//! | `maxHttpBufferSize` (1 MB) | `max_message_size` (16 MiB) |
//! | `connectTimeout` (45 s) | `handshake_timeout` (5 s) |
//! | `perMessageDeflate` | `PermessageDeflate`, feature `deflate` |
//! | `connectionStateRecovery` | "History" |
//! | the client's reconnection, `socket.io.on("reconnect")` | [`Reconnecting`] in Rust; in a page lines of your own, as the chat's has them |
//! | the client's buffer while away | [`Reconnecting`]'s, with a bound |
//! | `@socket.io/redis-adapter` | `Hub::set_adapter` is the place for it; no adapter comes along. Several threads: `Hubs` |
//! | `@socket.io/admin-ui` | [`Stats`]; `/live` of the chat |
//!
//! ## Named events
//!
//! The name and the rest, cut at the first space here; most will take JSON, as the chat does.
//!
//! ```
//! # #[cfg(feature = "rooms")] {
//! use wireroom::{CloseCode, Message, Socket};
//!
//! fn on(socket: &mut Socket<'_>, message: Message<'_>) {
//!     let Some((event, rest)) = message.as_text().and_then(|text| text.split_once(' ')) else {
//!         return socket.close(CloseCode::UNSUPPORTED_DATA, "an event and a text");
//!     };
//!     match event {
//!         // socket.on("join", room => socket.join(room))
//!         "join" if socket.join(rest).is_err() => _ = socket.emit("error too many rooms"),
//!         "join" => {}
//!         // socket.on("chat", text => socket.to("lobby").emit("chat", text))
//!         "chat" => _ = socket.to("lobby").emit(message),
//!         // socket.on("price", p => socket.volatile.broadcast.emit("price", p)): who is slow gets the latest
//!         "price" => _ = socket.broadcast().latest_of("price").emit(message),
//!         _ => _ = socket.emit("error no such event"),
//!     }
//! }
//! # }
//! ```
//!
//! ## Acknowledgements
//!
//! A [`Delivery`], and what `emit` answers, say what was queued. That a peer has *got* something only the peer can say. So a message
//! that matters carries a number, and the other end sends it back when it has done what it was asked to:
//!
//! ```
//! # #[cfg(feature = "rooms")] {
//! use wireroom::{Message, Socket};
//!
//! /// Client: `7 hello`. Server, when it is stored: `ack 7`. The client sends again what was not acknowledged, with the same
//! /// number, and the server knows numbers that it has seen: so nothing is lost, and nothing is done twice.
//! fn on(socket: &mut Socket<'_>, message: Message<'_>, store: &mut impl FnMut(u64, &str)) {
//!     let text = message.as_text().unwrap_or_default();
//!     if let Some((number, said)) = text.split_once(' ').and_then(|(number, said)| Some((number.parse().ok()?, said))) {
//!         store(number, said);
//!         let _ = socket.to("lobby").emit(said);
//!         let _ = socket.emit(&format!("ack {number}"));
//!     }
//! }
//! # }
//! ```
//!
//! A client in Rust says by `Reconnecting::acknowledge` what has arrived, and is told which messages are uncertain.
//!
//! ## Middleware and namespaces
//!
//! `verify` sees the request before there is a connection: path, cookies, `Origin`. It answers at once, or later
//! ([`Verdict::Defer`], then [`Connections::answer`] or [`Handle::answer`]), such as behind a database.
//!
//! ```no_run
//! # #[cfg(feature = "rooms")] {
//! use std::{cell::RefCell, rc::Rc};
//! use wireroom::{CloseCode, Config, ConnMap, Event, EventLoop, Hub};
//!
//! struct Person { name: String, namespace: &'static str }
//! # fn name_of(_session: &str) -> Option<String> { None }
//!
//! let people: Rc<RefCell<ConnMap<Person>>> = Rc::default(); // socket.data
//! let known = people.clone();
//! let mut event_loop = EventLoop::new()?;
//! event_loop.listen("127.0.0.1:8081".parse()?, Config::default(), move |id, request| {
//!     let namespace = match request.path() {
//!         "/chat" => "/chat",   // io.of("/chat")
//!         "/admin" => "/admin", // io.of("/admin")
//!         _ => return request.reject(404, "no such namespace\n"),
//!     };
//!     // io.use(..): a page cannot set headers, but its cookies come along.
//!     let Some(name) = request.cookie("session").and_then(name_of) else {
//!         return request.reject(401, "who are you?\n");
//!     };
//!     known.borrow_mut().insert(id, Person { name, namespace });
//!     request.allow_origins(&["https://chat.example"])
//! })?;
//! let mut hub = Hub::new(event_loop);
//! let left = people.clone();
//! hub.on_unopened(move |id, _closed| _ = left.borrow_mut().remove(id)); // accepted, and gone before it was open
//! loop {
//!     hub.turn(None, |socket, event| {
//!         let mut people = people.borrow_mut();
//!         let Some(person) = people.get(socket.id()) else { return };
//!         match event {
//!             Event::Open if socket.join(person.namespace).is_err() => socket.close(CloseCode::TRY_AGAIN_LATER, "full"),
//!             Event::Message(message) => {
//!                 let said = format!("{}: {}", person.name, message.as_text().unwrap_or_default());
//!                 let _ = socket.to(person.namespace).emit(&said);
//!             }
//!             Event::Closed(_) => _ = people.remove(socket.id()),
//!             _ => {}
//!         }
//!     })?;
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Several namespaces over one connection there are not: open a connection for each, or write the name into the message.
//!
//! ## History
//!
//! Who comes back has a new id and is in no room. What was said meanwhile comes from a list that you keep, with numbers from 1
//! on; the client says the last that it has, or 0:
//!
//! ```
//! # #[cfg(feature = "rooms")] {
//! use std::collections::VecDeque;
//! use wireroom::{CloseCode, PreparedMessage, Socket};
//!
//! /// `first` is the number of the first that is still there: 1 at the beginning.
//! struct History { first: u64, messages: VecDeque<PreparedMessage> }
//!
//! impl History {
//!     /// To all in the room, and kept, encoded once for both.
//!     fn say(&mut self, socket: &mut Socket<'_>, room: &str, said: &str) {
//!         let message = PreparedMessage::new(&format!("{} {said}", self.first + self.messages.len() as u64));
//!         self.messages.push_back(message.clone());
//!         if self.messages.len() > 1_000 {
//!             (self.first, _) = (self.first + 1, self.messages.pop_front());
//!         }
//!         let _ = socket.io().to(room).emit(message);
//!     }
//!
//!     /// `join lobby 17`: comes in, and gets what is newer than 17.
//!     fn catch_up(&self, socket: &mut Socket<'_>, room: &str, last: u64) {
//!         if socket.join(room).is_err() {
//!             return socket.close(CloseCode::TRY_AGAIN_LATER, "full");
//!         }
//!         let (id, seen) = (socket.id(), last.saturating_add(1).saturating_sub(self.first));
//!         for message in self.messages.iter().skip(seen.try_into().unwrap_or(usize::MAX)) {
//!             if socket.io().connections().send_prepared(id, message).is_err() {
//!                 return socket.close(CloseCode::TRY_AGAIN_LATER, "too slow"); // it asks again, from where it is
//!             }
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! The chat in `examples/chat` has all of it, with SQLite and a page: `PROTOCOL.md` there is its format.
//!
//! ## What is not there
//!
//! * The wire protocols of Engine.IO and Socket.IO, in any version, and so their clients.
//! * Long-polling, and WebTransport. (Plain HTTP answers may be streamed, so Server-Sent Events can be served beside.)
//! * Acknowledgements, events with names, namespaces over one connection: formats, and yours.
//! * Adapters to Redis and its like.
//!
#![doc = include_str!("links/core.md")]
#![doc = include_str!("links/world.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
#![cfg_attr(feature = "net", doc = include_str!("links/world_net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/world_without_net.md"))]
#![cfg_attr(feature = "rooms", doc = include_str!("links/rooms.md"))]
#![cfg_attr(not(feature = "rooms"), doc = include_str!("links/without_rooms.md"))]
#![cfg_attr(feature = "rooms", doc = include_str!("links/world_rooms.md"))]
#![cfg_attr(not(feature = "rooms"), doc = include_str!("links/world_without_rooms.md"))]
