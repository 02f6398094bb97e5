//! House rules that no compiler checks.

mod arrows;
mod core_names;
mod places;
mod relay_tree;
mod rust_source;

use std::process::ExitCode;

use crate::report::Report;

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask rules");
    steps(&mut report);
    report.finish()
}

pub(crate) fn steps(report: &mut Report) {
    report.step("the relay's tree has no KEM and no AEAD", relay_tree::check);
    report.step("the core names no I/O crate", core_names::check);
    report.step("dependencies point one way", arrows::check);
    report.step("no registry host, no machine path", places::check);
}
