//! `Sec-WebSocket-Extensions` (RFC 6455, section 9.1), and the parameters of permessage-deflate (RFC 7692,
//! section 7.1) as data.
//!
//! Nothing is agreed on yet: a server declines every offer, a client makes none. What is here is the grammar,
//! which must be kept to in any case, and the values that a negotiation is about.

use thiserror::Error;

use crate::http::{is_token_byte, trim};

/// A `Sec-WebSocket-Extensions` that does not follow its grammar.
///
/// RFC 6455, 9.1: "the recipient of such malformed data MUST immediately _Fail the WebSocket Connection_".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed Sec-WebSocket-Extensions (RFC 6455, 9.1)")]
pub struct ExtensionsError;

/// The extensions that both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    deflate: Option<DeflateParams>,
}

impl Extensions {
    /// None: frames mean what RFC 6455 says.
    pub fn none() -> Self {
        Self::default()
    }

    /// permessage-deflate with these parameters.
    #[must_use]
    pub fn with_deflate(mut self, params: DeflateParams) -> Self {
        self.deflate = Some(params);
        self
    }

    /// The parameters of permessage-deflate, if it was agreed on.
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.deflate
    }
}

/// The elements of one `Sec-WebSocket-Extensions` line, in order of preference.
///
/// ```
/// use wireroom::handshake::{DeflateOffer, ExtensionList};
///
/// let offer = ExtensionList::new(b"permessage-deflate; client_max_window_bits").next().unwrap()?;
/// assert_eq!(offer.name(), "permessage-deflate");
/// assert!(DeflateOffer::from_extension(&offer).is_some());
/// # Ok::<(), wireroom::handshake::ExtensionsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExtensionList<'b> {
    rest: &'b [u8],
}

impl<'b> ExtensionList<'b> {
    /// Reads a field's value.
    pub fn new(value: &'b [u8]) -> Self {
        Self { rest: value }
    }

    fn element(&mut self) -> Result<Option<Extension<'b>>, ExtensionsError> {
        // Empty elements are passed over (RFC 9110, 5.6.1.2).
        while let [b',' | b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = token(&mut self.rest)?;
        let start = self.rest;
        while param(&mut self.rest)?.is_some() {}
        let params = &start[..start.len() - self.rest.len()];
        match self.rest {
            [] | [b',', ..] => Ok(Some(Extension { name, params })),
            _ => Err(ExtensionsError),
        }
    }
}

impl<'b> Iterator for ExtensionList<'b> {
    type Item = Result<Extension<'b>, ExtensionsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.element();
        if element.is_err() {
            self.rest = b"";
        }
        element.transpose()
    }
}

/// One extension with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'b> {
    name: &'b str,
    /// Validated: `*( ";" name [ "=" value ] )`.
    params: &'b [u8],
}

impl<'b> Extension<'b> {
    /// The extension's name.
    pub fn name(&self) -> &'b str {
        self.name
    }

    /// The parameters, in order.
    pub fn params(&self) -> Params<'b> {
        Params { rest: self.params }
    }
}

/// The parameters of an [`Extension`].
#[derive(Debug, Clone)]
pub struct Params<'b> {
    rest: &'b [u8],
}

impl<'b> Iterator for Params<'b> {
    type Item = Param<'b>;

    fn next(&mut self) -> Option<Param<'b>> {
        param(&mut self.rest).ok().flatten()
    }
}

/// One parameter: a name, and a value if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'b> {
    name: &'b str,
    /// A token, or the inside of a quoted string with its escapes.
    value: Option<&'b str>,
}

impl<'b> Param<'b> {
    /// The parameter's name.
    pub fn name(&self) -> &'b str {
        self.name
    }

    /// The characters of the value; `"a\b"` and `ab` are the same.
    pub fn value(&self) -> Option<impl Iterator<Item = char> + use<'b>> {
        // A token holds no backslash: one can only be the escape of a quoted string.
        self.value.map(|value| value.chars().filter(|&char| char != '\\'))
    }

    /// RFC 7692, 7.1.2: "a decimal integer value without leading zeroes between 8 to 15".
    fn window_bits(&self) -> Option<u8> {
        let mut number = 0;
        for (place, char) in self.value()?.enumerate() {
            let digit = char.to_digit(10)?;
            if place >= 2 || (digit == 0 && number == 0) {
                return None;
            }
            number = number * 10 + digit as u8;
        }
        (8..=15).contains(&number).then_some(number)
    }
}

fn skip_whitespace(rest: &mut &[u8]) {
    while let [b' ' | b'\t', behind @ ..] = *rest {
        *rest = behind;
    }
}

fn token<'b>(rest: &mut &'b [u8]) -> Result<&'b str, ExtensionsError> {
    let end = rest.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(rest.len());
    let (token, behind) = rest.split_at(end);
    *rest = behind;
    match std::str::from_utf8(token) {
        Ok(token) if !token.is_empty() => Ok(token),
        _ => Err(ExtensionsError),
    }
}

/// `";" token [ "=" ( token / quoted-string ) ]`, or nothing at the end of the element.
fn param<'b>(rest: &mut &'b [u8]) -> Result<Option<Param<'b>>, ExtensionsError> {
    skip_whitespace(rest);
    let [b';', behind @ ..] = *rest else {
        return Ok(None);
    };
    *rest = behind;
    skip_whitespace(rest);
    let name = token(rest)?;
    skip_whitespace(rest);
    let [b'=', behind @ ..] = *rest else {
        return Ok(Some(Param { name, value: None }));
    };
    *rest = behind;
    skip_whitespace(rest);
    let value = match *rest {
        [b'"', behind @ ..] => {
            *rest = behind;
            quoted(rest)?
        }
        _ => token(rest)?,
    };
    Ok(Some(Param { name, value: Some(value) }))
}

/// RFC 6455, 9.1: "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST
/// conform to the 'token' ABNF."
fn quoted<'b>(rest: &mut &'b [u8]) -> Result<&'b str, ExtensionsError> {
    let mut at = 0;
    loop {
        match rest.get(at..).unwrap_or(b"") {
            [b'"', ..] if at > 0 => break,
            [b'\\', escaped, ..] if is_token_byte(*escaped) => at += 2,
            [byte, ..] if is_token_byte(*byte) => at += 1,
            _ => return Err(ExtensionsError),
        }
    }
    let value = std::str::from_utf8(&rest[..at]).map_err(|_| ExtensionsError)?;
    *rest = &rest[at + 1..];
    Ok(value)
}

/// Checks the grammar of a line, and tells whether it holds an element at all.
pub(crate) fn validate(value: &[u8]) -> Result<bool, ExtensionsError> {
    // The two offers that browsers make, known to be well-formed.
    if matches!(trim(value), b"permessage-deflate; client_max_window_bits" | b"permessage-deflate") {
        return Ok(true);
    }
    ExtensionList::new(value).try_fold(false, |_, element| element.map(|_| true))
}

/// What a client says about its own window (RFC 7692, section 7.1.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientWindow {
    /// `client_max_window_bits` was not offered: the server must not limit the client's window.
    Fixed,
    /// Offered, with the largest window that the client will use: 8 to 15 bits, 15 if it named none.
    AtMost(u8),
}

/// A client's offer of permessage-deflate (RFC 7692, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateOffer {
    /// The client asks the server not to keep its window from message to message.
    pub server_no_context_takeover: bool,
    /// The client says that it will not keep its own.
    pub client_no_context_takeover: bool,
    /// The largest window that the client asks the server to use, 8 to 15 bits.
    pub server_max_window_bits: Option<u8>,
    /// What the client says about its own window.
    pub client_window: ClientWindow,
}

impl DeflateOffer {
    /// The name of the extension.
    pub const NAME: &'static str = "permessage-deflate";

    /// Reads an offer. `None` if it is for another extension, or must be declined.
    ///
    /// RFC 7692, 7.1: "A server MUST decline an extension negotiation offer for this extension if" it has a
    /// parameter that is not defined for offers, an invalid value, or the same parameter twice.
    pub fn from_extension(extension: &Extension<'_>) -> Option<Self> {
        if !extension.name().eq_ignore_ascii_case(Self::NAME) {
            return None;
        }
        let seen = Seen::read(extension, Side::Offer)?;
        Some(Self {
            server_no_context_takeover: seen.server_no_context_takeover,
            client_no_context_takeover: seen.client_no_context_takeover,
            server_max_window_bits: seen.server_max_window_bits,
            client_window: seen.client_max_window_bits.map_or(ClientWindow::Fixed, ClientWindow::AtMost),
        })
    }
}

/// The agreed parameters of permessage-deflate (RFC 7692, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateParams {
    /// The server does not keep its window from message to message.
    pub server_no_context_takeover: bool,
    /// The client does not keep its window from message to message.
    pub client_no_context_takeover: bool,
    /// The server's window, 8 to 15 bits.
    pub server_max_window_bits: u8,
    /// The client's window, 8 to 15 bits.
    pub client_max_window_bits: u8,
}

impl Default for DeflateParams {
    /// Windows of 32 KiB, kept: what the extension's bare name means.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}

impl DeflateParams {
    /// Reads a server's answer. `None` if it is not one that RFC 7692, section 7.1 allows: the client must
    /// then fail the connection. Whether the answer corresponds to the offer is not looked at here.
    pub fn from_extension(extension: &Extension<'_>) -> Option<Self> {
        if !extension.name().eq_ignore_ascii_case(DeflateOffer::NAME) {
            return None;
        }
        let seen = Seen::read(extension, Side::Answer)?;
        Some(Self {
            server_no_context_takeover: seen.server_no_context_takeover,
            client_no_context_takeover: seen.client_no_context_takeover,
            server_max_window_bits: seen.server_max_window_bits.unwrap_or(15),
            client_max_window_bits: seen.client_max_window_bits.unwrap_or(15),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Offer,
    Answer,
}

/// The four parameters, each at most once, each with a value that is allowed.
#[derive(Default)]
struct Seen {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl Seen {
    fn read(extension: &Extension<'_>, side: Side) -> Option<Self> {
        let mut seen = Self::default();
        for param in extension.params() {
            let repeated = match param.name() {
                "server_no_context_takeover" if param.value.is_none() => {
                    std::mem::replace(&mut seen.server_no_context_takeover, true)
                }
                "client_no_context_takeover" if param.value.is_none() => {
                    std::mem::replace(&mut seen.client_no_context_takeover, true)
                }
                "server_max_window_bits" => seen.server_max_window_bits.replace(param.window_bits()?).is_some(),
                // 7.1.2.2: in an offer the value may be left out.
                "client_max_window_bits" if param.value.is_none() && side == Side::Offer => {
                    seen.client_max_window_bits.replace(15).is_some()
                }
                "client_max_window_bits" => seen.client_max_window_bits.replace(param.window_bits()?).is_some(),
                _ => return None,
            };
            if repeated {
                return None;
            }
        }
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: &str) -> Result<Vec<String>, ExtensionsError> {
        ExtensionList::new(value.as_bytes())
            .map(|element| {
                element.map(|extension| {
                    extension.params().fold(extension.name().to_owned(), |text, param| {
                        let value = param.value().map(|value| format!("={}", value.collect::<String>()));
                        format!("{text};{}{}", param.name(), value.unwrap_or_default())
                    })
                })
            })
            .collect()
    }

    #[test]
    fn rfc6455_section_9_1_grammar() {
        for (value, expected) in [
            ("", &[][..]),
            ("foo", &["foo"]),
            ("foo, bar;  baz=2", &["foo", "bar;baz=2"]),
            (" foo ; a ; b = c ,, bar ", &["foo;a;b=c", "bar"]),
            ("foo; a=\"10\"", &["foo;a=10"]),
            ("foo; a=\"1\\0\";b", &["foo;a=10;b"]),
            ("deflate-stream", &["deflate-stream"]),
            (
                "mux; max-channels=4; flow-control, deflate-stream",
                &["mux;max-channels=4;flow-control", "deflate-stream"],
            ),
        ] {
            assert_eq!(list(value).unwrap(), expected, "{value}");
            assert_eq!(validate(value.as_bytes()), Ok(!expected.is_empty()));
        }
        for bad in [
            "foo;",
            "foo; ;a",
            "foo bar",
            "foo=1",
            "foo; a=",
            "foo; a=\"\"",
            "foo; a=\"b",
            "foo; a=\"b c\"",
            "foo; a=\"b,c\"",
            "foo; a=\"b\"c",
            "foo; a=b=c",
            "\u{fc}",
            "foo; a=\"\\\"\"",
            "foo; a=\"\\",
            ";foo",
            "foo/1",
            "\"foo\"",
        ] {
            assert_eq!(list(bad), Err(ExtensionsError), "{bad}");
            assert_eq!(validate(bad.as_bytes()), Err(ExtensionsError), "{bad}");
        }
    }

    #[test]
    fn an_error_ends_the_list() {
        assert_eq!(ExtensionList::new(b"a b, c").count(), 1);
    }

    fn offer(params: &str) -> Option<DeflateOffer> {
        let value = format!("permessage-deflate{params}");
        let extension = ExtensionList::new(value.as_bytes()).next().unwrap().unwrap();
        DeflateOffer::from_extension(&extension)
    }

    #[test]
    fn rfc7692_section_7_1_offers() {
        let bare = DeflateOffer {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_window: ClientWindow::Fixed,
        };
        assert_eq!(offer(""), Some(bare));
        assert_eq!(
            offer("; client_max_window_bits; server_max_window_bits=10"),
            Some(DeflateOffer { server_max_window_bits: Some(10), client_window: ClientWindow::AtMost(15), ..bare })
        );
        assert_eq!(
            offer("; client_max_window_bits=\"8\"; server_no_context_takeover; client_no_context_takeover"),
            Some(DeflateOffer {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                client_window: ClientWindow::AtMost(8),
                ..bare
            })
        );
        for declined in [
            "; unknown",
            "; server_max_window_bits",
            "; server_max_window_bits=7",
            "; server_max_window_bits=16",
            "; server_max_window_bits=08",
            "; server_max_window_bits=+9",
            "; server_max_window_bits=100",
            "; server_max_window_bits=9; server_max_window_bits=9",
            "; client_max_window_bits; client_max_window_bits=9",
            "; server_no_context_takeover=1",
            "; client_no_context_takeover; client_no_context_takeover",
        ] {
            assert_eq!(offer(declined), None, "{declined}");
        }
    }

    #[test]
    fn rfc7692_section_7_1_answers() {
        let answer = |value: &str| {
            let extension = ExtensionList::new(value.as_bytes()).next().unwrap().unwrap();
            DeflateParams::from_extension(&extension)
        };
        assert_eq!(answer("permessage-deflate"), Some(DeflateParams::default()));
        assert_eq!(
            answer("permessage-deflate; server_no_context_takeover; client_max_window_bits=9"),
            Some(DeflateParams {
                server_no_context_takeover: true,
                client_max_window_bits: 9,
                ..DeflateParams::default()
            })
        );
        assert_eq!(answer("permessage-deflate; client_max_window_bits"), None);
        assert_eq!(answer("x-webkit-deflate-frame"), None);
    }
}
