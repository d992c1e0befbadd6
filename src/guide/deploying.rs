//! Deploying: behind nginx and HAProxy, under systemd, in a container, and what the operating system limits.
//!
//! The configurations on this page are files beside it. `tests/behind_real/run` starts nginx and HAProxy with them, but for the
//! ports, before the chat server of this repository: people talk through them, and go on talking while they are reloaded. The units
//! of systemd are read by `systemd-analyze verify`, and a socket is handed over by `systemd-socket-activate`.
//!
//! # Who is the client?
//!
//! Behind a proxy all connections come from its address. There are two ways to learn the client's, and neither is believed of
//! just anybody:
//!
//! | | the PROXY protocol | `Forwarded`, `X-Forwarded-For` |
//! |---|---|---|
//! | where it stands | before the first byte of a connection | in each request |
//! | read by | [`ListenOptions::proxy_protocol`], whose sources have to be named | [`Request::client_addr`], with [`TrustedProxies`] |
//! | what it changes | the peer's address everywhere, `max_connections_per_address` included | nothing: `verify` is told |
//! | for proxies that | pass on connections (TCP), with TLS or without | pass on requests (HTTP) |
//!
//! ```
//! # #[cfg(feature = "net")] {
//! use wireroom::{Config, EventLoop, ListenOptions, ProxyProtocol, http::{ForwardedHeader, Response, TrustedProxies}};
//!
//! let mut event_loop = EventLoop::new()?;
//! // A proxy for connections, at port 8081 ..
//! let config = Config::builder().max_connections_per_address(Some(20)).build()?;
//! let options = ListenOptions::new().proxy_protocol(ProxyProtocol::from_sources(["10.0.0.0/8".parse()?]));
//! # let (address, other) = ("127.0.0.1:0", "127.0.0.1:0"); let _ = stringify!(
//! let (address, other) = ("0.0.0.0:8081", "127.0.0.1:8080");
//! # );
//! event_loop.listen_with(address.parse()?, options, config, |_id, request| {
//!     request.allow_origins(&["https://chat.example"]) // request.peer_addr() is the client's
//! })?;
//! // .. and one for requests, at port 8080.
//! let proxies = TrustedProxies::networks(ForwardedHeader::XForwardedFor, ["127.0.0.1".parse()?]);
//! event_loop.listen(other.parse()?, Config::default(), move |_id, request| {
//!     match request.client_addr(&proxies).ip() {
//!         Some(_client) => request.allow_origins(&["https://chat.example"]),
//!         None => Response::text(400, "from whom?\n").into(),
//!     }
//! })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `Origin` and `Host` pass a proxy as `verify` has to see them: nginx needs a word for `Host`.
//!
//! # nginx
//!
//! ```text
#![doc = include_str!("deploying/nginx.conf")]
//! ```
//!
//! * `Upgrade` and `Connection` are between neighbours, so they do not pass without the two lines, and HTTP/1.1 has to be asked for.
//! * `$proxy_add_x_forwarded_for` appends the client's address to what the client has sent. [`Request::client_addr`] reads it from
//!   the right, so that does no harm; `$remote_addr` would leave it out.
//! * `proxy_read_timeout` is the silence after which nginx ends a connection: keep `keepalive_interval` (30 s) below it.
//! * `proxy_buffering off` is for answers that are streamed, such as Server-Sent Events; WebSockets are never buffered.
//! * A reload leaves connections with the old workers, until they close or `worker_shutdown_timeout` is over.
//! * `worker_connections` counts both sides: two for each client. To one address of ours nginx has about 28,000 ports; beyond
//!   that take several addresses in `upstream`, or a Unix-domain socket: `server unix:/run/chat/web.sock;`.
//!
//! # HAProxy
//!
//! ```text
#![doc = include_str!("deploying/haproxy.cfg")]
//! ```
//!
//! * `timeout tunnel` takes the place of `timeout client` and `timeout server` behind the upgrade, and in TCP mode once both have sent.
//!   Any Ping renews it.
//! * A server with `send-proxy` or `send-proxy-v2` is checked by a connection that begins with a header, too: of version 2 with
//!   `LOCAL`, and [`Connections::peer_addr`] is the proxy's own address then. With `max_connections_per_address` the checks of one
//!   proxy count as one address.
//! * `proxy-v2-options` can add a checksum, which is held against the header; an id; the TLS of the client (`ssl`, `ssl-cipher`) and
//!   its server name (`authority`). [`Connections::proxy_header`] has them.
//! * In HTTP mode HAProxy may send requests of several clients on one connection: there the header of the PROXY protocol would be
//!   that of the first of them. Use it in TCP mode.
//! * `option forwarded` (HAProxy 2.8) writes `Forwarded` in place of `X-Forwarded-For`: say the same to [`TrustedProxies`].
//!
//! # systemd
//!
//! The socket, `chat.socket`, is systemd's: it exists before the server does, may have a port below 1024 without any privilege of the
//! server's, and stays while the server is restarted, so that who connects then waits:
//!
//! ```text
#![doc = include_str!("deploying/chat.socket")]
//! ```
//!
//! `chat.service` takes it over by `Inherited` (feature `inherit`), by its name:
//!
//! ```text
#![doc = include_str!("deploying/chat.service")]
//! ```
//!
//! `examples/inherited.rs` is such a server. `TimeoutStopSec` has to be longer than the time that you give people to go
//! ([`EventLoop::shut_down`]). Sockets with `Accept=yes` are connections, and refused.
//!
//! # A restart that refuses nobody
//!
//! With socket activation: `systemctl restart`. Who is there is sent away with 1001 and comes back, who comes meanwhile waits. To
//! have the new server ready before the old one goes, hand the listener over: `examples/hot_restart` starts itself anew with
//! the listening socket as standard input, waits for its word, calls [`EventLoop::stop_listening`], and drains. Both accept for a
//! moment, and nobody is refused: `tests/behind/hot_restart.rs` holds that under load.
//!
//! # Unix-domain sockets
//!
//! Between a proxy and a server of one machine they need no ports, and the file's permissions say who may connect.
//! [`EventLoop::listen_unix_with`] sets them before anybody can, removes what an earlier server has left, and removes the file at
//! the end, as `UnixSocket` says. The peer has no address; `unix` is its name in [`ProxyProtocol::from_sources`] and
//! [`TrustedProxies::networks`].
//!
//! # Containers and health checks
//!
//! * Listen on all addresses (`0.0.0.0`), and name the pages' origins: the address that the server sees is not the one in the browser.
//! * Answer a path such as `/healthz` in `verify`, on the same port. While the server drains ([`EventLoop::drain`]) plain HTTP is
//!   still answered, so it can say 503 there and is taken out of the balance before it goes.
//! * A check that only connects, and says nothing, is ended after `handshake_timeout` and counted in
//!   [`Stats::handshakes_timed_out`]; from a proxy that is named, too.
//! * The first process of a container gets no default for SIGTERM: handle it, or let the runtime add an `init`.
//! * With `max_connections_per_address`, mind that a container's gateway may be everybody's address.
//!
//! # What the operating system limits
//!
//! | limit | where | what happens at it |
//! |---|---|---|
//! | descriptors of the process | `LimitNOFILE=`, `ulimit -n`, `--ulimit nofile` | `accept` fails, and is tried again each 100 ms ([`Stats::accept_errors`]); keep `max_connections` below it |
//! | descriptors of the machine | `fs.file-max`, `fs.nr_open` | the same |
//! | connections that wait for `accept` | the listener's backlog, 128 here for TCP, and `net.core.somaxconn` | the client's system tries again after a second; on a Unix-domain socket, `connect` waits, or fails with `EAGAIN` |
//! | ports to one address | `net.ipv4.ip_local_port_range`, about 28,000 | the proxy cannot connect: give it more addresses of ours |
//! | memory of all sockets | `net.ipv4.tcp_mem` | windows shrink, then packets are dropped |
//! | connection tracking | `net.netfilter.nf_conntrack_max` | packets of new connections are dropped, and the log says so |
//!
//! A larger backlog than 128 comes with a listener made elsewhere ([`EventLoop::listen_on`]): `Backlog=` of systemd, or `listen` of the
//! crate socket2. [`tuning`](super::tuning) goes on from here.
//!
#![doc = include_str!("links/core.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/without_net.md"))]
