//! The guide: pages about the house as a whole, with no code in them.
//!
//! * [`speed`]: how it is fast. The way of a message, what was done on each floor and why, what each floor costs.
//! * [`limits`]: limits and defaults. Each one with its name, its default, what happens there and who is told.
//! * [`memory`]: memory per connection. What an idle one consists of, what is added by what, and how to measure it.
//! * [`deploying`]: behind nginx and HAProxy, under systemd, in a container; whose word about the client is believed.
//! * [`embedding`]: in a loop that is not ours. In your mio poll, in tokio, on io_uring, on a thread with blocking sockets.
//! * [`keepalive`]: which timeout is against what, and how to choose; what the peer sees; clients that come back.
//! * [`wss`]: TLS. Servers, clients, certificates, what goes wrong.
//! * [`migrating`]: from tungstenite, ws-rs and Socket.IO. Their word, our call, and what there is not.
//! * [`tuning`]: which knobs for which use, of the library and of the system around it.
//!
//! A module's own page says what that module knows; these say what runs through all of them. What the peer is held to, and
//! what is promised against a hostile one, stands in `SECURITY.md`.
//!
//! # What a build leaves out
//!
//! These pages are the same for every build, and name items of all features. In the documentation of a build without `net`,
//! `rooms`, `tls` or `deflate` such a name leads here: turn the feature on, and it leads to the item.
//!
//! Knows: nothing. Uses nothing, is used by nothing, and costs nothing.

pub mod deploying;
pub mod embedding;
pub mod keepalive;
pub mod limits;
pub mod memory;
pub mod migrating;
pub mod speed;
pub mod tuning;
pub mod wss;
