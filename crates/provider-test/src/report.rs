//! What came of the checks.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use sealwire::CryptoError;

/// What a provider may lack; cases that need it are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// The KEM of suite 1.
    Suite1,
    /// The KEM of suite 2.
    Suite2,
    /// [`Coins::key_pair`](crate::Coins::key_pair) and [`Coins::encapsulate`](crate::Coins::encapsulate).
    KemCoins,
    /// [`Coins::import`](crate::Coins::import).
    KemImport,
}

impl Capability {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suite1 => "suite-1",
            Self::Suite2 => "suite-2",
            Self::KemCoins => "kem-coins",
            Self::KemImport => "kem-import",
        }
    }
}

/// What one check counts.
#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    failures: Vec<String>,
    skipped: BTreeMap<Capability, usize>,
    outside: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Counts a case.
    pub(crate) fn case(&mut self, what: impl fmt::Display, holds: bool) {
        if holds {
            self.passed += 1;
        } else {
            self.failures.push(what.to_string());
        }
    }

    /// The value of something that must work; counts a failure if it does not.
    pub(crate) fn must<T>(
        &mut self,
        what: impl fmt::Display,
        result: Result<T, CryptoError>,
    ) -> Option<T> {
        result
            .map_err(|error| self.failures.push(format!("{what}: {error:?}")))
            .ok()
    }

    /// Counts a case that must be refused as [`CryptoError::Invalid`].
    pub(crate) fn refused<T>(&mut self, what: impl fmt::Display, result: Result<T, CryptoError>) {
        match result {
            Err(CryptoError::Invalid) => self.passed += 1,
            Err(other) => self
                .failures
                .push(format!("{what}: {other:?} where Invalid was expected")),
            Ok(_) => self.failures.push(format!("{what}: accepted")),
        }
    }

    /// Counts a case that the provider has not the means for.
    pub(crate) fn skip(&mut self, capability: Capability) {
        *self.skipped.entry(capability).or_default() += 1;
    }

    /// Counts a case that the traits cannot express.
    pub(crate) fn outside(&mut self, why: &'static str) {
        *self.outside.entry(why).or_default() += 1;
    }

    pub(crate) fn panicked(&mut self, panic: &(dyn Any + Send)) {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        self.failures.push(format!("panic: {text}"));
    }

    pub(crate) fn report(mut self, name: &'static str) -> CheckReport {
        if self.passed == 0
            && self.failures.is_empty()
            && self.skipped.is_empty()
            && self.outside.is_empty()
        {
            self.failures.push("no case ran".to_owned());
        }
        CheckReport {
            name,
            passed: self.passed,
            failures: self.failures,
            skipped: self.skipped.into_iter().collect(),
            outside: self.outside.into_iter().collect(),
        }
    }
}

/// What came of one check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// The check's name.
    pub name: &'static str,
    /// Cases that passed.
    pub passed: usize,
    /// What failed, one line a case.
    pub failures: Vec<String>,
    /// Cases skipped for a capability that the provider lacks.
    pub skipped: Vec<(Capability, usize)>,
    /// Cases that the traits cannot express, and why.
    pub outside: Vec<(&'static str, usize)>,
}

impl fmt::Display for CheckReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<28} {:>5} passed", self.name, self.passed)?;
        for (capability, count) in &self.skipped {
            write!(out, ", {count} skipped ({})", capability.name())?;
        }
        for (why, count) in &self.outside {
            write!(out, ", {count} not expressible ({why})")?;
        }
        if !self.failures.is_empty() {
            write!(out, ", {} FAILED", self.failures.len())?;
        }
        for failure in &self.failures {
            write!(out, "\n  {failure}")?;
        }
        Ok(())
    }
}

/// What came of all checks. Printing it gives a line a check, the failures below theirs, and the sums at the end.
#[derive(Clone, Debug)]
pub struct Report {
    checks: Vec<CheckReport>,
}

impl Report {
    pub(crate) const fn new(checks: Vec<CheckReport>) -> Self {
        Self { checks }
    }

    /// Every check, in order.
    #[must_use]
    pub fn checks(&self) -> &[CheckReport] {
        &self.checks
    }

    /// Cases that passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.checks.iter().map(|check| check.passed).sum()
    }

    /// Cases that failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.checks.iter().map(|check| check.failures.len()).sum()
    }

    /// Cases skipped for a capability.
    #[must_use]
    pub fn skipped(&self, capability: Capability) -> usize {
        self.checks
            .iter()
            .flat_map(|check| &check.skipped)
            .filter(|(other, _)| *other == capability)
            .map(|(_, count)| count)
            .sum()
    }

    /// Cases that the traits cannot express.
    #[must_use]
    pub fn outside(&self) -> usize {
        self.checks
            .iter()
            .flat_map(|check| &check.outside)
            .map(|(_, count)| count)
            .sum()
    }

    /// Panics with the report if a case failed.
    ///
    /// # Panics
    /// If a case failed.
    pub fn assert_passed(&self) {
        assert!(self.failed() == 0, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(out, "{check}")?;
        }
        write!(
            out,
            "{} checks, {} cases passed, {} failed",
            self.checks.len(),
            self.passed(),
            self.failed()
        )?;
        for capability in [
            Capability::Suite1,
            Capability::Suite2,
            Capability::KemCoins,
            Capability::KemImport,
        ] {
            let count = self.skipped(capability);
            if count > 0 {
                write!(out, ", {count} skipped ({})", capability.name())?;
            }
        }
        write!(out, ", {} not expressible", self.outside())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_without_a_case_and_a_panic_are_failures() {
        let empty = Tally::default().report("empty");
        assert_eq!(empty.failures, ["no case ran"]);
        let mut tally = Tally::default();
        tally.panicked(&"boom");
        tally.case("a case", true);
        tally.refused("wrong error", Err::<(), _>(CryptoError::Backend));
        tally.refused("taken", Ok(()));
        tally.skip(Capability::KemCoins);
        let report = Report::new(vec![tally.report("check")]);
        assert_eq!((report.passed(), report.failed()), (1, 3));
        let text = report.to_string();
        assert!(text.contains("panic: boom") && text.contains("1 skipped (kem-coins)"));
        assert!(text.ends_with(
            "1 checks, 1 cases passed, 3 failed, 1 skipped (kem-coins), 0 not expressible"
        ));
    }
}
