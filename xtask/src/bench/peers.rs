//! The programs of benches/peers, a crate outside of the workspace. What they print comes last: there is no table of steps behind it.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Files;
use crate::env::{find_program, in_ci, root, target_dir};
use crate::openssl;
use crate::report::Outcome;
use crate::run::{cargo, command, status};

pub(super) fn run(subject: &str, args: &[String]) -> ExitCode {
    let outcome = match build() {
        Outcome::Passed(_) if subject == "counts" => counts(args),
        Outcome::Passed(_) => measure(subject, args),
        other => other,
    };
    match outcome {
        Outcome::Passed(_) => ExitCode::SUCCESS,
        Outcome::Failed(why) | Outcome::Missing(why) => {
            eprintln!("FAILED: bench {subject}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Outcome {
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
    status(build)
}

fn program(name: &str) -> PathBuf {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    target_dir().join("release").join(file)
}

fn measure(subject: &str, args: &[String]) -> Outcome {
    let title = match subject {
        "crypto" => "AEADs in place and KEMs, one core",
        "protocol" => "Handshakes, frames and bodies, one core",
        _ => "sealwire beside its peers, one core, one run",
    };
    let files = Files::of(subject);
    let mut measure = command(program("sealwire-peers"));
    measure.arg(subject).arg("--json").arg(&files.json);
    measure.args(args);
    files.measure(title, measure)
}

fn counts(args: &[String]) -> Outcome {
    if find_program("valgrind").is_none() {
        return Outcome::Failed("there is no valgrind".to_owned());
    }
    let files = Files::of("counts");
    let mut counts = command(program("counts"));
    counts
        .args(["run", "--file", "benches/peers/counts.json", "--out"])
        .arg(target_dir().join("bench"))
        .args(args);
    files.measure("Instructions beside benches/peers/counts.json", counts)
}
