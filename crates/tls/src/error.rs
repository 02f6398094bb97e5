//! Why a client cannot be made, and why a connection does not come to be.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

/// Settings that a client cannot be made with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A file of certificate authorities.
    #[error("--ca {file}: {why}; expected certificates in PEM")]
    Authority {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A proxy's address; it may hold credentials and is not shown.
    #[error("{0} is not the address of an http or https proxy, such as http://proxy.example:3128")]
    Proxy(&'static str),
    /// The TLS library refuses its own settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Why there is no connection. Nothing of the request was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address.
    #[error("the name {host} cannot be resolved: {why}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver says.
        why: String,
    },
    /// The machine is there and nothing listens.
    #[error("{host} refuses the connection: nothing listens on that port")]
    Refused {
        /// Host and port.
        host: String,
    },
    /// No TCP connection for another reason.
    #[error("no connection to {host}: {why}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// The reason.
        why: String,
    },
    /// A step took too long.
    #[error("{step} with {host} took more than {} ms", .limit.as_millis())]
    Timeout {
        /// Which step.
        step: &'static str,
        /// Host and port.
        host: String,
        /// The bound.
        limit: Duration,
    },
    /// The certificate's issuer is unknown.
    #[error(
        "the TLS certificate of {host} is not trusted: no certificate authority known here has signed it. If it is a private one, name it with --ca FILE"
    )]
    NotTrusted {
        /// Host and port.
        host: String,
    },
    /// The certificate is for other names.
    #[error("the TLS certificate of {host} is for another name; use the name that it is for")]
    WrongName {
        /// Host and port.
        host: String,
    },
    /// The certificate is outdated, or this machine's clock is wrong.
    #[error(
        "the TLS certificate of {host} is expired or not valid yet; if it should be, check this machine's clock"
    )]
    NotInTime {
        /// Host and port.
        host: String,
    },
    /// Another failure of the TLS handshake.
    #[error("no TLS with {host}: {why}")]
    Tls {
        /// Host and port.
        host: String,
        /// The reason.
        why: String,
    },
    /// The proxy does not let the connection through.
    #[error("the proxy {proxy} opens no tunnel to {host}: {why}")]
    Proxy {
        /// The proxy's address, without credentials.
        proxy: String,
        /// Host and port.
        host: String,
        /// The reason.
        why: String,
    },
    /// The way to the proxy itself failed.
    #[error("the proxy {proxy} cannot be used: {cause}")]
    ProxyUnreachable {
        /// The proxy's address, without credentials.
        proxy: String,
        /// The failed step.
        cause: Box<ConnectError>,
    },
}

impl ConnectError {
    /// Reads the failure of a TCP connection to `host`.
    pub(crate) fn tcp(host: String, error: &(dyn Error + 'static)) -> Self {
        if find::<io::Error>(error)
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        {
            return Self::Refused { host };
        }
        let mut causes = causes(error);
        // The connector's error has no public type; its first words tell the step.
        if causes
            .first()
            .is_some_and(|first| first.starts_with("dns error"))
        {
            let why = causes.split_off(1).join(": ");
            return Self::Name { host, why };
        }
        let why = causes.join(": ");
        Self::Unreachable { host, why }
    }

    /// Reads the failure of a TLS handshake with `host`, or of what was below it.
    pub(crate) fn tls(host: String, error: &(dyn Error + 'static)) -> Self {
        if let Some(below) = find::<Self>(error) {
            return below.clone();
        }
        match find::<rustls::Error>(error) {
            Some(rustls::Error::InvalidCertificate(fault)) => match fault {
                // A bad signature: an authority of the same name is known, and it is another.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    Self::NotTrusted { host }
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::WrongName { host },
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::NotInTime { host },
                other => Self::Tls {
                    host,
                    why: other.to_string(),
                },
            },
            _ => Self::Tls {
                host,
                why: causes(error).join(": "),
            },
        }
    }
}

/// The first error of this type among an error and its causes. An `io::Error` hides what it wraps from `source`, so it is looked into.
pub(crate) fn find<'a, T: Error + 'static>(mut error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    loop {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        error = match wrapped {
            Some(inner) => inner,
            None => error.source()?,
        };
    }
}

/// What an error and its causes say, without repetitions.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.dedup();
    texts
}
