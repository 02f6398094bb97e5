//! cargo-mutants on the core: mutations that no test notices. Hours of work, so apart from `cargo xtask test`.

use std::process::ExitCode;

use crate::env::has_cargo_subcommand;
use crate::report::{Outcome, Report};
use crate::run::{cargo, status};

pub(crate) fn run(args: &[String]) -> ExitCode {
    let mut report = Report::new("cargo xtask mutants");
    report.step("mutants of the core", || {
        if !has_cargo_subcommand("mutants") {
            return Outcome::Missing("cargo-mutants (cargo install --locked cargo-mutants)".into());
        }
        let mut command = cargo(&["mutants", "--package", "sealwire", "--test-package"]);
        command.args(["sealwire,sealwire-vectors", "--minimum-test-timeout", "60"]);
        // What only tools use, and what only tests of other crates can see.
        command.args(["--exclude", "src/testing.rs"]);
        command.args(["--output", "target"]);
        command.args(args);
        command.args(["--", "--lib", "--tests"]);
        status(command)
    });
    report.finish()
}
