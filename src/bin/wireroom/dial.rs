//! Connecting as a client: the one place that resolves names and dials.

use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use clap::Args;
use wireroom::{Cause, Closed, Config, ConfigBuilder, ConnId, EventLoop, PermessageDeflate, handshake::ClientRequest};

use crate::failure::{Failure, Status};

/// What every command that dials can be told.
#[derive(Args, Clone, Debug)]
pub(crate) struct DialOptions {
    /// Where to connect: ws://host[:port][/path][?query].
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// A header of the opening handshake; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A subprotocol to offer, in order of preference; may be given several times.
    #[arg(short, long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,
    /// The Origin to send, as a browser would for a page of this site.
    #[arg(short, long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,
    /// Offer compression of messages (permessage-deflate, RFC 7692).
    #[arg(short = 'z', long)]
    pub(crate) compress: bool,
    /// Connect to this Unix-domain socket; the URL gives the host and the path of the request.
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Option<PathBuf>,
    /// The largest message to take, in bytes; above it the connection fails with 1009.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    pub(crate) max_size: usize,
    /// Seconds until the connection has to be open.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

impl DialOptions {
    /// The settings of the connection, to which a command adds its own.
    pub(crate) fn config(&self) -> ConfigBuilder {
        let deflate = self.compress.then(PermessageDeflate::default);
        Config::builder().max_message_size(self.max_size).handshake_timeout(self.timeout).permessage_deflate(deflate)
    }

    /// The URL as it may be shown.
    pub(crate) fn shown(&self) -> String {
        shown(&self.url)
    }

    fn request(&self) -> Result<ClientRequest, Failure> {
        let wrong = |error| Failure::usage(format_args!("{}: {error}", self.shown()));
        let mut request = ClientRequest::new(&self.url).map_err(wrong)?;
        for header in &self.headers {
            let Some((name, value)) = header.split_once(':') else {
                return Err(Failure::usage(format_args!(
                    "--header {header:?}: there is no colon, as in \"Name: value\""
                )));
            };
            request = request
                .header(name.trim(), value.trim())
                .map_err(|error| Failure::usage(format_args!("--header {header:?}: {error}")))?;
        }
        if !self.subprotocols.is_empty() {
            let wrong = |error| Failure::usage(format_args!("--subprotocol: {error}"));
            request = request.subprotocols(&self.subprotocols).map_err(wrong)?;
        }
        if let Some(origin) = &self.origin {
            request = request.origin(origin).map_err(|error| Failure::usage(format_args!("--origin: {error}")))?;
        }
        Ok(request)
    }
}

/// A URL without its user information: a password is not for terminals and logs. Of what is no URL all is left out before its
/// last `@`: there a password may hold a `/`, or nothing says where it begins.
pub(crate) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let prefix = &url[..url.len() - rest.len()];
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let shown = format!("{prefix}{host}{target}");
    let is_url = matches!(scheme, "ws" | "wss") && ClientRequest::new(&shown).is_ok();
    match rest.rsplit_once('@') {
        Some((_, behind)) if !is_url => format!("{prefix}{behind}"),
        _ => shown,
    }
}

/// A number of seconds, fractions too, above 0 and at most 24 days.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(24 * 24 * 3600);
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() && time <= longest => Ok(time),
        _ => Err("it has to be above 0, and at most 24 days".to_owned()),
    }
}

/// A server to connect to, resolved. Its addresses are tried one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    request: ClientRequest,
    config: Arc<Config>,
    to: To,
}

#[derive(Clone, Debug)]
enum To {
    Tcp(VecDeque<SocketAddr>),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Dial {
    pub(crate) fn new(options: &DialOptions, config: Config) -> Result<Self, Failure> {
        let request = options.request()?;
        if request.is_secure() {
            return Err(Failure::usage(format_args!("{}: wss:// needs TLS, which this build lacks", options.shown())));
        }
        #[cfg(unix)]
        if let Some(path) = &options.unix {
            return Ok(Self { request, config: Arc::new(config), to: To::Unix(path.clone()) });
        }
        let addresses = resolve(request.host(), request.port(), options.timeout)?;
        Ok(Self { request, config: Arc::new(config), to: To::Tcp(addresses.into()) })
    }

    /// Connects to the first address that is left.
    pub(crate) fn connect(&mut self, event_loop: &mut EventLoop) -> Result<ConnId, Failure> {
        let (request, config) = (self.request.clone(), self.config.clone());
        match &mut self.to {
            #[cfg(unix)]
            To::Unix(path) => event_loop
                .connect_unix(&*path, request, config)
                .map_err(|error| cannot_connect(&path.display(), &error)),
            To::Tcp(addresses) => loop {
                let Some(address) = addresses.front() else {
                    return Err(Failure::new(Status::Unreachable, "the host has no address"));
                };
                match event_loop.connect(*address, request.clone(), config.clone()) {
                    Ok(id) => return Ok(id),
                    Err(error) if addresses.len() == 1 => return Err(cannot_connect(address, &error)),
                    Err(_) => _ = addresses.pop_front(),
                }
            },
        }
    }

    /// Whether another address is to be tried after this end of a connection that did not open: of `localhost` mostly.
    pub(crate) fn has_another(&mut self, closed: &Closed) -> bool {
        match &mut self.to {
            To::Tcp(addresses) if matches!(closed.cause, Cause::Io(_)) && addresses.len() > 1 => {
                addresses.pop_front();
                true
            }
            _ => false,
        }
    }
}

fn cannot_connect(to: &dyn std::fmt::Display, error: &io::Error) -> Failure {
    Failure::new(Status::Unreachable, format_args!("cannot connect to {to}: {}", plain(error)))
}

/// A host's addresses. The system's resolver knows no timeout, so it is asked on a thread.
pub(crate) fn resolve(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Failure> {
    let (tell, told) = mpsc::channel();
    let (name, unreachable) = (host.to_owned(), |why: String| Failure::new(Status::Unreachable, why));
    let ask = move || _ = tell.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(ask)
        .map_err(|error| Failure::here(format_args!("no thread to resolve {host}: {error}")))?;
    match told.recv_timeout(timeout) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(unreachable(format!("{host} has no address"))),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(unreachable(format!("unknown host {host}: {}", plain(&error)))),
        Err(_) => {
            let sentence = format!("no answer about the host {host} within {} s", timeout.as_secs_f64());
            Err(Failure::new(Status::Timeout, sentence))
        }
    }
}

/// Without the number that the standard library adds, and the prefix of its resolver.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.rsplit("address information: ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wireroom::Event;

    #[test]
    fn the_next_address_is_tried_when_one_refuses() {
        let mut event_loop = EventLoop::new().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let any = ([127, 0, 0, 1], 0).into();
        let open = event_loop.listen(any, Config::default(), |_id, request| request.allow_any_origin()).unwrap();
        let request = ClientRequest::new("ws://two.addresses/").unwrap();
        let to = To::Tcp([closed, open].into());
        let mut dial = Dial { request, config: Arc::default(), to };
        let mut id = dial.connect(&mut event_loop).unwrap();
        let mut opened = false;
        while !opened {
            let mut refused = None;
            let turned = event_loop.turn(Some(Duration::from_secs(5)), |_, of, event| match event {
                Event::Open => opened |= of == id,
                Event::Closed(closed) => refused = Some(closed),
                _ => {}
            });
            turned.unwrap();
            if let Some(closed) = refused {
                assert!(dial.has_another(&closed), "{closed}");
                id = dial.connect(&mut event_loop).unwrap();
            }
        }
        assert!(!dial.has_another(&closed_by(io::ErrorKind::ConnectionRefused)), "it was the last");
    }

    /// How a connection ended that nobody accepted.
    fn closed_by(wanted: io::ErrorKind) -> Closed {
        let mut event_loop = EventLoop::new().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        event_loop.connect(closed, ClientRequest::new("ws://h/").unwrap(), Config::default()).unwrap();
        let mut end = None;
        while end.is_none() {
            event_loop
                .turn(Some(Duration::from_secs(5)), |_, _, event| {
                    if let Event::Closed(closed) = event {
                        end = Some(*closed);
                    }
                })
                .unwrap();
        }
        let end = end.unwrap();
        assert!(matches!(end.cause, Cause::Io(kind) if kind == wanted), "{end}");
        end
    }

    #[test]
    fn seconds_have_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2073600"), Ok(Duration::from_secs(24 * 24 * 3600)));
        for wrong in ["0", "-1", "2073601", "inf", "NaN", "", "1s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn user_information_is_left_out_of_what_is_shown() {
        assert_eq!(shown("ws://u:p@h:1/a@b"), "ws://h:1/a@b");
        assert_eq!(shown("ws://h?x@y"), "ws://h?x@y");
        assert_eq!(shown("nonsense"), "nonsense");
        for (wrong, left) in [
            ("u:secret@h", "h"),
            ("ws:/u:secret@h/", "h/"),
            ("ws://u:sec/ret@h/", "ws://h/"),
            ("ws://u:sec?ret@h", "ws://h"),
            ("ws://u:sec#ret@h/", "ws://h/"),
            ("http://u:sec@ret@h/", "http://h/"),
        ] {
            assert_eq!(shown(wrong), left, "{wrong}");
        }
    }
}
