//! The kit that our users have, [`wireroom::testing`], and what only our own tests want of it. The fuzzer has it, too.
#![allow(dead_code, unused_imports)] // each test binary uses a part of it
#![allow(unreachable_pub)]

pub mod any_cut;

use std::{sync::Arc, time::Instant};

pub use wireroom::testing::*;
use wireroom::{Config, ConfigBuilder, Connection, handshake::Extensions};

/// Handlers that own what they use.
pub type Endpoint = wireroom::testing::Endpoint<'static>;
pub type Pair = wireroom::testing::Pair<'static>;

pub fn connection(role: Role, config: impl Into<Arc<Config>>, now: Instant) -> Connection {
    connection_with(role, config, Extensions::none(), now)
}

/// A connection on which `extensions` were agreed on.
pub fn connection_with(role: Role, config: impl Into<Arc<Config>>, extensions: Extensions, now: Instant) -> Connection {
    wireroom::testing::connection(role, config, extensions, now)
}

/// A configuration that differs from the default by `set`.
pub fn config(set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Config {
    set(Config::builder()).build().unwrap()
}

/// The peer sends a message of `size` bytes, and the answer to it, as large, waits.
pub fn answer(end: &mut Endpoint, size: usize) {
    end.echo();
    end.receive_frame(0x82, &vec![0; size]);
    end.listen();
    end.take_seen();
}
