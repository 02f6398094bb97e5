//! `cargo xtask bench [core | chutes]`: the benches of the core, or the profile chutes-v1 beside its published client.

use std::process::ExitCode;

use crate::python;
use crate::report::{Outcome, Report};
use crate::run::{cargo_locked, status};

pub(crate) fn run(args: &[String]) -> ExitCode {
    let mut report = Report::new("cargo xtask bench");
    match args.split_first() {
        Some((subject, rest)) if subject == "chutes" => chutes(&mut report, rest),
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

fn chutes(report: &mut Report, args: &[String]) {
    let mut ready = false;
    report.step("Python packages", || {
        let outcome = python::packages();
        ready = matches!(outcome, Outcome::Passed(_));
        outcome
    });
    if !ready {
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
