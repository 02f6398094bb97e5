//! Another implementation, as a program that speaks the adapter protocol (spec/conformance.md section 3).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::implementation::{About, Answer, Implementation};

/// Version of the adapter protocol.
pub const PROTOCOL: u64 = 1;
/// Longest line that an adapter may send.
const MAX_LINE: u64 = 64 << 20;

/// Why an adapter cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The command line is empty or has an open quote.
    #[error("the adapter's command line cannot be read: {0:?}")]
    CommandLine(String),
    /// It does not start.
    #[error("{program} does not start: {source}")]
    Start {
        /// Which program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It does not answer as the protocol says.
    #[error("the adapter does not speak the protocol: {0}")]
    Protocol(String),
}

/// A running adapter.
pub struct Adapter {
    about: About,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    timeout: Duration,
}

impl Adapter {
    /// Starts `command_line`, which is split like a shell's words but not run by a shell, and asks who it is.
    ///
    /// # Errors
    /// [`AdapterError`].
    pub fn start(command_line: &str, timeout: Duration) -> Result<Self, AdapterError> {
        let words = shlex::split(command_line).unwrap_or_default();
        let Some((program, arguments)) = words.split_first() else {
            return Err(AdapterError::CommandLine(command_line.to_owned()));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| AdapterError::Start {
                program: program.clone(),
                source,
            })?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut output = BufReader::new(output);
                loop {
                    let mut line = Vec::new();
                    let mut bounded = std::io::Read::take(&mut output, MAX_LINE);
                    match bounded.read_until(b'\n', &mut line) {
                        Ok(0) | Err(_) => return,
                        Ok(_) => {}
                    }
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let mut adapter = Self {
            about: About::default(),
            input: child.stdin.take(),
            child,
            lines,
            timeout,
        };
        let hello = adapter
            .ask(&json!({"op": "hello", "protocol": PROTOCOL}), timeout)
            .map_err(AdapterError::Protocol)?;
        let texts = |name: &str| -> Option<Vec<String>> {
            let list = hello.get(name)?.as_array()?.iter();
            list.map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let text = |name: &str| hello.get(name).and_then(Value::as_str).map(str::to_owned);
        let missing =
            |what: &str| AdapterError::Protocol(format!("no {what} in the answer to hello"));
        adapter.about = About {
            name: text("name").ok_or_else(|| missing("name"))?,
            version: text("version").ok_or_else(|| missing("version"))?,
            kinds: texts("kinds").ok_or_else(|| missing("list kinds"))?,
            capabilities: texts("capabilities").ok_or_else(|| missing("list capabilities"))?,
            accumulate: hello
                .get("accumulate")
                .and_then(Value::as_u64)
                .map(|rounds| u32::try_from(rounds).unwrap_or(u32::MAX)),
        };
        Ok(adapter)
    }

    /// One line there, one line back.
    fn ask(&mut self, question: &Value, timeout: Duration) -> Result<Value, String> {
        let input = self.input.as_mut().ok_or("the adapter has ended")?;
        let line = format!("{question}\n");
        let sent = input
            .write_all(line.as_bytes())
            .and_then(|()| input.flush());
        let answer = match self.lines.recv_timeout(timeout) {
            Ok(line) => serde_json::from_str(&line)
                .map_err(|error| format!("a line that is no JSON ({error}): {}", start(&line))),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("no answer within {} s", timeout.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.input = None;
                Err(match self.ended() {
                    Some(status) => format!("the adapter has ended: {status}"),
                    None => "the adapter has closed its output".to_owned(),
                })
            }
        };
        let answer = match sent {
            Err(error) if answer.is_ok() => {
                Err(format!("the adapter takes no more lines: {error}"))
            }
            _ => answer,
        };
        if answer.is_err() {
            // Lines and questions may be out of step from here on.
            self.input = None;
            let _ = self.child.kill();
        }
        answer
    }

    /// The exit status of a program whose input has ended, if it takes the hint within a second.
    fn ended(&mut self) -> Option<ExitStatus> {
        for _ in 0..50 {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => return None,
            }
        }
        None
    }

    fn answer(&mut self, case: &Case) -> Result<Answer, String> {
        let mut question = json!({"op": "run", "id": case.id, "kind": case.kind});
        for member in ["params", "coins", "in"] {
            question[member] = match &case.json[member] {
                Value::Null => json!({}),
                value => value.clone(),
            };
        }
        let answer = self.ask(&question, self.timeout)?;
        if answer["id"].as_str() != Some(&case.id) {
            self.input = None;
            return Err(format!("an answer to {} instead", answer["id"]));
        }
        if let Some(capability) = answer["skip"].as_str() {
            return Ok(Answer::Skip(capability.to_owned()));
        }
        if let Some(why) = answer["fault"].as_str() {
            return Ok(Answer::Fault(why.to_owned()));
        }
        let members = |name: &str| answer[name].as_object().cloned();
        Ok(Answer::Result {
            expect: members("expect").ok_or("neither expect, skip nor fault in the answer")?,
            mid: members("mid").unwrap_or_else(Map::new),
        })
    }
}

/// The beginning of a line, for messages.
fn start(line: &str) -> String {
    line.chars().take(120).collect()
}

impl Implementation for Adapter {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&mut self, case: &Case) -> Answer {
        self.answer(case).unwrap_or_else(Answer::Fault)
    }

    fn accumulate(&mut self, rounds: u32) -> Result<BTreeMap<u32, String>, String> {
        // Slow implementations need about a tenth of a second a round.
        let timeout = self
            .timeout
            .saturating_add(Duration::from_millis(200) * rounds);
        let answer = self.ask(&json!({"op": "accumulate", "rounds": rounds}), timeout)?;
        let digests = answer["digests"]
            .as_object()
            .ok_or_else(|| format!("no digests in {}", start(&answer.to_string())))?;
        digests
            .iter()
            .map(|(rounds, digest)| {
                let digest = digest.as_str().ok_or("a digest is a text")?.to_owned();
                let rounds = rounds.parse().map_err(|_| "rounds are a number")?;
                Ok((rounds, digest))
            })
            .collect()
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // Its input ends, so it does; one that does not is stopped.
        self.input = None;
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
