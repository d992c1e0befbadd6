//! wss: WebSocket over TLS. What there is, and where it is described.
//!
//! With the feature `tls` (rustls, with ring; it builds C and assembler) a listener takes `wss://`, and so does a client. Nothing
//! else changes: the same loop, the same events, the same rooms. [`net::tls`] is the module's page.
//!
//! | wanted | call |
//! |---|---|
//! | a server | [`ServerTls::from_pem_files`], then [`ListenOptions::tls`] |
//! | several certificates, by the name that is asked for | [`ServerTls::builder`], `certificate` more than once |
//! | a certificate that is renewed | [`ServerTls::replace`], from any thread: new connections get it, those that exist stay |
//! | certificates of clients | [`ClientCertificates`], asked for or required; then [`Connections::peer_certificates`] |
//! | a client | [`EventLoop::connect_to`] with [`ConnectOptions::tls`]; [`EventLoop::connect_tls`] to an address |
//! | roots of your own | [`ClientTls::builder`], `root_pem`; `no_platform_roots` for those alone |
//! | what was agreed on | [`Connections::tls`]: version, cipher suite, ALPN, whether it was resumed |
//! | why not | [`Cause::Tls`] with a [`TlsError`]; before there is a connection a [`TlsConfigError`] |
//! | anything else that rustls can | [`ServerTls::from_config`], [`ClientTls::from_config`] |
//!
//! # A server
//!
//! ```no_run
//! # #[cfg(feature = "tls")] {
//! use wireroom::{Config, Event, EventLoop, ListenOptions, ServerTls};
//!
//! let tls = ServerTls::from_pem_files("chain.pem", "key.pem")?;
//! let options = ListenOptions::new().tls(tls.clone());
//! let mut event_loop = EventLoop::new()?;
//! event_loop.listen_with("0.0.0.0:443".parse()?, options, Config::default(), |_id, request| {
//!     request.allow_origins(&["https://chat.example"]) // https, for that is what the page came by
//! })?;
//! // Whoever renews certificates keeps `tls`, a clone, and the old ones stay if the new ones are broken:
//! let renew = move || match ServerTls::from_pem_files("chain.pem", "key.pem") {
//!     Ok(renewed) => tls.replace(&renewed),
//!     Err(error) => eprintln!("the certificate stays as it was: {error}"),
//! };
//! # let _ = renew;
//! loop {
//!     event_loop.turn(None, |connections, id, event| match event {
//!         Event::Open => println!("{:?}", connections.tls(id)),
//!         Event::Message(message) => _ = connections.send(id, message),
//!         _ => {}
//!     })?;
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `Config::handshake_timeout` (5 s) spans TCP, TLS and HTTP together, and a connection counts against `max_connections` from
//! its first moment. A browser that opens `https://` on this port gets what your `verify` answers to a plain request: one port
//! for the page and its WebSocket. Plain HTTP on it is answered with 400 ([`TlsError::PlainHttp`]).
//!
//! # A client
//!
//! ```no_run
//! # #[cfg(feature = "tls")] {
//! use wireroom::{Cause, ClientTls, Config, ConnectOptions, Event, EventLoop, TlsError, handshake::ClientRequest};
//!
//! let tls = ClientTls::new()?; // whom the operating system trusts; keep it, it remembers sessions
//! let mut event_loop = EventLoop::new()?;
//! let request = ClientRequest::new("wss://chat.example/")?;
//! let id = event_loop.connect_to(request, ConnectOptions::new().tls(tls), Config::default())?;
//! # let mut end = false;
//! # while !end {
//! event_loop.turn(None, |connections, _, event| match event {
//!     Event::Open => _ = connections.send(id, "hello"),
//!     Event::Closed(closed) => {
//!         match closed.cause {
//!             Cause::Tls(TlsError::UnknownIssuer) => eprintln!("whoever signed this certificate is not trusted here"),
//!             Cause::Tls(error) => eprintln!("{error}"),
//!             _ => eprintln!("{closed}"),
//!         }
//!         # end = true;
//!     }
//!     _ => {}
//! })?;
//! # }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Certificates are always verified, for the URL's host; [`ClientTls::server_name`] is for a server that is known by another. There
//! is no word here for "do not verify": rustls has one, and it begins with `dangerous`. By a proxy (`ConnectOptions::proxy`) TLS
//! is spoken through it, to the server.
//!
//! # Certificates of clients
//!
//! ```no_run
//! # #[cfg(feature = "tls")] {
//! use wireroom::{ClientCertificates, ServerTls};
//!
//! let tls = ServerTls::builder()
//!     .certificate_files("chain.pem", "key.pem")
//!     .client_certificates(ClientCertificates::Required(std::fs::read("clients-ca.pem")?))
//!     .build()?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Who shows none, or one that leads elsewhere, does not get as far as HTTP. What the certificate says is for you to read, from
//! [`Connections::peer_certificates`], which has its bytes (DER).
//!
//! # How it ends
//!
//! The WebSocket's closing handshake comes first, then TLS's close_notify, then the end of the stream. A stream that ends without
//! either may have been cut off by somebody in between, and is told as [`TlsError::Truncated`], where plain TCP has [`Cause::Eof`].
//!
//! # Or a proxy does it
//!
//! nginx or HAProxy in front may speak TLS in your place: then the library needs no feature, and `Origin` is still `https`. What the
//! client's address is, is then the proxy's to say: [`ListenOptions::proxy_protocol`], or `Forwarded`, each from sources that you
//! name. Without the feature a `wss://` URL is refused by `connect_to` at once.
//!
//! # What is not there
//!
//! Early data (0-RTT) is never accepted, for it can be replayed. ACME, to get certificates, is other programs' work:
//! [`ServerTls::replace`] takes what they bring. Certificates are not asked for by OCSP. HTTP/2 is not spoken: ALPN is `http/1.1`.
//!
#![doc = include_str!("links/core.md")]
#![doc = include_str!("links/world.md")]
#![cfg_attr(feature = "net", doc = include_str!("links/world_net.md"))]
#![cfg_attr(not(feature = "net"), doc = include_str!("links/world_without_net.md"))]
#![cfg_attr(feature = "tls", doc = include_str!("links/tls.md"))]
#![cfg_attr(not(feature = "tls"), doc = include_str!("links/without_tls.md"))]
