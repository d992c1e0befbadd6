//! TLS as a client: whom we trust, and what we show.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
};
use wireroom::ClientTls;

use crate::{dial::plain, failure::Failure};

#[derive(Args, Clone, Debug)]
pub(crate) struct TlsOptions {
    /// wss: trust the roots in this file (PEM) beside those of the system; may be given several times.
    #[arg(long = "ca", value_name = "FILE")]
    roots: Vec<PathBuf>,
    /// wss: show this certificate, with its chain (PEM), to servers that ask for one.
    #[arg(long = "cert", value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// wss: the certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// wss: the name that the server's certificate has to be for, in place of the URL's host.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// wss: do not verify the server's certificate. Whoever is on the way can read and change everything.
    #[arg(short = 'k', long, conflicts_with = "roots")]
    insecure: bool,
}

/// How a client speaks TLS here.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(crate) config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl TlsOptions {
    /// What a `wss://` URL needs.
    pub(crate) fn trust(&self) -> Result<Trust, Failure> {
        let no_roots = || Failure::here("the system has no root certificates to trust: --ca FILE names some");
        self.trust_if_possible()?.ok_or_else(no_roots)
    }

    /// `None` where there is nobody to trust.
    pub(crate) fn trust_if_possible(&self) -> Result<Option<Trust>, Failure> {
        let name = self.server_name.as_deref().map(server_name).transpose()?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(Failure::here)?;
        let builder = if self.insecure {
            // Where standard error is closed nobody wants to know.
            let _ = io::stderr().write_all(
                b"wireroom: warning: --insecure: the server may be anybody, its certificate is not verified\n",
            );
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else {
            let roots = self.roots()?;
            if roots.is_empty() {
                return Ok(None);
            }
            builder.with_root_certificates(roots)
        };
        let mut config = match (&self.certificate, &self.key) {
            (Some(chain_file), Some(key_file)) => {
                let chain = certificates("--cert", chain_file)?;
                let key = PrivateKeyDer::from_pem_slice(&read("--key", key_file)?)
                    .map_err(|error| bad_pem("--key", key_file, &error, "private key"))?;
                let unusable = |error| Failure::here(format_args!("--cert {}: {error}", chain_file.display()));
                builder.with_client_auth_cert(chain, key).map_err(unusable)?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Trust { config: Arc::new(config), name }))
    }

    /// Those of the system, and those that are named.
    fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        // A system's store has certificates that nobody can read any more, and may be missing.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for file in &self.roots {
            for certificate in certificates("--ca", file)? {
                roots
                    .add(certificate)
                    .map_err(|error| Failure::here(format_args!("--ca {}: {error}", file.display())))?;
            }
        }
        Ok(roots)
    }
}

impl Trust {
    /// For the event loop.
    pub(crate) fn client(&self) -> Result<ClientTls, Failure> {
        let tls = ClientTls::from_config(self.config.clone());
        match &self.name {
            Some(name) => tls.server_name(&name.to_str()).map_err(Failure::usage),
            None => Ok(tls),
        }
    }

    /// For whom the certificate of this host has to be.
    pub(crate) fn name_of(&self, host: &str) -> Result<ServerName<'static>, Failure> {
        self.name.clone().map_or_else(|| server_name(host), Ok)
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| Failure::usage(format_args!("{name:?} is neither a DNS name nor an address")))
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure::here(format_args!("{option} {}: {}", file.display(), plain(&error))))
}

fn certificates(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(option, file)?).collect();
    let found = found.and_then(|found| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) });
    found.map_err(|error| bad_pem(option, file, &error, "certificate"))
}

/// Never with what was read: it may be a key.
fn bad_pem(option: &str, file: &Path, error: &pem::Error, what: &str) -> Failure {
    let file = file.display();
    match error {
        pem::Error::NoItemsFound => Failure::here(format_args!("{option} {file}: there is no {what} in PEM")),
        _ => Failure::here(format_args!("{option} {file}: not PEM as it should be")),
    }
}

/// `--insecure`: who holds the key of the certificate that was shown is who it claims to be.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
