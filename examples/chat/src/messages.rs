//! The messages of `PROTOCOL.md`, as types.
//!
//! Both ways they borrow: what a client sent from the receive buffer, what is told from where it is kept.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What a client says on `/ws`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum FromClient<'m> {
    Hello {
        #[serde(borrow)]
        name: Cow<'m, str>,
        #[serde(borrow)]
        secret: Cow<'m, str>,
    },
    Join {
        #[serde(borrow)]
        room: Cow<'m, str>,
        after: Option<u64>,
    },
    Leave {
        #[serde(borrow)]
        room: Cow<'m, str>,
    },
    Say {
        #[serde(borrow)]
        id: Cow<'m, str>,
        #[serde(borrow)]
        room: Cow<'m, str>,
        #[serde(borrow)]
        text: Cow<'m, str>,
    },
    History {
        #[serde(borrow)]
        room: Cow<'m, str>,
        before: Option<u64>,
        after: Option<u64>,
    },
    Whisper {
        #[serde(borrow)]
        id: Cow<'m, str>,
        #[serde(borrow)]
        to: Cow<'m, str>,
        #[serde(borrow)]
        text: Cow<'m, str>,
    },
    Shout {
        #[serde(borrow)]
        id: Cow<'m, str>,
        #[serde(borrow)]
        text: Cow<'m, str>,
    },
    Typing {
        #[serde(borrow)]
        room: Cow<'m, str>,
    },
    Idle {
        idle: bool,
    },
}

impl FromClient<'_> {
    /// The message's own id, for an answer to name it.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Say { id, .. } | Self::Whisper { id, .. } | Self::Shout { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The room it is about.
    pub(crate) fn room(&self) -> Option<&str> {
        match self {
            Self::Join { room, .. }
            | Self::Leave { room }
            | Self::Say { room, .. }
            | Self::History { room, .. }
            | Self::Typing { room } => Some(room),
            _ => None,
        }
    }
}

/// What a client says on `/wire`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum FromViewer<'m> {
    Watch {
        #[serde(borrow)]
        id: Cow<'m, str>,
        #[serde(borrow)]
        secret: Cow<'m, str>,
    },
}

/// What the server says on `/ws`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum FromServer<'a> {
    Welcome {
        id: String,
        name: &'a str,
        rooms: Vec<&'a str>,
        people: Vec<Present<'a>>,
        limits: Limits,
        time: u64,
    },
    Arrived {
        name: &'a str,
        idle: bool,
    },
    Gone {
        name: &'a str,
    },
    Presence {
        name: &'a str,
        idle: bool,
    },
    Joined {
        room: &'a str,
        people: Vec<Present<'a>>,
    },
    Entered {
        room: &'a str,
        name: &'a str,
        idle: bool,
    },
    Left {
        room: &'a str,
        name: &'a str,
    },
    History {
        room: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        messages: Vec<Kept>,
        more: bool,
    },
    Said {
        room: &'a str,
        seq: u64,
        id: &'a str,
        from: &'a str,
        text: &'a str,
        time: u64,
    },
    Ack {
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    Whispered {
        id: &'a str,
        from: &'a str,
        to: &'a str,
        text: &'a str,
        time: u64,
    },
    Shouted {
        id: &'a str,
        from: &'a str,
        text: &'a str,
        time: u64,
    },
    Typing {
        room: &'a str,
        name: &'a str,
    },
    Error {
        code: Code,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry: Option<u64>,
    },
}

impl FromServer<'_> {
    pub(crate) fn json(&self) -> String {
        json(self)
    }
}

/// As JSON. What is told consists of strings, numbers and lists of them: there is nothing that JSON cannot hold.
pub(crate) fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

#[derive(Debug, Serialize)]
pub(crate) struct Present<'a> {
    pub(crate) name: &'a str,
    pub(crate) idle: bool,
}

/// A message out of the history.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) text: String,
    pub(crate) time: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Limits {
    pub(crate) text: usize,
    pub(crate) name: usize,
    pub(crate) room: usize,
    pub(crate) rate: u32,
    pub(crate) burst: u32,
}

/// Why a message was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    BadMessage,
    HelloFirst,
    HelloAgain,
    BadName,
    NameTaken,
    BadSecret,
    BadRoom,
    AlreadyIn,
    NotInRoom,
    RoomsFull,
    BadText,
    TooLong,
    BadId,
    IdReused,
    Nobody,
    TooSlow,
    Rate,
    Busy,
    Storage,
}

/// A message that was not done: an `error` without what it is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) retry: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry: None }
    }

    /// May be sent again, as it is, after so many milliseconds.
    pub(crate) fn retry(code: Code, message: impl Into<String>, after: u64) -> Self {
        Self { code, message: message.into(), retry: Some(after) }
    }

    pub(crate) fn json(&self, id: Option<&str>, room: Option<&str>) -> String {
        FromServer::Error { code: self.code, message: &self.message, id, room, retry: self.retry }.json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_strings_are_not_copied() {
        let said = r#"{"type":"say","id":"12345678","room":"lobby","text":"hello","more":1}"#;
        let FromClient::Say { text, room, .. } = serde_json::from_str(said).unwrap() else { panic!() };
        assert!(matches!((text, room), (Cow::Borrowed("hello"), Cow::Borrowed("lobby"))));
    }

    #[test]
    fn errors_have_only_what_they_know() {
        assert_eq!(
            Refusal::new(Code::NotInRoom, "not there").json(None, Some("red")),
            r#"{"type":"error","code":"not_in_room","message":"not there","room":"red"}"#
        );
        assert_eq!(
            Refusal::retry(Code::Rate, "slowly", 200).json(Some("12345678"), None),
            r#"{"type":"error","code":"rate","message":"slowly","id":"12345678","retry":200}"#
        );
    }
}
