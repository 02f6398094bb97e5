//! The profile chutes-v1 beside the published Python client, in turns: building a request, and reading a streamed chunk.
//!
//! `cargo xtask bench chutes` sets up the Python package and runs this; `PYTHON` names its interpreter. Each figure is the median of the rounds;
//! each round times every contestant once, so that a noisy machine is noisy for all.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

use sealwire::compat::chutes::{
    Codec, Head, InstanceKey, KeyRing, KeyRingConfig, StreamLimits, StreamOpener, open_request,
    seal_request,
};
use sealwire_cli::provider;

const PATH: &str = "/v1/chat/completions";
const ROUNDS: usize = 15;
const CHUNKS: usize = 500;

/// The published client in a process of its own, which times itself.
struct Published {
    _process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Published {
    fn start(python: &str) -> std::io::Result<Self> {
        let worker =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/chutes_worker.py");
        let mut process = Command::new(python)
            .arg(worker)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(commands), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(std::io::Error::other("no pipes"));
        };
        Ok(Self {
            _process: process,
            commands,
            answers: BufReader::new(answers),
        })
    }

    /// Seconds for one, and the size of what came out.
    fn ask(&mut self, command: &serde_json::Value) -> (f64, u64) {
        writeln!(self.commands, "{command}").expect("the worker lives");
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .expect("the worker answers");
        let answer: serde_json::Value = serde_json::from_str(&line).expect("the worker's JSON");
        (
            answer["seconds"].as_f64().expect("a time"),
            answer["size"].as_u64().expect("a size"),
        )
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn timed<T>(times: u32, mut run: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        std::hint::black_box(run());
    }
    start.elapsed().as_secs_f64() / f64::from(times)
}

struct Row {
    what: String,
    who: &'static str,
    seconds: f64,
    published: f64,
    size: f64,
    goal: f64,
}

impl Row {
    fn print(&self) {
        let ratio = self.seconds / self.published;
        println!(
            "{:<28} {:<24} {:>9.2} us {:>8.3} of published (goal {:.3}){}  {}",
            self.what,
            self.who,
            self.seconds * 1e6,
            ratio,
            self.goal,
            if self.size > 0.0 {
                format!(", size {:.3}", self.size)
            } else {
                String::new()
            },
            if ratio <= self.goal && self.size <= 1.10 {
                "met"
            } else {
                "NOT MET"
            }
        );
    }
}

/// Text that compresses like text: words of this repository's specification.
fn body() -> String {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec");
    let mut text = String::new();
    for file in ["protocol.md", "http.md", "security.md", "conformance.md"] {
        text.push_str(&std::fs::read_to_string(spec.join(file)).expect("the specification"));
    }
    let text: String = text.chars().take(100_000).collect();
    serde_json::json!({
        "model": "m",
        "messages": [{ "role": "user", "content": text }],
        "stream": true,
    })
    .to_string()
}

fn requests(published: &mut Published, codecs: &[(&'static str, Codec)]) -> Vec<Row> {
    let body = body();
    let (mut theirs, mut size) = (Vec::new(), 0);
    let mut ours = vec![Vec::new(); codecs.len()];
    let mut sizes = vec![0; codecs.len()];
    let mut op = serde_json::json!({ "op": "request", "body": body, "times": 3 });
    for _ in 0..ROUNDS {
        let (seconds, blob) = published.ask(&op);
        op = serde_json::json!({ "op": "again", "times": 3 });
        theirs.push(seconds);
        size = blob;
        for (at, (_, codec)) in codecs.iter().enumerate() {
            let mut ring = KeyRing::new(&codec.provider, KeyRingConfig::default()).expect("a ring");
            let key = ring.public_key(0).expect("a key");
            let key = InstanceKey::from_base64(&codec.provider, &key).expect("a sound key");
            let build = || {
                seal_request(codec, &key, PATH, body.as_bytes())
                    .expect("sealed")
                    .0
            };
            sizes[at] = build().len();
            ours[at].push(timed(10, build));
        }
    }
    let theirs = median(theirs);
    codecs
        .iter()
        .zip(ours.into_iter().zip(sizes))
        .map(|((who, _), (times, ours))| Row {
            what: "request of 100 KB".to_owned(),
            who,
            seconds: median(times),
            published: theirs,
            size: f64::from(u32::try_from(ours).unwrap_or(u32::MAX))
                / f64::from(u32::try_from(size).unwrap_or(1)),
            goal: 1.0 / 5.0,
        })
        .collect()
}

/// A line as model servers send it, about 200 bytes.
fn line() -> String {
    let mut line = String::from(
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}],",
    );
    let _ = writeln!(
        line,
        "\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":3}}}}"
    );
    line
}

fn wire(codec: &Codec) -> (Vec<u8>, StreamOpener) {
    let mut ring = KeyRing::new(&codec.provider, KeyRingConfig::default()).expect("a ring");
    let key = ring.public_key(0).expect("a key");
    let key = InstanceKey::from_base64(&codec.provider, &key).expect("a sound key");
    let (blob, waiting) = seal_request(codec, &key, PATH, b"{}").expect("sealed");
    let request = open_request(codec, &ring.candidates(0), &blob, PATH, 1 << 20)
        .and_then(|opened| opened.admit(&mut ring, 0))
        .expect("opened");
    let head = Head::new(200, "text/event-stream").expect("sound");
    let mut wire = Vec::new();
    let mut sealer = request
        .responder
        .into_stream(&head, &mut wire)
        .expect("a stream");
    for _ in 0..CHUNKS {
        sealer.seal(line().as_bytes(), &mut wire).expect("sealed");
    }
    (wire, waiting.into_stream(StreamLimits::default()))
}

fn chunks(published: &mut Published, codecs: &[(&'static str, Codec)], goals: &[f64]) -> Vec<Row> {
    let mut theirs = Vec::new();
    let mut ours = vec![Vec::new(); codecs.len()];
    let mut op =
        serde_json::json!({ "op": "stream", "line": line(), "chunks": CHUNKS, "times": 1 });
    for _ in 0..ROUNDS {
        theirs.push(published.ask(&op).0);
        op = serde_json::json!({ "op": "again", "times": 1 });
        for (at, (_, codec)) in codecs.iter().enumerate() {
            let (wire, mut opener) = wire(codec);
            let wire = String::from_utf8(wire).expect("text");
            let events: Vec<&str> = wire.split_inclusive("\n\n").collect();
            let start = Instant::now();
            let mut released = 0;
            // An event a read, as a relay sends them, and as the published client gets them.
            for event in &events {
                opener.push(event.as_bytes());
                while let Some(event) = opener.next_event().expect("sound") {
                    std::hint::black_box(event);
                    released += 1;
                }
            }
            let time = start.elapsed().as_secs_f64();
            assert!(released >= CHUNKS, "every chunk came out");
            ours[at].push(time / f64::from(u32::try_from(CHUNKS).expect("small")));
        }
    }
    let theirs = median(theirs);
    codecs
        .iter()
        .zip(ours)
        .zip(goals)
        .map(|(((who, _), times), goal)| Row {
            what: format!("stream chunk of {} bytes", line().len()),
            who,
            seconds: median(times),
            published: theirs,
            size: 0.0,
            goal: *goal,
        })
        .collect()
}

fn main() -> ExitCode {
    let Ok(python) = std::env::var("PYTHON") else {
        eprintln!(
            "PYTHON is not set: run `cargo xtask bench chutes`, which sets up the published client"
        );
        return ExitCode::FAILURE;
    };
    let mut published = Published::start(&python).expect("the Python worker starts");
    let default = Codec::new(&sealwire::rustcrypto::provider());
    let codecs = [
        ("aws-lc-rs, libdeflate", provider::codec()),
        ("rustcrypto, zlib-rs", default),
    ];
    println!("medians of {ROUNDS} rounds in turns; the published client is chutes-e2ee");
    let mut rows = requests(&mut published, &codecs);
    rows.extend(chunks(&mut published, &codecs, &[1.0 / 10.0, 1.0 / 4.0]));
    rows.iter().for_each(Row::print);
    ExitCode::SUCCESS
}
