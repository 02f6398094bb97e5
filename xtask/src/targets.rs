//! `cargo xtask targets`: the core and the HTTP carriage pass `cargo check` for platforms other than this one.
//!
//! Debian's `rustc-web`, `cargo-web` and `rust-web-src` bring a compiler with the source of the standard library, so that
//! `-Zbuild-std` makes it for any target without a download of ready-made ones.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::env::{root, target_dir};
use crate::report::{Outcome, Report};
use crate::run::{command, status};

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const STD_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/Cargo.lock";
const PACKAGES: &str = "rustc-web, cargo-web, rust-web-src (Debian packages)";

const APPLE: &str = "aarch64-apple-darwin";
const WINDOWS: &str = "x86_64-pc-windows-msvc";
const WASM: &str = "wasm32-unknown-unknown";
const BARE: &str = "thumbv7em-none-eabi";

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask targets");
    report.step("core for macOS and Windows", || {
        check(&[APPLE, WINDOWS], &["--package", "sealwire", "-Zbuild-std"])
    });
    // The operating system's random generator is a default feature, and a browser has none without JavaScript glue.
    report.step("core for wasm32, with the adapters", || {
        check(
            &[WASM],
            &[
                "--package",
                "sealwire",
                "--no-default-features",
                "--features",
                "rustcrypto,futures",
                "-Zbuild-std",
            ],
        )
    });
    report.step("core for bare metal", || {
        check(
            &[BARE],
            &[
                "--package",
                "sealwire",
                "--no-default-features",
                "--features",
                "rustcrypto",
                "-Zbuild-std=core,alloc",
            ],
        )
    });
    report.step("HTTP carriage for macOS, Windows and wasm32", || {
        check(
            &[APPLE, WINDOWS, WASM],
            &["--package", "sealwire-http", "-Zbuild-std"],
        )
    });
    report.step("HTTP carriage with sockets for macOS and Windows", || {
        check(
            &[APPLE, WINDOWS],
            &[
                "--package",
                "sealwire-http",
                "--all-features",
                "-Zbuild-std",
            ],
        )
    });
    report.finish()
}

fn check(targets: &[&str], args: &[&str]) -> Outcome {
    if ![RUSTC, CARGO, STD_SOURCE]
        .iter()
        .all(|path| Path::new(path).is_file())
    {
        return Outcome::Missing(PACKAGES.to_owned());
    }
    let mut command = debian_cargo();
    command.args(["check", "--locked"]);
    for target in targets {
        command.args(["--target", target]);
    }
    command.args(args);
    // Nothing of it is run, so nothing needs optimising.
    command.args(["--config", "profile.dev.opt-level=0"]);
    command.args(["--config", "profile.dev.package.\"*\".opt-level=0"]);
    status(command)
}

/// Debian's cargo with Debian's compiler, whatever toolchain xtask runs under.
fn debian_cargo() -> Command {
    let mut command = command(CARGO);
    for name in [
        "RUSTUP_TOOLCHAIN",
        "CARGO",
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "LD_LIBRARY_PATH",
    ] {
        command.env_remove(name);
    }
    command
        .current_dir(root())
        .env("RUSTC", RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        // Another compiler in the same folder would make both build everything anew each time.
        .env("CARGO_TARGET_DIR", other_target_dir());
    command
}

fn other_target_dir() -> PathBuf {
    target_dir().join("other-targets")
}
