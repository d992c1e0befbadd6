//! `Sec-WebSocket-Extensions`: the grammar of RFC 6455 section 9.1 against a naive reading of it, and the negotiation of
//! RFC 7692 section 7.1, whose two sides have to come to the same parameters.

use wireroom::handshake::{ClientWindow, DeflateAnswer, DeflateOffer, DeflateParams, Extension, ExtensionList};

use crate::input::Choices;

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let terms = params(&mut choices);
    let made = offer(&mut choices);
    negotiate(&made, &terms);
    let value = choices.rest();
    grammar(value);
    for extension in ExtensionList::new(value).map_while(Result::ok) {
        let offer = DeflateOffer::from_extension(&extension);
        assert_eq!(offer.is_some(), naive_offer(&extension), "{extension:?}");
        if let Some(offer) = offer {
            negotiate(&offer, &terms);
            assert_eq!(reread(&offer.to_string(), DeflateOffer::from_extension), Some(offer));
        }
        if let Some(answer) = DeflateAnswer::from_extension(&extension) {
            assert_eq!(reread(&answer.to_string(), DeflateAnswer::from_extension), Some(answer));
            // Whatever a server answers, the client ends up within what it offered.
            if let Some(agreed) = made.params(&answer) {
                within(&made, &answer, &agreed);
            }
        }
    }
}

fn params(choices: &mut Choices<'_>) -> DeflateParams {
    let flags = choices.byte();
    DeflateParams {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: 9 + choices.byte() % 7,
        client_max_window_bits: 9 + choices.byte() % 7,
    }
}

fn offer(choices: &mut Choices<'_>) -> DeflateOffer {
    let flags = choices.byte();
    let bits = |byte: u8| 8 + byte % 8;
    DeflateOffer {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: Some(bits(choices.byte())).filter(|_| flags & 4 != 0),
        client_window: match flags & 8 {
            0 => ClientWindow::Fixed,
            _ => ClientWindow::AtMost(bits(choices.byte())),
        },
    }
}

/// The value of an element as it goes on the wire is read as the same.
fn reread<T>(text: &str, from: fn(&Extension<'_>) -> Option<T>) -> Option<T> {
    let mut list = ExtensionList::new(text.as_bytes());
    let extension = list.next()?.ok()?;
    assert!(list.next().is_none());
    from(&extension)
}

/// Server and client, each by its own reading of what went over the wire.
fn negotiate(offer: &DeflateOffer, terms: &DeflateParams) {
    let received = reread(&offer.to_string(), DeflateOffer::from_extension).expect("our own offer");
    assert_eq!(received, *offer);
    let Some(answer) = received.answer(terms) else {
        assert_eq!(offer.server_max_window_bits, Some(8), "declined for no reason");
        return;
    };
    let server = received.params(&answer).expect("our own answer");
    let told = reread(&answer.to_string(), DeflateAnswer::from_extension).expect("our own answer");
    let client = offer.params(&told).expect("an answer to this offer");
    assert_eq!(server, client, "{offer:?} {answer:?}");
    within(offer, &answer, &client);
    // The terms are at least met.
    assert!(server.server_max_window_bits <= terms.server_max_window_bits);
    assert!(server.server_no_context_takeover || !terms.server_no_context_takeover);
    assert!(server.client_no_context_takeover || !terms.client_no_context_takeover);
    let limited = matches!(offer.client_window, ClientWindow::AtMost(_));
    assert!(!limited || server.client_max_window_bits <= terms.client_max_window_bits);
}

/// RFC 7692, 7.1.1 and 7.1.2: what may be agreed on.
fn within(offer: &DeflateOffer, answer: &DeflateAnswer, agreed: &DeflateParams) {
    assert!(agreed.server_no_context_takeover || !offer.server_no_context_takeover, "7.1.1.1");
    assert!(agreed.client_no_context_takeover || !answer.client_no_context_takeover, "7.1.1.2");
    assert!(agreed.server_max_window_bits <= offer.server_max_window_bits.unwrap_or(15), "7.1.2.1");
    assert!(agreed.client_max_window_bits <= answer.client_max_window_bits.unwrap_or(15), "7.1.2.2");
    match offer.client_window {
        ClientWindow::Fixed => assert_eq!(answer.client_max_window_bits, None, "7.1.2.2"),
        ClientWindow::AtMost(most) => assert!(agreed.client_max_window_bits <= most),
    }
    assert!((8..=15).contains(&agreed.server_max_window_bits) && (8..=15).contains(&agreed.client_max_window_bits));
}

/// An element with its parameters, read without any shortcut.
type Element = (String, Vec<(String, Option<String>)>);

fn grammar(value: &[u8]) {
    let found: Result<Vec<Element>, _> = ExtensionList::new(value)
        .map(|element| {
            element.map(|extension| {
                let params = extension
                    .params()
                    .map(|param| (param.name().to_owned(), param.value().map(|value| value.collect::<String>())));
                (extension.name().to_owned(), params.collect())
            })
        })
        .collect();
    assert_eq!(found.ok(), naive_list(value), "{}", value.escape_ascii());
}

/// RFC 6455, 9.1 with the list rule of RFC 9110, 5.6.1 and whitespace around delimiters: cut at what stands outside of
/// quotes, then look at the pieces.
fn naive_list(value: &[u8]) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    for element in split_outside_quotes(value, b',')? {
        if element.is_empty() {
            continue;
        }
        let mut parts = split_outside_quotes(element, b';')?.into_iter();
        let name = token(parts.next()?)?;
        let params = parts.map(|part| match part.iter().position(|byte| *byte == b'=') {
            None => Some((token(part)?, None)),
            Some(at) => Some((token(trimmed(&part[..at]))?, Some(unquoted(trimmed(&part[at + 1..]))?))),
        });
        elements.push((name, params.collect::<Option<Vec<_>>>()?));
    }
    Some(elements)
}

fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// `None` if a quote is not closed.
fn split_outside_quotes(value: &[u8], at: u8) -> Option<Vec<&[u8]>> {
    let (mut pieces, mut start, mut quoted, mut i) = (Vec::new(), 0, false, 0);
    while i < value.len() {
        match value[i] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => i += 1,
            byte if byte == at && !quoted => {
                pieces.push(trimmed(&value[start..i]));
                start = i + 1;
            }
            _ => {}
        }
        i += 1;
    }
    pieces.push(trimmed(&value[start..]));
    (!quoted).then_some(pieces)
}

/// RFC 9110, 5.6.2.
fn token(bytes: &[u8]) -> Option<String> {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    (!text.is_empty() && bytes.iter().all(valid)).then_some(text)
}

/// "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token'
/// ABNF."
fn unquoted(value: &[u8]) -> Option<String> {
    let [b'"', inside @ .., b'"'] = value else { return token(value) };
    let (mut unescaped, mut bytes) = (Vec::new(), inside.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => unescaped.push(*bytes.next()?),
            byte => unescaped.push(*byte),
        }
    }
    token(&unescaped)
}

/// RFC 7692, 7.1: does the server have to decline?
fn naive_offer(extension: &Extension<'_>) -> bool {
    let params: Vec<(String, Option<String>)> =
        extension.params().map(|param| (param.name().into(), param.value().map(|value| value.collect()))).collect();
    let names: Vec<&str> = params.iter().map(|(name, _)| &**name).collect();
    let bits = ["8", "9", "10", "11", "12", "13", "14", "15"];
    extension.name().eq_ignore_ascii_case("permessage-deflate")
        && (1..names.len()).all(|n| !names[..n].contains(&names[n]))
        && params.iter().all(|(name, value)| match (&**name, value.as_deref()) {
            ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => true,
            ("server_max_window_bits" | "client_max_window_bits", Some(value)) => bits.contains(&value),
            _ => false,
        })
}
