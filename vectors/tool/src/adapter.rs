//! Another implementation, as a program that speaks the adapter protocol (spec/conformance.md section 3).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::implementation::{About, Answer, Implementation};

/// Version of the adapter protocol.
pub const PROTOCOL: u64 = 1;
/// Longest line that an adapter may send.
const MAX_LINE: u64 = 64 << 20;
/// How often an adapter that fails is started again, so that one case that it dies of is one failure.
const RESTARTS: u32 = 10;

fn hello() -> Value {
    json!({"op": "hello", "protocol": PROTOCOL})
}

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
    words: Vec<String>,
    running: Option<Running>,
    /// How often it may still be started again.
    restarts: u32,
    timeout: Duration,
}

/// The program, and threads that keep a full pipe from holding the host up.
struct Running {
    child: Child,
    questions: Option<Sender<String>>,
    lines: Receiver<String>,
}

impl Adapter {
    /// Starts `command_line`, which is split like a shell's words but not run by a shell, and asks who it is.
    ///
    /// # Errors
    /// [`AdapterError`].
    pub fn start(command_line: &str, timeout: Duration) -> Result<Self, AdapterError> {
        let words = shlex::split(command_line).unwrap_or_default();
        if words.is_empty() {
            return Err(AdapterError::CommandLine(command_line.to_owned()));
        }
        let mut adapter = Self {
            about: About::default(),
            running: Some(Running::start(&words)?),
            words,
            restarts: RESTARTS,
            timeout,
        };
        let hello = adapter
            .ask(&hello(), timeout)
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

    /// One line there, one line back. A program that fails at that is stopped: lines and questions could be out of step.
    fn ask(&mut self, question: &Value, timeout: Duration) -> Result<Value, String> {
        let running = self.running.as_mut().ok_or("the adapter has ended")?;
        let answer = running.ask(question, timeout);
        if answer.is_err() {
            self.running = None;
        }
        answer
    }

    /// Starts a program that was stopped, a few times.
    fn revive(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        if self.restarts == 0 {
            return Err(format!("the adapter has ended {} times", RESTARTS + 1));
        }
        self.restarts -= 1;
        self.running = Some(Running::start(&self.words).map_err(|error| error.to_string())?);
        let timeout = self.timeout;
        self.ask(&hello(), timeout).map(drop)
    }

    fn answer(&mut self, case: &Case) -> Result<Answer, String> {
        let mut question = json!({"op": "run", "id": case.id, "kind": case.kind});
        for member in ["params", "coins", "in"] {
            question[member] = match &case.json[member] {
                Value::Null => json!({}),
                value => value.clone(),
            };
        }
        self.revive()?;
        let answer = self.ask(&question, self.timeout)?;
        if answer["id"].as_str() != Some(&case.id) {
            self.running = None;
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
        self.revive()?;
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

impl Running {
    fn start(words: &[String]) -> Result<Self, AdapterError> {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| AdapterError::CommandLine(String::new()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| AdapterError::Start {
                program: program.clone(),
                source,
            })?;
        let (line_sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || read_lines(output, &line_sender));
        }
        let (questions, asked) = channel::<String>();
        if let Some(mut input) = child.stdin.take() {
            // Ends with the sender, or when the program takes no more.
            std::thread::spawn(move || {
                for question in asked {
                    let sent = input.write_all(question.as_bytes());
                    if sent.and_then(|()| input.flush()).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            child,
            questions: Some(questions),
            lines,
        })
    }

    fn ask(&mut self, question: &Value, timeout: Duration) -> Result<Value, String> {
        // A program that is gone shows at its output.
        let _ = self
            .questions
            .as_ref()
            .map(|questions| questions.send(format!("{question}\n")));
        match self.lines.recv_timeout(timeout) {
            Ok(line) => serde_json::from_str(&line)
                .map_err(|error| format!("a line that is no JSON ({error}): {}", start(&line))),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("no answer within {} s", timeout.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => Err(match self.ended() {
                Some(status) => format!("the adapter has ended: {status}"),
                None => "the adapter has closed its output".to_owned(),
            }),
        }
    }

    /// The exit status of a program whose input has ended, if it takes the hint within a second.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.questions = None;
        for _ in 0..50 {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => return None,
            }
        }
        None
    }
}

/// Sends each line on, as far as [`MAX_LINE`].
fn read_lines(output: ChildStdout, lines: &Sender<String>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let mut bounded = std::io::Read::take(&mut output, MAX_LINE);
        match bounded.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if lines.send(line).is_err() {
            return;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
