//! LiteLLM in front of the same upstream, from the environment that `cargo xtask bench proxy` sets up.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::MODEL;
use crate::load;
use crate::process::Process;

/// Longest time for it to serve.
const START: Duration = Duration::from_secs(120);

/// Starts it with as many workers, and waits until it serves. What it says goes into a file in `folder`.
pub(crate) async fn start(
    program: &Path,
    folder: &Path,
    upstream: SocketAddr,
    workers: usize,
) -> io::Result<(Process, SocketAddr)> {
    let settings = folder.join("litellm.yaml");
    std::fs::write(&settings, config(upstream))?;
    // It takes no port 0; this one was free just now.
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let log = std::fs::File::create(folder.join("litellm.log"))?;
    let mut command = Command::new(program);
    command
        .arg("--config")
        .arg(&settings)
        .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
        .args(["--num_workers", &workers.to_string()])
        // It would fetch a list of prices.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOG", "ERROR")
        // Without a key it has less to do; it listens on loopback only, and for the length of the bench.
        .env(
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY",
            "true",
        )
        .stderr(Stdio::from(log));
    let mut process = Process::start(command)?;
    let start = std::time::Instant::now();
    while start.elapsed() < START && process.lives() {
        if load::ok(address, "/health/liveliness").await {
            return Ok((process, address));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(io::Error::other(format!(
        "litellm does not serve; see {}",
        folder.join("litellm.log").display()
    )))
}

/// `hosted_vllm`, because LiteLLM asks what it names `openai` in Responses, which is another translation.
fn config(upstream: SocketAddr) -> String {
    format!(
        "model_list:\n\
         \x20 - model_name: {MODEL}\n\
         \x20   litellm_params:\n\
         \x20     model: hosted_vllm/{MODEL}\n\
         \x20     api_base: http://{upstream}/v1\n\
         \x20     api_key: none\n\
         litellm_settings:\n\
         \x20 telemetry: false\n\
         \x20 drop_params: true\n"
    )
}
