//! Why a server was not reached, or not trusted: what the steps before the opening handshake come to.

use wireroom::{ConnectError, FailedAttempt, TlsError, proxy::ProxyError};

use crate::{
    dial::{plain_text, shown},
    failure::{Failure, Status, cut},
};

type Outcome = Result<(), Failure>;

/// Names, addresses, proxies and redirects.
pub(crate) fn of_connect(error: &ConnectError, to: &str) -> Outcome {
    let (status, sentence) = match error {
        ConnectError::Resolve { host, reason, .. } => {
            (Status::Unreachable, format!("unknown host {host}: {}", plain_text(reason)))
        }
        ConnectError::NoAddress { host } => (Status::Unreachable, format!("{host} has no address")),
        ConnectError::Unreachable { attempts } => {
            (Status::Unreachable, format!("cannot connect to {to}: {}", why(attempts)))
        }
        ConnectError::Proxy(error @ (ProxyError::AuthenticationRequired { .. } | ProxyError::WrongCredentials)) => {
            (Status::ProxyCredentials, format!("cannot connect to {to}: {error}"))
        }
        ConnectError::Proxy(error) => (Status::Proxy, format!("cannot connect to {to}: {error}")),
        ConnectError::Redirect(error) => {
            (Status::Refused, format!("the server redirects, which is not followed: {error}"))
        }
        ConnectError::TooManyRedirects { limit, location } => {
            let to = shown(location);
            let sentence = format!("the server redirects again, to {}, beyond --follow {limit}", cut(&to));
            (Status::Refused, sentence)
        }
        ConnectError::NoTls => {
            let sentence =
                "the server redirects to wss://, and the system has no root certificates: --ca FILE names some";
            (Status::Here, sentence.to_owned())
        }
        error => (Status::Unreachable, format!("cannot connect to {to}: {error}")),
    };
    Err(Failure::new(status, sentence))
}

/// One reason, if it is the same for all addresses; else each with its own.
fn why(attempts: &[FailedAttempt]) -> String {
    match attempts {
        [first, rest @ ..] if rest.iter().all(|attempt| attempt.error == first.error) => first.error.to_string(),
        all => all.iter().map(FailedAttempt::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// TLS, in the opening handshake and behind it.
pub(crate) fn of_tls(error: &TlsError, opened: bool, to: &str) -> Outcome {
    let (status, sentence) = match error {
        error if opened => (Status::Abnormal, format!("the connection broke: TLS: {error}")),
        TlsError::Eof => (Status::Unreachable, format!("{to} hung up during the TLS handshake")),
        TlsError::UnknownIssuer => {
            let hint = "name its issuer with --ca FILE if you trust it";
            (Status::Tls, format!("{to}: the server's certificate is of an unknown issuer; {hint}"))
        }
        TlsError::Expired => (Status::Tls, format!("{to}: the server's certificate has expired")),
        TlsError::NotYetValid => (Status::Tls, format!("{to}: the server's certificate is not valid yet")),
        TlsError::WrongHost { expected, presented } => {
            // The words of webpki: `DnsName("a.example")`.
            let names: Vec<_> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            let sentence = format!("{to}: the server's certificate is not for {expected} but for {}", cut(&names));
            (Status::Tls, sentence)
        }
        TlsError::NotTls => (Status::Tls, format!("{to} does not speak TLS; it may be a ws:// server")),
        error => (Status::Tls, format!("{to}: TLS: {error}")),
    };
    Err(Failure::new(status, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_names_is_told() {
        let error = TlsError::WrongHost { expected: "h".to_owned(), presented: Vec::new() };
        let sentence = of_tls(&error, false, "wss://h/").unwrap_err().sentence().to_owned();
        assert_eq!(sentence, "wss://h/: the server's certificate is not for h but for no name at all");
    }
}
