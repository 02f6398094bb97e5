//! The relay cannot decrypt: its dependency tree holds no KEM, no AEAD and no crypto provider.

use crate::report::Outcome;
use crate::run::{cargo_locked, read};

const RELAY: &str = "sealwire-relay";

/// Packages that could open what the relay carries, and the libraries that hold such code.
const FORBIDDEN: [&str; 19] = [
    "ml-kem",
    "x-wing",
    "kem",
    "x25519-dalek",
    "chacha20poly1305",
    "chacha20",
    "poly1305",
    "libcrux-poly1305",
    "aead",
    "aes-gcm",
    "sealwire-aws-lc-rs",
    "aws-lc-rs",
    "aws-lc-sys",
    "aws-lc-fips-sys",
    "ring",
    "openssl-sys",
    "sealwire-openssl",
    "graviola",
    "dryoc",
];

/// Features of `sealwire` that bring a provider.
const FORBIDDEN_FEATURES: [&str; 2] = ["rustcrypto", "testing"];

pub(super) fn check() -> Outcome {
    let tree = read(cargo_locked(
        "tree",
        &[
            "--package",
            RELAY,
            "--edges",
            "normal,build",
            "--target",
            "all",
            "--prefix",
            "none",
            "--format",
            "{p}\t{f}",
        ],
    ));
    match tree {
        Ok(tree) => Outcome::from_complaints(&complaints(&tree)),
        Err(why) => Outcome::Failed(why),
    }
}

fn complaints(tree: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut has_relay = false;
    for line in tree.lines() {
        let (package, features) = line.split_once('\t').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or(package);
        has_relay |= name == RELAY;
        if FORBIDDEN.contains(&name) {
            found.push(format!("{RELAY} depends on {package}"));
        }
        if name == "sealwire" {
            let features = features.trim_end_matches("(*)").trim();
            found.extend(
                features
                    .split(',')
                    .filter(|feature| FORBIDDEN_FEATURES.contains(feature))
                    .map(|feature| format!("{RELAY} turns on the feature {feature} of sealwire")),
            );
        }
    }
    if !has_relay {
        found.push(format!("cargo tree does not show {RELAY} itself"));
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::complaints;

    #[test]
    fn hashes_and_signatures_are_allowed() {
        let tree = "sealwire-relay v0.1.0 (/x)\tcli\nsealwire v0.1.0 (/y)\tverify\nsha2 v0.11.1\t\ned25519-dalek v3.0.0\tzeroize";
        assert_eq!(complaints(tree), Vec::<String>::new());
    }

    #[test]
    fn a_kem_an_aead_and_a_provider_are_not() {
        let tree = "sealwire-relay v0.1.0 (/x)\t\nsealwire v0.1.0 (/y)\tdefault,rustcrypto,verify (*)\nml-kem v0.3.4\tzeroize\nchacha20 v0.10.2\t (*)\naws-lc-sys v0.47.0\t\nsealwire-aws-lc-rs v0.1.0 (/z)\t";
        assert_eq!(
            complaints(tree),
            [
                "sealwire-relay depends on aws-lc-sys v0.47.0",
                "sealwire-relay depends on chacha20 v0.10.2",
                "sealwire-relay depends on ml-kem v0.3.4",
                "sealwire-relay depends on sealwire-aws-lc-rs v0.1.0 (/z)",
                "sealwire-relay turns on the feature rustcrypto of sealwire",
            ]
        );
    }

    #[test]
    fn an_empty_tree_is_no_proof() {
        assert_eq!(complaints("").len(), 1);
    }
}
