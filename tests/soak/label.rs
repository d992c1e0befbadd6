//! One word for how a connection ended.

use wireroom::{Cause, Deadline, handshake::HandshakeError};

pub(crate) fn of(cause: &Cause) -> String {
    match cause {
        Cause::Clean => "clean".into(),
        Cause::Failed(error) => {
            let name = format!("{error:?}");
            format!("failed:{}", name.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default())
        }
        Cause::Handshake(HandshakeError::Timeout) => "handshake:timeout".into(),
        Cause::Handshake(HandshakeError::Eof) => "handshake:eof".into(),
        Cause::Handshake(error) => match error.status() {
            Some(status) => format!("http:{status}"),
            None => "handshake:other".into(),
        },
        Cause::Eof => "eof".into(),
        Cause::Io(kind) => format!("io:{kind:?}"),
        Cause::Timeout(Deadline::Keepalive) => "timeout:keepalive".into(),
        Cause::Timeout(Deadline::Close) => "timeout:close".into(),
        Cause::Aborted => "aborted".into(),
        Cause::Served => "served".into(),
        other => format!("{other:?}").replace(' ', "_"),
    }
}
