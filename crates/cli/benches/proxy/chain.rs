//! The chain: proxy, relay and instance, each a process of the release binary.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::MODEL;
use crate::load;
use crate::process::Process;

/// What the roles speak with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    /// A connection for each stream.
    Http1,
    /// Many streams on a connection.
    Http2,
}

pub(crate) struct Chain {
    pub(crate) instance: Process,
    pub(crate) relay: Process,
    pub(crate) proxy: Process,
    /// Where applications reach it.
    pub(crate) address: SocketAddr,
}

impl Chain {
    /// Starts the chain for so many streams in front of an upstream, and waits until it serves.
    pub(crate) async fn start(
        upstream: SocketAddr,
        streams: usize,
        between: Between,
    ) -> io::Result<Self> {
        let streams = streams.to_string();
        let http2: &[&str] = match between {
            Between::Http1 => &[],
            Between::Http2 => &["--http2"],
        };
        let instance = start(&[
            "instance",
            "--upstream",
            &format!("http://{upstream}"),
            "--model",
            MODEL,
            "--evidence",
            "none",
            "--max-streams",
            &streams,
        ])?;
        let identity = instance.said("identity ")?;
        let behind = format!("http://{}", instance.address()?);
        let relay = ["relay", "--instance", &behind, "--max-streams", &streams];
        let relay = start(&[&relay, http2].concat())?;
        let behind = format!("http://{}", relay.address()?);
        // Any port: another proxy may run here.
        let proxy = [
            "proxy",
            "--listen",
            "127.0.0.1:0",
            "--relay",
            &behind,
            "--pin",
            &identity,
            "--max-connections",
            &streams,
        ];
        let proxy = start(&[&proxy, http2].concat())?;
        let address = proxy.address()?;
        for _ in 0..200 {
            if load::ok(address, "/readyz").await {
                return Ok(Self {
                    instance,
                    relay,
                    proxy,
                    address,
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(io::Error::other(
            "the relay did not find its instance within 10 s",
        ))
    }

    /// Seconds on processors so far: proxy, relay, instance.
    pub(crate) fn cpu(&self) -> [f64; 3] {
        [&self.proxy, &self.relay, &self.instance].map(Process::cpu)
    }

    /// Resident bytes: proxy, relay, instance.
    pub(crate) fn resident(&self) -> [u64; 3] {
        [&self.proxy, &self.relay, &self.instance].map(Process::resident)
    }
}

fn start(arguments: &[&str]) -> io::Result<Process> {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_sealwire")));
    command.args(arguments);
    Process::start(command)
}
