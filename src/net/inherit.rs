//! Listening sockets that this process was started with: by systemd (socket activation), or by the process before it.

use std::{env, io};

use listenfd::ListenFd;

use super::ReadyListener;

/// The first descriptor (`sd_listen_fds(3)`).
const FIRST: usize = 3;
/// More are taken for a mistake.
const MOST: usize = 1024;
/// What systemd calls a descriptor to which it gives no name.
const NAMELESS: &str = "unknown";

/// Listening sockets that this process was started with: those of systemd's socket activation (`LISTEN_FDS`, `LISTEN_PID`,
/// `LISTEN_FDNAMES`), or of whoever else starts it so.
///
/// ```
/// use wireroom::{Config, EventLoop, Inherited, ListenOptions};
///
/// let mut inherited = Inherited::from_env()?;
/// let mut event_loop = EventLoop::new()?;
/// let verify = |_id, request: &wireroom::http::Request<'_>| request.allow_any_origin();
/// match inherited.take_named("web")? {
///     Some(listener) => _ = event_loop.listen_on(listener, ListenOptions::new(), Config::default(), verify)?,
///     None => _ = event_loop.listen("127.0.0.1:0".parse()?, Config::default(), verify)?,
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What is not taken stays open until the process ends, in its children too, and whoever connects to it waits.
#[derive(Debug)]
pub struct Inherited {
    sockets: Sockets,
    names: Vec<String>,
}

struct Sockets(ListenFd);

impl std::fmt::Debug for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.len())
    }
}

impl Inherited {
    /// What the environment tells, once: `LISTEN_FDS` and `LISTEN_PID` are removed from it, so that a child of this process
    /// takes nothing for its own. `LISTEN_FDNAMES` stays: set or remove it for a child to which you hand sockets on. Call it at
    /// the beginning of `main`, before there are threads that look into the environment.
    ///
    /// Nothing is inherited without `LISTEN_FDS`, or when `LISTEN_PID` is another process. Without `LISTEN_PID` the sockets
    /// are this process's: a parent that is no service manager does not know the number of its child in time.
    ///
    /// # Errors
    ///
    /// `InvalidData` when `LISTEN_FDS` is not a number from 0 to 1,024, `LISTEN_PID` not a number, or `LISTEN_FDNAMES` has more
    /// or fewer names than there are descriptors. The variables are left then.
    pub fn from_env() -> io::Result<Self> {
        let count = match number("LISTEN_FDS")? {
            Some(count) if count <= MOST => count,
            Some(count) => {
                return Err(invalid(format!("LISTEN_FDS={count}: at most {MOST} descriptors are taken over")));
            }
            None => return Ok(Self { sockets: Sockets(ListenFd::empty()), names: Vec::new() }),
        };
        number("LISTEN_PID")?;
        let named = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<_> = match &*named {
            "" => vec![NAMELESS.to_owned(); count],
            named => named.split(':').map(str::to_owned).collect(),
        };
        if names.len() != count {
            let error = format!("LISTEN_FDNAMES={named:?} names {} descriptors, LISTEN_FDS={count}", names.len());
            return Err(invalid(error));
        }
        let sockets = ListenFd::from_env();
        // Of another process.
        let names = if sockets.len() == 0 { Vec::new() } else { names };
        Ok(Self { sockets: Sockets(sockets), names })
    }

    /// How many there were.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True when nothing was inherited.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Their names in order, `unknown` where none was given. systemd gives all sockets of one unit the same name,
    /// `FileDescriptorName=`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Takes one by its number, from 0. `None`: there is none, or it was taken.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is not a stream socket over TCP or Unix-domain, and stays where it is; or is a connection, and is
    /// closed.
    pub fn take(&mut self, number: usize) -> io::Result<Option<ReadyListener>> {
        let refused = |why: &str| {
            let name = self.names.get(number).map_or(NAMELESS, String::as_str);
            let descriptor = FIRST + number;
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {descriptor} ({name:?}): {why}")))
        };
        let listener: ReadyListener = match self.sockets.0.take_tcp_listener(number) {
            Ok(None) => return Ok(None),
            Ok(Some(listener)) => listener.into(),
            Err(_) => match self.sockets.0.take_unix_listener(number) {
                Ok(Some(listener)) => listener.into(),
                Ok(None) => return Ok(None),
                Err(_) => return refused("not a stream socket over TCP or Unix-domain"),
            },
        };
        if listener.is_connected()? {
            return refused("a connection, which does not listen: systemd hands these over with Accept=yes");
        }
        Ok(Some(listener))
    }

    /// Takes the first of this name that has not been taken.
    ///
    /// # Errors
    ///
    /// As [`Inherited::take`].
    pub fn take_named(&mut self, name: &str) -> io::Result<Option<ReadyListener>> {
        for number in 0..self.names.len() {
            if self.names[number] == name
                && let Some(listener) = self.take(number)?
            {
                return Ok(Some(listener));
            }
        }
        Ok(None)
    }
}

/// `None`: it is not set, or empty.
fn number(variable: &str) -> io::Result<Option<usize>> {
    match env::var(variable) {
        Err(env::VarError::NotPresent) => Ok(None),
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => value.parse().map(Some).map_err(|_| invalid(format!("{variable}={value:?}: not a number"))),
        Err(error) => Err(invalid(format!("{variable}: {error}"))),
    }
}

fn invalid(error: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
