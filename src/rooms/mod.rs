//! Floor 6: rooms. What Socket.IO abstracts away.
//!
//! RFC 6455 knows two endpoints and nothing else. A room, a broadcast, an id are not on the wire: they are two maps in the
//! server's memory ([`Rooms`]) and a loop over a slice. This page says for each call of Socket.IO what it is here and which
//! bytes leave.
//!
//! # The table
//!
//! The message is the text `hi`; Socket.IO has to name an event besides, here `chat`. `ours` and `theirs` are the bytes of each frame
//! that leaves, spelled out below; "-" is: nothing at all.
//!
//! | Socket.IO (server) | here | to | ours | theirs |
//! |---|---|---|---|---|
//! | `socket.join("lobby")` | [`socket.join("lobby")?`](Socket::join) | nobody | - | - |
//! | `socket.leave("lobby")` | [`socket.leave("lobby")`](Socket::leave) | nobody | - | - |
//! | `socket.emit("chat", "hi")` | [`socket.emit("hi")?`](Socket::emit) | this socket | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `io.to("lobby").emit("chat", "hi")` | [`socket.io().to("lobby").emit("hi")`](Io::to), [`hub.to("lobby").emit("hi")`](Hub::to) | each member | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `socket.broadcast.emit("chat", "hi")` | [`socket.broadcast().emit("hi")`](Socket::broadcast) | everyone but the sender | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `socket.broadcast.to("lobby").emit("chat", "hi")`, `socket.to("lobby").emit("chat", "hi")` | [`socket.to("lobby").emit("hi")`](Socket::to) | each member but the sender | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `io.emit("chat", "hi")` | [`socket.io().emit("hi")`](Io::emit), [`hub.emit("hi")`](Hub::emit) | everyone | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `io.to(socketId).emit("chat", "hi")`, `socket.to(socketId).emit("chat", "hi")` | [`socket.io().to(id).emit("hi")`](Io::to), [`socket.to(id).emit("hi")`](Socket::to) | that one | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `io.to("red").to("blue").emit("chat", "hi")` | [`hub.to("red").to("blue").emit("hi")`](Broadcast::to) | who is in either or both, once | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `io.to("red").except("muted").emit("chat", "hi")` | [`hub.to("red").except("muted").emit("hi")`](Broadcast::except) | each member of the one but not of the other | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `io.local.emit("chat", "hi")` | [`hub.everyone().local().emit("hi")`](Broadcast::local) | everyone of this hub | `81 02 hi` | `81 0f 42["chat","hi"]` |
//! | `io.in("lobby").fetchSockets()` | [`hub.rooms().members("lobby")`](Rooms::members), [`hub.to("lobby").ids()`](Broadcast::ids) | nobody | - | - |
//! | `socket.rooms` | [`socket.rooms()`](Socket::rooms) | nobody | - | - |
//! | `io.sockets.adapter.rooms` | [`hub.rooms()`](Hub::rooms) | nobody | - | - |
//! | adapter events `join-room`, `leave-room` | [`hub.poll_room_event()`](Hub::poll_room_event) | nobody | - | - |
//! | `socket.on("disconnecting", ..)` | the arm [`Event::Closed`](crate::connection::Event::Closed), rooms still joined | nobody | - | - |
//! | `socket.disconnect()` | [`socket.close(CloseCode::NORMAL, "bye")`](Socket::close) | this socket | `88 05 03 e8 bye` | `81 02 41` |
//!
//! What Socket.IO does from another process (`@socket.io/redis-emitter`), a [`HubHandle`] does from another thread, with the same
//! words; what `io.adapter(..)` is there, [`hub.set_adapter(..)`](Hub::set_adapter) is here.
//!
//! Whoever is among the recipients receives the same frame, whichever call it came from:
//!
//! ```text
//! ours        81 02 68 69
//!             |  |  "hi"
//!             |  not masked, 2 bytes of payload
//!             FIN, opcode 1: text (RFC 6455 section 5.2)
//!
//! theirs      81 0f 34 32 5b 22 63 68 61 74 22 2c 22 68 69 22 5d
//!             |  |  |  |  ["chat","hi"]  name of the event and arguments, as JSON
//!             |  |  |  "2" Socket.IO: event
//!             |  |  "4" Engine.IO: message
//!             |  not masked, 15 bytes of payload
//!             FIN, opcode 1: text
//! ```
//!
//! A browser says the first with `ws.send("hi")`, and then it is `81 82`, a masking key of four bytes, and `68 69` under that key
//! (section 5.3); it hears it with `ws.onmessage = event => show(event.data)`.
//!
//! # What joins and leaves put on the wire
//!
//! Nothing, in either library. A client cannot join a room: it can only say something after which the server lets it in. So the
//! server decides, and if others are to hear of it, the server tells them, with a message like any other:
//!
//! ```
//! use wireroom::rooms::{JoinError, Socket};
//!
//! fn enter(socket: &mut Socket<'_>, room: &str) -> Result<(), JoinError> {
//!     if socket.join(room)? {
//!         let delivery = socket.to(room).emit("somebody came in");
//!         println!("{} of {} were told", delivery.queued + delivery.backpressure, delivery.recipients());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What Socket.IO has above this
//!
//! | Socket.IO | on its wire | here |
//! |---|---|---|
//! | names of events, `emit("chat", ..)` | the first element of the JSON array | the application's own format: any text, any bytes |
//! | acknowledgements, `emit("chat", .., ack)` | a number, `421["chat","hi"]`, answered by `431[..]` | a number of the application's own in its messages. A [`Delivery`] says what was queued, not what was received |
//! | namespaces, `io.of("/admin")` | a prefix, `42/admin,["chat","hi"]` | the path of the upgrade request, seen by `verify`; or rooms |
//! | session id, transports, upgrade from polling | an HTTP exchange, then `0{"sid":..}`, `2probe`, `3probe`, `5` | one opening handshake (section 4) |
//! | heartbeat | text messages `2` and `3` | Ping and Pong frames (section 5.5.2), `Config`'s keepalive |
//! | binary arguments | `451-["chat",{"_placeholder":true,"num":0}]`, then a binary message for each | a binary message, opcode 2 |
//! | reconnection, buffering while away | the client's library; a new `sid` | the client's affair; a new connection has a new id and no rooms |
//! | `volatile`: dropped if the peer is not ready; everything else is buffered without a bound | nothing | every queue is bounded, and what happens then has a name for each broadcast: [`Broadcast::slow_consumer`], [`Broadcast::latest_of`], [`Broadcast::pause_sender`]. [`Delivery::dropped`] counts who will not get it |
//!
//! # What a broadcast costs
//!
//! One encoding: the frame is formatted once, and each member's queue holds a count on the same bytes
//! ([`PreparedMessage`](crate::message::PreparedMessage)). Nothing is hashed and nothing is allocated per member. The frames
//! leave at the end of the turn, one `write` for each connection that has something to send, however many broadcasts there were.
//! With other loops there is one copy more of the recipients' names, in up to three allocations, whatever the number of loops.
//!
//! # Rooms over several loops
//!
//! [`Hubs`] are the hubs of [`Loops`](crate::net::Loops), one on each thread, and their rooms are one: the calls of the table above
//! reach who is in a room in whichever loop, and a connection's id says in which it is. A broadcast is encoded once, and crosses to
//! each other loop by one entry in a bounded queue and one wake, which several share; there it goes to the members as if it had
//! begun there. What one sender emits arrives at each recipient in order. Messages of different senders may be seen in different
//! orders by recipients in different loops. What is of one loop alone, and what happens when a loop is too slow, is said at
//! [`Hubs`].
//!
//! # Layout
//!
//! `operation` says to whom, as plain data; `membership` knows who that is and `delivery` hands it to the floor below; `broadcast`
//! and `socket` are the words of a handler, `handle` those of another thread; `hub` ties them to the loop, `hubs` and `span` to one another. `limits`, `pauses`
//! and `presence` are what they say.
//!
//! Knows: ids, the loop, prepared messages. Must not know: frames, bytes, sockets, time.

mod broadcast;
mod delivery;
mod handle;
mod hub;
mod hubs;
mod limits;
mod membership;
mod operation;
mod pauses;
mod presence;
mod socket;
mod span;

pub use broadcast::Broadcast;
pub use delivery::{Delivery, Outlet};
pub use handle::{HandleBroadcast, HubHandle, HubHandleError};
pub use hub::{Hub, HubConfig};
pub use hubs::{Hubs, HubsHandle};
pub use limits::{JoinError, RoomLimits};
pub use membership::Rooms;
pub use operation::{Adapter, Operation, OwnedRoom, Recipients, Room, Scope, Target};
pub use presence::RoomEvent;
pub use socket::{Io, Socket};
pub use span::FullLoop;
