//! `cargo xtask deny`: licenses, bans and sources of the dependencies (deny.toml).
//!
//! Advisories are left out: their database has to be fetched. `cargo deny check advisories` does it where there is a network.

use std::process::ExitCode;

use crate::env::has_cargo_subcommand;
use crate::report::{Outcome, Report};
use crate::run::{cargo, status};

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask deny");
    report.step("dependencies", || {
        if !has_cargo_subcommand("deny") {
            return Outcome::Missing("cargo-deny (cargo install --locked cargo-deny)".to_owned());
        }
        status(cargo(&[
            "deny",
            "--workspace",
            "--all-features",
            "check",
            "licenses",
            "bans",
            "sources",
        ]))
    });
    report.finish()
}
