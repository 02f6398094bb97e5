//! `cargo xtask bench SUBJECT`: the benches of the core; sealwire beside other libraries, and its instruction counts; the profile chutes-v1 and the
//! Python package beside the published client; the chain of roles beside its upstream and LiteLLM, and what the roles hold in memory.

mod figures;
mod peers;
mod plot;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::env::target_dir;
use crate::python;
use crate::report::{Outcome, Report};
use crate::run::{cargo_locked, command, status};

/// Runs a subject with its arguments.
type Bench = fn(&str, &[String]) -> ExitCode;

const SUBJECTS: [(&str, Bench); 9] = [
    ("core", |_, args| steps(args, core)),
    ("crypto", peers::run),
    ("protocol", peers::run),
    ("peers", peers::run),
    ("counts", peers::run),
    ("chutes", |_, args| steps(args, chutes)),
    ("python", |_, args| steps(args, package)),
    ("proxy", |_, args| steps(args, proxy)),
    ("memory", |_, args| steps(args, memory)),
];

pub(crate) fn run(args: &[String]) -> ExitCode {
    let wanted = args.split_first();
    let found = wanted.and_then(|(wanted, args)| {
        let bench = SUBJECTS.into_iter().find(|(name, _)| name == wanted);
        bench.map(|(name, bench)| bench(name, args))
    });
    found.unwrap_or_else(|| {
        let what = wanted.map_or("no subject".to_owned(), |(wanted, _)| {
            format!("there is no subject {wanted:?}")
        });
        let names = SUBJECTS.map(|(name, _)| name).join(" | ");
        eprintln!("xtask bench: {what}\n\ncargo xtask bench {names} [ARGS ..]");
        ExitCode::from(2)
    })
}

fn steps(args: &[String], run: fn(&mut Report, &[String])) -> ExitCode {
    let mut report = Report::new("cargo xtask bench");
    run(&mut report, args);
    report.finish()
}

/// What a subject writes: its figures, by the program that measures, and the picture of them.
struct Files {
    json: PathBuf,
    svg: PathBuf,
}

impl Files {
    fn of(subject: &str) -> Self {
        let file = |ending: &str| target_dir().join(format!("bench/{subject}.{ending}"));
        Self {
            json: file("json"),
            svg: file("svg"),
        }
    }

    /// Runs what writes the figures, and draws them, even those of a program that failed because of them. Says nothing: the last line is the program's.
    fn measure(&self, title: &str, program: Command) -> Outcome {
        // What an earlier run left is not this one's.
        let _ = fs::remove_file(&self.json);
        let _ = fs::remove_file(&self.svg);
        let outcome = status(program);
        match (outcome, self.draw(title)) {
            (Outcome::Passed(_), Err(why)) => Outcome::Failed(why),
            (outcome, _) => outcome,
        }
    }

    fn draw(&self, title: &str) -> Result<(), String> {
        let of = |error: &dyn std::fmt::Display| format!("{}: {error}", self.json.display());
        let text = fs::read_to_string(&self.json).map_err(|error| of(&error))?;
        let panels = serde_json::from_str(&text)
            .map_err(|error| of(&error))
            .and_then(|file| figures::panels(&file).map_err(|why| of(&why)))?;
        fs::write(&self.svg, plot::svg(title, &panels))
            .map_err(|error| format!("{}: {error}", self.svg.display()))
    }
}

fn core(report: &mut Report, args: &[String]) {
    report.step("benches of the core", || {
        if !crate::env::root().join("benches").is_dir() {
            return Outcome::Failed("there is no folder benches".to_owned());
        }
        let mut command = cargo_locked(
            "bench",
            &["--package", "sealwire", "--benches", "--all-features"],
        );
        command.arg("--").args(args);
        status(command)
    });
}

fn package(report: &mut Report, args: &[String]) {
    if !passed(report, "Python packages", python::packages)
        || !passed(report, "Python package, optimised", || {
            python::wheel("release")
        })
    {
        return;
    }
    report.step("Python package beside the published client", || {
        let files = Files::of("python");
        let mut bench = command(python::venv_python());
        bench.arg("clients/python/benches/transports.py");
        bench.arg("--json").arg(&files.json).args(args);
        files.measure("The Python package beside chutes-e2ee", bench)
    });
}

fn chutes(report: &mut Report, args: &[String]) {
    if !passed(report, "Python packages", python::packages) {
        return;
    }
    report.step("chutes-v1 beside the published client", || {
        let files = Files::of("chutes");
        let mut bench = cli_bench("chutes");
        bench.arg("--json").arg(&files.json).args(args);
        bench.env("PYTHON", python::venv_python());
        files.measure("The profile chutes-v1 beside chutes-e2ee", bench)
    });
}

/// A bench of crates/cli, to be given its arguments.
fn cli_bench(name: &str) -> Command {
    cargo_locked(
        "bench",
        &["--package", "sealwire-cli", "--bench", name, "--"],
    )
}

/// Whether a step passed.
fn passed(report: &mut Report, name: &str, step: impl FnOnce() -> Outcome) -> bool {
    let mut passed = false;
    report.step(name, || {
        let outcome = step();
        passed = matches!(outcome, Outcome::Passed(_));
        outcome
    });
    passed
}

/// What the bench of the proxy is compared with; it runs without it where that does not install.
const LITELLM: &str = "crates/cli/benches/proxy/requirements.txt";

fn proxy(report: &mut Report, args: &[String]) {
    let venv = target_dir().join("venv-litellm");
    let mut installed = false;
    report.step("LiteLLM", || match python::install(&venv, &[LITELLM]) {
        // The figures of the chain are worth having without it.
        Outcome::Failed(why) => Outcome::Missing(format!("LiteLLM: {why}")),
        outcome => {
            installed = matches!(outcome, Outcome::Passed(_));
            outcome
        }
    });
    report.step(
        "proxy, relay and instance beside the upstream alone",
        || {
            let mut bench = cli_bench("proxy");
            if installed {
                bench
                    .arg("--litellm")
                    .arg(python::program(&venv, "litellm"));
            }
            chain(
                "proxy",
                "Proxy, relay and instance beside the upstream called directly, and LiteLLM",
                bench,
                args,
            )
        },
    );
}

fn memory(report: &mut Report, args: &[String]) {
    report.step("memory of proxy, relay and instance", || {
        let mut bench = cli_bench("proxy");
        bench.args(["--part", "memory", "--part", "idle"]);
        chain("memory", "What proxy, relay and instance hold", bench, args)
    });
}

/// Parts of the bench of the chain.
fn chain(subject: &str, title: &str, mut bench: Command, args: &[String]) -> Outcome {
    let files = Files::of(subject);
    bench.arg("--json").arg(&files.json).args(args);
    files.measure(title, bench)
}
