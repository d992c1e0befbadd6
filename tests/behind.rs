//! Behind proxies, and on listeners that were made elsewhere: real loopback sockets, headers written by hand.

#![allow(clippy::disallowed_methods, dead_code)] // sockets have a clock; the support is that of `net`

#[path = "net/support.rs"]
mod support;

#[path = "behind/headers.rs"]
mod headers;

#[path = "behind/parser.rs"]
mod parser;

#[path = "behind/proxies.rs"]
mod proxies;

#[path = "behind/forwarded.rs"]
mod forwarded;

#[path = "behind/listeners.rs"]
mod listeners;

#[cfg(target_os = "linux")]
#[path = "behind/hot_restart.rs"]
mod hot_restart;

#[cfg(all(target_os = "linux", feature = "inherit"))]
#[path = "behind/inherit.rs"]
mod inherit;
