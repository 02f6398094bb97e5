//! Steps with an outcome, and the table at the end.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::env;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passed; the text may say what was counted.
    Passed(String),
    /// It failed, with the reason.
    Failed(String),
    /// A tool is missing: skipped locally, a failure in CI.
    Missing(String),
}

impl Outcome {
    pub(crate) fn passed() -> Self {
        Self::Passed(String::new())
    }

    /// Passed if there are no complaints; prints them if there are.
    pub(crate) fn from_complaints(complaints: &[String]) -> Self {
        for complaint in complaints {
            eprintln!("  {complaint}");
        }
        match complaints.len() {
            0 => Self::passed(),
            1 => Self::Failed("1 complaint".to_owned()),
            n => Self::Failed(format!("{n} complaints")),
        }
    }
}

struct Row {
    name: String,
    outcome: Outcome,
    took: Duration,
}

/// The rows of the closing table.
pub(crate) struct Report {
    title: &'static str,
    rows: Vec<Row>,
    ci: bool,
}

impl Report {
    pub(crate) fn new(title: &'static str) -> Self {
        Self {
            title,
            rows: Vec::new(),
            ci: env::in_ci(),
        }
    }

    /// Runs a step and keeps its outcome. Later steps run whatever the outcome is.
    pub(crate) fn step(&mut self, name: impl Into<String>, step: impl FnOnce() -> Outcome) {
        let name = name.into();
        println!("\n=== {name}");
        let start = Instant::now();
        let mut outcome = step();
        if let (Outcome::Missing(what), true) = (&outcome, self.ci) {
            outcome = Outcome::Failed(format!("CI is set and there is no {what}"));
        }
        if let Outcome::Failed(why) = &outcome {
            eprintln!("FAILED: {name}: {why}");
        }
        self.rows.push(Row {
            name,
            outcome,
            took: start.elapsed(),
        });
    }

    /// Prints the table; the exit code says whether anything failed.
    pub(crate) fn finish(self) -> ExitCode {
        print!("\n{}", self.table());
        // The table is the last word: nothing of it may be lost in a pipe.
        let _ = std::io::stdout().flush();
        if self.failed() == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    fn count(&self, pick: impl Fn(&Outcome) -> bool) -> usize {
        self.rows.iter().filter(|row| pick(&row.outcome)).count()
    }

    fn table(&self) -> String {
        let width = self
            .rows
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or(0);
        let mut text = format!("--- {} ---\n", self.title);
        for row in &self.rows {
            let (word, note) = match &row.outcome {
                Outcome::Passed(note) => ("ok", note.clone()),
                Outcome::Failed(why) => ("FAILED", why.clone()),
                Outcome::Missing(what) => ("skipped", format!("no {what}")),
            };
            let line = format!(
                "{word:<8} {:<width$} {:>7.1} s  {note}",
                row.name,
                row.took.as_secs_f64()
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = writeln!(
            text,
            "{}: {} passed, {} failed, {} skipped",
            self.title,
            self.count(|outcome| matches!(outcome, Outcome::Passed(_))),
            self.failed(),
            self.count(|outcome| matches!(outcome, Outcome::Missing(_))),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ci: bool) -> Report {
        Report {
            title: "t",
            rows: Vec::new(),
            ci,
        }
    }

    #[test]
    fn a_missing_tool_is_skipped_locally_and_fails_in_ci() {
        for (ci, failed) in [(false, 0), (true, 1)] {
            let mut report = report(ci);
            report.step("python", || Outcome::Missing("python3".to_owned()));
            assert_eq!(report.failed(), failed, "ci {ci}");
        }
    }

    #[test]
    fn one_failure_is_counted_and_later_steps_run() {
        let mut report = report(false);
        report.step("a", || Outcome::Failed("x".to_owned()));
        report.step("b", || Outcome::Passed("3 tests".to_owned()));
        let table = report.table();
        assert!(table.contains("FAILED   a"), "{table}");
        assert!(
            table.ends_with("t: 1 passed, 1 failed, 0 skipped\n"),
            "{table}"
        );
    }
}
