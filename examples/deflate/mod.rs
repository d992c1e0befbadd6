//! The flags of permessage-deflate, for the examples that take them. Without the feature `deflate` they are an error.

use std::error::Error;

use lexopt::{Parser, ValueExt};
use wireroom::ConfigBuilder;

pub(crate) const USAGE: &str = "\
Compression, if built with `--features deflate`: --deflate, and with it [--no-context-takeover] [--deflate-level 0..9]
[--deflate-threshold BYTES] [--server-max-window-bits 9..15] [--client-max-window-bits 9..15]";

/// What the flags have asked for so far.
#[derive(Debug, Default)]
pub(crate) struct DeflateFlags {
    on: bool,
    no_context_takeover: bool,
    level: Option<u8>,
    threshold: Option<usize>,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl DeflateFlags {
    /// Takes a flag, and its value if it has one.
    pub(crate) fn take(&mut self, name: &str, arguments: &mut Parser) -> Result<(), Box<dyn Error>> {
        match name {
            "deflate" => self.on = true,
            "no-context-takeover" => self.no_context_takeover = true,
            "deflate-level" => self.level = Some(arguments.value()?.parse()?),
            "deflate-threshold" => self.threshold = Some(arguments.value()?.parse()?),
            "server-max-window-bits" => self.server_max_window_bits = Some(arguments.value()?.parse()?),
            "client-max-window-bits" => self.client_max_window_bits = Some(arguments.value()?.parse()?),
            _ => return Err(lexopt::Error::UnexpectedOption(format!("--{name}")).into()),
        }
        Ok(())
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn apply(self, config: ConfigBuilder) -> Result<ConfigBuilder, Box<dyn Error>> {
        use wireroom::PermessageDeflate;

        if !self.on {
            return self.check().map(|()| config);
        }
        let default = PermessageDeflate::default();
        Ok(config.permessage_deflate(Some(PermessageDeflate {
            server_no_context_takeover: self.no_context_takeover,
            client_no_context_takeover: self.no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(default.server_max_window_bits),
            client_max_window_bits: self.client_max_window_bits.unwrap_or(default.client_max_window_bits),
            level: self.level.unwrap_or(default.level),
            threshold: self.threshold.unwrap_or(default.threshold),
            ..default
        })))
    }

    #[cfg(not(feature = "deflate"))]
    pub(crate) fn apply(self, config: ConfigBuilder) -> Result<ConfigBuilder, Box<dyn Error>> {
        if self.on {
            return Err("--deflate: built without `--features deflate`".into());
        }
        self.check().map(|()| config)
    }

    /// None of the others means anything without `--deflate`.
    fn check(&self) -> Result<(), Box<dyn Error>> {
        let numbers = [self.server_max_window_bits, self.client_max_window_bits, self.level];
        if self.no_context_takeover || self.threshold.is_some() || numbers.iter().any(Option::is_some) {
            return Err("the flags of compression need --deflate".into());
        }
        Ok(())
    }
}
