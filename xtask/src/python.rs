//! What pytest drives: the official OpenAI package and curl against the built binaries, and the implementations against each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::env::{find_program, root, target_dir};
use crate::node;
use crate::report::{Outcome, Report};
use crate::run::{Output, all, cargo_locked, command, status, watch};

/// What the driver needs, and what the Python implementation needs.
const REQUIREMENTS: [&str; 3] = [
    "tests/python/requirements.txt",
    "clients/python/requirements.txt",
    "vectors/reference/requirements.txt",
];

/// The Python package.
const PACKAGE: &str = "clients/python";

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask python");
    if prepare(&mut report) {
        client(&mut report);
        package(&mut report);
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
                "--example",
                "quote_maker",
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

/// Builds the Python package, installs it and runs its tests.
pub(crate) fn package(report: &mut Report) {
    let mut built = false;
    report.step("Python package", || {
        let outcome = wheel("dev");
        built = matches!(outcome, Outcome::Passed(_));
        outcome
    });
    if built {
        report.step("tests of the Python package", || {
            pytest(&format!("{PACKAGE}/tests"))
        });
    }
}

/// Builds a wheel with maturin and installs it into the environment.
pub(crate) fn wheel(profile: &str) -> Outcome {
    let folder = target_dir().join("wheels").join(profile);
    // One wheel at a time, so that it is known which one.
    let _ = fs::remove_dir_all(&folder);
    let mut build = command(venv_python());
    build
        .args(["-m", "maturin", "build", "--quiet", "--profile", profile])
        .args(["--manifest-path", &format!("{PACKAGE}/Cargo.toml")])
        .arg("--interpreter")
        .arg(venv_python())
        .arg("--out")
        .arg(&folder)
        .env("CARGO_TARGET_DIR", target_dir());
    match status(build) {
        Outcome::Passed(_) => {}
        other => return other,
    }
    let wheels = fs::read_dir(&folder).into_iter().flatten().flatten();
    let Some(wheel) = wheels.map(|entry| entry.path()).next() else {
        return Outcome::Failed(format!("no wheel in {}", folder.display()));
    };
    let mut install = command(venv_python());
    install
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--no-deps"])
        .arg("--force-reinstall")
        .arg(wheel);
    status(install)
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

/// The environment of this project's own tests.
pub(crate) fn packages() -> Outcome {
    let files: Vec<&str> = REQUIREMENTS
        .into_iter()
        .filter(|file| root().join(file).is_file())
        .collect();
    install(&venv(), &files)
}

/// A virtual environment with what files of requirements name, renewed when they change.
pub(crate) fn install(venv: &Path, files: &[&str]) -> Outcome {
    let Some(python) = find_program("python3").or_else(|| find_program("python")) else {
        return Outcome::Missing("python3".to_owned());
    };
    let mut wanted = String::new();
    for file in files {
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
        .env("SEAL_CLIENT", binary("examples/seal_client"))
        .env("QUOTE_MAKER", binary("examples/quote_maker"));
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
