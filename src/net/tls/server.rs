//! The server's side: certificates, and what is asked of clients.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::ring::Ticketer,
    pki_types::ServerName,
    server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};

use super::{PROTOCOL, TlsConfigError, TlsStream, TlsVersion, pem};
use crate::net::Stream;

/// How a listener speaks TLS. A clone is the same one: what [`replace`](Self::replace)s one's certificates does so for all.
///
/// ```
/// use wireroom::{ListenOptions, ServerTls};
/// # let (chain, key, renewed, renewed_key) = (
/// #     include_bytes!("../../../tests/tls/certs/server.pem"),
/// #     include_bytes!("../../../tests/tls/certs/server.key"),
/// #     include_bytes!("../../../tests/tls/certs/other.pem"),
/// #     include_bytes!("../../../tests/tls/certs/other.key"),
/// # );
/// let tls = ServerTls::from_pem(chain, key)?; // or from_pem_files("chain.pem", "key.pem")
/// let options = ListenOptions::new().tls(tls.clone());
/// // .. event_loop.listen_with(address, options, config, verify) .. and months later, from any thread:
/// tls.replace(&ServerTls::from_pem(renewed, renewed_key)?);
/// # Ok::<(), wireroom::TlsConfigError>(())
/// ```
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl ServerTls {
    /// With one certificate: its chain, its own first, and its key, from files in PEM.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or holds no certificate or key, or those of different pairs.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        Self::builder().certificate_files(chain, key).build()
    }

    /// As [`ServerTls::from_pem_files`], from what the files hold.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsConfigError> {
        Self::builder().certificate(chain, key).build()
    }

    /// Several certificates, client certificates, a minimum version.
    pub fn builder() -> ServerTlsBuilder {
        ServerTlsBuilder::default()
    }

    /// Of a configuration of rustls, for whatever it can that has no word here. Two things of it are set: without protocols
    /// it gets ALPN `http/1.1`, and early data is off.
    ///
    /// # Errors
    ///
    /// One with which rustls begins no connection.
    pub fn from_config(config: Arc<ServerConfig>) -> Result<Self, TlsConfigError> {
        let mut config = Arc::unwrap_or_clone(config);
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = vec![PROTOCOL.to_vec()];
        }
        config.max_early_data_size = 0;
        let config = Arc::new(config);
        rustls::server::UnbufferedServerConnection::new(config.clone())?;
        Ok(Self { current: Arc::new(RwLock::new(config)) })
    }

    /// From now on connections that are accepted speak as `with` does at this moment. Those that exist stay as they are.
    /// Sessions from before are not resumed: who comes back makes one full handshake.
    pub fn replace(&self, with: &ServerTls) {
        let next = with.config();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn config(&self) -> Arc<ServerConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(in crate::net) fn wrap(&self, stream: Stream) -> io::Result<Stream> {
        let tls = TlsStream::server(stream, self.config()).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(tls)))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// Whether clients show certificates.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// They are not asked to.
    #[default]
    None,
    /// They may. One that is given must lead to one of these roots, in PEM.
    Optional(Vec<u8>),
    /// They must, and it must lead to one of these roots, in PEM.
    Required(Vec<u8>),
}

/// Makes a [`ServerTls`].
#[derive(Debug)]
pub struct ServerTlsBuilder {
    certificates: Result<Vec<Arc<CertifiedKey>>, TlsConfigError>,
    clients: ClientCertificates,
    minimum: TlsVersion,
    resumption: bool,
}

impl Default for ServerTlsBuilder {
    fn default() -> Self {
        let (certificates, clients) = (Ok(Vec::new()), ClientCertificates::default());
        Self { certificates, clients, minimum: TlsVersion::Tls12, resumption: true }
    }
}

impl ServerTlsBuilder {
    /// Adds a certificate: its chain, its own first, and its key, in PEM. A client gets the first that is for the name that it
    /// asks for (SNI, RFC 6066, section 3), and the first of all if none is, or it asks for none.
    pub fn certificate(self, chain: &[u8], key: &[u8]) -> Self {
        self.add(|| pem::certified(chain, key))
    }

    /// As [`certificate`](Self::certificate), from files.
    pub fn certificate_files(self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.add(|| pem::certified(&pem::read(chain)?, &pem::read(key)?))
    }

    fn add(mut self, certificate: impl FnOnce() -> Result<Arc<CertifiedKey>, TlsConfigError>) -> Self {
        self.certificates = self.certificates.and_then(|mut certificates| {
            certificates.push(certificate()?);
            Ok(certificates)
        });
        self
    }

    /// Asks clients for certificates. Default: none.
    pub fn client_certificates(mut self, clients: ClientCertificates) -> Self {
        self.clients = clients;
        self
    }

    /// The oldest version that is spoken. Default: 1.2.
    pub fn minimum(mut self, minimum: TlsVersion) -> Self {
        self.minimum = minimum;
        self
    }

    /// Whether clients may resume sessions: by tickets, which cost no memory here. Default: true.
    pub fn resumption(mut self, resumption: bool) -> Self {
        self.resumption = resumption;
        self
    }

    /// Checks all of it.
    ///
    /// # Errors
    ///
    /// The first certificate that could not be added; none at all; roots for clients that are no certificates.
    pub fn build(self) -> Result<ServerTls, TlsConfigError> {
        let certificates = self.certificates?;
        if certificates.is_empty() {
            return Err(TlsConfigError::NoCertificate);
        }
        let provider = super::provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(super::versions(self.minimum))?;
        let verifier = |roots: &[u8], optional: bool| -> Result<_, TlsConfigError> {
            let mut store = RootCertStore::empty();
            pem::add_roots(&mut store, roots)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
            let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
            verifier.build().map_err(|error| TlsConfigError::Unusable(rustls::Error::General(error.to_string())))
        };
        let builder = match &self.clients {
            ClientCertificates::None => builder.with_no_client_auth(),
            ClientCertificates::Optional(roots) => builder.with_client_cert_verifier(verifier(roots, true)?),
            ClientCertificates::Required(roots) => builder.with_client_cert_verifier(verifier(roots, false)?),
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByName { certificates }));
        if self.resumption {
            config.ticketer = Ticketer::new()?;
        } else {
            config.send_tls13_tickets = 0;
        }
        // Without a ticket nothing is remembered, so that clients cannot fill a store.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        ServerTls::from_config(Arc::new(config))
    }
}

/// Certificates by the names that are in them. The first is the default.
#[derive(Debug)]
struct ByName {
    certificates: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let default = self.certificates.first()?;
        if self.certificates.len() == 1 {
            return Some(default.clone());
        }
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| self.certificates.iter().find(|certificate| is_for(certificate, &name)));
        Some(named.unwrap_or(default).clone())
    }
}

fn is_for(certificate: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certificate.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}
