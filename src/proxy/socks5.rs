//! SOCKS5 (RFC 1928), with user and password (RFC 1929).

use std::net::IpAddr;

use super::{
    Credentials,
    error::{ProxyError, SocksReply},
};
use crate::buffer::{RecvBuffer, SendQueue};

const VERSION: u8 = 5;
/// RFC 1928, 3: methods of authentication.
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE: u8 = 0xff;
/// 4: commands.
const CONNECT: u8 = 1;
/// 5: types of addresses.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// RFC 1929, 2: the version of that negotiation.
const AUTHENTICATION_VERSION: u8 = 1;

/// The client's side, which is lock-step: each message waits for the answer to the one before.
pub(super) struct Socks5 {
    step: Step,
    credentials: Option<Credentials>,
    /// Type, address and port.
    destination: Vec<u8>,
}

/// Which answer is awaited.
#[derive(Clone, Copy)]
enum Step {
    Method,
    Authentication,
    Reply,
}

impl Socks5 {
    pub(super) fn new(
        host: &str,
        port: u16,
        credentials: Option<&Credentials>,
        queue: &mut SendQueue,
    ) -> Result<Self, ProxyError> {
        let mut destination = match host.parse() {
            Ok(IpAddr::V4(address)) => [&[IPV4][..], &address.octets()].concat(),
            Ok(IpAddr::V6(address)) => [&[IPV6][..], &address.octets()].concat(),
            Err(_) => {
                // 5: "The first octet of the address field contains the number of octets of name that follow".
                let length = u8::try_from(host.len()).ok().filter(|length| *length > 0);
                let length = length.ok_or(ProxyError::Name { length: host.len() })?;
                [&[NAME, length][..], host.as_bytes()].concat()
            }
        };
        destination.extend(port.to_be_bytes());
        match credentials {
            Some(_) => queue.append(&[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD]),
            None => queue.append(&[VERSION, 1, NO_AUTHENTICATION]),
        }
        Ok(Self { step: Step::Method, credentials: credentials.cloned(), destination })
    }

    /// True once the tunnel stands. What is unread then came through it.
    pub(super) fn poll(&mut self, rx: &mut RecvBuffer, queue: &mut SendQueue) -> Result<bool, ProxyError> {
        loop {
            let bytes = rx.unread();
            let consumed = match self.step {
                Step::Method => {
                    let Some([_, method]) = answer(bytes, "the version", VERSION)? else { return Ok(false) };
                    self.take_method(method, queue)?;
                    2
                }
                Step::Authentication => {
                    let version = "the version of the authentication";
                    let Some([_, status]) = answer(bytes, version, AUTHENTICATION_VERSION)? else { return Ok(false) };
                    // RFC 1929, 2: "A STATUS field of X'00' indicates success."
                    if status != 0 {
                        return Err(ProxyError::WrongCredentials);
                    }
                    self.connect(queue);
                    2
                }
                Step::Reply => {
                    let Some(length) = reply(bytes)? else { return Ok(false) };
                    rx.consume(length);
                    return Ok(true);
                }
            };
            rx.consume(consumed);
        }
    }

    fn take_method(&mut self, method: u8, queue: &mut SendQueue) -> Result<(), ProxyError> {
        match (method, &self.credentials) {
            (NO_AUTHENTICATION, _) => self.connect(queue),
            (USER_AND_PASSWORD, Some(Credentials { user, password })) => {
                // Neither is longer than 255 bytes: `Proxy::from_url` saw to that.
                queue.append_with(3 + user.len() + password.len(), |out| {
                    out.push(AUTHENTICATION_VERSION);
                    for field in [user, password] {
                        out.push(field.len() as u8);
                        out.extend_from_slice(field.as_bytes());
                    }
                });
                self.step = Step::Authentication;
            }
            (NO_ACCEPTABLE, _) => return Err(ProxyError::NoMethod),
            (byte, _) => return Err(ProxyError::NotSocks5 { what: "the method", byte }),
        }
        Ok(())
    }

    fn connect(&mut self, queue: &mut SendQueue) {
        queue.append(&[VERSION, CONNECT, 0]);
        queue.append(&self.destination);
        self.step = Step::Reply;
    }
}

/// The first two bytes, of which the first has to be `expected`, and shows at once when it is not.
fn answer(bytes: &[u8], what: &'static str, expected: u8) -> Result<Option<[u8; 2]>, ProxyError> {
    match *bytes {
        [byte, ..] if byte != expected => Err(ProxyError::NotSocks5 { what, byte }),
        [first, second, ..] => Ok(Some([first, second])),
        _ => Ok(None),
    }
}

/// RFC 1928, 6: the length of a reply that is here whole. The address is where the proxy connects from, which nobody asks.
fn reply(bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
    let Some([_, code]) = answer(bytes, "the version", VERSION)? else { return Ok(None) };
    if code != 0 {
        return Err(ProxyError::Socks(SocksReply::new(code)));
    }
    let address = match *bytes {
        [_, _, _, IPV4, ..] => 4,
        [_, _, _, IPV6, ..] => 16,
        [_, _, _, NAME, length, ..] => 1 + usize::from(length),
        [_, _, _, NAME] => return Ok(None),
        [_, _, _, byte, ..] => return Err(ProxyError::NotSocks5 { what: "the type of the address", byte }),
        _ => return Ok(None),
    };
    let length = 4 + address + 2;
    Ok((bytes.len() >= length).then_some(length))
}
