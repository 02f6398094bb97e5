//! The profile chutes-v1 beside the published Python client, in turns: building a request, and reading a streamed chunk.
//!
//! `cargo xtask bench chutes` sets up the Python package and runs this; `PYTHON` names its interpreter, `--json FILE` where the figures go. Each figure is
//! the median of the rounds; each round times every contestant once, so that a noisy machine is noisy for all.

// The same rows as those of the bench of the proxy.
#[path = "proxy/machine.rs"]
mod machine;
#[expect(dead_code, reason = "every row is a ratio here")]
#[path = "proxy/report.rs"]
mod report;

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

use sealwire::compat::chutes::{
    Codec, Head, InstanceKey, KeyRing, KeyRingConfig, StreamLimits, StreamOpener, open_request,
    seal_request,
};
use sealwire_cli::provider;

use self::report::{Goal, Row, heading};

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
    fn start(python: &str) -> io::Result<Self> {
        let worker =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/chutes_worker.py");
        let mut process = Command::new(python)
            .arg(worker)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(commands), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
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

/// A row for the time of one, in seconds beside the published client's.
fn times(what: &str, who: &str, published: f64, ours: f64, goal: f64) -> Row {
    let pair = [published * 1e6, ours * 1e6];
    let figure = format!("us of {what}: {who}");
    Row::ratio(&figure, pair, ours / published, Goal::AtMost(goal))
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
    let what = "a request of 100 KB";
    let mut rows = Vec::new();
    for ((who, _), (ours, length)) in codecs.iter().zip(ours.into_iter().zip(sizes)) {
        rows.push(times(what, who, theirs, median(ours), 0.2));
        let pair = [size as f64, length as f64];
        let figure = format!("bytes of {what}: {who}");
        let ratio = pair[1] / pair[0];
        rows.push(Row::ratio(&figure, pair, ratio, Goal::AtMost(1.1)));
    }
    rows
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
    let what = format!("a chunk of {} bytes", line().len());
    codecs
        .iter()
        .zip(ours)
        .zip(goals)
        .map(|(((who, _), ours), goal)| times(&what, who, theirs, median(ours), *goal))
        .collect()
}

/// Where `--json` says that the figures go.
fn json_file(mut arguments: impl Iterator<Item = String>) -> Result<Option<PathBuf>, String> {
    let mut file = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--json" => file = Some(arguments.next().ok_or("--json without a file")?.into()),
            _ => return Err(format!("there is no option {argument:?}, only --json FILE")),
        }
    }
    Ok(file)
}

fn main() -> ExitCode {
    let file = match json_file(std::env::args().skip(1)) {
        Ok(file) => file,
        Err(why) => {
            eprintln!("bench chutes: {why}");
            return ExitCode::from(2);
        }
    };
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
    let (machine, before) = (machine::machine(), machine::load());
    let mut rows = requests(&mut published, &codecs);
    rows.extend(chunks(&mut published, &codecs, &[0.1, 0.25]));
    let after = machine::load();
    println!("medians of {ROUNDS} rounds in turns; the published client is chutes-e2ee");
    println!("machine: {machine}; load before: {before}, after: {after}");
    heading("chutes-v1", "published", "sealwire", "ratio");
    rows.iter().for_each(|row| println!("{row}"));
    println!("{}", report::summary(&rows, 0));
    let Some(file) = file else {
        return ExitCode::SUCCESS;
    };
    let json = report::to_json(&machine, [&before, &after], &rows);
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    match folder.and_then(|()| std::fs::write(&file, format!("{json:#}\n"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench chutes: {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}
