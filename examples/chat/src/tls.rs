//! `--tls`: what the port speaks below HTTP.

use std::error::Error;

use wireroom::ListenOptions;

use crate::options::Options;

/// The scheme of our own addresses, and the port that it leaves out (RFC 6454, section 4).
pub(crate) fn scheme(options: &Options) -> (&'static str, u16) {
    if options.speaks_tls() { ("https", 443) } else { ("http", 80) }
}

#[cfg(not(feature = "tls"))]
pub(crate) fn listen_options(options: &Options) -> Result<ListenOptions, Box<dyn Error>> {
    if options.speaks_tls() {
        return Err("this program was built without TLS: build it with --features tls".into());
    }
    Ok(ListenOptions::new())
}

#[cfg(feature = "tls")]
pub(crate) fn listen_options(options: &Options) -> Result<ListenOptions, Box<dyn Error>> {
    use wireroom::ServerTls;

    if !options.speaks_tls() {
        return Ok(ListenOptions::new());
    }
    let tls = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => ServerTls::from_pem_files(cert, key)?,
        (None, None) => self_made(options)?,
        _ => return Err("--cert and --key go together".into()),
    };
    Ok(ListenOptions::new().tls(tls))
}

/// A certificate for this run alone. Nobody trusts it: its fingerprint is printed, to be compared with what a browser shows.
#[cfg(feature = "tls")]
fn self_made(options: &Options) -> Result<wireroom::ServerTls, Box<dyn Error>> {
    let names = vec!["localhost".to_owned(), options.listen.ip().to_string()];
    let made = rcgen::generate_simple_self_signed(names)?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    log::info!("a certificate of our own, SHA-256 {}", fingerprint(made.cert.der()));
    Ok(wireroom::ServerTls::from_pem(certificate.as_bytes(), key.as_bytes())?)
}

#[cfg(feature = "tls")]
fn fingerprint(certificate: &[u8]) -> String {
    use wireroom::rustls::{SupportedCipherSuite, crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256};

    let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else { return String::new() };
    let digits = crate::hex(suite.common.hash_provider.hash(certificate).as_ref()).to_uppercase();
    digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect::<Vec<_>>().join(":")
}
