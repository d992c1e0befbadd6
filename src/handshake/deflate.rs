//! The parameters of permessage-deflate (RFC 7692, section 7.1) as data: offers, answers, and what they come to.
//!
//! Knows: what may be asked, and what may be answered. Must not know: how a message is compressed.

use std::fmt;

use super::extensions::Extension;

/// What a client says about its own window (RFC 7692, section 7.1.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientWindow {
    /// `client_max_window_bits` was not offered: the server must not limit the client's window.
    Fixed,
    /// Offered, with the largest window that the client will use: 8 to 15 bits, 15 if it named none.
    AtMost(u8),
}

/// A client's offer of permessage-deflate (RFC 7692, section 7.1). Its `Display` is the form on the wire.
///
/// ```
/// use wireroom::handshake::{ClientWindow, DeflateOffer, DeflateParams};
///
/// let offer = DeflateOffer { server_max_window_bits: Some(10), ..DeflateOffer::default() };
/// assert_eq!(offer.to_string(), "permessage-deflate; server_max_window_bits=10; client_max_window_bits");
/// let answer = offer.answer(&DeflateParams { client_max_window_bits: 12, ..DeflateParams::default() }).unwrap();
/// assert_eq!(answer.to_string(), "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12");
/// assert_eq!(offer.params(&answer).unwrap().server_max_window_bits, 10);
/// ```
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

impl Default for DeflateOffer {
    /// Asks for nothing, and lets the server limit the client's window.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_window: ClientWindow::AtMost(15),
        }
    }
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
        let seen = DeflateAnswer::read(extension, Side::Offer)?;
        Some(Self {
            server_no_context_takeover: seen.server_no_context_takeover,
            client_no_context_takeover: seen.client_no_context_takeover,
            server_max_window_bits: seen.server_max_window_bits,
            client_window: seen.client_max_window_bits.map_or(ClientWindow::Fixed, ClientWindow::AtMost),
        })
    }

    /// The answer of a server that wants `terms`. `None` declines the offer.
    ///
    /// The server's own window becomes the smaller one of what the client asks for and what the server wants; a
    /// window of 8 bits is declined, for zlib cannot compress with one. A client that does not let its window be
    /// limited is not declined: it costs the server nothing.
    pub fn answer(&self, terms: &DeflateParams) -> Option<DeflateAnswer> {
        let window = terms.server_max_window_bits.min(self.server_max_window_bits.unwrap_or(15));
        // 7.1.2.1: "A server declines an extension negotiation offer with this parameter if the server doesn't
        // support it."
        if window < 9 {
            return None;
        }
        let client = match self.client_window {
            // 7.1.2.2: without it in the offer, the answer "MUST NOT include the "client_max_window_bits"".
            ClientWindow::Fixed => None,
            ClientWindow::AtMost(most) => Some(most.min(terms.client_max_window_bits)).filter(|bits| *bits < 15),
        };
        Some(DeflateAnswer {
            server_no_context_takeover: self.server_no_context_takeover || terms.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || terms.client_no_context_takeover,
            // 7.1.2.1: the offer is accepted "by including the "server_max_window_bits" extension parameter".
            server_max_window_bits: Some(window).filter(|bits| *bits < 15 || self.server_max_window_bits.is_some()),
            client_max_window_bits: client,
        })
    }

    /// What this offer and a server's answer to it come to. `None` if the answer is none to this offer.
    pub fn params(&self, answer: &DeflateAnswer) -> Option<DeflateParams> {
        // 7.1.1.1: the server accepts the wish "by including the "server_no_context_takeover" extension parameter".
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return None;
        }
        // 7.1.2.1: "with the same or smaller value as the offer".
        let asked = self.server_max_window_bits.unwrap_or(15);
        if answer.server_max_window_bits.unwrap_or(15) > asked {
            return None;
        }
        let client_max_window_bits = match (self.client_window, answer.client_max_window_bits) {
            (ClientWindow::Fixed, Some(_)) => return None,
            (ClientWindow::Fixed, None) => 15,
            // 7.1.2.2: the value of the answer is "equal to or smaller than" that of the offer.
            (ClientWindow::AtMost(most), Some(bits)) if bits > most => return None,
            (ClientWindow::AtMost(_), Some(bits)) => bits,
            (ClientWindow::AtMost(most), None) => most,
        };
        Some(DeflateParams {
            server_no_context_takeover: answer.server_no_context_takeover,
            // 7.1.1.2: whoever offers it will not keep its window, "even if" the answer does not say so.
            client_no_context_takeover: self.client_no_context_takeover || answer.client_no_context_takeover,
            server_max_window_bits: answer.server_max_window_bits.unwrap_or(15),
            client_max_window_bits,
        })
    }
}

impl fmt::Display for DeflateOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_params(
            f,
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            None,
        )?;
        match self.client_window {
            ClientWindow::Fixed => Ok(()),
            // 7.1.2.2: without a value it says that the parameter is understood.
            ClientWindow::AtMost(15) => f.write_str("; client_max_window_bits"),
            ClientWindow::AtMost(bits) => write!(f, "; client_max_window_bits={bits}"),
        }
    }
}

/// A server's answer to an offer of permessage-deflate (RFC 7692, section 7.1). Its `Display` is the form on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeflateAnswer {
    /// The server will not keep its window from message to message.
    pub server_no_context_takeover: bool,
    /// The client must not keep its window from message to message.
    pub client_no_context_takeover: bool,
    /// The server's window, 8 to 15 bits; 15 if it is not said.
    pub server_max_window_bits: Option<u8>,
    /// The largest window that the client may use, 8 to 15 bits.
    pub client_max_window_bits: Option<u8>,
}

impl DeflateAnswer {
    /// Reads a server's answer. `None` if it is not one that RFC 7692, section 7.1 allows: the client must
    /// then fail the connection. Whether it answers an offer is for [`DeflateOffer::params`] to say.
    pub fn from_extension(extension: &Extension<'_>) -> Option<Self> {
        extension.name().eq_ignore_ascii_case(DeflateOffer::NAME).then(|| Self::read(extension, Side::Answer))?
    }

    /// The four parameters, each at most once, each with a value that is allowed.
    fn read(extension: &Extension<'_>, side: Side) -> Option<Self> {
        let mut seen = Self::default();
        for param in extension.params() {
            let repeated = match param.name() {
                "server_no_context_takeover" if param.value().is_none() => {
                    std::mem::replace(&mut seen.server_no_context_takeover, true)
                }
                "client_no_context_takeover" if param.value().is_none() => {
                    std::mem::replace(&mut seen.client_no_context_takeover, true)
                }
                "server_max_window_bits" => seen.server_max_window_bits.replace(param.window_bits()?).is_some(),
                // 7.1.2.2: in an offer the value may be left out.
                "client_max_window_bits" if param.value().is_none() && side == Side::Offer => {
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

impl fmt::Display for DeflateAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_params(
            f,
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        )
    }
}

fn write_params(
    f: &mut fmt::Formatter<'_>,
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
) -> fmt::Result {
    f.write_str(DeflateOffer::NAME)?;
    if server_no_context_takeover {
        f.write_str("; server_no_context_takeover")?;
    }
    if client_no_context_takeover {
        f.write_str("; client_no_context_takeover")?;
    }
    if let Some(bits) = server_max_window_bits {
        write!(f, "; server_max_window_bits={bits}")?;
    }
    if let Some(bits) = client_max_window_bits {
        write!(f, "; client_max_window_bits={bits}")?;
    }
    Ok(())
}

/// The parameters of permessage-deflate (RFC 7692, section 7.1): those that were agreed on, or those that a server
/// wants.
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Offer,
    Answer,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::ExtensionList;

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
            DeflateAnswer::from_extension(&extension)
        };
        assert_eq!(answer("permessage-deflate"), Some(DeflateAnswer::default()));
        assert_eq!(
            answer("permessage-deflate; server_no_context_takeover; client_max_window_bits=9"),
            Some(DeflateAnswer {
                server_no_context_takeover: true,
                client_max_window_bits: Some(9),
                ..DeflateAnswer::default()
            })
        );
        assert_eq!(answer("permessage-deflate; client_max_window_bits"), None);
        assert_eq!(answer("x-webkit-deflate-frame"), None);
    }
}
