//! What every server binary does alike: reads secrets from arguments, says where it listens, waits for the signal to stop.

use std::io::Write;
use std::net::SocketAddr;

/// Reads a secret from an argument: `@FILE` names a file that holds it, anything else is the secret itself.
///
/// # Errors
///
/// One sentence for the user, without the secret.
pub fn secret_argument(text: &str) -> Result<String, String> {
    let secret = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {path}: {error}"))?
            .trim()
            .to_owned(),
        None => text.to_owned(),
    };
    if secret.is_empty() || !secret.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err("a key is printable ASCII without blanks".to_owned());
    }
    Ok(secret)
}

/// Prints a line and makes sure that it is seen at once. A closed stdout is no reason to stop.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
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
