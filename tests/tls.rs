//! wss over loopback sockets. Peers are rustls' buffered API, which the library does not use, raw bytes, and the openssl
//! command line where there is one; all waits are bounded.

#![allow(clippy::disallowed_methods)] // sockets have a clock

#[path = "net/support.rs"]
#[allow(dead_code)] // a part of it is for raw peers
mod support;

#[path = "clients/servers.rs"]
#[allow(dead_code)] // as much as `dial` needs of it
mod servers;

#[path = "behind/headers.rs"]
mod headers;

#[path = "tls/kit.rs"]
mod kit;

#[path = "tls/behind.rs"]
mod behind;

#[path = "tls/certificates.rs"]
mod certificates;

#[path = "tls/dial.rs"]
mod dial;

#[path = "tls/echo.rs"]
mod echo;

#[path = "tls/edges.rs"]
mod edges;

#[path = "tls/ending.rs"]
mod ending;

#[path = "tls/hostile.rs"]
mod hostile;

#[path = "tls/idle.rs"]
mod idle;

#[path = "tls/moving.rs"]
mod moving;

#[path = "tls/openssl.rs"]
mod openssl;

#[path = "tls/redirects.rs"]
mod redirects;

#[path = "tls/sessions.rs"]
mod sessions;
