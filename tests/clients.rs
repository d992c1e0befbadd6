//! Clients on the loop that find their server by themselves: names, addresses in turn, proxies, redirects, coming back.
//! Servers and proxies are raw streams with bytes written by hand, in the same thread as the loop; every wait is bounded.

#![allow(clippy::disallowed_methods)] // sockets have a clock

#[allow(dead_code)] // this test needs less of it
#[path = "net/support.rs"]
mod support;

#[path = "clients/servers.rs"]
mod servers;

#[path = "clients/addresses.rs"]
mod addresses;

#[path = "clients/names.rs"]
mod names;

#[path = "clients/http_proxy.rs"]
mod http_proxy;

#[path = "clients/socks.rs"]
mod socks;

#[path = "clients/redirects.rs"]
mod redirects;

#[path = "clients/reconnecting.rs"]
mod reconnecting;

#[path = "clients/restart.rs"]
mod restart;
