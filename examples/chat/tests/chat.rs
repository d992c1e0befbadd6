//! The chat as its users meet it: a program, its port and its database. Each test starts a server of its own.

#[path = "chat/history.rs"]
mod history;
#[path = "chat/http.rs"]
mod http;
#[path = "chat/limits.rs"]
mod limits;
#[path = "chat/live.rs"]
mod live;
#[path = "chat/operation.rs"]
mod operation;
#[path = "chat/people.rs"]
mod people;
#[path = "chat/rooms.rs"]
mod rooms;
#[path = "chat/support.rs"]
mod support;
#[path = "chat/wire.rs"]
mod wire;
