//! Floor 3: the opening handshake (RFC 6455, section 4), on [`crate::http`].
//!
//! ```text
//! server   ServerHandshake: Request -> verify -> Verdict -> Accepted | an HTTP answer (a refusal is one)
//! client   ClientRequest -> ClientHandshake -> Established | HandshakeError
//! ```
//!
//! [`Accepted`] and [`Established`] are proofs: they cannot be made but by a handshake that succeeded, or by
//! somebody who says that it did elsewhere. A connection begins with one of them.
//!
//! It knows HTTP and bytes, and nothing of frames. Extensions are agreed on as plain values
//! ([`Extensions`]), which the floor above maps to code. No clock, no randomness: `now` and the client's
//! nonce are passed in.

mod accept_key;
mod accepted;
mod client;
mod client_request;
mod deflate;
mod error;
mod extensions;
mod redirect;
mod requirements;
mod server;
mod verdict;

pub use accept_key::accept_key;
pub use accepted::Accepted;
pub use client::{ClientHandshake, Established};
pub use client_request::ClientRequest;
pub use deflate::{ClientWindow, DeflateAnswer, DeflateOffer, DeflateParams};
pub use error::{AcceptanceError, AnswerError, ClientRequestError, HandshakeError, Refusal, UpgradeError};
pub use extensions::{Extension, ExtensionList, Extensions, ExtensionsError, Param, Params};
pub use redirect::RedirectError;
pub use server::{Outcome, Progress, ServerHandshake};
pub use verdict::{Acceptance, Verdict};
