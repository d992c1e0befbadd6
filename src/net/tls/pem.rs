//! Certificates and keys, from PEM.

use std::{io, path::Path, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

/// Why a [`ServerTls`](super::ServerTls) or [`ClientTls`](super::ClientTls) could not be made: before there is any connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A file could not be read.
    #[error("{path}: {error}")]
    File {
        /// Which one.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// What should be PEM (RFC 7468) is not.
    #[error("bad PEM: {0}")]
    Pem(String),
    /// The PEM holds no certificate.
    #[error("no certificate in the PEM")]
    NoCertificate,
    /// The PEM holds no private key: PKCS #8, PKCS #1 or SEC 1, without a passphrase.
    #[error("no private key in the PEM")]
    NoKey,
    /// The key is not the certificate's.
    #[error("the private key is not that of the certificate")]
    KeyMismatch,
    /// A certificate or key that cannot be used, or a configuration that does not fit together.
    #[error("{0}")]
    Unusable(rustls::Error),
    /// Nobody is trusted: the platform has no roots, and none were given. Every handshake would fail.
    #[error("no root certificates{0}")]
    NoRoots(String),
    /// Neither a DNS name nor an IP address.
    #[error("{0:?} is no server name")]
    ServerName(String),
}

impl From<rustls::Error> for TlsConfigError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::KeyMismatch,
            error => Self::Unusable(error),
        }
    }
}

pub(super) fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, TlsConfigError> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|error| TlsConfigError::File { path: path.display().to_string(), error })
}

/// All certificates in it; at least one.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found.map_err(bad)? {
        none if none.is_empty() => Err(TlsConfigError::NoCertificate),
        found => Ok(found),
    }
}

/// The first key in it.
pub(super) fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsConfigError::NoKey,
        error => bad(error),
    })
}

/// A chain, its own certificate first, and the key of that.
pub(super) fn certified(chain: &[u8], key_text: &[u8]) -> Result<Arc<CertifiedKey>, TlsConfigError> {
    let (chain, key) = (certificates(chain)?, key(key_text)?);
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &super::provider())?))
}

/// Adds all certificates in it.
pub(super) fn add_roots(roots: &mut RootCertStore, text: &[u8]) -> Result<(), TlsConfigError> {
    for certificate in certificates(text)? {
        roots.add(certificate)?;
    }
    Ok(())
}

/// Never with what was read: it may be a key.
fn bad(error: pem::Error) -> TlsConfigError {
    TlsConfigError::Pem(match error {
        pem::Error::MissingSectionEnd { .. } => "a section without its end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a line that begins a section, and is none".to_owned(),
        pem::Error::Base64Decode(_) => "not base64".to_owned(),
        error => error.to_string(),
    })
}
