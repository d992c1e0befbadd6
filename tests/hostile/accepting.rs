//! Promise 8, its first half: accepting when the system refuses. Without descriptors in earnest, and with each error
//! injected into the system call by strace.

use std::{process::Command, time::Instant};

use crate::{
    figures::{below, states},
    peer::{Peer, upgrade},
    testee::{Echo, until},
};

const STATS: [&str; 2] = ["--stats", "0.1"];

/// Peers that have asked, of whom nobody may have been accepted yet.
fn asking(echo: &Echo, count: usize) -> Vec<Peer> {
    let mut peers: Vec<Peer> = (0..count).map(|_| Peer::connect(echo.address)).collect();
    peers.iter_mut().for_each(|peer| peer.send(upgrade("/", "")));
    peers
}

/// It is told of the error, and does not spin.
fn bears(echo: &Echo, name: &str, number: i32) {
    until("the error in the statistics", || echo.stat("last_accept_error").is_some_and(|error| error != "None"));
    let before = errors(echo);
    let load = echo.testee.load(2.0);
    assert_eq!(echo.stat("last_accept_error"), Some(format!("Some({number})")));
    let more = errors(echo) - before;
    assert!(more > 0, "it has given up");
    below(8, &format!("{name} on accept, tried {more} times"), load, 2.0, "% CPU");
}

fn errors(echo: &Echo) -> u64 {
    echo.stat("accept_errors").unwrap().parse().unwrap()
}

#[test]
fn without_descriptors_accepting_neither_spins_nor_ends() {
    let echo = Echo::start_by(&["sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\""], &STATS);
    let mut peers = asking(&echo, 60);
    // The first get in, and the others wait.
    let room = 40 - echo_of_none();
    peers[..room].iter_mut().for_each(|peer| assert_eq!(peer.status(), 101));
    bears(&echo, "EMFILE, in earnest", 24);
    // Nobody notices who is in.
    peers[0].echoes();
    let relief = Instant::now();
    let waiting = peers.split_off(room);
    drop(peers);
    for mut peer in waiting {
        assert_eq!(peer.status(), 101);
    }
    below(8, "EMFILE, in earnest: all that waited are in, after relief", relief.elapsed().as_secs_f64(), 1.0, "s");
}

/// Descriptors of an echo server without connections.
fn echo_of_none() -> usize {
    Echo::start(&[]).testee.descriptors()
}

/// `error` is what accept4 answers until strace is ended.
fn injected(error: &str, number: i32) {
    let there = Command::new("strace").arg("-V").output();
    assert!(there.is_ok(), "this test needs strace");
    // -D: strace is the grandchild, so the child is the testee itself. -I1: it obeys signals, and lets go.
    let inject = format!("inject=accept4:error={error}");
    let strace = ["strace", "-D", "-I1", "-qq", "-o", "/dev/null", "-e", "trace=accept4", "-e", &inject];
    let echo = Echo::start_by(&strace, &STATS);
    let peers = asking(&echo, 10);
    bears(&echo, &format!("{error}, injected,"), number);
    let status = std::fs::read_to_string(format!("/proc/{}/status", echo.testee.id())).unwrap();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap().trim();
    let relief = Instant::now();
    assert!(Command::new("kill").arg(tracer).status().unwrap().success());
    for mut peer in peers {
        assert_eq!(peer.status(), 101);
        peer.echoes();
    }
    let what = format!("{error}, injected: all that waited are in, after relief");
    below(8, &what, relief.elapsed().as_secs_f64(), 1.0, "s");
}

#[test]
#[ignore = "needs strace"]
fn too_many_files_in_the_process() {
    injected("EMFILE", 24);
}

#[test]
#[ignore = "needs strace"]
fn too_many_files_in_the_system() {
    injected("ENFILE", 23);
}

#[test]
#[ignore = "needs strace"]
fn connections_aborted_before_they_are_accepted() {
    injected("ECONNABORTED", 103);
}

#[test]
#[ignore = "needs strace"]
fn no_memory_for_sockets() {
    injected("ENOBUFS", 105);
    injected("ENOMEM", 12);
    states(8, "ENOBUFS and ENOMEM are borne");
}
