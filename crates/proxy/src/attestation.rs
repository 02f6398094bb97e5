//! What was checked, as people and programs read it: the parts of `GET /attestation` that both profiles share.
//!
//! Each profile serves one object: `profile`, `policy`, and what was judged. Whatever was judged has `accepted`, `verified_at`, `expires` (unix seconds)
//! and `checks`: for each its `name`, `outcome` (`passed`, `failed`, `not run`, `noted`), `expected`, `got`, and if it failed the `reason`, a stable code.

use sealwire_attest::{Check, Report};
use serde_json::{Value, json};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected, with a stable code.
    Failed(&'static str),
    /// It could not run.
    NotRun,
    /// Shown, not judged.
    Noted,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was expected.
    pub expected: String,
    /// What was got.
    pub got: String,
}

impl From<&Check> for Finding {
    fn from(check: &Check) -> Self {
        Self {
            name: check.name.to_string(),
            outcome: match check.outcome {
                sealwire_attest::Outcome::Passed => Outcome::Passed,
                sealwire_attest::Outcome::Failed(reason) => Outcome::Failed(reason.code()),
                sealwire_attest::Outcome::Noted => Outcome::Noted,
                _ => Outcome::NotRun,
            },
            expected: check.expected.clone(),
            got: check.got.clone(),
        }
    }
}

impl Finding {
    /// All checks of a report.
    #[must_use]
    pub fn of(report: &Report) -> Vec<Self> {
        report.checks.iter().map(Self::from).collect()
    }

    /// The check in `GET /attestation`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (outcome, reason) = match self.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::NotRun => ("not run", None),
            Outcome::Noted => ("noted", None),
        };
        let mut value = json!({
            "name": self.name,
            "outcome": outcome,
            "expected": self.expected,
            "got": self.got,
        });
        if let (Some(reason), Some(object)) = (reason, value.as_object_mut()) {
            object.insert("reason".to_owned(), reason.into());
        }
        value
    }
}

/// What was judged, without what it is called in its profile.
#[must_use]
pub(crate) fn judged(accepted: bool, at: u64, until: u64, findings: &[Finding]) -> Value {
    json!({
        "accepted": accepted,
        "verified_at": at,
        "expires": until,
        "checks": findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
    })
}

/// The checks that failed, in a sentence for people.
#[must_use]
pub(crate) fn failed(findings: &[Finding]) -> String {
    let names: Vec<String> = findings
        .iter()
        .filter_map(|finding| match finding.outcome {
            Outcome::Failed(reason) => Some(format!("{} ({reason})", finding.name)),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return "to give evidence that all checks could run on".to_owned();
    }
    names.join(", ")
}
