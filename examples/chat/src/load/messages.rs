//! The messages of `PROTOCOL.md` that the load needs.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum FromClient<'a> {
    Hello {
        name: &'a str,
        secret: &'a str,
    },
    Join {
        room: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
    },
    Say {
        id: &'a str,
        room: &'a str,
        text: &'a str,
    },
    History {
        room: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
    },
}

/// Every message from the server, in one shape: whatever is not there is empty or `None`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FromServer<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) room: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) from: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) text: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) code: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) message: Cow<'a, str>,
    pub(crate) seq: u64,
    pub(crate) retry: Option<u64>,
    #[serde(borrow)]
    pub(crate) messages: Vec<Stored<'a>>,
    pub(crate) more: bool,
}

/// One message of a `history`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Stored<'a> {
    pub(crate) seq: u64,
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) from: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) text: Cow<'a, str>,
}
