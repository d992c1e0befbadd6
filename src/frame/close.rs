//! The payload of a Close frame: a status code and a reason (RFC 6455 sections 5.5.1 and 7.4).

use std::fmt;

use crate::error::ProtocolError;

/// The longest reason in bytes: a control frame's 125 less the code's 2.
pub const MAX_REASON: usize = 123;

/// A status code that may stand in a Close frame (RFC 6455 section 7.4).
///
/// 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame" and so are no `CloseCode`; nor
/// are the codes that nobody has defined. 3000 to 3999 are registered by libraries, 4000 to 4999 are yours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server going down, a page being left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: data that does not fit its type, such as a text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: a client misses an extension.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition on the endpoint.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from upstream (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if it may stand in a Close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// What the code says, in words.
    pub fn meaning(self) -> &'static str {
        match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1007 => "invalid payload data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "mandatory extension missing",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            3000..=3999 => "registered by a library or application",
            _ => "private use",
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.meaning())
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a Close frame says. Without a code it is the empty Close, which an API reports as 1005 (section 7.1.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseFrame {
    /// The status code, if any.
    pub code: Option<CloseCode>,
    /// The reason: not meant for people, at most 123 bytes, empty without a code.
    pub reason: Box<str>,
}

impl CloseFrame {
    /// A Close with a code and a reason. A reason above 123 bytes is cut at a character's boundary.
    pub fn new(code: CloseCode, reason: &str) -> Self {
        Self { code: Some(code), reason: cut_to_fit(reason).into() }
    }

    /// Reads the (unmasked) payload of a Close frame.
    ///
    /// # Errors
    ///
    /// A payload of one byte (5.5.1), a code that may not be sent (7.4), a reason that is not UTF-8 (5.5.1).
    pub fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        match payload {
            [] => Ok(Self::default()),
            // 5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer"
            [_] => Err(ProtocolError::TruncatedCloseCode),
            [high, low, reason @ ..] => {
                let number = u16::from_be_bytes([*high, *low]);
                let code = CloseCode::new(number).ok_or(ProtocolError::InvalidCloseCode(number))?;
                let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
                Ok(Self { code: Some(code), reason: reason.into() })
            }
        }
    }

    /// The payload's bytes and how many of them count.
    pub(crate) fn encode(&self) -> ([u8; 125], usize) {
        let mut payload = [0; 125];
        let Some(code) = self.code else { return (payload, 0) };
        let reason = cut_to_fit(&self.reason);
        payload[..2].copy_from_slice(&code.as_u16().to_be_bytes());
        payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
        (payload, 2 + reason.len())
    }
}

/// The longest start of `reason` that fits, whole characters only.
fn cut_to_fit(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_7_4_only_codes_that_may_be_sent_exist() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            assert_eq!(CloseCode::new(code), None, "{code}");
            let payload = u16::to_be_bytes(code);
            assert_eq!(CloseFrame::parse(&payload), Err(ProtocolError::InvalidCloseCode(code)));
        }
        for code in [1000, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
            assert_eq!(CloseCode::new(code).map(CloseCode::as_u16), Some(code));
        }
    }

    #[test]
    fn section_5_5_1_the_reason_is_utf_8_and_fits_a_control_frame() {
        assert_eq!(CloseFrame::parse(&[3]), Err(ProtocolError::TruncatedCloseCode));
        assert_eq!(CloseFrame::parse(&[3, 0xE8, 0xFF]), Err(ProtocolError::InvalidUtf8));
        let long = CloseFrame::new(CloseCode::NORMAL, &"ü".repeat(100));
        assert_eq!(long.reason.len(), 122);
        let (payload, length) = long.encode();
        assert_eq!(CloseFrame::parse(&payload[..length]), Ok(long));
        assert_eq!(CloseFrame::parse(&[]), Ok(CloseFrame::default()));
    }
}
