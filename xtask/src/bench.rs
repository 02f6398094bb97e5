//! `cargo xtask bench`: the benches of the core.

use std::process::ExitCode;

use crate::report::{Outcome, Report};
use crate::run::{cargo_locked, status};

pub(crate) fn run(args: &[String]) -> ExitCode {
    let mut report = Report::new("cargo xtask bench");
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
    report.finish()
}
