//! What every server binary does alike: reads secrets from arguments, says where it listens, waits for the signal to stop.

use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::str::FromStr;

/// A secret on the command line: `@FILE` names a file that holds it, anything else is the secret itself. It has no `Display`, and `Debug` hides it.
#[derive(Clone)]
pub struct SecretArgument(String);

/// The argument gives no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the key file {0}: {1}")]
    File(String, std::io::Error),
    /// Empty, or with blanks or characters that a header field cannot carry.
    #[error("a key is printable ASCII without blanks")]
    Content,
}

impl FromStr for SecretArgument {
    type Err = Infallible;

    // It never fails: whoever parses arguments prints what it refuses.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for SecretArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretArgument")
    }
}

impl SecretArgument {
    /// The secret.
    ///
    /// # Errors
    ///
    /// [`SecretError`], without the secret.
    pub fn read(&self) -> Result<String, SecretError> {
        let secret = match self.0.strip_prefix('@') {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| SecretError::File(path.to_owned(), error))?
                .trim()
                .to_owned(),
            None => self.0.clone(),
        };
        if secret.is_empty() || !secret.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
            return Err(SecretError::Content);
        }
        Ok(secret)
    }
}

/// Prints a line and makes sure that it is seen at once. A closed stdout is no reason to stop.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Prints a line for the operator on stderr. A closed stderr is no reason to stop.
pub fn warn(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "sealwire: {line}");
}

/// Prints `listening http://ADDR`.
pub fn announce(address: SocketAddr) {
    say(&format!("listening http://{address}"));
}

/// Completes at Ctrl-C, and on Unix also at SIGTERM.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
