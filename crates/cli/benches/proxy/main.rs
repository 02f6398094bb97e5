//! What the chain of proxy, relay and instance costs, beside the upstream called directly; and the proxy beside LiteLLM.
//!
//! `cargo xtask bench proxy` sets LiteLLM up and runs this; `docs/performance.md` says what is measured, and how. Every role is a process of the release
//! binary, the upstream is one of this program. The two that are compared take turns, so that a noisy machine is noisy for both.

mod answer;
mod api;
mod chain;
mod litellm;
mod load;
mod machine;
mod memory;
mod pacer;
mod parts;
mod process;
mod report;
mod samples;
mod upstream;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use self::api::Api;
use self::chain::{Between, Chain};
use self::parts::Pace;
use self::process::Process;
use self::report::{Row, heading};

/// The model that every request names.
const MODEL: &str = "bench";
/// Open files that the idle streams need in one process, with room; a role that has a connection on either side of the busy ones needs fewer.
const FILES: u64 = 12_000;
/// The argument that makes this program the upstream.
const UPSTREAM: &str = "upstream";
const USAGE: &str = "\
cargo xtask bench proxy|memory [--quick] [--http2] [--part NAME].. [--api chat|messages]
  --quick      a look at whether it works: the figures say nothing
  --part NAME  times, crowd, memory, requests or idle alone; repeat for more [default: all but idle; of `bench memory`: memory and idle]
  --http2      the roles speak HTTP/2 with each other, as they do for `idle` in any case
  --json FILE  where the figures go
  --api NAME   what the small requests are asked in, here and of LiteLLM [default: messages]";

const PARTS: [&str; 5] = ["times", "crowd", "memory", "requests", "idle"];
/// Those that run unless told otherwise.
const USUAL: usize = 4;
/// Streams that the chain takes at a time in all parts but one.
const STREAMS: usize = 4_096;

struct Options {
    quick: bool,
    parts: Vec<String>,
    between: Between,
    json: Option<PathBuf>,
    api: Api,
    litellm: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = if arguments.iter().any(|argument| argument == UPSTREAM) {
        upstream::run()
    } else if let Some(options) = options(&arguments) {
        measure(&options)
    } else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Option<Options> {
    let mut options = Options {
        quick: false,
        parts: Vec::new(),
        between: Between::Http1,
        json: None,
        api: Api::Messages,
        litellm: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--quick" => options.quick = true,
            "--part" => {
                let part = arguments
                    .next()
                    .filter(|part| PARTS.contains(&part.as_str()))?;
                options.parts.push(part.clone());
            }
            "--api" => options.api = Api::named(arguments.next()?)?,
            "--http2" => options.between = Between::Http2,
            "--json" => options.json = Some(arguments.next()?.into()),
            "--litellm" => options.litellm = Some(arguments.next()?.into()),
            _ => return None,
        }
    }
    if options.parts.is_empty() {
        options.parts = PARTS.iter().take(USUAL).map(ToString::to_string).collect();
    }
    Some(options)
}

/// The upstream in a process of its own.
fn start_upstream() -> io::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(UPSTREAM);
    Process::start(command)
}

fn measure(options: &Options) -> io::Result<()> {
    if !process::can_watch() {
        return Err(io::Error::other("there is no /proc here to read from"));
    }
    // Children inherit it.
    let files = rlimit::increase_nofile_limit(FILES)?;
    if files < FILES {
        println!("note: only {files} files may be open; not all streams may fit");
    }
    // One thread: the load tool shall leave the processors to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(all(options))
}

async fn all(options: &Options) -> io::Result<()> {
    let folder = folder();
    std::fs::create_dir_all(&folder)?;
    let (machine, before) = (machine::machine(), machine::load());
    println!("machine: {machine}; load before: {before}");
    if options.quick {
        println!("--quick: the figures say nothing");
    }
    let upstream = start_upstream()?;
    let address = upstream.address()?;
    let chain = Chain::start(address, STREAMS, options.between).await?;
    let wanted = |part: &str| options.parts.iter().any(|one| one == part);
    let pace = |rounds, seconds| Pace {
        rounds: if options.quick { 1 } else { rounds },
        window: Duration::from_secs(if options.quick { 1 } else { seconds }),
    };
    let mut rows = Vec::new();
    let mut missing = 0;
    if wanted("times") {
        rows.extend(parts::times(address, &chain, pace(8, 4)).await);
    }
    if wanted("crowd") {
        rows.extend(parts::crowd(address, &chain, pace(3, 4)).await);
    }
    if wanted("memory") {
        rows.extend(memory::busy(&chain, pace(1, 4)).await);
    }
    if wanted("idle") {
        let streams = if options.quick { 200 } else { memory::IDLE };
        rows.extend(memory::idle(address, pace(1, 4), streams).await?);
    }
    let streams = rows.len();
    if wanted("requests") {
        let requests = match &options.litellm {
            Some(program) => {
                let program = (program.as_path(), folder.as_path());
                parts::requests(address, &chain, pace(3, 5), options.api, program).await
            }
            None => Err(io::Error::other(
                "no --litellm: run `cargo xtask bench proxy`",
            )),
        };
        match requests {
            Ok(requests) => rows.extend(requests),
            Err(error) => {
                println!("beside LiteLLM: not measured: {error}");
                missing = 1;
            }
        }
    }
    print(&rows, streams);
    let after = machine::load();
    if let Some(file) = &options.json {
        let json = report::to_json(&machine, [&before, &after], &rows);
        std::fs::write(file, json.to_string())?;
    }
    println!("\nmachine: {machine}; load before: {before}, after: {after}");
    println!("{}", report::summary(&rows, missing));
    Ok(())
}

/// The rows of the streams, then those beside LiteLLM.
fn print(rows: &[Row], streams: usize) {
    let (first, second) = rows.split_at(streams);
    if !first.is_empty() {
        heading("streams", "direct", "chain", "result");
        first.iter().for_each(|row| println!("{row}"));
    }
    if !second.is_empty() {
        heading("small requests", "LiteLLM", "sealwire", "ratio");
        second.iter().for_each(|row| println!("{row}"));
    }
}

/// `target/bench`, wherever the target folder is.
fn folder() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_sealwire"));
    let target = binary.ancestors().nth(2).unwrap_or(Path::new("target"));
    target.join("bench")
}
