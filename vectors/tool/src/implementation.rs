//! What can be asked of an implementation: this library, or another program.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::case::Case;

/// What an implementation says of itself.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The kinds it runs.
    pub kinds: Vec<String>,
    /// What it can do (spec/conformance.md section 3).
    pub capabilities: Vec<String>,
    /// The most accumulated rounds that it wants to be asked for; none if it has no such mode.
    pub accumulate: Option<u32>,
}

/// What an implementation makes of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The result, and intermediate values if it gives any.
    Result {
        /// What came out.
        expect: Map<String, Value>,
        /// On the way.
        mid: Map<String, Value>,
    },
    /// It lacks this capability.
    Skip(String),
    /// The implementation or its adapter could not go on.
    Fault(String),
}

/// Runs cases.
pub trait Implementation {
    /// What it says of itself.
    fn about(&self) -> &About;

    /// Runs one case, of which it sees `kind`, `params`, `coins` and `in`.
    fn run(&mut self, case: &Case) -> Answer;

    /// Digests at the milestones up to `rounds`.
    ///
    /// # Errors
    /// What went wrong, for people.
    fn accumulate(&mut self, rounds: u32) -> Result<BTreeMap<u32, String>, String>;
}
