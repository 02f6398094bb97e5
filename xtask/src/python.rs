//! The Python client test: the official OpenAI package and curl against the built binaries.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::env::{find_program, root, target_dir};
use crate::report::{Outcome, Report};
use crate::run::{Output, all, cargo_locked, command, status, watch};

const REQUIREMENTS: &str = "tests/python/requirements.txt";

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask python");
    steps(&mut report);
    report.finish()
}

pub(crate) fn steps(report: &mut Report) {
    report.step("binaries", || {
        status(cargo_locked(
            "build",
            &["--package", "sealwire-cli", "--bins"],
        ))
    });
    let mut ready = false;
    report.step("Python packages", || {
        let outcome = packages();
        ready = matches!(outcome, Outcome::Passed(_));
        outcome
    });
    if ready {
        report.step("Python client and curl", client);
    }
}

/// A virtual environment under the target folder, renewed when the requirements change.
fn packages() -> Outcome {
    let Some(python) = find_program("python3").or_else(|| find_program("python")) else {
        return Outcome::Missing("python3".to_owned());
    };
    let wanted = match fs::read_to_string(root().join(REQUIREMENTS)) {
        Ok(wanted) => wanted,
        Err(error) => return Outcome::Failed(format!("{REQUIREMENTS}: {error}")),
    };
    let stamp = venv().join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Outcome::Passed("already installed".to_owned());
    }
    let mut has_venv = command(&python);
    has_venv.args(["-c", "import venv, ensurepip"]);
    if !has_venv
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return Outcome::Missing("Python module venv (Debian: python3-venv)".to_owned());
    }
    let mut create = command(&python);
    create.args(["-m", "venv", "--clear"]).arg(venv());
    let mut install = command(venv_python());
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    install.args(["--requirement", REQUIREMENTS]);
    match all([create, install]) {
        Outcome::Passed(_) => match fs::write(&stamp, wanted) {
            Ok(()) => Outcome::passed(),
            Err(error) => Outcome::Failed(format!("{}: {error}", stamp.display())),
        },
        other => other,
    }
}

fn client() -> Outcome {
    let binary = format!("sealwire{}", std::env::consts::EXE_SUFFIX);
    let mut pytest = command(venv_python());
    pytest
        .args([
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-rs",
            "tests/python",
        ])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SEALWIRE_BIN", target_dir().join("debug").join(binary));
    let mut last = String::new();
    let outcome = watch(pytest, Output::Stdout, |line| {
        if !line.is_empty() {
            last = line.trim_matches(['=', ' ']).to_owned();
        }
    });
    match outcome {
        Outcome::Passed(_) => Outcome::Passed(last),
        Outcome::Failed(why) => Outcome::Failed(format!("{why}; {last}")),
        other => other,
    }
}

fn venv() -> PathBuf {
    target_dir().join("venv")
}

fn venv_python() -> PathBuf {
    if cfg!(windows) {
        venv().join("Scripts").join("python.exe")
    } else {
        venv().join("bin").join("python")
    }
}
