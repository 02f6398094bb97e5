//! spec/coverage.md is whole: every MUST has an identifier, every identifier a vector or test, and every name exists.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const NORMATIVE: [&str; 3] = ["spec/protocol.md", "spec/http.md", "spec/evidence.md"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Identifiers like `[F-12]` in a line.
fn identifiers(line: &str) -> Vec<String> {
    line.split('`')
        .filter_map(|part| part.strip_prefix('[')?.strip_suffix(']'))
        .filter(|id| {
            id.split_once('-').is_some_and(|(letters, number)| {
                !letters.is_empty()
                    && letters.chars().all(|c| c.is_ascii_uppercase())
                    && number.parse::<u32>().is_ok()
            })
        })
        .map(str::to_owned)
        .collect()
}

fn requirements() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in NORMATIVE {
        for (number, line) in read(file).lines().enumerate() {
            if !line.contains("MUST") || line.contains("RFC 2119") {
                continue;
            }
            let ids = identifiers(line);
            assert!(
                !ids.is_empty(),
                "{file}:{}: a MUST without an identifier",
                number + 1
            );
            for id in ids {
                // The overview names one as an example; that line has no MUST.
                assert!(found.insert(id.clone()), "{file}: {id} stands twice");
            }
        }
    }
    found
}

/// identifier -> names, from the table.
fn coverage() -> BTreeMap<String, Vec<String>> {
    let mut table = BTreeMap::new();
    for line in read("spec/coverage.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, names, _] = cells[..] else {
            continue;
        };
        if !id.contains('-') || id.starts_with('-') {
            continue;
        }
        let names: Vec<String> = names
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        assert!(!names.is_empty(), "{id} has no vector and no test");
        assert!(
            table.insert(id.to_owned(), names).is_none(),
            "{id} stands twice"
        );
    }
    table
}

fn vector_ids() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(root().join("vectors/v1")).unwrap() {
        let document: serde_json::Value =
            serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        for case in document["cases"].as_array().into_iter().flatten() {
            ids.insert(case["id"].as_str().unwrap().to_owned());
        }
    }
    ids
}

#[test]
fn every_must_is_covered_and_every_name_exists() {
    let (requirements, coverage, vectors) = (requirements(), coverage(), vector_ids());
    let covered: BTreeSet<String> = coverage.keys().cloned().collect();
    let missing: Vec<_> = requirements.difference(&covered).collect();
    assert!(missing.is_empty(), "not in spec/coverage.md: {missing:?}");
    let stale: Vec<_> = covered.difference(&requirements).collect();
    assert!(
        stale.is_empty(),
        "in spec/coverage.md, but no requirement: {stale:?}"
    );
    for (id, names) in &coverage {
        for name in names {
            match name.split_once("::") {
                // path::function
                Some((path, function)) => {
                    let source = read(path);
                    let is_test = source.contains(&format!("fn {function}("))
                        && (source.contains("#[test]")
                            || source.contains("#[tokio::test")
                            || path.ends_with(".py"));
                    let python =
                        path.ends_with(".py") && source.contains(&format!("def {function}("));
                    assert!(is_test || python, "{id}: no test {name}");
                }
                None => match name.strip_suffix('*') {
                    Some(prefix) => assert!(
                        vectors.iter().any(|id| id.starts_with(prefix)),
                        "{id}: no vector {name}"
                    ),
                    None => assert!(vectors.contains(name), "{id}: no vector {name}"),
                },
            }
        }
    }
    println!("{} requirements", requirements.len());
}
