//! Runs cases and compares.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::case::{Case, Suite};
use crate::implementation::{Answer, Implementation};

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Otherwise; the first difference.
    Failed(String),
    /// Not run, for want of a capability.
    Skipped(String),
}

/// A case and its verdict.
#[derive(Debug, Clone)]
pub struct Checked<'a> {
    /// The case.
    pub case: &'a Case,
    /// Its verdict.
    pub verdict: Verdict,
}

/// SHA-256 of nothing.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Whether a capability is a protocol beside sealwire/1, which an implementation need not have.
#[must_use]
pub fn is_profile(capability: &str) -> bool {
    capability == "chutes-v1"
}

/// Runs a case, unless the implementation lacks its kind or a capability.
pub fn check<'a>(implementation: &mut dyn Implementation, case: &'a Case) -> Checked<'a> {
    let about = implementation.about();
    let needed = case
        .needs
        .iter()
        .find(|need| !about.capabilities.contains(need));
    let missing = match needed {
        Some(profile) if is_profile(profile) => Some(profile.clone()),
        _ if !about.kinds.contains(&case.kind) => Some(format!("kind {}", case.kind)),
        needed => needed.cloned(),
    };
    let verdict = match missing {
        Some(capability) => Verdict::Skipped(capability),
        None => judge(case, implementation.run(case)),
    };
    Checked { case, verdict }
}

fn judge(case: &Case, answer: Answer) -> Verdict {
    let (expect, mid) = match answer {
        Answer::Result { expect, mid } => (expect, mid),
        Answer::Skip(capability) => return Verdict::Skipped(capability),
        Answer::Fault(why) => return Verdict::Failed(format!("fault: {why}")),
    };
    match difference(case, &expect, &mid) {
        None => Verdict::Passed,
        Some(what) => Verdict::Failed(what),
    }
}

/// The first difference between a case and a result, if there is one.
fn difference(
    case: &Case,
    expect: &Map<String, Value>,
    mid: &Map<String, Value>,
) -> Option<String> {
    let wanted = case.json["expect"].as_object()?;
    let code = |result: &Map<String, Value>| {
        result
            .get("error")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    match (code(wanted), code(expect)) {
        (Some(wanted), None) => return Some(format!("accepted; expected the error {wanted}")),
        (None, Some(got)) => return Some(format!("failed with {got}; expected success")),
        (Some(wanted), Some(got)) if wanted != got => {
            return Some(format!("failed with {got}; expected the error {wanted}"));
        }
        _ => {}
    }
    // Intermediate values come first: they say where a wrong result went wrong.
    let stored = case.json["mid"].as_object();
    for (name, wanted) in stored.map(in_order).into_iter().flatten() {
        if let Some(got) = mid.get(name)
            && let Some(what) = unequal(&format!("mid.{name}"), wanted, got)
        {
            return Some(what);
        }
    }
    for (name, wanted) in in_order(wanted) {
        let defaulted = defaults(name).filter(|_| expect.contains_key("error"));
        let what = match expect.get(name).or(defaulted.as_ref()) {
            Some(got) => unequal(name, wanted, got),
            None => Some(format!("no {name} in the answer")),
        };
        if what.is_some() {
            return what;
        }
    }
    // A failure may come with what there was until then, but not with a bundle that is to be dropped.
    let mut names = expect
        .keys()
        .filter(|name| !expect.contains_key("error") || *name == "bundle");
    let extra = names.find(|name| !wanted.contains_key(*name));
    extra.map(|name| format!("{name} in the answer, not in the case"))
}

/// The key schedule in the order in which it is derived, so that the first difference is the cause.
const DERIVED: [&str; 14] = [
    "ss_s", "th0", "th1", "prk1", "confirm1", "ts_c2s_0", "derived", "ss_c", "th2", "prk2",
    "confirm2", "ts_s2c_0", "ts_c2s_1", "exporter",
];

/// Members in the order of their making, the others behind.
fn in_order(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| {
        let at = DERIVED.iter().position(|derived| derived == name);
        at.unwrap_or(DERIVED.len())
    });
    members
}

/// What an answer with an error may leave out.
fn defaults(name: &str) -> Option<Value> {
    match name {
        "released" => Some(0.into()),
        "released_sha256" => Some(EMPTY_SHA256.into()),
        _ => None,
    }
}

/// Says where two values differ, down to the member.
fn unequal(path: &str, wanted: &Value, got: &Value) -> Option<String> {
    match (wanted, got) {
        (Value::Array(wanted), Value::Array(got)) => {
            let first = wanted
                .iter()
                .zip(got)
                .enumerate()
                .find_map(|(at, (wanted, got))| unequal(&format!("{path}[{at}]"), wanted, got));
            first.or_else(|| {
                (wanted.len() != got.len())
                    .then(|| format!("{path}: expected {} items, got {}", wanted.len(), got.len()))
            })
        }
        (Value::Object(wanted), Value::Object(got)) => wanted
            .iter()
            .find_map(|(name, value)| match got.get(name) {
                Some(got) => unequal(&format!("{path}.{name}"), value, got),
                None => Some(format!("{path}: no {name}")),
            })
            .or_else(|| {
                got.keys()
                    .find(|name| !wanted.contains_key(*name))
                    .map(|name| format!("{path}: {name} is too much"))
            }),
        _ if wanted == got => None,
        (Value::String(wanted), Value::String(got)) => {
            let at = wanted.bytes().zip(got.bytes()).take_while(|(a, b)| a == b);
            let at = at.count();
            Some(format!(
                "{path}: expected {}, got {} (from character {at} of {} and {})",
                clip(wanted, at),
                clip(got, at),
                wanted.len(),
                got.len()
            ))
        }
        _ => Some(format!("{path}: expected {wanted}, got {got}")),
    }
}

/// Some characters around the first difference.
fn clip(text: &str, at: usize) -> String {
    let from = at.saturating_sub(8);
    let piece: String = text.chars().skip(from).take(40).collect();
    let before = if from > 0 { ".." } else { "" };
    let after = if text.chars().count() > from + 40 {
        ".."
    } else {
        ""
    };
    format!("\"{before}{piece}{after}\"")
}

/// Runs the accumulated mode up to `rounds` and compares every stored milestone on the way. Returns how many agreed.
///
/// # Errors
/// The first milestone that differs, or what went wrong.
pub fn accumulated(
    implementation: &mut dyn Implementation,
    suite: &Suite,
    rounds: u32,
) -> Result<usize, String> {
    let wanted: BTreeMap<u32, &String> = suite
        .milestones
        .iter()
        .filter(|(at, _)| **at <= rounds)
        .map(|(at, digest)| (*at, digest))
        .collect();
    if wanted.is_empty() {
        return Err(format!("no milestone up to {rounds} rounds"));
    }
    let got = implementation.accumulate(rounds)?;
    for (at, digest) in &wanted {
        match got.get(at) {
            Some(found) if found == *digest => {}
            Some(found) => {
                return Err(format!("after {at} rounds: expected {digest}, got {found}"));
            }
            None => return Err(format!("no digest after {at} rounds")),
        }
    }
    Ok(wanted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_where_it_is() {
        let wanted = serde_json::json!({"a": [1, {"b": "00ff"}], "c": 7});
        let same = unequal("x", &wanted, &wanted.clone());
        assert_eq!(same, None);
        let got = serde_json::json!({"a": [1, {"b": "00fe"}], "c": 7});
        let what = unequal("x", &wanted, &got);
        assert!(
            what.as_deref()
                .is_some_and(|what| what.starts_with("x.a[1].b: expected \"00ff\""))
        );
        let got = serde_json::json!({"a": [1], "c": 7});
        assert_eq!(
            unequal("x", &wanted, &got).as_deref(),
            Some("x.a: expected 2 items, got 1")
        );
    }
}
