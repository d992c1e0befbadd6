//! The flags of a client for its way to the server: proxies, and TLS for `wss://`.

use std::error::Error;

use lexopt::{Parser, ValueExt};
use wireroom::{
    ConnectOptions,
    proxy::{Proxy, ProxyRules},
};

pub(crate) const USAGE: &str = "\
The way: [--proxy http://[USER:PASSWORD@]HOST:PORT | socks5://..], or [--proxy-from-env] as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY
and NO_PROXY say. wss://, if built with `--features tls`: [--ca FILE] in PEM, trusted in place of the system's;
[--cert FILE --key FILE], a certificate of the client's";

/// What the flags have asked for so far.
#[derive(Debug, Default)]
pub(crate) struct ReachFlags {
    proxy: Option<Proxy>,
    from_env: bool,
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl ReachFlags {
    /// Takes a flag, and its value if it has one. False: it is none of these.
    pub(crate) fn take(&mut self, name: &str, arguments: &mut Parser) -> Result<bool, Box<dyn Error>> {
        match name {
            "proxy" => self.proxy = Some(Proxy::from_url(&arguments.value()?.string()?)?),
            "proxy-from-env" => self.from_env = true,
            "ca" => self.ca = Some(arguments.value()?.string()?),
            "cert" => self.certificate = Some(arguments.value()?.string()?),
            "key" => self.key = Some(arguments.value()?.string()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// How to connect; `secure`: to a `wss://` URL.
    pub(crate) fn options(self, secure: bool) -> Result<ConnectOptions, Box<dyn Error>> {
        let options = match (&self.proxy, self.from_env) {
            (Some(_), true) => return Err("--proxy or --proxy-from-env, not both".into()),
            (Some(proxy), false) => ConnectOptions::new().proxy(proxy.clone()),
            (None, true) => ConnectOptions::new().proxy_rules(ProxyRules::from_env()?),
            (None, false) => ConnectOptions::new(),
        };
        if secure {
            return self.tls(options);
        }
        if self.ca.is_some() || self.certificate.is_some() || self.key.is_some() {
            return Err("--ca, --cert and --key are for wss://".into());
        }
        Ok(options)
    }

    #[cfg(feature = "tls")]
    fn tls(self, options: ConnectOptions) -> Result<ConnectOptions, Box<dyn Error>> {
        use wireroom::ClientTls;

        let read = |file: &str| std::fs::read(file).map_err(|error| format!("{file}: {error}"));
        let mut tls = ClientTls::builder();
        if let Some(file) = &self.ca {
            tls = tls.no_platform_roots().root_pem(&read(file)?);
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => tls = tls.certificate(&read(certificate)?, &read(key)?),
            (None, None) => {}
            _ => return Err("--cert and --key go together".into()),
        }
        Ok(options.tls(tls.build()?))
    }

    #[cfg(not(feature = "tls"))]
    fn tls(self, _: ConnectOptions) -> Result<ConnectOptions, Box<dyn Error>> {
        Err("wss://: built without `--features tls`".into())
    }
}
