//! Options, and where the figures go. `cargo xtask bench` draws them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::machine::Machine;
use crate::subjects::{Found, Run, crypto, goals, protocol};

const USAGE: &str = "\
sealwire-peers crypto | protocol | peers [--seconds N] [--quick] [--json FILE]

  crypto      AEADs of providers and of libraries, and KEM calls
  protocol    handshakes by role; frames and bodies by size
  peers       the table of goals
  --seconds   how long to measure, in all
  --quick     whether it works; the figures say nothing
";

struct Options {
    subject: fn(&Run) -> Found,
    name: String,
    seconds: f64,
    json: Option<PathBuf>,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let name = args.next().ok_or("no subject")?;
    let (subject, seconds): (fn(&Run) -> Found, f64) = match name.as_str() {
        "crypto" => (crypto::run, 60.0),
        "protocol" => (protocol::run, 60.0),
        "peers" => (goals::run, 150.0),
        other => return Err(format!("there is no subject {other:?}")),
    };
    let mut options = Options {
        subject,
        name,
        seconds,
        json: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} without a value"));
        match arg.as_str() {
            "--quick" => options.seconds = 2.0,
            "--json" => options.json = Some(value()?.into()),
            "--seconds" => {
                let seconds = value()?;
                options.seconds = seconds
                    .parse()
                    .ok()
                    .filter(|seconds: &f64| (0.0..=600.0).contains(seconds))
                    .ok_or(format!("{seconds:?} is not a number of seconds up to 600"))?;
            }
            _ => return Err(format!("there is no option {arg:?}")),
        }
    }
    Ok(options)
}

/// Runs a subject.
pub fn run(args: impl Iterator<Item = String>) -> ExitCode {
    let options = match parse(args) {
        Ok(options) => options,
        Err(why) => {
            eprint!("sealwire-peers: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let run = Run {
        budget: Duration::from_secs_f64(options.seconds),
        machine: Machine::read(),
    };
    run.machine.print();
    let found = (options.subject)(&run);
    let mut json = Map::new();
    json.insert("subject".to_owned(), options.name.into());
    json.insert("seconds".to_owned(), options.seconds.into());
    let machine = run.machine.json().into_iter();
    json.extend(
        machine
            .chain(found)
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let json = format!("{:#}\n", Value::Object(json));
    match write(options.json.as_deref(), &json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sealwire-peers: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Says nothing on standard output: the last line there is the subject's.
fn write(path: Option<&Path>, text: &str) -> Result<(), String> {
    let Some(path) = path else {
        return Ok(());
    };
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}
