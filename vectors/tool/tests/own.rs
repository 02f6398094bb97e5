//! The library holds every case with every provider, and the cases are as many and as they should be.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sealwire_vectors::case::{SCHEMA, Suite};
use sealwire_vectors::implementation::Implementation;
use sealwire_vectors::own::{self, KINDS, Own};
use sealwire_vectors::report::Report;
use sealwire_vectors::verify::{self, Verdict};
use serde_json::Value;

fn providers() -> Vec<Own> {
    let aws_lc = sealwire_aws_lc_rs::provider();
    vec![
        own::rustcrypto(),
        Own::without_coins("aws-lc-rs", aws_lc),
        Own::with_coins("aws-lc-rs with the KEMs of rustcrypto", aws_lc),
    ]
}

fn vectors() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_provider_holds_every_case() {
    let suite = Suite::embedded().unwrap();
    for mut own in providers() {
        let checked: Vec<_> = suite
            .cases
            .iter()
            .map(|case| verify::check(&mut own, case))
            .collect();
        let report = Report::new(own.about(), &checked, None);
        println!("{}", report.to_text());
        assert!(report.is_success());
        let only_coins = checked.iter().all(|checked| match &checked.verdict {
            Verdict::Skipped(capability) => capability == "kem-coins",
            _ => true,
        });
        assert!(only_coins);
    }
}

#[test]
fn a_provider_with_coins_skips_nothing_and_reaches_the_first_milestone() {
    let suite = Suite::embedded().unwrap();
    let mut own = own::rustcrypto();
    let skipped = suite
        .cases
        .iter()
        .find(|case| matches!(verify::check(&mut own, case).verdict, Verdict::Skipped(_)));
    assert!(skipped.is_none());
    assert_eq!(verify::accumulated(&mut own, &suite, 100), Ok(1));
}

#[test]
fn embedded_files_are_those_of_the_folder() {
    let embedded = Suite::embedded().unwrap();
    let mut folder = Suite::from_dir(&vectors().join("v1")).unwrap();
    let chutes = Suite::from_file(&vectors().join("chutes/v1.json")).unwrap();
    folder.cases.extend(chutes.cases);
    let ids = |suite: &Suite| -> BTreeMap<String, Value> {
        let cases = suite.cases.iter();
        cases
            .map(|case| (case.id.clone(), case.json.clone()))
            .collect()
    };
    assert_eq!(ids(&embedded), ids(&folder));
    assert_eq!(embedded.milestones, folder.milestones);
}

#[test]
fn negatives_are_at_least_three_times_the_positives() {
    let suite = Suite::embedded().unwrap();
    let negatives = suite
        .cases
        .iter()
        .filter(|case| case.error().is_some())
        .count();
    let positives = suite.cases.len() - negatives;
    println!("{} cases, {negatives} negative", suite.cases.len());
    assert!(suite.cases.len() >= 400);
    assert!(
        negatives >= 3 * positives,
        "{negatives} negative, {positives} positive"
    );
    let kinds: BTreeSet<&str> = suite.cases.iter().map(|case| case.kind.as_str()).collect();
    assert_eq!(kinds, KINDS.into_iter().collect());
}

#[test]
fn every_case_has_its_members_and_every_negative_one_class() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let flags: BTreeSet<&str> = schema["$defs"]["flag"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| flag["const"].as_str().unwrap())
        .collect();
    for case in &Suite::embedded().unwrap().cases {
        let id = &case.id;
        for member in [
            "id", "kind", "spec", "comment", "flags", "coins", "in", "expect",
        ] {
            assert!(case.json.get(member).is_some(), "{id}: no {member}");
        }
        assert!(
            case.flags.iter().all(|flag| flags.contains(flag.as_str())),
            "{id}: {:?}",
            case.flags
        );
        let expect = &case.json["expect"];
        if case.error().is_some() {
            assert_eq!(case.flags.len(), 1, "{id}");
            assert!(expect["released"].is_u64(), "{id}");
            assert_eq!(
                expect["released_sha256"].as_str().unwrap().len(),
                64,
                "{id}"
            );
        }
    }
}
