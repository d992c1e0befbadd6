//! Listening: the one place that opens listeners for the event loops.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr};

use wireroom::{Config, Loops, SharedListener};
#[cfg(unix)]
use wireroom::{ListenOptions, UnixSocket};

use crate::{dial::plain, failure::Failure};

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
    pub(crate) address: Address,
}

impl Listening {
    pub(crate) fn on(address: &Address, loops: &Loops, config: Config) -> Result<Self, Failure> {
        let listener = match address {
            Address::Tcp(address) => loops.listen(*address, config),
            #[cfg(unix)]
            Address::Unix(path) => {
                let options = ListenOptions::new().unix(UnixSocket::new().remove_on_stop());
                loops.listen_unix_with(path, options, config)
            }
        };
        let listener = listener.map_err(|error| cannot_listen(address, &error))?;
        let address = listener.local_addr().map_or_else(|| address.clone(), Address::Tcp);
        Ok(Self { listener, address })
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
    let (why, hint) = match (address, error.kind()) {
        #[cfg(unix)]
        // The library names the file, which stands in the sentence already.
        (Address::Unix(path), kind) => (
            why.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&why),
            if kind == io::ErrorKind::AddrInUse { ": the file exists; remove it if no server uses it" } else { "" },
        ),
        _ => (&*why, ""),
    };
    Failure::here(format_args!("cannot listen on {address}: {why}{hint}"))
}
