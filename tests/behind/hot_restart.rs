//! `examples/hot_restart` under load: nobody is refused, and every message is answered.

use std::{
    env,
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::support::{PATIENCE, UPGRADE, frame};

#[path = "../../examples/hot_restart/unix.rs"]
mod example;

/// The example, in the process that a test has started. The ones that follow it start themselves in the same way.
#[test]
#[ignore = "a server for the other tests"]
fn server() {
    let handed_over = env::var_os("WIREROOM_HANDED_OVER").is_some();
    if env::var_os("WIREROOM_HOT_RESTART_FAILS").is_some() && handed_over {
        return;
    }
    if env::var_os("WIREROOM_HOT_RESTART").is_some() {
        example::run(([127, 0, 0, 1], 0).into(), &arguments()).unwrap();
    }
}

fn arguments() -> Vec<std::ffi::OsString> {
    ["--exact", "hot_restart::server", "--ignored", "--nocapture", "--test-threads=2"].map(Into::into).to_vec()
}

/// The first server, and all that follow it: the one that is there last is ended.
struct Servers {
    first: Child,
    address: SocketAddr,
}

impl Servers {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut first = Command::new(env::current_exe().unwrap())
            .args(arguments())
            .env("WIREROOM_HOT_RESTART", "1")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(first.stdout.take().unwrap()).lines().map(Result::unwrap);
        let ready =
            lines.find_map(|line| Some(line.split_once("ready ")?.1.to_owned())).expect("it says that it is ready");
        Self { first, address: ready.parse().unwrap() }
    }

    /// The process that answers now.
    fn process(&self) -> u32 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.rsplit_once("\r\n\r\n").unwrap().1.trim().parse().unwrap()
    }

    /// Restarts, and waits until the new one is the only one.
    fn restart(&self) -> u32 {
        let old = self.process();
        signal(old, "HUP");
        let start = Instant::now();
        loop {
            let now = self.process();
            if now != old && !runs(old) {
                return now;
            }
            assert!(start.elapsed() < PATIENCE, "{now} is there, {old} does not go");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let first = self.first.id();
        if let Ok(Ok(process)) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if TcpStream::connect(self.address).is_ok() { Ok(self.process()) } else { Err(()) }
        })) {
            signal(process, "TERM");
        }
        if self.first.try_wait().is_ok_and(|ended| ended.is_none()) {
            signal(first, "TERM");
        }
        let _ = self.first.wait();
    }
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap().success());
}

/// A zombie does not run: nobody may be there to wait for it.
fn runs(process: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// What a client went through.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    answered: usize,
    /// Sent away with 1001.
    moved: usize,
    /// Messages that were under way then, and were sent again.
    again: usize,
    /// The longest time from a message's first sending to its answer.
    longest: Duration,
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(UPGRADE.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if head.starts_with(b"HTTP/1.1 101 ") {
        Ok(stream)
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()))
    }
}

/// The next short frame of a server.
fn next(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut payload = vec![0; usize::from(head[1])];
    stream.read_exact(&mut payload)?;
    Ok((head[0], payload))
}

/// One client, who connects anew whenever it is sent away; every other one also after twenty messages.
fn client(address: SocketAddr, number: usize, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut stream = connect(address).unwrap_or_else(|error| panic!("client {number} is refused: {error}"));
        seen.connections += 1;
        let most = if number.is_multiple_of(2) { usize::MAX } else { 20 };
        for _ in 0..most {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let (text, start) = (format!("{number}:{count}"), Instant::now());
            count += 1;
            loop {
                // A server that has said goodbye reads on, so this arrives, but it may not answer any more (RFC 6455, 5.5.1).
                let sent = stream.write_all(&frame(0x81, &text));
                let heard = sent.and_then(|()| next(&mut stream));
                match heard {
                    Ok((0x81, payload)) => {
                        assert_eq!(payload, text.as_bytes());
                        break;
                    }
                    Ok((0x88, payload)) => {
                        assert_eq!(payload[..2], 1001_u16.to_be_bytes());
                        seen.moved += 1;
                        let _ = stream.write_all(&frame(0x88, &payload[..2]));
                    }
                    Ok(other) => panic!("client {number}: {other:?}"),
                    Err(error) => panic!("client {number}, not sent away: {error}"),
                }
                seen.again += 1;
                stream = connect(address).unwrap_or_else(|error| panic!("client {number} is refused: {error}"));
                seen.connections += 1;
            }
            seen.answered += 1;
            seen.longest = seen.longest.max(start.elapsed());
        }
        let _ = stream.write_all(&frame(0x88, 1000_u16.to_be_bytes()));
    }
    seen
}

#[test]
fn restarted_under_load_it_refuses_nobody_and_answers_all() {
    const CLIENTS: usize = 8;
    const RESTARTS: usize = 3;
    let servers = Servers::start(&[]);
    let stop = AtomicBool::new(false);
    let (seen, processes) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn({
                    let stop = &stop;
                    let address = servers.address;
                    move || client(address, number, stop)
                })
            })
            .collect();
        let mut processes = vec![servers.process()];
        let restarts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..RESTARTS {
                thread::sleep(Duration::from_millis(100));
                processes.push(servers.restart());
            }
            thread::sleep(Duration::from_millis(100));
        }));
        stop.store(true, Ordering::Relaxed);
        let seen: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        restarts.unwrap();
        (seen, processes)
    });
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    let (connections, answered, moved) =
        (sum(|seen| seen.connections), sum(|seen| seen.answered), sum(|seen| seen.moved));
    let longest = seen.iter().map(|seen| seen.longest).max().unwrap();
    println!(
        "{RESTARTS} restarts under {CLIENTS} clients: {connections} connections, none refused; {answered} messages, all \
         answered, {} of them sent twice; {moved} sent away with 1001; the longest wait {longest:?}",
        sum(|seen| seen.again)
    );
    let mut distinct = processes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), RESTARTS + 1, "{processes:?}");
    assert!(moved > 0, "those who stayed were sent away");
    assert!(longest < PATIENCE);
}

#[test]
fn a_new_one_that_fails_leaves_the_old_one_as_it_is() {
    let servers = Servers::start(&[("WIREROOM_HOT_RESTART_FAILS", "1")]);
    let mut stream = connect(servers.address).unwrap();
    let old = servers.process();
    signal(old, "HUP");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(servers.process(), old);
    stream.write_all(&frame(0x81, "still there")).unwrap();
    assert_eq!(next(&mut stream).unwrap(), (0x81, b"still there".to_vec()));
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(
        matches!(next(&mut stream), Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    );
}
