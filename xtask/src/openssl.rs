//! What links the system's OpenSSL 3: off by default, so that the workspace builds where its headers are not.

use crate::report::{Outcome, Report};
use crate::run::{all, cargo_locked, command, read};

const MISSING: &str = "headers of OpenSSL 3 (Debian: libssl-dev, pkg-config)";

const FEATURES: &str = "sealwire-openssl/openssl,sealwire-cli/openssl";

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
        // All of the workspace each time: then nothing but the two crates that have the feature is built again.
        let cargo = |subcommand, args: &[&str]| {
            let mut command = cargo_locked(subcommand, &["--workspace", "--features", FEATURES]);
            command.args(args);
            command
        };
        let mut doc = cargo_locked("doc", &["--package", "sealwire-openssl", "--no-deps"]);
        doc.args(["--features", "openssl"])
            .env("RUSTDOCFLAGS", "-D warnings");
        all([
            cargo("clippy", &["--all-targets", "--", "-D", "warnings"]),
            doc,
            cargo("test", &["--lib", "--test", "conformance"]),
        ])
    });
}
