//! Connecting as a client: the one place that dials.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use wireroom::{
    Cause, Closed, Config, ConfigBuilder, ConnId, ConnectOptions, EventLoop, PermessageDeflate,
    handshake::ClientRequest,
    proxy::{Proxy, ProxyRules},
};

use crate::{
    failure::{self, Failure, Status},
    trust::{TlsOptions, Trust},
};

/// What every command that dials can be told.
#[derive(Args, Clone, Debug)]
pub(crate) struct DialOptions {
    /// Where to connect: ws://host[:port][/path][?query], or wss://.
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
    #[arg(long, value_name = "PATH", conflicts_with_all = ["proxy", "proxy_from_env", "follow"])]
    pub(crate) unix: Option<PathBuf>,
    /// Go by this proxy: http://[user:password@]host[:port] (CONNECT), or socks5://.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Go by the proxy that the environment names, if it does: http_proxy, https_proxy, all_proxy, no_proxy.
    #[arg(long, conflicts_with = "proxy")]
    pub(crate) proxy_from_env: bool,
    /// Follow so many redirects; never from wss:// to ws://. Authorization, Cookie and --cert stay with the URL's host.
    #[arg(short = 'L', long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) follow: u32,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
    /// The largest message to take, in bytes; above it the connection fails with 1009.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    pub(crate) max_size: usize,
    /// Seconds until the connection has to be open: names, proxies, TLS and redirects included.
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
        for (place, header) in self.headers.iter().enumerate() {
            // Never with the value, which may be a token; without a colon nothing says where that begins.
            let Some((name, value)) = header.split_once(':') else {
                let place = place + 1;
                return Err(Failure::usage(format_args!(
                    "--header, number {place}: there is no colon, as in \"Name: value\""
                )));
            };
            let name = name.trim();
            request = request
                .header(name, value.trim())
                .map_err(|error| Failure::usage(format_args!("--header {name:?}: {error}")))?;
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

    /// How the server is reached.
    fn route(&self, secure: bool) -> Result<(ConnectOptions, Option<Trust>), Failure> {
        let mut route = ConnectOptions::new().attempt_timeout(self.timeout).max_redirects(self.follow);
        if let Some(url) = &self.proxy {
            let proxy = Proxy::from_url(url).map_err(|error| Failure::usage(format_args!("--proxy: {error}")))?;
            route = route.proxy(proxy);
        }
        if self.proxy_from_env {
            let rules = ProxyRules::from_env();
            let wrong = |error| Failure::usage(format_args!("--proxy-from-env: {error}"));
            route = route.proxy_rules(rules.map_err(wrong)?);
        }
        let trust = match secure {
            true => Some(self.tls.trust()?),
            // A redirect may lead there.
            false if self.follow > 0 => self.tls.trust_if_possible()?,
            false => None,
        };
        if let Some(trust) = &trust {
            route = route.tls(trust.client()?);
        }
        Ok((route, trust))
    }

    /// What the end of a connection comes to.
    pub(crate) fn came_to(&self, closed: &Closed, opened: bool) -> Result<(), Failure> {
        // Nobody says which of them it was.
        let or = if self.follow > 0 { " (or where it redirects)" } else { "" };
        let to = self.shown() + or;
        let to = match (&closed.cause, self.proxy_in_words()) {
            (Cause::Connect(_), Some(proxy)) => format!("{to} by the proxy {proxy}"),
            _ => to,
        };
        failure::of_end(closed, opened, &to, self.timeout.as_secs_f64())
    }

    /// Which one is taken to the URL's host.
    fn proxy_in_words(&self) -> Option<String> {
        if let Some(url) = &self.proxy {
            return Some(shown(url));
        }
        let rules = if self.proxy_from_env { ProxyRules::from_env().ok()? } else { return None };
        let request = ClientRequest::new(&self.url).ok()?;
        let proxy = rules.proxy_for(request.is_secure(), request.host(), request.port())?;
        Some(format!("{}:{}", proxy.host(), proxy.port()))
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

/// A server to connect to, as often as it takes.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    request: ClientRequest,
    config: Arc<Config>,
    to: To,
}

#[derive(Clone, Debug)]
enum To {
    Url(Arc<ConnectOptions>),
    #[cfg(unix)]
    Unix(PathBuf, Option<Trust>),
}

impl Dial {
    pub(crate) fn new(options: &DialOptions, config: Config) -> Result<Self, Failure> {
        let request = options.request()?;
        let (route, trust) = options.route(request.is_secure())?;
        #[cfg(unix)]
        if let Some(path) = &options.unix {
            return Ok(Self { request, config: Arc::new(config), to: To::Unix(path.clone(), trust) });
        }
        drop(trust);
        Ok(Self { request, config: Arc::new(config), to: To::Url(Arc::new(route)) })
    }

    pub(crate) fn connect(&self, event_loop: &mut EventLoop) -> Result<ConnId, Failure> {
        let (request, config) = (self.request.clone(), self.config.clone());
        match &self.to {
            #[cfg(unix)]
            To::Unix(path, trust) => {
                let connected = match trust {
                    None => event_loop.connect_unix(path, request, config),
                    Some(trust) => event_loop.connect_unix_tls(path, request, &trust.client()?, config),
                };
                let at = path.display();
                let cannot = |error: io::Error| format!("cannot connect to {at}: {}", plain(&error));
                connected.map_err(|error| Failure::new(Status::Unreachable, cannot(error)))
            }
            To::Url(route) => {
                let connected = event_loop.connect_to(request, route.clone(), config);
                connected.map_err(|error| Failure::here(format_args!("cannot connect: {}", plain(&error))))
            }
        }
    }
}

/// Without the number that the standard library adds, and the prefix of its resolver.
pub(crate) fn plain(error: &io::Error) -> String {
    plain_text(&error.to_string()).to_owned()
}

/// The same of its text.
pub(crate) fn plain_text(text: &str) -> &str {
    let text = text.split(" (os error").next().unwrap_or_default();
    text.rsplit("address information: ").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
