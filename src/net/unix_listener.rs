//! The file of a Unix-domain socket: its permissions, what is left of an earlier server, and its end.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::SocketAddr,
    },
    path::{Path, PathBuf},
};

use mio::net::{UnixListener, UnixStream};

use super::accept::Listening;

/// What is done about the file of a Unix-domain socket, for [`ListenOptions::unix`](super::ListenOptions::unix). By default:
/// nothing. The file must not exist yet, has the permissions that the process's umask leaves, and stays.
///
/// ```
/// use wireroom::{Config, EventLoop, ListenOptions, UnixSocket};
///
/// # let path = std::env::temp_dir().join(format!("wireroom-doc-{}.sock", std::process::id()));
/// let socket = UnixSocket::new().mode(0o660).replace_stale().remove_on_stop();
/// let mut event_loop = EventLoop::new()?;
/// let options = ListenOptions::new().unix(socket);
/// event_loop.listen_unix_with(&path, options, Config::default(), |_id, request| request.allow_any_origin())?;
/// # assert!(path.exists());
/// # drop(event_loop);
/// # assert!(!path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors of listening
///
/// `AddrInUse` when somebody listens at the path, or a socket's file is there that was not to be replaced; `AlreadyExists` when
/// something else is there, which is never touched; `InvalidInput` for a path that is too long (107 bytes on Linux) or a mode
/// above 0777.
#[derive(Clone, Debug, Default)]
pub struct UnixSocket {
    mode: Option<u32>,
    replaces_stale: bool,
    removes_on_stop: bool,
}

impl UnixSocket {
    /// Nothing of all that.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file's permissions, such as `0o660`: who may write to it may connect. They hold before anybody can: the socket is
    /// bound in a directory beside it that nobody else may enter, and moved to its place when they are set. (The umask is the
    /// whole process's, so it is left alone. Tools that list sockets show the name that it was bound to.) This takes 12 bytes
    /// of the longest path, behind that of the directory.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// A socket's file at the path on which nobody listens is removed: an earlier server has left it. Of two servers that
    /// find it in the same moment, one may remove what the other has just made.
    #[must_use]
    pub fn replace_stale(mut self) -> Self {
        self.replaces_stale = true;
        self
    }

    /// The file is removed when the listener stops, by [`EventLoop::shut_down`](super::EventLoop::shut_down) or when it is dropped;
    /// but only if it is still the same one. Not for a listener that was handed to another process: that has the same file.
    #[must_use]
    pub fn remove_on_stop(mut self) -> Self {
        self.removes_on_stop = true;
        self
    }
}

/// The file of a listener, removed with it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode.
type Identity = (u64, u64);

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        // Wherever the process will be by then.
        let path = std::path::absolute(path)?;
        let identity = identity(&fs::symlink_metadata(&path)?);
        Ok(Self { path, identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = remove(&self.path, self.identity);
    }
}

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// If it is still this one.
fn remove(path: &Path, file: Identity) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if identity(&found) == file => fs::remove_file(path),
        _ => Ok(()),
    }
}

pub(super) fn bind(path: &Path, socket: &UnixSocket) -> io::Result<Listening> {
    check_length(path)?;
    make_way(path, socket.replaces_stale)?;
    let listener = match socket.mode {
        None => UnixListener::bind(path).map_err(|error| about(path, error))?,
        Some(mode) => bind_with_mode(path, mode)?,
    };
    let file = if socket.removes_on_stop { Some(SocketFile::of(path)?) } else { None };
    Ok(Listening::Unix(file, listener))
}

fn check_length(path: &Path) -> io::Result<()> {
    match SocketAddr::from_pathname(path) {
        Ok(_) => Ok(()),
        Err(_) => {
            let why = "is too long for a Unix-domain socket, or holds a zero (on Linux, at most 107 bytes)";
            let error = format!("{}: {} bytes: {why}", path.display(), path.as_os_str().len());
            Err(io::Error::new(io::ErrorKind::InvalidInput, error))
        }
    }
}

/// Sees to it that nothing is at the path, or says what is.
fn make_way(path: &Path, replaces_stale: bool) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(about(path, error)),
    };
    let refused = |kind, why: &str| Err(io::Error::new(kind, format!("{}: {why}", path.display())));
    if !found.file_type().is_socket() {
        return refused(io::ErrorKind::AlreadyExists, "exists, and is not a socket");
    }
    if !replaces_stale {
        return refused(io::ErrorKind::AddrInUse, "a socket is there already");
    }
    // mio's, for it does not wait for a place in a full backlog.
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            remove(path, identity(&found)).map_err(|error| about(path, error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => refused(io::ErrorKind::AddrInUse, "somebody listens there"),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            refused(io::ErrorKind::AddrInUse, "somebody listens there")
        }
        Err(error) => Err(about(path, error)),
    }
}

fn bind_with_mode(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if mode > 0o777 {
        let error = format!("{mode:o}: the mode of a socket is 0777 at most");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = PrivateDirectory::new(beside).map_err(|error| about(path, error))?;
    let inside = directory.0.join("s");
    check_length(&inside)?;
    let listener = UnixListener::bind(&inside).map_err(|error| about(path, error))?;
    let moved = fs::set_permissions(&inside, Permissions::from_mode(mode)).and_then(|()| {
        // A link, since a renamed file would take the place of what has come there meanwhile.
        fs::hard_link(&inside, path)
    });
    let _ = fs::remove_file(&inside);
    moved.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => io::Error::new(io::ErrorKind::AddrInUse, about(path, error)),
        _ => about(path, error),
    })?;
    Ok(listener)
}

/// Gone when it is dropped, if it is empty.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    fn new(beside: &Path) -> io::Result<Self> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let path = beside.join(format!(".{:08x}", u32::from_ne_bytes(random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// The system's errors do not say which file.
fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
