//! Promise 10: limits on connections, in total and per address, and how many are accepted in a turn.

use std::{net::SocketAddr, process::Command, thread, time::Duration};

use socket2::{Domain, Socket, Type};

use crate::{
    figures::{below, states},
    peer::{Peer, upgrade},
    testee::Echo,
};

/// From this address.
fn from(source: [u8; 4], address: SocketAddr) -> Peer {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    Peer::new(socket.into())
}

/// Asks to be let in: the status of the answer.
fn asks(mut peer: Peer) -> (u16, Peer) {
    peer.send(upgrade("/", ""));
    (peer.status(), peer)
}

#[test]
fn one_more_than_may_be_in_total_is_answered_503() {
    let echo = Echo::start(&["--max-connections", "50", "--stats", "0.1"]);
    let mut held: Vec<Peer> = (0..49).map(|_| Peer::open(echo.address, "/")).collect();
    // One in its handshake counts as well.
    let mut slow = Peer::connect(echo.address);
    slow.send("GET / HTTP/1.1\r\n");
    for _ in 0..20 {
        let (status, mut refused) = asks(Peer::connect(echo.address));
        assert_eq!(status, 503);
        refused.end();
        refused.rest();
    }
    echo.stat_becomes("refused_by_total", "20");
    held.iter_mut().for_each(Peer::echoes);
    // One goes, and one more comes in.
    drop(slow);
    echo.stat_becomes("connections", "49");
    Peer::open(echo.address, "/").echoes();
    states(
        10,
        "max_connections 50: 20 more are answered 503 and counted, the 50 are well, and one comes in for one that goes",
    );
}

#[test]
fn a_storm_beyond_the_limit_costs_no_more_than_64_places() {
    let echo = Echo::start(&["--max-connections", "50", "--stats", "0.1"]);
    let empty = echo.testee.descriptors();
    let mut held: Vec<Peer> = (0..50).map(|_| Peer::open(echo.address, "/")).collect();
    let meter = echo.testee.meter();
    let mut most = 0;
    let storm: Vec<Peer> = (0..1000)
        .map(|_| {
            most = most.max(echo.testee.descriptors() - empty);
            Peer::connect(echo.address)
        })
        .collect();
    echo.stat_becomes("accepted", "1050");
    most = most.max(echo.testee.descriptors() - empty);
    below(10, "max_connections 50, 1,000 more that do not go: descriptors", most as f64, 50.0 + 64.0 + 1.5, "");
    below(10, "max_connections 50, 1,000 more that do not go: growth", meter.growth(), 1.0, "MiB");
    held.iter_mut().for_each(Peer::echoes);
    let unanswered = echo.stat("refused_unanswered").unwrap();
    let answered = echo.stat("refused_by_total").unwrap();
    states(10, format_args!("of the 1,000, {answered} were answered and {unanswered} closed at once; all are counted"));
    assert_eq!(answered.parse::<u32>().unwrap() + unanswered.parse::<u32>().unwrap(), 1000);
    drop(storm);
    echo.testee.descriptors_fall_to(empty + 50);
}

#[test]
fn one_more_than_may_be_from_an_address_is_answered_429() {
    let echo = Echo::start(&["--max-connections-per-address", "10", "--stats", "0.1"]);
    let held: Vec<Peer> = (0..10).map(|_| from([127, 0, 2, 1], echo.address).upgraded("/")).collect();
    for _ in 0..5 {
        assert_eq!(asks(from([127, 0, 2, 1], echo.address)).0, 429);
    }
    echo.stat_becomes("refused_by_address", "5");
    // Others do not suffer for it.
    let (status, mut other) = asks(from([127, 0, 2, 2], echo.address));
    assert_eq!(status, 101);
    other.echoes();
    drop(held);
    echo.stat_becomes("connections", "1");
    assert_eq!(asks(from([127, 0, 2, 1], echo.address)).0, 101);
    states(10, "max_connections_per_address 10: one more is answered 429 and counted, another address comes in");
}

#[test]
fn a_full_backlog_is_taken_in_portions() {
    /// As many as the backlog holds, which mio makes of 128.
    const COUNT: u64 = 120;
    for (flags, least, most) in [(&["--accept-budget", "4"][..], COUNT / 4, 400), (&[], 1, 20)] {
        let echo = Echo::start(&[&["--stats", "0.1"], flags].concat());
        let mut early = Peer::open(echo.address, "/");
        early.echoes();
        let signal = |name: &str| {
            let sent = Command::new("kill").args([name, &echo.testee.id().to_string()]).status().unwrap();
            assert!(sent.success());
        };
        // All of them are in the backlog, and a message waits beside them.
        let count = |name: &str| echo.stat(name).unwrap().parse::<u64>().unwrap();
        echo.stat_becomes("accepted", "1");
        signal("-STOP");
        let turns = count("turns");
        let mut peers: Vec<Peer> = (0..COUNT).map(|_| Peer::connect(echo.address)).collect();
        peers.iter_mut().for_each(|peer| peer.send(upgrade("/", "")));
        early.send(crate::peer::frame(crate::peer::TEXT, "well?"));
        signal("-CONT");
        early.gets(crate::peer::TEXT, "well?");
        peers.iter_mut().for_each(|peer| assert_eq!(peer.status(), 101));
        thread::sleep(Duration::from_millis(300));
        let turns = count("turns") - turns;
        assert!((least..=most).contains(&turns), "{turns} turns, at least {least} and at most {most} were to be");
        states(10, format_args!("a backlog of {COUNT}, {flags:?}: taken within {turns} turns, at least {least}"));
    }
}
