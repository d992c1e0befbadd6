//! Lines that begin with a slash.

use wireroom::CloseCode;

use crate::show::from_hex;

pub(super) const HELP: &str = "\
/ping [TEXT]             send a Ping and show how long its Pong takes
/close [CODE] [REASON]   close, with 1000 if no code is given, and end
/binary HEX              send a binary message, as in /binary 00 ff 7f
/help                    this list
//..                     send a text that begins with /
";

/// The longest payload of a Ping (RFC 6455 section 5.5).
const LONGEST_PING: usize = 125;

/// What a typed line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Close(CloseCode, String),
    Help,
}

/// Reads a line.
///
/// # Errors
///
/// A sentence about what is wrong with it; nothing is sent.
pub(super) fn parse(line: String) -> Result<Command, String> {
    let Some(command) = line.strip_prefix('/') else { return Ok(Command::Text(line)) };
    if command.starts_with('/') {
        return Ok(Command::Text(command.to_owned()));
    }
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    match name {
        "ping" if rest.len() > LONGEST_PING => Err(format!("/ping: a Ping holds at most {LONGEST_PING} bytes")),
        "ping" => Ok(Command::Ping(rest.into())),
        "binary" => from_hex(rest).map(Command::Binary).map_err(|error| format!("/binary: {error}")),
        "close" => close(rest),
        "help" => Ok(Command::Help),
        _ => Err(format!("/{name} is no command: /help lists them, and // sends a line that begins with /")),
    }
}

fn close(rest: &str) -> Result<Command, String> {
    let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let code = match code {
        "" => CloseCode::NORMAL,
        code => code.parse().ok().and_then(CloseCode::new).ok_or_else(|| {
            format!(
                "/close: {code} may not stand in a Close (RFC 6455, 7.4): 1000 to 1003, 1007 to 1014, 3000 to 4999 may"
            )
        })?,
    };
    let (reason, most) = (reason.trim(), wireroom::frame::MAX_REASON);
    if reason.len() > most {
        return Err(format!("/close: a reason has at most {most} bytes (RFC 6455, 5.5)"));
    }
    Ok(Command::Close(code, reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        parse(line.to_owned())
    }

    #[test]
    fn lines_and_commands() {
        assert_eq!(read("hi /there"), Ok(Command::Text("hi /there".into())));
        assert_eq!(read(""), Ok(Command::Text(String::new())));
        assert_eq!(read("//etc"), Ok(Command::Text("/etc".into())));
        assert_eq!(read("/binary 00 ff"), Ok(Command::Binary(vec![0, 255])));
        assert_eq!(read("/ping"), Ok(Command::Ping(Vec::new())));
        assert_eq!(read("/close"), Ok(Command::Close(CloseCode::NORMAL, String::new())));
        assert_eq!(read("/close 3001 so long"), Ok(Command::Close(CloseCode::new(3001).unwrap(), "so long".into())));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_rule() {
        assert!(read("/close 1005").unwrap_err().contains("7.4"));
        assert!(read("/close x").is_err());
        assert!(read(&format!("/close 1000 {}", "r".repeat(123))).is_ok());
        assert!(read(&format!("/close 1000 {}", "r".repeat(124))).unwrap_err().contains("123 bytes"));
        assert!(read(&format!("/ping {}", "p".repeat(125))).is_ok());
        assert!(read(&format!("/ping {}", "p".repeat(126))).unwrap_err().contains("125 bytes"));
        assert!(read("/binary 0").is_err());
        assert!(read("/clsoe").unwrap_err().contains("/help"));
    }
}
