//! Every limit and its default.

use std::{
    fmt,
    sync::OnceLock,
    time::{Duration, Instant},
};

#[cfg(feature = "deflate")]
use super::PermessageDeflate;
use super::SlowConsumer;
use crate::{error::ConfigError, http, message::decoder};

/// The longest time that can be configured: timers count milliseconds in 32 bits.
pub(super) const MAX_TIME: Duration = Duration::from_secs(24 * 24 * 3600);

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $valid:expr, $reason:literal;)*) => {
        /// The limits and times of a connection. Every value that exists is valid; [`Config::default`] is safe for
        /// the open internet.
        ///
        /// ```
        /// use std::time::Duration;
        /// use wireroom::Config;
        ///
        /// let config = Config::builder()
        ///     .max_message_size(1 << 20)
        ///     .keepalive_interval(Some(Duration::from_secs(60)))
        ///     .build()?;
        /// assert_eq!(config.max_message_size(), 1 << 20);
        /// # Ok::<(), wireroom::ConfigError>(())
        /// ```
        #[derive(Clone)]
        pub struct Config {
            $($(#[$doc])* $name: $type,)*
            /// A time from which the timers of all its connections count.
            epoch: OnceLock<Instant>,
        }

        #[allow(unused_doc_comments)] // the attributes are there for their `cfg`
        impl fmt::Debug for Config {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut settings = f.debug_struct("Config");
                $($(#[$doc])* {
                    settings.field(stringify!($name), &self.$name);
                })*
                settings.finish()
            }
        }

        #[allow(unused_doc_comments)] // the attributes are there for their `cfg`
        impl Default for Config {
            fn default() -> Self {
                Self { $($(#[$doc])* $name: $default,)* epoch: OnceLock::new() }
            }
        }

        impl Config {
            $($(#[$doc])* pub fn $name(&self) -> $type { self.$name })*
        }

        /// Sets what differs from the defaults; made by [`Config::builder`].
        #[derive(Clone, Debug, Default)]
        #[must_use]
        pub struct ConfigBuilder {
            config: Config,
        }

        impl ConfigBuilder {
            $($(#[$doc])* pub fn $name(mut self, $name: $type) -> Self { self.config.$name = $name; self })*

            /// The finished configuration.
            ///
            /// # Errors
            ///
            /// A value that cannot work; the error names the field.
            #[allow(unused_doc_comments)]
            pub fn build(self) -> Result<Config, ConfigError> {
                let config = self.config;
                $($(#[$doc])* {
                    let valid: fn(&Config, $type) -> bool = $valid;
                    if !valid(&config, config.$name) {
                        return Err(ConfigError { field: stringify!($name), reason: $reason });
                    }
                })*
                Ok(config)
            }
        }
    };
}

pub(super) fn is_time(time: Duration) -> bool {
    !time.is_zero() && time <= MAX_TIME
}

settings! {
    /// The largest message that is received, in bytes, all fragments together: above it the connection fails with
    /// 1009. Default 16 MiB.
    max_message_size: usize = 16 << 20, |_, _| true, "any size";
    /// The most fragments of one message: above it the connection fails with 1008. Default 131,072.
    max_fragments: u32 = 131_072, |_, n| n > 0, "at least 1";
    /// In the streaming mode, the largest message in bytes: above it the connection fails with 1009. Default 2^63 - 1,
    /// for a part costs no more memory however long the message is.
    max_streamed_size: u64 = i64::MAX as u64, |_, _| true, "any size";
    /// Messages arrive in parts, as [`Event::Part`](crate::Event::Part). Default off.
    streaming: bool = false, |_, _| true, "either";
    /// Bytes that may wait to be sent. A message is taken whole while fewer wait; otherwise `send` answers
    /// [`SendError::BufferFull`](crate::SendError::BufferFull), or `slow_consumer` decides. Default 1 MiB.
    max_send_buffer: usize = 1 << 20, |config, n| n >= config.high_water_mark, "at least high_water_mark";
    /// Messages that may wait to be sent, however small: the same as for `max_send_buffer` happens at the limit, with
    /// [`SendError::QueueFull`](crate::SendError::QueueFull). Default 65,536.
    max_send_messages: u32 = 65_536, |_, n| n > 0, "at least 1";
    /// What happens to a message for a peer that reads too slowly, once `max_send_buffer` bytes or `max_send_messages`
    /// messages wait. A message can say otherwise for itself. Default [`SlowConsumer::Refuse`].
    slow_consumer: SlowConsumer = SlowConsumer::Refuse, |_, _| true, "any";
    /// Each connection counts what passes; see [`Connection::stats`](crate::Connection::stats). Default off: an idle
    /// connection is small.
    statistics: bool = false, |_, _| true, "either";
    /// Above so many waiting bytes `send` answers [`SendStatus::Backpressure`](crate::SendStatus::Backpressure). When so
    /// many of them were sent in answer to this peer (while one of its events was handled), nothing more is read from it.
    /// Default 256 KiB.
    high_water_mark: usize = 256 << 10, |_, n| n > 0, "at least 1 byte";
    /// At so few waiting bytes the pressure is off: [`Event::Drain`](crate::Event::Drain), and reading goes on.
    /// Default 64 KiB.
    low_water_mark: usize = 64 << 10, |config, n| n < config.high_water_mark, "below high_water_mark";
    /// Time for the opening handshake as a whole, and to read each plain HTTP request. Default 5 s.
    handshake_timeout: Duration = Duration::from_secs(5), |_, time| is_time(time), "above 0 and at most 24 days";
    /// Time for an answer that was deferred. Default 30 s.
    response_timeout: Duration = Duration::from_secs(30), |_, time| is_time(time), "above 0 and at most 24 days";
    /// Time for the closing handshake as a whole, the wait for the end of the stream included. Default 5 s.
    close_timeout: Duration = Duration::from_secs(5), |_, time| is_time(time), "above 0 and at most 24 days";
    /// After so long without a byte from the peer a Ping is sent; `None` never. Default 30 s.
    keepalive_interval: Option<Duration> = Some(Duration::from_secs(30)),
        |_, time| time.is_none_or(is_time), "above 0 and at most 24 days";
    /// So long after that Ping without a byte the peer is given up: one attempt at a Close with 1011, then
    /// [`Cause::Timeout`](crate::Cause::Timeout). Default 20 s.
    keepalive_timeout: Duration = Duration::from_secs(20), |_, time| is_time(time), "above 0 and at most 24 days";
    /// After so long without a message from the peer the connection is closed with 1001; `None` never. Default `None`.
    idle_timeout: Option<Duration> = None, |_, time| time.is_none_or(is_time), "above 0 and at most 24 days";
    /// The head of a request or response, in bytes: 431 above. Default 16 KiB, at most 64 KiB.
    max_head_size: usize = 16 << 10, |_, n| (64..=65_535).contains(&n), "64 to 65,535 bytes";
    /// The target of a request, in bytes: 414 above. Default 8 KiB.
    max_target_size: usize = 8 << 10, |_, n| n > 0, "at least 1 byte";
    /// Header fields of a request or response: 431 above. Default 100.
    max_header_fields: usize = 100, |_, n| n > 0, "at least 1";
    /// The body of a plain HTTP request, in bytes: 413 above. Default 0.
    max_request_body: usize = 0, |_, n| n <= u32::MAX as usize, "below 4 GiB";
    /// How much of the body of a refusal a client keeps, in bytes. Default 64 KiB.
    max_response_body: usize = 64 << 10, |_, n| n <= u32::MAX as usize, "below 4 GiB";
    /// Plain HTTP requests on one connection before it is closed. Default 1,000.
    max_requests: u32 = 1_000, |_, n| n > 0, "at least 1";
    /// Connections that one listener holds at once, in any phase: one more is answered 503. Default 100,000, which is beyond
    /// most systems' limits on open files.
    max_connections: usize = 100_000, |_, n| n > 0, "at least 1";
    /// The same from one address (of IPv6 its /64, which one host may have whole): one more is answered 429. `None`, the
    /// default, does not count: behind a proxy all come from one address, unless it speaks the PROXY protocol.
    max_connections_per_address: Option<usize> = None, |_, n| n != Some(0), "at least 1";
    /// Connections that one listener accepts in one turn; the others are served in between. Default 128.
    accept_budget: usize = 128, |_, n| n > 0, "at least 1";
    /// Compression of messages by permessage-deflate (RFC 7692), where the peer agrees to it. `None`: none is offered, and
    /// every offer is declined. Default `None`.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    permessage_deflate: Option<PermessageDeflate> = None, |_, deflate| deflate.is_none_or(|deflate| deflate.is_valid()),
        "windows of 9 to 15 bits, a level of 0 to 9, times above 0 and at most 24 days";
}

impl Config {
    /// Starts from the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// The time from which timers count: the first that is asked with.
    #[inline]
    pub(super) fn epoch(&self, now: Instant) -> Instant {
        *self.epoch.get_or_init(|| now)
    }

    pub(super) fn known_epoch(&self) -> Option<Instant> {
        self.epoch.get().copied()
    }

    /// The limits for the handshakes of [`crate::handshake`], which know no `Config`.
    pub fn http_limits(&self) -> http::Limits {
        http::Limits {
            max_request_head: self.max_head_size,
            max_request_target: self.max_target_size,
            max_headers: self.max_header_fields,
            max_request_body: self.max_request_body,
            max_response_head: self.max_head_size,
            max_response_body: self.max_response_body,
            max_requests: self.max_requests,
        }
    }

    /// The times for the handshakes of [`crate::handshake`].
    pub fn http_timeouts(&self) -> http::Timeouts {
        http::Timeouts {
            handshake_timeout: self.handshake_timeout,
            response_timeout: self.response_timeout,
            close_timeout: self.close_timeout,
        }
    }

    pub(crate) fn decoder_limits(&self) -> decoder::Limits {
        decoder::Limits {
            max_message_size: self.max_message_size,
            max_streamed_size: self.max_streamed_size,
            max_fragments: self.max_fragments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_bad_value_names_its_field() {
        assert!(Config::builder().build().is_ok());
        let error = Config::builder().high_water_mark(10).low_water_mark(10).build().unwrap_err();
        assert_eq!(error.field, "low_water_mark");
        let error = Config::builder().close_timeout(Duration::ZERO).build().unwrap_err();
        assert_eq!(error.to_string(), "Config::close_timeout: above 0 and at most 24 days");
        let error = Config::builder().max_send_buffer(1).build().unwrap_err();
        assert_eq!(error.field, "max_send_buffer");
    }
}
