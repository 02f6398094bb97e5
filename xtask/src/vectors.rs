//! The vectors: all implementations over all cases, accumulated digests, and regeneration by the reference.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode};

use crate::node;
use crate::python;
use crate::report::{Outcome, Report};
use crate::run::{Output, cargo_locked, command, status, watch};

/// Rounds of the accumulated mode in each implementation: in every run, and with `--long`.
const RUST_ROUNDS: Rounds = Rounds(10_000, 100_000);
const TYPESCRIPT_ROUNDS: Rounds = Rounds(1_000, 100_000);
const PYTHON_ROUNDS: Rounds = Rounds(100, 100_000);

struct Rounds(u32, u32);

impl Rounds {
    fn of(&self, long: bool) -> String {
        if long { self.1 } else { self.0 }.to_string()
    }
}

/// What has been counted.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    cases: u32,
    negative: u32,
    /// Names of the implementations that held every case they claim.
    implementations: BTreeSet<String>,
    /// Cells of the interoperability matrix.
    pub(crate) cells: u32,
}

pub(crate) fn run(long: bool) -> ExitCode {
    let mut report = Report::new("cargo xtask vectors");
    let python = python::prepare(&mut report);
    let typescript = node::prepare(&mut report);
    let totals = steps(&mut report, python, typescript, long);
    totals.step(&mut report);
    report.finish()
}

/// Needs the binaries; the other implementations where they are ready.
pub(crate) fn steps(report: &mut Report, python: bool, typescript: bool, long: bool) -> Totals {
    let mut totals = Totals::default();
    report.step("vectors in Rust, every provider", || {
        verify(&mut totals, "Rust", &[])
    });
    report.step("accumulated digests in Rust", || {
        let rounds = RUST_ROUNDS.of(long);
        status(cargo_locked(
            "run",
            &[
                "--release",
                "--package",
                "sealwire-vectors",
                "--example",
                "accumulated",
                "--",
                &rounds,
            ],
        ))
    });
    if typescript {
        report.step("vectors in TypeScript", || match node::node() {
            Ok(node) => {
                let adapter = format!("{} clients/typescript/dist/adapter.js", quoted(&node));
                let rounds = TYPESCRIPT_ROUNDS.of(long);
                verify(
                    &mut totals,
                    "TypeScript",
                    &["--no-skips", "--accumulate", &rounds, "--adapter", &adapter],
                )
            }
            Err(missing) => missing,
        });
    }
    if python {
        report.step("vectors in Python", || {
            let interpreter = quoted(&python::venv_python());
            let adapter = format!("{interpreter} vectors/reference/adapter.py");
            let rounds = PYTHON_ROUNDS.of(long);
            verify(
                &mut totals,
                "Python",
                &["--no-skips", "--accumulate", &rounds, "--adapter", &adapter],
            )
        });
        report.step("vectors regenerated", || {
            let mut generate = command(python::venv_python());
            generate
                .args(["vectors/reference/generate.py", "--check"])
                .env("PYTHONDONTWRITEBYTECODE", "1");
            status(generate)
        });
    }
    totals
}

/// A word of an adapter's command line.
fn quoted(program: &std::path::Path) -> String {
    format!("'{}'", program.display())
}

fn verify(totals: &mut Totals, name: &str, args: &[&str]) -> Outcome {
    let mut verify = Command::new(python::binary("sealwire"));
    verify
        .current_dir(crate::env::root())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["vectors", "verify"])
        .args(args);
    let mut runs = 0;
    let mut last = String::new();
    let outcome = watch(verify, Output::Stdout, |line| {
        if let Some((cases, negative)) = counts(line) {
            runs += 1;
            (totals.cases, totals.negative) = (cases, negative);
            line.clone_into(&mut last);
        }
    });
    match outcome {
        Outcome::Passed(_) if runs == 0 => Outcome::Failed("no closing line".to_owned()),
        Outcome::Passed(_) => {
            totals.implementations.insert(name.to_owned());
            let times = if runs > 1 {
                format!("{runs} times ")
            } else {
                String::new()
            };
            Outcome::Passed(format!("{times}{last}"))
        }
        Outcome::Failed(why) => Outcome::Failed(format!("{why}; {last}")),
        other => other,
    }
}

/// Cases and negative cases of a closing line such as `passed: 922 cases, 712 negative; 922 passed, 0 failed, 0 skipped`.
fn counts(line: &str) -> Option<(u32, u32)> {
    let rest = line
        .strip_prefix("passed: ")
        .or_else(|| line.strip_prefix("FAILED: "))?;
    let (cases, rest) = rest.split_once(" cases, ")?;
    let (negative, _) = rest.split_once(" negative;")?;
    Some((cases.parse().ok()?, negative.parse().ok()?))
}

impl Totals {
    /// Everything in one line.
    pub(crate) fn step(self, report: &mut Report) {
        report.step("conformance in numbers", || {
            let names: Vec<&str> = self.implementations.iter().map(String::as_str).collect();
            let mut line = format!(
                "{} cases, {} negative, {} implementations ({})",
                self.cases,
                self.negative,
                names.len(),
                names.join(", ")
            );
            if self.cells > 0 {
                line.push_str(&format!(", {} matrix cells", self.cells));
            }
            println!("{line}");
            Outcome::Passed(line)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn closing_lines_are_read() {
        let line = "passed: 922 cases, 712 negative; 922 passed, 0 failed, 0 skipped";
        assert_eq!(counts(line), Some((922, 712)));
        assert_eq!(counts("sealwire, rustcrypto 0.1.0"), None);
    }
}
