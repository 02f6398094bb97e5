//! What pytest drives: the official OpenAI package and curl against the built binaries, and the implementations against each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::env::{find_program, root, target_dir};
use crate::node;
use crate::report::{Outcome, Report};
use crate::run::{Output, all, cargo_locked, command, status, watch};

/// What the driver needs, and what the Python implementation needs.
const REQUIREMENTS: [&str; 2] = [
    "tests/python/requirements.txt",
    "vectors/reference/requirements.txt",
];

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask python");
    if prepare(&mut report) {
        client(&mut report);
    }
    report.finish()
}

pub(crate) fn run_interop() -> ExitCode {
    let mut report = Report::new("cargo xtask interop");
    let ready = prepare(&mut report);
    node::prepare(&mut report);
    if ready {
        interop(&mut report);
    }
    report.finish()
}

/// The binaries that are tested.
pub(crate) fn binaries(report: &mut Report) {
    report.step("binaries", || {
        status(cargo_locked(
            "build",
            &[
                "--package",
                "sealwire-cli",
                "--bins",
                "--example",
                "seal_client",
            ],
        ))
    });
}

/// Binaries and Python packages; whether the packages are there.
pub(crate) fn prepare(report: &mut Report) -> bool {
    binaries(report);
    let mut ready = false;
    report.step("Python packages", || {
        let outcome = packages();
        ready = matches!(outcome, Outcome::Passed(_));
        outcome
    });
    ready
}

pub(crate) fn client(report: &mut Report) {
    report.step("Python client and curl", || pytest("tests/python"));
}

/// Every implementation against every other. One that is not there is skipped by name; in CI it fails by name.
/// Returns the cells of the matrix that ran.
pub(crate) fn interop(report: &mut Report) -> u32 {
    let mut cells = 0;
    report.step("interoperability", || {
        let outcome = pytest("tests/interop");
        if let Outcome::Passed(note) = &outcome {
            let words = note.strip_prefix("matrix: ");
            cells = words.and_then(first_number).unwrap_or(0);
        }
        outcome
    });
    cells
}

fn first_number(text: &str) -> Option<u32> {
    text.split_whitespace().next()?.parse().ok()
}

/// The virtual environment of the tests.
pub(crate) fn packages() -> Outcome {
    install(&venv(), &REQUIREMENTS)
}

/// A virtual environment under the target folder, renewed when the requirements change.
pub(crate) fn install(venv: &Path, requirements: &[&str]) -> Outcome {
    let Some(python) = find_program("python3").or_else(|| find_program("python")) else {
        return Outcome::Missing("python3".to_owned());
    };
    let files: Vec<&str> = requirements
        .iter()
        .copied()
        .filter(|file| root().join(file).is_file())
        .collect();
    let mut wanted = String::new();
    for file in &files {
        match fs::read_to_string(root().join(file)) {
            Ok(text) => wanted.push_str(&text),
            Err(error) => return Outcome::Failed(format!("{file}: {error}")),
        }
    }
    let stamp = venv.join("installed.txt");
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
    create.args(["-m", "venv", "--clear"]).arg(venv);
    let mut install = command(program(venv, "python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    for file in files {
        install.args(["--requirement", file]);
    }
    match all([create, install]) {
        Outcome::Passed(_) => match fs::write(&stamp, wanted) {
            Ok(()) => Outcome::passed(),
            Err(error) => Outcome::Failed(format!("{}: {error}", stamp.display())),
        },
        other => other,
    }
}

/// Runs the tests of a folder; the note is what they counted.
fn pytest(folder: &str) -> Outcome {
    let mut pytest = command(venv_python());
    pytest
        .args(["-m", "pytest", "-p", "no:cacheprovider", "-rs", folder])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SEALWIRE_BIN", binary("sealwire"))
        .env("SEAL_CLIENT", binary("examples/seal_client"));
    let mut matrix = String::new();
    let mut last = String::new();
    let outcome = watch(pytest, Output::Stdout, |line| {
        if line.starts_with("matrix: ") {
            matrix = format!("{line}; ");
        }
        if !line.is_empty() {
            last = line.trim_matches(['=', ' ']).to_owned();
        }
    });
    match outcome {
        Outcome::Passed(_) => Outcome::Passed(format!("{matrix}{last}")),
        Outcome::Failed(why) => Outcome::Failed(format!("{why}; {matrix}{last}")),
        other => other,
    }
}

/// A program that `binaries` has built.
pub(crate) fn binary(name: &str) -> PathBuf {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    target_dir().join("debug").join(file)
}

fn venv() -> PathBuf {
    target_dir().join("venv")
}

pub(crate) fn venv_python() -> PathBuf {
    program(&venv(), "python")
}

/// A program of a virtual environment.
pub(crate) fn program(venv: &Path, name: &str) -> PathBuf {
    if cfg!(windows) {
        venv.join("Scripts").join(format!("{name}.exe"))
    } else {
        venv.join("bin").join(name)
    }
}
