//! What goes wrong with TLS, of one connection.

/// Why TLS came to nothing, or to its end; see [`Cause::Tls`](crate::Cause::Tls).
///
/// Where it is our side that refuses, the peer was sent the alert that RFC 8446, section 6.2 names for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate leads to none of the roots that are trusted here.
    #[error("the peer's certificate is of an unknown issuer")]
    UnknownIssuer,
    /// The peer's certificate is no longer valid.
    #[error("the peer's certificate has expired")]
    Expired,
    /// The peer's certificate is not valid yet. The clock of one side may be wrong.
    #[error("the peer's certificate is not valid yet")]
    NotYetValid,
    /// Client: the server's certificate is for other names.
    #[error("the server's certificate is not for {expected:?} but for {presented:?}")]
    WrongHost {
        /// The name that was asked for.
        expected: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// The peer's certificate has another fault, such as a signature that does not fit, or it is for another purpose.
    #[error("bad certificate: {0}")]
    BadCertificate(String),
    /// Server: the client gave no certificate, and one is required.
    #[error("the client gave no certificate")]
    NoClientCertificate,
    /// The peer speaks no version of TLS that is allowed here.
    #[error("no version of TLS in common")]
    NoCommonVersion,
    /// No cipher suite, group, or kind of signature that both sides know.
    #[error("nothing in common: {0}")]
    NothingInCommon(String),
    /// ALPN (RFC 7301): the peer speaks other protocols than `http/1.1`.
    #[error("no application protocol in common: the peer does not speak http/1.1")]
    NoCommonProtocol,
    /// The peer ended it with this alert (RFC 8446, section 6).
    #[error("the peer's alert: {name} ({0})", name = alert(*.0))]
    Alert(u8),
    /// Server: a plain HTTP request came to a port that speaks TLS. It was answered with 400.
    #[error("a plain HTTP request on a port that speaks TLS")]
    PlainHttp,
    /// What came is not TLS. As a client: the server speaks plain HTTP, perhaps.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// The peer closed the connection before the TLS handshake was over.
    #[error("the peer closed the connection during the TLS handshake")]
    Eof,
    /// The stream ended without a close_notify, and no closing handshake of the WebSocket had been seen: it may have been cut
    /// off on its way (RFC 8446, section 6.1).
    #[error("the stream was cut off: it ended without TLS's close_notify, and without a closing handshake")]
    Truncated,
    /// A record was changed on its way, or was never meant for this connection.
    #[error("a record is corrupt")]
    Corrupt,
    /// A handshake message, with the records that it came in, is longer than is kept.
    #[error("more than {limit} bytes of one handshake message")]
    HandshakeTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The peer broke the protocol in another way.
    #[error("the peer broke the protocol: {0}")]
    Misbehaved(String),
    /// Everything else, such as a certificate that the operating system cannot give.
    #[error("{0}")]
    Other(String),
}

/// RFC 8446, section 6, and of TLS 1.2 RFC 5246, section 7.2.
fn alert(code: u8) -> &'static str {
    match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown",
    }
}
