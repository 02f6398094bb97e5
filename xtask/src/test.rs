//! `cargo xtask test`: everything that passes or fails.

use std::process::ExitCode;

use crate::report::{Outcome, Report};
use crate::run::{Output, all, cargo, cargo_locked, status, watch};
use crate::{browser, clients, examples, mutation, node, openssl, python, rules, vectors};

/// Feature sets of the core that are linted apart from the workspace's own.
const CORE_FEATURES: [&[&str]; 3] = [
    &["--no-default-features"],
    &["--no-default-features", "--features", "verify"],
    &["--all-features"],
];

pub(crate) fn run(long: bool) -> ExitCode {
    let mut report = Report::new("cargo xtask test");
    report.step("format", || status(cargo(&["fmt", "--all", "--check"])));
    report.step("lints of the workspace", || {
        status(cargo_locked(
            "clippy",
            &["--workspace", "--all-targets", "--", "-D", "warnings"],
        ))
    });
    report.step("lints of the core by feature", || {
        all(CORE_FEATURES.map(|features| {
            let mut command = cargo_locked("clippy", &["--package", "sealwire", "--lib"]);
            command.args(features).args(["--", "-D", "warnings"]);
            command
        }))
    });
    report.step("core without features", || {
        status(cargo_locked(
            "build",
            &["--package", "sealwire", "--no-default-features"],
        ))
    });
    report.step("documentation", || {
        documentation(&["--workspace", "--no-deps"])
    });
    report.step("documentation of the core with all features", || {
        documentation(&["--package", "sealwire", "--no-deps", "--all-features"])
    });
    report.step("tests and doctests", tests);
    openssl::step(&mut report);
    mutation::steps(&mut report);
    rules::steps(&mut report);
    examples::steps(&mut report);
    let python_ready = python::prepare(&mut report);
    if python_ready {
        python::client(&mut report);
        python::package(&mut report);
    }
    let typescript_ready = node::prepare(&mut report);
    if typescript_ready {
        node::tests(&mut report);
    }
    let mut totals = vectors::steps(&mut report, python_ready, typescript_ready, long);
    if python_ready {
        totals.cells = python::interop(&mut report);
    }
    browser::step(&mut report);
    clients::steps(&mut report);
    totals.step(&mut report);
    report.finish()
}

/// `cargo doc` without a warning, be it rustdoc's or cargo's own.
fn documentation(args: &[&str]) -> Outcome {
    let mut command = cargo_locked("doc", args);
    command.env("RUSTDOCFLAGS", "-D warnings");
    let mut warnings = 0_u32;
    let outcome = watch(command, Output::Stderr, |line| {
        warnings += u32::from(line.starts_with("warning"));
    });
    match outcome {
        Outcome::Passed(_) if warnings > 0 => Outcome::Failed(format!("{warnings} warnings")),
        other => other,
    }
}

/// `cargo test`, with what its runners counted.
fn tests() -> Outcome {
    let mut sum = Counted::default();
    let outcome = watch(
        cargo_locked("test", &["--workspace", "--no-fail-fast"]),
        Output::Stdout,
        |line| sum.add(line),
    );
    match outcome {
        Outcome::Passed(_) if sum.passed == 0 => Outcome::Failed("no test ran".to_owned()),
        Outcome::Passed(_) => Outcome::Passed(sum.to_string()),
        Outcome::Failed(why) => Outcome::Failed(format!("{why}; {sum}")),
        other => other,
    }
}

/// Sums of the lines `test result: ok. 3 passed; 0 failed; 1 ignored; ..`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counted {
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} ignored",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_summed() {
        let mut sum = Counted::default();
        sum.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s");
        sum.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s");
        sum.add("7 passed");
        let expected = Counted {
            passed: 15,
            failed: 2,
            ignored: 1,
        };
        assert_eq!(sum, expected);
    }
}
