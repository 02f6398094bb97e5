//! Runs every example of every package: each must end by itself with exit code 0.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::env::root;
use crate::report::{Outcome, Report};
use crate::run::{cargo_locked, status, within};

/// An example that runs longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask examples");
    steps(&mut report);
    report.finish()
}

pub(crate) fn steps(report: &mut Report) {
    let root = root();
    let mut found = vec![("sealwire".to_owned(), names(&root.join("examples")))];
    for folder in folders(&root.join("crates")) {
        let package = format!("sealwire-{folder}");
        let examples = names(&root.join("crates").join(&folder).join("examples"));
        found.push((package, examples));
    }
    if found.iter().all(|(_, examples)| examples.is_empty()) {
        report.step("examples", || Outcome::Failed("there is none".to_owned()));
    }
    for (package, examples) in found {
        if examples.is_empty() {
            continue;
        }
        let package = package.as_str();
        report.step(format!("examples of {package}: build"), || {
            status(cargo_locked(
                "build",
                &["--package", package, "--all-features", "--examples"],
            ))
        });
        for example in examples {
            report.step(format!("example {example}"), || {
                one(package, example.as_str())
            });
        }
    }
}

fn one(package: &str, example: &str) -> Outcome {
    within(
        LIMIT,
        cargo_locked(
            "run",
            &[
                "--quiet",
                "--package",
                package,
                "--all-features",
                "--example",
                example,
            ],
        ),
    )
}

/// Names of the examples in a folder: `name.rs` or `name/main.rs`.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "rs")
                || path.join("main.rs").is_file()
        })
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

fn folders(parent: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
