//! The flags of TLS, for a server. Without the feature `tls` they are an error.

use std::{error::Error, path::PathBuf};

use lexopt::{Parser, ValueExt};
use wireroom::ListenOptions;

pub(crate) const USAGE: &str = "\
TLS, if built with `--features tls`: [--tls-cert FILE --tls-key FILE]... in PEM, chosen by the name that a client asks for;
[--tls-client-ca FILE]: clients have to show a certificate that leads there";

/// What the flags have asked for so far.
#[derive(Debug, Default)]
pub(crate) struct TlsFlags {
    certificates: Vec<PathBuf>,
    keys: Vec<PathBuf>,
    client_ca: Option<PathBuf>,
}

impl TlsFlags {
    /// Takes a flag, and its value. False: it is none of these.
    pub(crate) fn take(&mut self, name: &str, arguments: &mut Parser) -> Result<bool, Box<dyn Error>> {
        match name {
            "tls-cert" => self.certificates.push(arguments.value()?.parse()?),
            "tls-key" => self.keys.push(arguments.value()?.parse()?),
            "tls-client-ca" => self.client_ca = Some(arguments.value()?.parse()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    #[cfg(feature = "tls")]
    pub(crate) fn options(self) -> Result<ListenOptions, Box<dyn Error>> {
        use wireroom::{ClientCertificates, ServerTls};

        if self.certificates.len() != self.keys.len() {
            return Err("each --tls-cert needs its --tls-key".into());
        }
        if self.certificates.is_empty() {
            return match self.client_ca {
                Some(_) => Err("--tls-client-ca needs --tls-cert and --tls-key".into()),
                None => Ok(ListenOptions::new()),
            };
        }
        let mut tls = ServerTls::builder();
        for (certificate, key) in self.certificates.iter().zip(&self.keys) {
            tls = tls.certificate_files(certificate, key);
        }
        if let Some(file) = &self.client_ca {
            let roots = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            tls = tls.client_certificates(ClientCertificates::Required(roots));
        }
        Ok(ListenOptions::new().tls(tls.build()?))
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn options(self) -> Result<ListenOptions, Box<dyn Error>> {
        if self.certificates.is_empty() && self.keys.is_empty() && self.client_ca.is_none() {
            return Ok(ListenOptions::new());
        }
        Err("--tls-cert: built without `--features tls`".into())
    }
}
