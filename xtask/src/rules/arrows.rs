//! Crates of this workspace depend on each other in one direction: cli -> proxy -> dialects -> http -> sealwire, cli -> instance, relay, tls -> http, and
//! cli -> a provider -> (its tests) provider-test -> sealwire.

use crate::report::Outcome;
use crate::run::{cargo_locked, read};

/// Each package and its layer. A package may depend on packages of lower layers only.
const LAYERS: [(&str, u8); 16] = [
    ("sealwire", 0),
    ("sealwire-attest", 1),
    ("sealwire-http", 1),
    ("sealwire-provider-test", 1),
    ("sealwire-aws-lc-rs", 2),
    ("sealwire-dialects", 2),
    ("sealwire-instance", 2),
    ("sealwire-libdeflate", 2),
    // Its tests combine it with AWS-LC.
    ("sealwire-openssl", 3),
    ("sealwire-proxy", 3),
    ("sealwire-relay", 2),
    ("sealwire-tls", 2),
    ("sealwire-vectors", 3),
    ("sealwire-cli", 4),
    ("sealwire-python", 3),
    ("xtask", 0),
];

pub(super) fn check() -> Outcome {
    let members = match read(cargo_locked(
        "tree",
        &[
            "--workspace",
            "--depth",
            "0",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ],
    )) {
        Ok(tree) => names(&tree),
        Err(why) => return Outcome::Failed(why),
    };
    if members.is_empty() {
        return Outcome::Failed("cargo tree shows no package".to_owned());
    }
    let mut found = Vec::new();
    for member in &members {
        // Dev-dependencies count as well: cross-role tests live in crates/cli.
        let tree = read(cargo_locked(
            "tree",
            &[
                "--package",
                member,
                "--all-features",
                "--edges",
                "normal,build,dev",
                "--target",
                "all",
                "--depth",
                "1",
                "--prefix",
                "none",
                "--format",
                "{p}",
            ],
        ));
        match tree {
            Ok(tree) => {
                let used: Vec<String> = names(&tree)
                    .into_iter()
                    .filter(|name| members.contains(name))
                    .collect();
                found.extend(complaints(member, &used));
            }
            Err(why) => found.push(why),
        }
    }
    Outcome::from_complaints(&found)
}

fn names(tree: &str) -> Vec<String> {
    let mut names: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn layer(package: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(name, _)| *name == package)
        .map(|(_, layer)| *layer)
}

fn complaints(package: &str, used: &[String]) -> Vec<String> {
    let Some(own) = layer(package) else {
        return vec![format!(
            "{package} has no layer; give it one in xtask/src/rules/arrows.rs"
        )];
    };
    used.iter()
        // A package may turn on its own features for its tests.
        .filter(|name| *name != package)
        .filter(|name| layer(name).is_none_or(|other| other >= own))
        .map(|name| format!("{package} must not depend on {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::complaints;

    fn used(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn downwards_and_to_itself() {
        assert!(complaints("sealwire", &used(&["sealwire"])).is_empty());
        assert!(complaints("sealwire-cli", &used(&["sealwire-relay", "sealwire"])).is_empty());
    }

    #[test]
    fn not_sideways_not_upwards_not_unknown() {
        assert_eq!(
            complaints("sealwire-relay", &used(&["sealwire-instance"])).len(),
            1
        );
        assert_eq!(complaints("sealwire", &used(&["sealwire-http"])).len(), 1);
        assert_eq!(complaints("sealwire-new", &[]).len(), 1);
    }
}
