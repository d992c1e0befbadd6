//! Listening: the one place that opens listeners for the event loops.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Args;
#[cfg(unix)]
use wireroom::UnixSocket;
use wireroom::{Config, Inherited, ListenOptions, Loops, ServerTls, SharedListener};

use crate::{
    dial::{plain, plain_text},
    failure::Failure,
};

/// How a server listens.
#[derive(Args, Debug)]
pub(crate) struct Listen {
    /// Where to listen: 127.0.0.1:9001, a port on the loopback address (0: a free one), or unix:PATH.
    #[arg(default_value = "127.0.0.1:9001")]
    address: Address,
    /// Serve wss:// with this certificate and its chain (PEM).
    #[arg(long = "tls-cert", value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long = "tls-key", value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Permissions of the file of unix:PATH, as 0660: who may write to it may connect. By default the umask leaves them.
    #[cfg(unix)]
    #[arg(long, value_name = "MODE", value_parser = octal)]
    socket_mode: Option<u32>,
    /// Serve on the socket that the program was started with: systemd's socket activation (LISTEN_FDS).
    #[arg(long, conflicts_with = "address")]
    inherit: bool,
}

#[cfg(unix)]
fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("an octal number, at most 0777".to_owned()),
    }
}

/// Where to listen: `HOST:PORT`, `PORT` (on the loopback address), or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        #[cfg(unix)]
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err("unix: has to be followed by a path".to_owned());
            }
            return Ok(Self::Unix(path.into()));
        }
        if let Ok(port) = text.parse() {
            return Ok(Self::Tcp(([127, 0, 0, 1], port).into()));
        }
        let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| "an address is 127.0.0.1:9001, [::1]:9001, a port, or unix:PATH".to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A listener for all loops, and where it really listens. A socket's file goes when the listener stops.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listener: SharedListener,
    /// As it may be told.
    pub(crate) address: String,
}

impl Listen {
    /// Before there are threads: it looks into the environment, and takes from it.
    pub(crate) fn on(&self, loops: &Loops, config: Config) -> Result<Listening, Failure> {
        let options = self.options()?;
        let (listener, mut told) = if self.inherit {
            (inherited(loops, options, config)?, "the inherited socket".to_owned())
        } else {
            let listener = match &self.address {
                Address::Tcp(address) => loops.listen_with(*address, options, config),
                #[cfg(unix)]
                Address::Unix(path) => loops.listen_unix_with(path, options, config),
            };
            (listener.map_err(|error| cannot_listen(&self.address, &error))?, self.address.to_string())
        };
        if let Some(address) = listener.local_addr() {
            told = address.to_string();
        }
        let address = match self.certificate {
            Some(_) if listener.local_addr().is_some() => format!("wss://{told}"),
            Some(_) => format!("{told}, TLS"),
            None => told,
        };
        Ok(Listening { listener, address })
    }

    fn options(&self) -> Result<ListenOptions, Failure> {
        let mut options = ListenOptions::new();
        #[cfg(unix)]
        {
            let mut socket = UnixSocket::new().replace_stale().remove_on_stop();
            match (&self.address, self.socket_mode) {
                (Address::Unix(_), Some(mode)) => socket = socket.mode(mode),
                (_, None) => {}
                _ => return Err(Failure::usage("--socket-mode is for unix:PATH")),
            }
            options = options.unix(socket);
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            let unusable = |error: wireroom::TlsConfigError| {
                let (files, error) = (format!("{}, {}", certificate.display(), key.display()), error.to_string());
                Failure::here(format_args!("--tls-cert and --tls-key ({files}): {}", plain_text(&error)))
            };
            options = options.tls(ServerTls::from_pem_files(certificate, key).map_err(unusable)?);
        }
        Ok(options)
    }
}

fn inherited(loops: &Loops, options: ListenOptions, config: Config) -> Result<SharedListener, Failure> {
    let wrong = |error: io::Error| Failure::here(format_args!("--inherit: {error}"));
    let mut inherited = Inherited::from_env().map_err(wrong)?;
    if inherited.len() > 1 {
        return Err(Failure::here(format_args!("--inherit: one socket, not {}", inherited.len())));
    }
    match inherited.take(0).map_err(wrong)? {
        Some(listener) => loops.listen_on(listener, options, config).map_err(wrong),
        None => Err(Failure::here("--inherit: no socket was handed over, LISTEN_FDS says where they are")),
    }
}

/// The file of a Unix-domain socket that is ours, removed at the end: if somebody else has put another one in its place
/// meanwhile, it stays.
#[cfg(unix)]
#[derive(Clone, Debug)]
pub(crate) struct SocketFile(Option<(PathBuf, [u64; 2])>);

#[cfg(unix)]
impl SocketFile {
    /// As soon as it was made.
    pub(crate) fn of(address: &Address) -> Self {
        let Address::Unix(path) = address else { return Self(None) };
        Self(identity(path).map(|identity| (path.clone(), identity)))
    }

    pub(crate) fn remove(&self) {
        if let Some((path, ours)) = &self.0
            && identity(path) == Some(*ours)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Device and inode.
#[cfg(unix)]
fn identity(path: &std::path::Path) -> Option<[u64; 2]> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).ok().map(|metadata| [metadata.dev(), metadata.ino()])
}

/// There are none.
#[cfg(not(unix))]
#[derive(Clone, Debug)]
pub(crate) struct SocketFile;

#[cfg(not(unix))]
impl SocketFile {
    pub(crate) fn of(_address: &Address) -> Self {
        Self
    }

    pub(crate) fn remove(&self) {}
}

pub(crate) fn cannot_listen(address: &Address, error: &io::Error) -> Failure {
    let why = plain(error);
    let (why, hint) = match address {
        #[cfg(unix)]
        // The library names the file, which stands in the sentence already.
        Address::Unix(path) => (
            why.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&why),
            // The system's own words, where nobody has looked who is there.
            if why == "Address already in use" { ": the file exists; remove it if no server uses it" } else { "" },
        ),
        Address::Tcp(_) => (&*why, ""),
    };
    Failure::here(format_args!("cannot listen on {address}: {why}{hint}"))
}
