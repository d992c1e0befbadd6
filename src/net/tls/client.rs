//! The client's side: whom it trusts, and what it shows.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    pki_types::ServerName,
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{PROTOCOL, TlsConfigError, TlsStream, TlsVersion, pem};
use crate::{
    Config,
    handshake::ClientRequest,
    net::{ConnId, EventLoop, Stream},
};

/// How a client speaks TLS. A clone shares the sessions that can be resumed: keep one for all connections, 256 servers are
/// remembered.
///
/// ```
/// use wireroom::ClientTls;
/// # let root = include_bytes!("../../../tests/tls/certs/ca.pem");
/// // Those whom the operating system trusts, and a root of one's own:
/// let tls = ClientTls::builder().root_pem(root).build();
/// // Only that:
/// let tls = ClientTls::builder().no_platform_roots().root_pem(root).build()?;
/// # Ok::<(), wireroom::TlsConfigError>(())
/// ```
///
/// Certificates are always verified. Who must not do so brings a configuration of rustls, whose words for it begin with
/// `dangerous`: [`ClientTls::from_config`].
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Trusts whom the operating system trusts. The roots are read now: on some systems from a file of 300 KB.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn new() -> Result<Self, TlsConfigError> {
        Self::builder().build()
    }

    /// Other roots, a certificate of the client's, another name.
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder::default()
    }

    /// Of a configuration of rustls, for whatever it can that has no word here. Two things of it are set: without protocols
    /// it gets ALPN `http/1.1`, and early data is off.
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        let mut config = Arc::unwrap_or_clone(config);
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = vec![PROTOCOL.to_vec()];
        }
        config.enable_early_data = false;
        Self { config: Arc::new(config), server_name: None }
    }

    /// The same, sessions included, for servers whose certificate is for `name`, whatever the URL's host is.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError::ServerName`] for what is neither a DNS name nor an IP address.
    pub fn server_name(&self, name: &str) -> Result<Self, TlsConfigError> {
        Ok(Self { config: self.config.clone(), server_name: Some(server_name(name)?) })
    }

    /// A stream to `host`, not yet begun: [`Stream::begin`].
    pub(in crate::net) fn wrap(&self, stream: Stream, host: &str, shows: Shows) -> io::Result<Stream> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        let mut config = self.config.clone();
        if shows == Shows::Nothing && config.client_auth_cert_resolver.has_certs() {
            Arc::make_mut(&mut config).client_auth_cert_resolver = Arc::new(NoCertificate);
        }
        let tls = TlsStream::client(stream, config, name).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(tls)))
    }
}

/// What of the client a server sees that asks for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Shows {
    Certificate,
    Nothing,
}

/// A session that was begun with a certificate is not resumed without: rustls compares who answers for it.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsConfigError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsConfigError::ServerName(name.to_owned()))
}

/// Makes a [`ClientTls`].
#[derive(Debug)]
pub struct ClientTlsBuilder {
    platform: bool,
    roots: Result<RootCertStore, TlsConfigError>,
    certificate: Option<Arc<CertifiedKey>>,
    server_name: Option<String>,
    minimum: TlsVersion,
    resumption: bool,
}

impl Default for ClientTlsBuilder {
    fn default() -> Self {
        Self {
            platform: true,
            roots: Ok(RootCertStore::empty()),
            certificate: None,
            server_name: None,
            minimum: TlsVersion::Tls12,
            resumption: true,
        }
    }
}

impl ClientTlsBuilder {
    /// Trusts these roots, in PEM, too.
    pub fn root_pem(mut self, roots: &[u8]) -> Self {
        self.roots = self.roots.and_then(|mut store| {
            pem::add_roots(&mut store, roots)?;
            Ok(store)
        });
        self
    }

    /// Does not trust whom the operating system trusts.
    pub fn no_platform_roots(mut self) -> Self {
        self.platform = false;
        self
    }

    /// Shows this certificate to servers that ask: its chain, its own first, and its key, in PEM.
    pub fn certificate(mut self, chain: &[u8], key: &[u8]) -> Self {
        match pem::certified(chain, key) {
            Ok(certificate) => self.certificate = Some(certificate),
            Err(error) => self.roots = self.roots.and(Err(error)),
        }
        self
    }

    /// The name that the server's certificate must be for, in place of the URL's host.
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.to_owned());
        self
    }

    /// The oldest version that is spoken. Default: 1.2.
    pub fn minimum(mut self, minimum: TlsVersion) -> Self {
        self.minimum = minimum;
        self
    }

    /// Whether sessions are resumed. Default: true.
    pub fn resumption(mut self, resumption: bool) -> Self {
        self.resumption = resumption;
        self
    }

    /// Checks all of it.
    ///
    /// # Errors
    ///
    /// The first root or certificate that could not be used; a bad name; nobody to trust.
    pub fn build(self) -> Result<ClientTls, TlsConfigError> {
        let mut roots = self.roots?;
        let mut trouble = String::new();
        if self.platform {
            let found = rustls_native_certs::load_native_certs();
            // A store has certificates of all times, some of which nobody can read any more.
            roots.add_parsable_certificates(found.certs);
            trouble = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        }
        if roots.is_empty() {
            return Err(TlsConfigError::NoRoots(trouble));
        }
        let builder = ClientConfig::builder_with_provider(super::provider())
            .with_protocol_versions(super::versions(self.minimum))?
            .with_root_certificates(roots);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let resolver: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(certificate));
                builder.with_client_cert_resolver(resolver)
            }
        };
        if !self.resumption {
            config.resumption = rustls::client::Resumption::disabled();
        }
        let mut tls = ClientTls::from_config(Arc::new(config));
        if let Some(name) = self.server_name {
            tls.server_name = Some(server_name(&name)?);
        }
        Ok(tls)
    }
}

impl EventLoop {
    /// Connects as a client, by TLS. The request's URL is a `wss://` one, and its host the name that the server's certificate
    /// must be for, unless `tls` says another. [`Event::Open`](crate::Event::Open) follows, or
    /// [`Event::Closed`](crate::Event::Closed) with the reason, within `Config::handshake_timeout`, which spans TCP, TLS and
    /// HTTP; why TLS failed is told by [`Cause::Tls`](crate::Cause::Tls).
    ///
    /// # Errors
    ///
    /// What the operating system says at once, such as an address without a route. `InvalidInput` for a `ws://` URL, and for a
    /// host that is no name.
    pub fn connect_tls(
        &mut self,
        address: SocketAddr,
        request: ClientRequest,
        tls: &ClientTls,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<ConnId> {
        let stream = mio::net::TcpStream::connect(address)?;
        self.open_tls(stream.into(), request, tls, config.into())
    }

    /// As [`EventLoop::connect_tls`], to a Unix-domain socket.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(unix)]
    pub fn connect_unix_tls(
        &mut self,
        path: impl AsRef<std::path::Path>,
        request: ClientRequest,
        tls: &ClientTls,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<ConnId> {
        let stream = mio::net::UnixStream::connect(path)?;
        self.open_tls(stream.into(), request, tls, config.into())
    }

    /// On a stream that is being connected, or is: TLS begins with `Slot::transport_ready`.
    pub(in crate::net) fn open_tls(
        &mut self,
        stream: Stream,
        request: ClientRequest,
        tls: &ClientTls,
        config: Arc<Config>,
    ) -> io::Result<ConnId> {
        if !request.is_secure() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS is for wss:// URLs"));
        }
        let stream = tls.wrap(stream, request.host(), Shows::Certificate)?;
        self.open_on(stream, request, config, None)
    }
}
