//! The programs of benches/peers, a crate outside of the workspace. What they print comes last: there is no table of steps behind it.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::env::{find_program, in_ci, root, target_dir};
use crate::openssl;
use crate::report::Outcome;
use crate::run::{cargo, command, status};

pub(super) const SUBJECTS: [&str; 4] = ["crypto", "protocol", "peers", "counts"];

pub(super) fn run(subject: &str, args: &[String]) -> ExitCode {
    let ran = build().and_then(|()| {
        if subject == "counts" {
            counts(args)
        } else {
            measure(subject, args)
        }
    });
    match ran.map(status) {
        Ok(Outcome::Passed(_)) => ExitCode::SUCCESS,
        Ok(Outcome::Failed(why)) | Err(why) => {
            eprintln!("FAILED: bench {subject}: {why}");
            ExitCode::FAILURE
        }
        Ok(Outcome::Missing(what)) => {
            eprintln!("skipped: no {what}");
            ExitCode::SUCCESS
        }
    }
}

fn build() -> Result<(), String> {
    let mut build = cargo(&["build", "--release", "--manifest-path"]);
    build
        .arg(root().join("benches/peers/Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir());
    if in_ci() {
        build.arg("--locked");
    }
    if openssl::is_there() {
        build.args(["--features", "openssl"]);
    } else {
        println!("no headers of OpenSSL 3 (Debian: libssl-dev, pkg-config): it is left out");
    }
    match status(build) {
        Outcome::Passed(_) => Ok(()),
        Outcome::Failed(why) | Outcome::Missing(why) => Err(why),
    }
}

fn program(name: &str) -> PathBuf {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    target_dir().join("release").join(file)
}

fn measure(subject: &str, args: &[String]) -> Result<Command, String> {
    let file = |ending: &str| target_dir().join(format!("bench/{subject}.{ending}"));
    let mut measure = command(program("sealwire-peers"));
    measure
        .arg(subject)
        .arg("--json")
        .arg(file("json"))
        .arg("--svg")
        .arg(file("svg"))
        .args(args);
    Ok(measure)
}

fn counts(args: &[String]) -> Result<Command, String> {
    if find_program("valgrind").is_none() {
        return Err("there is no valgrind".to_owned());
    }
    let mut counts = command(program("counts"));
    counts
        .args(["run", "--file", "benches/peers/counts.json", "--out"])
        .arg(target_dir().join("bench"))
        .args(args);
    Ok(counts)
}
