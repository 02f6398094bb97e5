//! LiteLLM in front of the same upstream, from the environment that `cargo xtask bench proxy` sets up.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::MODEL;
use crate::load;
use crate::process::Process;

/// Longest time for it to serve.
const START: Duration = Duration::from_secs(180);

/// LiteLLM with its workers. Each is a process with a port of its own: its own supervisor gives workers up that take more than 5 s to start.
pub(crate) struct LiteLlm {
    workers: Vec<(Process, SocketAddr)>,
}

impl LiteLlm {
    /// Starts it with as many workers, and waits until they serve. What they say goes into files in `folder`.
    pub(crate) async fn start(
        program: &Path,
        folder: &Path,
        upstream: SocketAddr,
        workers: usize,
    ) -> io::Result<Self> {
        let settings = folder.join("litellm.yaml");
        std::fs::write(&settings, config(upstream))?;
        let mut all = Vec::new();
        for number in 0..workers {
            let log = folder.join(format!("litellm-{number}.log"));
            all.push(worker(program, &settings, &log)?);
        }
        let start = Instant::now();
        for (process, address) in &mut all {
            while !load::ok(*address, "/health/liveliness").await {
                if start.elapsed() > START || !process.lives() {
                    let folder = folder.display();
                    let why = format!("litellm does not serve; see litellm-*.log in {folder}");
                    return Err(io::Error::other(why));
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(Self { workers: all })
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.workers.iter().map(|(_, address)| *address).collect()
    }

    /// Seconds on processors so far.
    pub(crate) fn cpu(&self) -> f64 {
        self.workers.iter().map(|(process, _)| process.cpu()).sum()
    }
}

fn worker(program: &Path, settings: &Path, log: &Path) -> io::Result<(Process, SocketAddr)> {
    // It takes no port 0; this one was free just now.
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let mut command = Command::new(program);
    command
        .arg("--config")
        .arg(settings)
        .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
        // It would fetch a list of prices.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOG", "ERROR")
        // Without a key it has less to do; it listens on loopback only, and for the length of the bench.
        .env(
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY",
            "true",
        )
        .stderr(Stdio::from(std::fs::File::create(log)?));
    Ok((Process::start(command)?, address))
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
