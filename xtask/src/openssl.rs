//! What links the system's OpenSSL 3: off by default, so that the workspace builds where its headers are not.

use crate::report::{Outcome, Report};
use crate::run::{all, cargo_locked, command, read};

const MISSING: &str = "headers of OpenSSL 3 (Debian: libssl-dev, pkg-config)";

pub(crate) fn is_there() -> bool {
    let mut ask = command("pkg-config");
    ask.args(["--atleast-version=3", "openssl"]);
    read(ask).is_ok()
}

pub(crate) fn step(report: &mut Report) {
    report.step("OpenSSL's AEAD, alone and in the binary", || {
        if !is_there() {
            return Outcome::Missing(MISSING.to_owned());
        }
        let cargo = |subcommand, args: &[&str]| {
            let mut command = cargo_locked(subcommand, &["--features", "openssl", "--package"]);
            command.args(args);
            command
        };
        let lints = ["--", "-D", "warnings"];
        let mut own = cargo("clippy", &["sealwire-openssl", "--all-targets"]);
        own.args(lints);
        let mut binary = cargo("clippy", &["sealwire-cli", "--lib", "--bins"]);
        binary.args(lints);
        let mut doc = cargo("doc", &["sealwire-openssl", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        all([
            own,
            binary,
            doc,
            cargo("test", &["sealwire-openssl"]),
            cargo("test", &["sealwire-cli", "--lib", "provider::"]),
        ])
    });
}
