//! `Sec-WebSocket-Extensions` (RFC 6455, section 9.1): the grammar, which must be kept to in any case, and what was
//! agreed on. The one extension that is spoken has its parameters in [`super::deflate`].

use thiserror::Error;

use super::deflate::DeflateParams;

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
    pub(super) fn window_bits(&self) -> Option<u8> {
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
}
