//! Evidence from a command: the hash goes in as an argument and in the environment, JSON comes out.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use sealwire_attest::GpuEvidence;
use sealwire_http::evidence::MAX_EVIDENCE_BYTES;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::encoding::hex;
use super::{EvidenceError, GpuProvider, Making, Quote, QuoteProvider, file};

/// The environment variable that holds the report data.
const REPORT_DATA: &str = "SEALWIRE_REPORT_DATA";
/// The environment variable that holds the GPU nonce.
const GPU_NONCE: &str = "SEALWIRE_GPU_NONCE";

/// A program with its arguments; one more, the hash in hexadecimal, is put behind them.
#[derive(Debug, Clone)]
struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    time: Duration,
}

impl Program {
    /// Runs it to its end. It is killed if it takes too long, writes too much, or nobody waits any more.
    async fn run(&self, variable: &str, value: &str) -> Result<Vec<u8>, EvidenceError> {
        let start = |error| EvidenceError::CommandStart(self.path.clone(), error);
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .arg(value)
            .env(variable, value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Its complaints go where the instance's go.
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let Some(out) = child.stdout.take() else {
            return Err(EvidenceError::GivenUp);
        };
        let exchange = async {
            let mut bytes = Vec::new();
            let limit = u64::try_from(MAX_EVIDENCE_BYTES).unwrap_or(u64::MAX);
            out.take(limit.saturating_add(1))
                .read_to_end(&mut bytes)
                .await
                .map_err(start)?;
            if bytes.len() > MAX_EVIDENCE_BYTES {
                return Err(EvidenceError::CommandOutput(
                    self.path.clone(),
                    MAX_EVIDENCE_BYTES,
                ));
            }
            let status = child.wait().await.map_err(start)?;
            if !status.success() {
                return Err(EvidenceError::CommandFailed(self.path.clone(), status));
            }
            Ok(bytes)
        };
        timeout(self.time, exchange)
            .await
            .unwrap_or(Err(EvidenceError::Time(self.time)))
    }
}

/// Quotes from a command: it gets the report data as 128 hexadecimal digits, and writes an object with `tee`, `quote`, and maybe `certificates` and
/// `collateral`, in the shape of the evidence document.
#[derive(Debug, Clone)]
pub struct QuoteCommand(Program);

impl QuoteCommand {
    /// A program, its arguments, and the longest time for a run.
    #[must_use]
    pub const fn new(path: PathBuf, arguments: Vec<String>, time: Duration) -> Self {
        Self(Program {
            path,
            arguments,
            time,
        })
    }
}

impl QuoteProvider for QuoteCommand {
    fn quote(&self, report_data: [u8; 64]) -> Making<'_, Quote> {
        Box::pin(async move {
            let json = self.0.run(REPORT_DATA, &hex(&report_data)).await?;
            let (quote, gpus) = file::parse(&json, &self.0.path)?;
            if !gpus.is_empty() {
                // It would have to be in the statement, whose hash is in the report data already.
                return Err(EvidenceError::Content(
                    self.0.path.clone(),
                    "GPU evidence is made before the quote; give its command with --gpu-evidence"
                        .to_owned(),
                ));
            }
            Ok(quote)
        })
    }
}

/// GPU evidence from a command: it gets the nonce as 64 hexadecimal digits, and writes an object with `gpus` in the shape of the evidence document.
#[derive(Debug, Clone)]
pub struct GpuCommand(Program);

impl GpuCommand {
    /// A program, its arguments, and the longest time for a run.
    #[must_use]
    pub const fn new(path: PathBuf, arguments: Vec<String>, time: Duration) -> Self {
        Self(Program {
            path,
            arguments,
            time,
        })
    }
}

impl GpuProvider for GpuCommand {
    fn gpus(&self, nonce: [u8; 32]) -> Making<'_, Vec<GpuEvidence>> {
        Box::pin(async move {
            let json = self.0.run(GPU_NONCE, &hex(&nonce)).await?;
            file::parse_gpus(&json, &self.0.path)
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(20);

    fn shell(script: &str, time: Duration) -> QuoteCommand {
        let arguments = vec!["-c".to_owned(), script.to_owned(), "sh".to_owned()];
        QuoteCommand::new(PathBuf::from("/bin/sh"), arguments, time)
    }

    #[tokio::test]
    async fn report_data_goes_in_twice_and_json_comes_out() {
        let script = r#"[ "$1" = "$SEALWIRE_REPORT_DATA" ] && [ ${#1} = 128 ] && echo '{"tee":"tdx","quote":"AQI=","certificates":["/w=="],"collateral":{"a":1}}'"#;
        let quote = shell(script, TIME)
            .quote([0xab; 64])
            .await
            .expect("a quote");
        assert_eq!(
            (quote.tee, quote.quote),
            (sealwire_attest::TeeKind::Tdx, vec![1, 2])
        );
        assert_eq!(quote.certificates, [[0xff]]);
        assert_eq!(quote.collateral, Some(serde_json::json!({"a": 1})));
    }

    #[tokio::test]
    async fn gpu_evidence_for_the_nonce() {
        let script = r#"[ "$1" = "$SEALWIRE_GPU_NONCE" ] && [ ${#1} = 64 ] && echo '{"gpus":[{"certificate":"","evidence":"AQ==","arch":"HOPPER"}]}'"#;
        let arguments = vec!["-c".to_owned(), script.to_owned(), "sh".to_owned()];
        let command = GpuCommand::new(PathBuf::from("/bin/sh"), arguments, TIME);
        let gpus = command.gpus([7; 32]).await.expect("one");
        assert_eq!((gpus.len(), gpus[0].arch.as_str()), (1, "HOPPER"));
    }

    #[tokio::test]
    async fn each_fault_has_its_error() {
        type Check = fn(&EvidenceError) -> bool;
        let cases: [(&str, Check); 6] = [
            (
                "exit 3",
                |error| matches!(error, EvidenceError::CommandFailed(_, status) if status.code() == Some(3)),
            ),
            ("echo '<html>'", |error| {
                matches!(error, EvidenceError::Content(..))
            }),
            (
                r#"echo '{"tee":"sgx","quote":""}'"#,
                |error| matches!(error, EvidenceError::Content(_, why) if why.contains("sev-snp")),
            ),
            (
                r#"echo '{"tee":"tdx","quote":"","gpus":[{"certificate":"","evidence":"","arch":""}]}'"#,
                |error| matches!(error, EvidenceError::Content(_, why) if why.contains("--gpu-evidence")),
            ),
            (
                r#"echo '{"tee":"none","quote":""}'"#,
                |error| matches!(error, EvidenceError::Content(_, why) if why.contains("--evidence none")),
            ),
            ("exec yes", |error| {
                matches!(error, EvidenceError::CommandOutput(_, MAX_EVIDENCE_BYTES))
            }),
        ];
        for (script, expected) in cases {
            let error = shell(script, TIME).quote([0; 64]).await.expect_err(script);
            assert!(expected(&error), "{script}: {error}");
        }
        let absent = QuoteCommand::new(PathBuf::from("/nonexistent"), Vec::new(), TIME);
        let error = absent.quote([0; 64]).await.expect_err("no such program");
        assert!(matches!(error, EvidenceError::CommandStart(..)), "{error}");
    }

    /// A command that has started says so in `path` with its process number, then sleeps.
    fn sleeper(path: &std::path::Path, time: Duration) -> QuoteCommand {
        let script = format!(
            "echo $$ > {0}.new && mv {0}.new {0} && exec sleep 600",
            path.display()
        );
        shell(&script, time)
    }

    async fn pid(path: &std::path::Path) -> String {
        loop {
            if let Ok(text) = std::fs::read_to_string(path) {
                return text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn is_gone(pid: &str) {
        // Killed and waited for: signal 0 finds nobody. The runtime reaps it in its own time.
        while std::process::Command::new("/bin/sh")
            .args(["-c", &format!("kill -0 {pid} 2>/dev/null")])
            .status()
            .expect("a shell")
            .success()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_silent_command_is_killed_in_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let error = sleeper(&path, Duration::from_millis(1_500))
            .quote([0; 64])
            .await
            .expect_err("too long");
        assert!(matches!(error, EvidenceError::Time(_)), "{error}");
        is_gone(&pid(&path).await).await;
    }

    #[tokio::test]
    async fn a_command_that_nobody_waits_for_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let command = sleeper(&path, TIME);
        let task = tokio::spawn(async move { command.quote([0; 64]).await });
        let pid = pid(&path).await;
        task.abort();
        is_gone(&pid).await;
    }
}
