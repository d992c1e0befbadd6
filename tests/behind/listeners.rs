//! Listeners with options: made elsewhere, shared, on Unix-domain sockets.

use std::net::{TcpListener, TcpStream};

use wireroom::{Config, ListenOptions, Loops, ProxyProtocol, ReadyListener};

use crate::{
    headers::v1,
    support::{Peer, UPGRADE, World, any, frame, loopback},
};

/// A peer of this listener is served.
fn serves(world: &mut World, mut peer: Peer<TcpStream>) {
    peer.send(UPGRADE);
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    peer.send(frame(0x81, "hello"));
    assert_eq!(world.frame(&mut peer), (0x81, b"hello".to_vec()));
}

#[test]
fn a_listener_of_the_standard_library_or_of_mio_serves_and_does_not_block() {
    for from_mio in [false, true] {
        let listener = TcpListener::bind(loopback()).unwrap();
        let address = listener.local_addr().unwrap();
        // A blocking one in mio's clothes, too: what its own `bind` makes is none, but what it is made from may be.
        let ready: ReadyListener =
            if from_mio { mio::net::TcpListener::from_std(listener).into() } else { listener.into() };
        let mut world = World::new();
        // Who came before we listened is there.
        let early = Peer::connect(address);
        let listens = world.event_loop.listen_on(ready, ListenOptions::new(), Config::default(), any).unwrap();
        assert_eq!(listens, Some(address));
        serves(&mut world, early);
        serves(&mut world, Peer::connect(address));
        assert!(world.rests());
    }
}

#[test]
fn a_listener_that_was_cloned_goes_on_when_the_loop_has_stopped() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let kept = listener.try_clone().unwrap();
    let mut old = World::new();
    let address = old.event_loop.listen_on(listener, ListenOptions::new(), Config::default(), any).unwrap().unwrap();
    let mut new = World::new();
    new.event_loop.listen_on(kept, ListenOptions::new(), Config::default(), any).unwrap();
    old.event_loop.shut_down(std::time::Duration::ZERO, std::time::Duration::ZERO).unwrap();
    serves(&mut new, Peer::connect(address));
}

#[test]
fn loops_share_a_listener_with_options() {
    let loops = Loops::new(2).unwrap();
    let socket = TcpListener::bind(loopback()).unwrap();
    let proxies = ProxyProtocol::from_sources(["127.0.0.0/8".parse().unwrap()]);
    let options = ListenOptions::new().proxy_protocol(proxies);
    let config = Config::builder().max_connections_per_address(Some(1)).build().unwrap();
    let listener = loops.listen_on(socket, options.clone(), config.clone()).unwrap();
    let other = loops.listen_with(loopback(), options, config).unwrap();
    let mut worlds: Vec<_> = loops.into_seeds().into_iter().map(|seed| World::around(seed.build())).collect();
    for world in &mut worlds {
        world.event_loop.serve(&listener, any).unwrap();
        world.event_loop.serve(&other, any).unwrap();
    }
    for listener in [listener, other] {
        let address = listener.local_addr().unwrap();
        let mut peers = Vec::new();
        // Of each address one, whichever loop they are in: the third is one too many.
        for (from, status) in [("192.0.2.1:1", 101), ("192.0.2.2:1", 101), ("192.0.2.1:2", 429), ("192.0.2.2:2", 429)] {
            let mut peer = Peer::connect(address);
            peer.send([&v1(from, "192.0.2.9:1")[..], UPGRADE.as_bytes()].concat());
            let start = std::time::Instant::now();
            while !peer.receive().windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                worlds.iter_mut().for_each(World::turn);
                assert!(start.elapsed() < crate::support::PATIENCE);
            }
            assert!(peer.inbox.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{from}");
            peers.push(peer);
        }
    }
    for world in &mut worlds {
        assert!(world.event_loop.connections().stats().opened > 0, "each loop has some");
    }
}

#[cfg(unix)]
mod unix {
    use std::{
        fs,
        io::{self, ErrorKind},
        os::unix::fs::MetadataExt,
        os::unix::{
            fs::PermissionsExt as _,
            net::{UnixDatagram, UnixListener, UnixStream},
        },
        path::{Path, PathBuf},
        time::Duration,
    };

    use super::*;
    use wireroom::UnixSocket;

    /// A directory that goes with the test.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wireroom-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("web.sock")
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn listen(world: &mut World, path: &Path, socket: UnixSocket) -> io::Result<()> {
        world.event_loop.listen_unix_with(path, ListenOptions::new().unix(socket), Config::default(), any)
    }

    fn serves(world: &mut World, path: &Path) {
        let mut peer = Peer::new(UnixStream::connect(path).unwrap());
        peer.send(UPGRADE);
        assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    }

    #[test]
    fn a_unix_listener_made_elsewhere_serves() {
        let place = Place::new("elsewhere");
        for ready in [
            ReadyListener::from(UnixListener::bind(place.0.join("std")).unwrap()),
            ReadyListener::from(mio::net::UnixListener::bind(place.0.join("mio")).unwrap()),
        ] {
            let mut world = World::new();
            let listens = world.event_loop.listen_on(ready, ListenOptions::new(), Config::default(), any).unwrap();
            assert_eq!(listens, None);
            let name = if place.0.join("std").exists() { "std" } else { "mio" };
            serves(&mut world, &place.0.join(name));
            fs::remove_file(place.0.join(name)).unwrap();
            assert!(world.rests());
        }
    }

    #[test]
    fn the_mode_is_the_one_asked_for_and_nothing_else_is_left() {
        let place = Place::new("mode");
        for mode in [0o600, 0o660, 0o666, 0o777, 0o200] {
            let mut world = World::new();
            listen(&mut world, &place.socket(), UnixSocket::new().mode(mode).remove_on_stop()).unwrap();
            assert_eq!(fs::metadata(place.socket()).unwrap().permissions().mode() & 0o7777, mode, "{mode:o}");
            assert_eq!(place.names(), ["web.sock"]);
            serves(&mut world, &place.socket());
            drop(world);
            assert!(place.names().is_empty());
        }
        let error = listen(&mut World::new(), &place.socket(), UnixSocket::new().mode(0o1777)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(place.names().is_empty());
    }

    #[test]
    fn without_a_word_the_file_stays_and_is_in_the_way() {
        let place = Place::new("stays");
        let mut world = World::new();
        listen(&mut world, &place.socket(), UnixSocket::new()).unwrap();
        drop(world);
        assert_eq!(place.names(), ["web.sock"]);
        for socket in [UnixSocket::new(), UnixSocket::new().mode(0o600)] {
            let error = listen(&mut World::new(), &place.socket(), socket).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
            assert!(error.to_string().contains("web.sock"), "{error}");
        }
    }

    #[test]
    fn what_an_earlier_server_left_is_replaced_and_nothing_else() {
        let place = Place::new("stale");
        for socket in [UnixSocket::new().replace_stale(), UnixSocket::new().replace_stale().mode(0o600)] {
            // Left behind.
            drop(UnixListener::bind(place.socket()).unwrap());
            let mut world = World::new();
            listen(&mut world, &place.socket(), socket.clone()).unwrap();
            serves(&mut world, &place.socket());
            // Live.
            let error = listen(&mut World::new(), &place.socket(), socket.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
            assert!(error.to_string().contains("somebody listens"), "{error}");
            serves(&mut world, &place.socket());
            drop(world);
            fs::remove_file(place.socket()).unwrap();

            // No socket.
            fs::write(place.socket(), "mine").unwrap();
            let error = listen(&mut World::new(), &place.socket(), socket.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            assert_eq!(fs::read(place.socket()).unwrap(), b"mine");
            fs::remove_file(place.socket()).unwrap();

            // A link, though it leads to a socket that nobody listens on.
            drop(UnixListener::bind(place.0.join("other")).unwrap());
            std::os::unix::fs::symlink(place.0.join("other"), place.socket()).unwrap();
            let error = listen(&mut World::new(), &place.socket(), socket.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            assert_eq!(place.names(), ["other", "web.sock"]);
            fs::remove_file(place.socket()).unwrap();
            fs::remove_file(place.0.join("other")).unwrap();

            // Of another kind: the system does not say that nobody listens.
            let datagrams = UnixDatagram::bind(place.socket()).unwrap();
            let error = listen(&mut World::new(), &place.socket(), socket).unwrap_err();
            assert!(error.to_string().contains("web.sock"), "{error}");
            assert_eq!(place.names(), ["web.sock"]);
            drop(datagrams);
            fs::remove_file(place.socket()).unwrap();
        }
    }

    #[test]
    fn a_full_backlog_is_somebody_who_listens() {
        let place = Place::new("backlog");
        let held = UnixListener::bind(place.socket()).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = mio::net::UnixStream::connect(place.socket()) {
            waiting.push(stream);
            assert!(waiting.len() < 100_000, "the backlog has an end");
        }
        let error = listen(&mut World::new(), &place.socket(), UnixSocket::new().replace_stale()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        drop(held);
    }

    #[test]
    fn the_file_goes_when_the_listener_stops_if_it_is_still_the_same() {
        let place = Place::new("stop");
        let socket = UnixSocket::new().remove_on_stop();
        let mut world = World::new();
        listen(&mut world, &place.socket(), socket.clone()).unwrap();
        world.event_loop.shut_down(Duration::ZERO, Duration::ZERO).unwrap();
        assert!(place.names().is_empty(), "when it stops, and not only when it is dropped");

        let mut world = World::new();
        listen(&mut world, &place.socket(), socket.clone()).unwrap();
        fs::remove_file(place.socket()).unwrap();
        let _another = UnixListener::bind(place.socket()).unwrap();
        drop(world);
        assert_eq!(place.names(), ["web.sock"], "another's");
        fs::remove_file(place.socket()).unwrap();

        let loops = Loops::new(1).unwrap();
        let options = ListenOptions::new().unix(socket);
        let shared = loops.listen_unix_with(place.socket(), options, Config::default()).unwrap();
        assert_eq!(place.names(), ["web.sock"]);
        shared.close();
        assert!(place.names().is_empty());
    }

    /// Of the two in the other order, a server that starts meanwhile finds a file on which nobody listens, puts its own there,
    /// and that is removed.
    #[test]
    fn the_file_goes_before_the_listener() {
        let place = Place::new("order");
        let (path, done) = (place.socket(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let is_done = done.clone();
        // Which file: inodes are used again.
        let file =
            |path: &Path| fs::symlink_metadata(path).ok().map(|file| (file.ino(), file.ctime(), file.ctime_nsec()));
        let watch = std::thread::spawn(move || {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                let before = file(&path);
                let refused =
                    UnixStream::connect(&path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
                // A connect that had found the file before it went may be refused as well.
                assert!(!(refused && before.is_some() && file(&path) == before), "it was stale");
            }
        });
        // With a mode it is there only once it listens.
        let socket = UnixSocket::new().mode(0o600).remove_on_stop();
        for _ in 0..2_000 {
            let mut world = World::new();
            listen(&mut world, &place.socket(), socket.clone()).unwrap();
            drop(world);
            if watch.is_finished() {
                break;
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        watch.join().unwrap();
    }

    #[test]
    fn a_path_that_is_too_long_is_told_so() {
        let place = Place::new("long");
        let room = 107 - place.0.as_os_str().len() - 1;
        for (socket, most) in [(UnixSocket::new(), room), (UnixSocket::new().mode(0o600), room)] {
            let mut world = World::new();
            listen(&mut world, &place.0.join("n".repeat(most)), socket.clone()).unwrap();
            let error = listen(&mut world, &place.0.join("n".repeat(most + 1)), socket).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("108 bytes: is too long"), "{error}");
            fs::remove_file(place.0.join("n".repeat(most))).unwrap();
        }
        // With a mode, 12 bytes behind the directory have to fit.
        let deep = place.0.join("d".repeat(107 - place.0.as_os_str().len() - 1 - 12 + 1));
        fs::create_dir(&deep).unwrap();
        let error = listen(&mut World::new(), &deep.join("s"), UnixSocket::new().mode(0o600)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
        listen(&mut World::new(), &deep.join("s"), UnixSocket::new()).unwrap();
    }
}
