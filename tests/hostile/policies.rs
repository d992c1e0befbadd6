//! Promise 7: what becomes of a member of `/broadcast` that has stalled, by each policy, and what it is told.

use std::time::Duration;

use crate::{
    figures::{below, states},
    peer::{BINARY, CLOSE, Peer, frame},
    testee::Echo,
};

/// Messages of 16 KiB: far more than the queue and the system's buffers hold.
const COUNT: u32 = 1000;

fn message(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(4096)
}

/// What one got that stalled while so many messages were broadcast, and then read, and how it was ended.
struct Stalled {
    echo: Echo,
    got: Vec<u32>,
    close: Option<u16>,
}

impl Stalled {
    fn by(policy: &[&str]) -> Self {
        let echo = Echo::start(&[policy, &["--stats", "0.1"]].concat());
        let mut stalled = Peer::open(echo.address, "/broadcast");
        let mut sender = Peer::open(echo.address, "/broadcast");
        let meter = echo.testee.meter();
        let mut broadcast = |number| {
            sender.send(frame(BINARY, message(number)));
            sender.gets(BINARY, message(number));
        };
        (0..COUNT).for_each(&mut broadcast);
        below(7, &format!("{policy:?}, one stalled, growth"), meter.growth(), 2.0, "MiB");
        let mut this = Self { echo, got: Vec::new(), close: None };
        this.reads(&mut stalled);
        if this.close.is_none() {
            // It has caught up, and misses nothing from now on.
            broadcast(COUNT);
            this.reads(&mut stalled);
            assert_eq!(this.got.pop(), Some(COUNT));
        }
        assert!(this.got.is_sorted_by(|before, behind| before < behind), "doubled or out of order: {:?}", this.got);
        this
    }

    /// Until nothing more comes.
    fn reads(&mut self, peer: &mut Peer) {
        while let Some(next) = peer.try_frame(Duration::from_secs(1)) {
            if next.first == CLOSE {
                self.close = Some(u16::from_be_bytes([next.payload[0], next.payload[1]]));
                return;
            }
            let number = u32::from_be_bytes(next.payload[..4].try_into().unwrap());
            assert!(next.first == BINARY && next.payload == message(number), "it was cut or mixed");
            self.got.push(number);
        }
    }

    /// How many came before the first that is missing.
    fn prefix(&self) -> u32 {
        self.got.iter().zip(0..).take_while(|(got, wanted)| *got == wanted).count() as u32
    }

    /// How many are missing, which is what this counter says.
    fn missing(&self, counter: &str) -> u32 {
        let missing = COUNT - self.got.len() as u32;
        self.echo.stat_becomes(counter, &missing.to_string());
        missing
    }
}

#[test]
fn close_with_1013() {
    let stalled = Stalled::by(&["--slow-consumer", "close", "--close-timeout", "30"]);
    assert_eq!(stalled.close, Some(1013));
    assert_eq!(stalled.got.len() as u32, stalled.prefix());
    stalled.echo.stat_becomes("slow_consumer", "1");
    // The other one has gone without a word.
    stalled.echo.stat_becomes("closes_sent", "{1006: 1, 1013: 1}");
    states(7, format_args!("close: {} messages in order, then 1013; counted by code and cause", stalled.prefix()));
}

#[test]
fn drop_the_newest() {
    let stalled = Stalled::by(&["--slow-consumer", "drop-newest"]);
    assert_eq!((stalled.close, stalled.got.len() as u32), (None, stalled.prefix()));
    let missing = stalled.missing("dropped_newest");
    states(7, format_args!("drop newest: the first {} came, {missing} dropped and counted", stalled.prefix()));
}

#[test]
fn drop_the_oldest() {
    let stalled = Stalled::by(&["--slow-consumer", "drop-oldest"]);
    let missing = stalled.missing("dropped_oldest");
    let (first, last) = stalled.got.split_at(stalled.prefix() as usize);
    assert!(last.len() > 20 && last.iter().rev().zip((0..COUNT).rev()).all(|(got, wanted)| *got == wanted), "{last:?}");
    let (first, last) = (first.len(), last.len());
    states(7, format_args!("drop oldest: the first {first} and the last {last} came, {missing} dropped and counted"));
}

#[test]
fn keep_the_latest() {
    let stalled = Stalled::by(&["--latest"]);
    let missing = stalled.missing("replaced");
    assert_eq!(stalled.got.last(), Some(&(COUNT - 1)));
    assert_eq!(stalled.got.len() as u32, stalled.prefix() + 1);
    states(
        7,
        format_args!(
            "keep the latest: the first {} and the last came, {missing} replaced and counted",
            stalled.prefix()
        ),
    );
}

#[test]
fn refuse_and_go_on() {
    let stalled = Stalled::by(&["--slow-consumer", "refuse"]);
    assert_eq!((stalled.close, stalled.got.len() as u32), (None, stalled.prefix()));
    states(7, format_args!("refuse: the first {} came, and the connection goes on", stalled.prefix()));
}
