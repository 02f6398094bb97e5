//! `cargo xtask bench [core | crypto | protocol | peers | counts | chutes | python | proxy | memory]`: the benches of the core; sealwire beside other libraries, and
//! its instruction counts; the profile chutes-v1 and the Python package beside the published client; the chain of roles beside its upstream and LiteLLM;
//! what the roles hold in memory.

mod peers;

use std::process::ExitCode;

use crate::env::target_dir;
use crate::python;
use crate::report::{Outcome, Report};
use crate::run::{cargo_locked, command, status};

pub(crate) fn run(args: &[String]) -> ExitCode {
    if let Some((subject, rest)) = args.split_first()
        && peers::SUBJECTS.contains(&subject.as_str())
    {
        return peers::run(subject, rest);
    }
    let mut report = Report::new("cargo xtask bench");
    match args.split_first() {
        Some((subject, rest)) if subject == "chutes" => chutes(&mut report, rest),
        Some((subject, rest)) if subject == "python" => package(&mut report, rest),
        Some((subject, rest)) if subject == "proxy" => proxy(&mut report, rest),
        Some((subject, rest)) if subject == "memory" => memory(&mut report, rest),
        Some((subject, rest)) if subject == "core" => core(&mut report, rest),
        _ => core(&mut report, args),
    }
    report.finish()
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
        let mut bench = command(python::venv_python());
        bench.arg("clients/python/benches/transports.py").args(args);
        status(bench)
    });
}

fn chutes(report: &mut Report, args: &[String]) {
    if !passed(report, "Python packages", python::packages) {
        return;
    }
    report.step("chutes-v1 beside the published client", || {
        let mut command = cargo_locked(
            "bench",
            &["--package", "sealwire-cli", "--bench", "chutes", "--"],
        );
        command.args(args).env("PYTHON", python::venv_python());
        status(command)
    });
}

fn memory(report: &mut Report, args: &[String]) {
    report.step("memory of proxy, relay and instance", || {
        let mut command = cargo_locked(
            "bench",
            &["--package", "sealwire-cli", "--bench", "proxy", "--"],
        );
        command.args(["--name", "memory", "--part", "memory", "--part", "idle"]);
        command.args(args);
        status(command)
    });
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
            let mut command = cargo_locked(
                "bench",
                &["--package", "sealwire-cli", "--bench", "proxy", "--"],
            );
            if installed {
                command
                    .arg("--litellm")
                    .arg(python::program(&venv, "litellm"));
            }
            command.args(args);
            status(command)
        },
    );
}
