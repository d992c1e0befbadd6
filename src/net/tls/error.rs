//! What rustls says, in our words.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::error::TlsError;

/// `begun`: records of TLS have come from this peer before.
pub(super) fn told(error: Error, begun: bool) -> TlsError {
    match error {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::NoCertificatesPresented => TlsError::NoClientCertificate,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            // RFC 5246, 7.4.1.4.1: "Clients MUST NOT offer it if they are offering TLS versions prior to 1.2."
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => TlsError::NoCommonVersion,
        Error::PeerIncompatible(fault) => TlsError::NothingInCommon(format!("{fault:?}")),
        Error::NoApplicationProtocol => TlsError::NoCommonProtocol,
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => TlsError::NoCommonProtocol,
        Error::AlertReceived(AlertDescription::ProtocolVersion) => TlsError::NoCommonVersion,
        // Behind the handshake rustls does not tell it as an error.
        Error::AlertReceived(AlertDescription::CloseNotify) => TlsError::Eof,
        Error::AlertReceived(alert) => TlsError::Alert(alert.into()),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) if !begun => TlsError::NotTls,
        Error::DecryptError | Error::PeerSentOversizedRecord => TlsError::Corrupt,
        Error::InvalidMessage(fault) => TlsError::Misbehaved(format!("{fault:?}")),
        Error::PeerMisbehaved(fault) => TlsError::Misbehaved(format!("{fault:?}")),
        error @ (Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. }) => {
            TlsError::Misbehaved(error.to_string())
        }
        error => TlsError::Other(error.to_string()),
    }
}

fn certificate(fault: CertificateError) -> TlsError {
    match fault {
        CertificateError::UnknownIssuer => TlsError::UnknownIssuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsError::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsError::NotYetValid,
        CertificateError::NotValidForNameContext { expected, presented } => {
            TlsError::WrongHost { expected: expected.to_str().into_owned(), presented }
        }
        CertificateError::NotValidForName => TlsError::WrongHost { expected: String::new(), presented: Vec::new() },
        fault => TlsError::BadCertificate(fault.to_string()),
    }
}
