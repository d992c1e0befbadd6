//! Which proxy, if any: rules as the environment has them.

use super::{Proxy, error::ProxyUrlError, no_proxy::NoProxy};

/// Which connections take which proxy.
///
/// ```
/// use wireroom::proxy::ProxyRules;
///
/// let rules = ProxyRules::from_variables(|name| match name {
///     "https_proxy" => Some("http://proxy.example:3128".to_owned()),
///     "no_proxy" => Some("localhost,.internal.example,10.0.0.0/8".to_owned()),
///     _ => None,
/// })?;
/// assert!(rules.proxy_for(true, "chat.example", 443).is_some());
/// assert!(rules.proxy_for(true, "chat.internal.example", 443).is_none());
/// assert!(rules.proxy_for(false, "chat.example", 80).is_none()); // ws://, and there is no http_proxy
/// # Ok::<(), wireroom::proxy::ProxyUrlError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyRules {
    plain: Option<Proxy>,
    secure: Option<Proxy>,
    no_proxy: NoProxy,
}

impl ProxyRules {
    /// Rules under which nothing takes a proxy.
    pub fn none() -> Self {
        Self::default()
    }

    /// As the process's environment has them now; see [`ProxyRules::from_variables`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_env() -> Result<Self, ProxyUrlError> {
        // What is no text is no URL either: the error says so, where nothing would be a connection without the proxy.
        Self::from_variables(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// From variables by their names, those in lower case first:
    ///
    /// | variable | for |
    /// |---|---|
    /// | `http_proxy`, `HTTP_PROXY` | `ws://` |
    /// | `https_proxy`, `HTTPS_PROXY` | `wss://` |
    /// | `all_proxy`, `ALL_PROXY` | what the two above leave out |
    /// | `no_proxy`, `NO_PROXY` | exceptions, between commas or spaces, at most 1,024 |
    ///
    /// A variable that is empty counts as not set. A proxy without `://` is an HTTP proxy. `HTTP_PROXY` in upper case is passed
    /// over where `REQUEST_METHOD` is set: in a CGI program it is a header of the request.
    ///
    /// An exception is `*`, a name (and all below it), a name behind a dot or `*.` (what is below it only), an address, or a
    /// network such as `10.0.0.0/8`; `:port` behind it makes it one of that port. Names are compared as they are written: a
    /// network is no exception for a name whose address lies in it.
    ///
    /// # Errors
    ///
    /// Which variable is wrong, and how.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyUrlError> {
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let first = |names: [&'static str; 2]| {
            let names = names.into_iter().filter(|name| !(is_cgi && *name == "HTTP_PROXY"));
            let mut set = names.filter_map(|name| Some((name, variable(name)?)));
            set.find(|(_, value)| !value.is_empty())
        };
        let proxy = |names| {
            let Some((name, value)) = first(names) else { return Ok(None) };
            let url = if value.contains("://") { value } else { format!("http://{value}") };
            Proxy::from_url(&url).map(Some).map_err(|error| in_variable(name, error))
        };
        let plain = proxy(["http_proxy", "HTTP_PROXY"])?;
        let secure = proxy(["https_proxy", "HTTPS_PROXY"])?;
        let all = proxy(["all_proxy", "ALL_PROXY"])?;
        let no_proxy = match first(["no_proxy", "NO_PROXY"]) {
            Some((name, list)) => NoProxy::new(&list).map_err(|error| in_variable(name, error))?,
            None => NoProxy::default(),
        };
        Ok(Self { plain: plain.or_else(|| all.clone()), secure: secure.or(all), no_proxy })
    }

    /// The proxy on the way to this host, if one is to be taken. `secure`: for `wss://`. `host` is a name or an address, of IPv6
    /// without brackets.
    pub fn proxy_for(&self, secure: bool, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = if secure { &self.secure } else { &self.plain };
        proxy.as_ref().filter(|_| !self.no_proxy.has(host, port))
    }
}

fn in_variable(name: &'static str, error: ProxyUrlError) -> ProxyUrlError {
    ProxyUrlError::Variable { name, error: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(set: &[(&str, &str)]) -> Result<ProxyRules, ProxyUrlError> {
        ProxyRules::from_variables(|name| {
            set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn plain_and_secure(set: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let rules = rules(set).unwrap();
        let host = |secure| rules.proxy_for(secure, "h", 80).map(|proxy| proxy.host().to_owned());
        (host(false), host(true))
    }

    fn both(plain: Option<&str>, secure: Option<&str>) -> (Option<String>, Option<String>) {
        (plain.map(str::to_owned), secure.map(str::to_owned))
    }

    #[test]
    fn each_variable_is_for_its_scheme() {
        assert_eq!(plain_and_secure(&[]), both(None, None));
        assert_eq!(plain_and_secure(&[("HTTP_PROXY", "http://a")]), both(Some("a"), None));
        assert_eq!(plain_and_secure(&[("HTTPS_PROXY", "http://a")]), both(None, Some("a")));
        assert_eq!(plain_and_secure(&[("ALL_PROXY", "socks5://a")]), both(Some("a"), Some("a")));
        let set = [("ALL_PROXY", "socks5://a"), ("https_proxy", "b:3128")];
        assert_eq!(plain_and_secure(&set), both(Some("a"), Some("b")));
        // Lower case first; what is empty is not set.
        let set = [("http_proxy", "a"), ("HTTP_PROXY", "b"), ("https_proxy", ""), ("HTTPS_PROXY", "c")];
        assert_eq!(plain_and_secure(&set), both(Some("a"), Some("c")));
    }

    #[test]
    fn a_cgi_program_does_not_take_its_proxy_from_a_request() {
        let set = [("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "GET")];
        assert_eq!(plain_and_secure(&set), both(None, None));
        let set = [("http_proxy", "a"), ("HTTPS_PROXY", "b"), ("REQUEST_METHOD", "")];
        assert_eq!(plain_and_secure(&set), both(Some("a"), Some("b")));
    }

    #[test]
    fn exceptions_are_made_and_mistakes_told_without_passwords() {
        let set = [("ALL_PROXY", "a"), ("no_proxy", "h:80")];
        assert_eq!(plain_and_secure(&set), both(None, None));
        assert!(rules(&set).unwrap().proxy_for(true, "h", 443).is_some());
        let error = rules(&[("ALL_PROXY", "http://mallory:sesame@h:x")]).unwrap_err();
        assert_eq!(error.to_string(), "ALL_PROXY: invalid port in a proxy's URL");
        assert!(!format!("{error:?}").contains("sesame"));
        let error = rules(&[("NO_PROXY", "10.0.0.0/99")]).unwrap_err();
        assert_eq!(error.to_string(), "NO_PROXY: not a name, address or network: \"10.0.0.0/99\"");
    }
}
