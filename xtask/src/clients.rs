//! Clients that nobody here wrote, against the proxy with everything behind it: packages of PyPI and npm, their own suites, the Codex CLI, curl.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::env::{root, target_dir};
use crate::report::{Outcome, Report};
use crate::run::{Output, command, status, watch};
use crate::{node, python};

const FOLDER: &str = "tests/clients";
const REQUIREMENTS: &str = "tests/clients/requirements.txt";
const NODE: &str = "tests/clients/node";
const CODEX: &str = "tests/clients/codex";
/// Packages whose source archives hold the suites that are run.
const SUITES: [&str; 2] = ["openai", "anthropic"];

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask clients");
    python::binaries(&mut report);
    steps(&mut report);
    report.finish()
}

/// Each kind of client is installed apart: what is missing is named, and its tests are skipped.
pub(crate) fn steps(report: &mut Report) {
    let passed = |outcome: &Outcome| matches!(outcome, Outcome::Passed(_));
    let (mut ready, mut archives, mut packages, mut codex) = (false, false, false, false);
    report.step("clients of PyPI", || {
        let outcome = python::install(&venv(), &[REQUIREMENTS]);
        ready = passed(&outcome);
        outcome
    });
    if !ready {
        return;
    }
    report.step("suites of the clients of PyPI", || {
        let outcome = download();
        archives = passed(&outcome);
        outcome
    });
    report.step("clients of npm", || {
        let outcome = node::packages(NODE);
        packages = passed(&outcome);
        outcome
    });
    report.step("Codex CLI", || {
        let outcome = install_codex();
        codex = passed(&outcome);
        outcome
    });
    report.step("tests of the clients", || {
        let mut test = command(python::program(&venv(), "python"));
        test.args(["-m", "pytest", "-p", "no:cacheprovider", "-rsx"])
            .args(["-c", &format!("{FOLDER}/pytest.ini"), FOLDER])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SEALWIRE_BIN", python::binary("sealwire"));
        if archives {
            test.env("CLIENTS_ARCHIVES", self::archives());
        }
        if let (true, Ok(node)) = (packages, node::node()) {
            test.env("CLIENTS_NODE", node);
        }
        if codex {
            test.env("CLIENTS_CODEX", codex_program());
        }
        pytest(test)
    });
}

/// What pytest counted, and what other runners counted inside it.
fn pytest(test: std::process::Command) -> Outcome {
    let (mut counted, mut last) = (String::new(), String::new());
    let outcome = watch(test, Output::Stdout, |line| {
        if let Some(count) = line.strip_prefix("counted: ") {
            counted.push_str("; ");
            counted.push_str(count);
        }
        if !line.is_empty() {
            last = line.trim_matches(['=', ' ']).to_owned();
        }
    });
    match outcome {
        Outcome::Passed(_) => Outcome::Passed(format!("{last}{counted}")),
        Outcome::Failed(why) => Outcome::Failed(format!("{why}; {last}{counted}")),
        other => other,
    }
}

/// Source archives of the versions that are installed.
fn download() -> Outcome {
    let requirements = match fs::read_to_string(root().join(REQUIREMENTS)) {
        Ok(text) => text,
        Err(error) => return Outcome::Failed(format!("{REQUIREMENTS}: {error}")),
    };
    let mut wanted = Vec::new();
    for name in SUITES {
        let pinned = requirements
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix("=="));
        let Some(version) = pinned else {
            return Outcome::Failed(format!("{REQUIREMENTS} does not pin {name}"));
        };
        if !archives()
            .join(format!("{name}-{version}.tar.gz"))
            .is_file()
        {
            wanted.push(format!("{name}=={version}"));
        }
    }
    if wanted.is_empty() {
        return Outcome::Passed("already there".to_owned());
    }
    let mut download = command(python::program(&venv(), "python"));
    download
        .args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--no-binary", ":all:"])
        .arg("--dest")
        .arg(archives())
        .args(wanted);
    status(download)
}

/// Under the target folder, since it is several hundred megabytes. There is none for every machine.
fn install_codex() -> Outcome {
    let folder = codex();
    let copied = fs::create_dir_all(&folder).and_then(|()| {
        ["package.json", "package-lock.json", ".npmrc"]
            .iter()
            .try_for_each(|file| {
                fs::copy(root().join(CODEX).join(file), folder.join(file)).map(|_| ())
            })
    });
    if let Err(error) = copied {
        return Outcome::Failed(format!("{}: {error}", folder.display()));
    }
    match node::packages_in(&folder) {
        Outcome::Passed(note) if codex_program().is_file() => Outcome::Passed(note),
        Outcome::Passed(_) | Outcome::Failed(_) => {
            Outcome::Missing("Codex CLI for this machine".to_owned())
        }
        missing => missing,
    }
}

fn venv() -> PathBuf {
    target_dir().join("clients").join("venv")
}

fn archives() -> PathBuf {
    target_dir().join("clients").join("archives")
}

fn codex() -> PathBuf {
    target_dir().join("clients").join("codex")
}

fn codex_program() -> PathBuf {
    let name = if cfg!(windows) { "codex.cmd" } else { "codex" };
    codex().join("node_modules").join(".bin").join(name)
}
