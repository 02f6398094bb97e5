//! The browser test: pages in headless Chromium that ask through a relay of another origin.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::env::{find_program, root};
use crate::report::{Outcome, Report};
use crate::run::{Output, command, watch};
use crate::{node, python};

const FOLDER: &str = "tests/browser";
const CHROMIUM: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
];

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask browser");
    python::binaries(&mut report);
    node::prepare(&mut report);
    step(&mut report);
    report.finish()
}

pub(crate) fn step(report: &mut Report) {
    report.step("browser", || match pages() {
        Ok(outcome) | Err(outcome) => outcome,
    });
}

fn pages() -> Result<Outcome, Outcome> {
    let chromium = chromium().ok_or_else(|| Outcome::Missing("chromium".to_owned()))?;
    let node = node::node()?;
    match node::packages(FOLDER) {
        Outcome::Passed(_) => {}
        other => return Err(other),
    }
    let mut test = command(node);
    test.current_dir(root().join(FOLDER))
        .args(["--test", "--test-reporter=spec"])
        .env("SEALWIRE_BIN", python::binary("sealwire"))
        .env("CHROMIUM", chromium);
    let mut counts = Counts::default();
    let outcome = watch(test, Output::Stdout, |line| counts.see(line));
    Ok(match outcome {
        Outcome::Passed(_) if counts.passed == 0 => Outcome::Failed("no test ran".to_owned()),
        Outcome::Passed(_) => Outcome::Passed(counts.to_string()),
        Outcome::Failed(why) => Outcome::Failed(format!("{why}; {counts}")),
        other => other,
    })
}

fn chromium() -> Option<PathBuf> {
    std::env::var_os("CHROMIUM")
        .map(PathBuf::from)
        .filter(|path| path.is_file())
        .or_else(|| CHROMIUM.iter().find_map(|name| find_program(name)))
}

/// The closing lines of node's test runner, such as `ℹ pass 3`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Counts {
    fn see(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        if !matches!(words.next(), Some("\u{2139}" | "#")) {
            return;
        }
        let (Some(word), Some(number), None) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let Ok(number) = number.parse() else { return };
        match word {
            "pass" => self.passed = number,
            "fail" => self.failed = number,
            "skipped" => self.skipped = number,
            _ => {}
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn closing_lines_are_read() {
        let mut counts = Counts::default();
        for line in [
            "\u{2139} tests 6",
            "\u{2139} pass 3",
            "\u{2139} fail 1",
            "\u{2139} skipped 2",
            "\u{2139} duration_ms 44.7",
            "\u{2714} pass 9",
        ] {
            counts.see(line);
        }
        let expected = Counts {
            passed: 3,
            failed: 1,
            skipped: 2,
        };
        assert_eq!(counts, expected);
    }
}
