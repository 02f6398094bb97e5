//! What a run found: a table for people, JUnit and JSON for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::implementation::About;
use crate::verify::{Checked, Verdict};

/// The verdicts of one implementation.
pub struct Report<'a> {
    about: &'a About,
    checked: &'a [Checked<'a>],
    accumulated: Option<Accumulated>,
}

/// How the accumulated mode went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accumulated {
    /// The implementation has no such mode.
    NotOffered,
    /// So many rounds (perhaps fewer than asked for), and milestones that agreed.
    Agreed {
        /// Rounds that were run.
        rounds: u32,
        /// Digests that were compared.
        milestones: usize,
    },
    /// The first difference.
    Failed(String),
}

/// Numbers of cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub cases: usize,
    /// Those that expect an error.
    pub negative: usize,
    /// As expected.
    pub passed: usize,
    /// Otherwise.
    pub failed: usize,
    /// Not run.
    pub skipped: usize,
}

impl Counts {
    fn add(&mut self, checked: &Checked<'_>) {
        self.cases += 1;
        self.negative += usize::from(checked.case.error().is_some());
        match checked.verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped(_) => self.skipped += 1,
        }
    }
}

impl<'a> Report<'a> {
    /// A report of these verdicts.
    #[must_use]
    pub const fn new(
        about: &'a About,
        checked: &'a [Checked<'a>],
        accumulated: Option<Accumulated>,
    ) -> Self {
        Self {
            about,
            checked,
            accumulated,
        }
    }

    /// Over all kinds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.checked.iter().for_each(|checked| counts.add(checked));
        counts
    }

    /// Whether nothing failed. A run in which no case passed is no success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        let counts = self.counts();
        let failed = matches!(self.accumulated, Some(Accumulated::Failed(_)));
        let agreed = matches!(self.accumulated, Some(Accumulated::Agreed { .. }));
        counts.failed == 0 && !failed && (counts.passed > 0 || agreed)
    }

    fn by_kind(&self) -> Vec<(&'a str, Counts)> {
        let mut kinds: Vec<(&str, Counts)> = Vec::new();
        for checked in self.checked {
            let kind = checked.case.kind.as_str();
            let at = kinds.iter().position(|(have, _)| *have == kind);
            let at = at.unwrap_or_else(|| {
                kinds.push((kind, Counts::default()));
                kinds.len() - 1
            });
            if let Some((_, counts)) = kinds.get_mut(at) {
                counts.add(checked);
            }
        }
        kinds
    }

    /// Skipped cases by what they would need.
    fn skips(&self) -> BTreeMap<&str, usize> {
        let mut skips = BTreeMap::new();
        for checked in self.checked {
            if let Verdict::Skipped(capability) = &checked.verdict {
                *skips.entry(capability.as_str()).or_default() += 1;
            }
        }
        skips
    }

    /// Failures, one line each, then a table by kind and one closing line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} {}\n",
            plain(&self.about.name),
            plain(&self.about.version)
        );
        // Writing to a String cannot fail.
        for checked in self.checked {
            if let Verdict::Failed(why) = &checked.verdict {
                let case = checked.case;
                let _ = writeln!(
                    text,
                    "FAILED  {} (section {}): {}",
                    plain(&case.id),
                    plain(&case.spec),
                    plain(why)
                );
            }
        }
        let _ = writeln!(
            text,
            "{:<21}{:>7}{:>10}{:>8}{:>8}{:>9}",
            "kind", "cases", "negative", "passed", "failed", "skipped"
        );
        let total = ("all", self.counts());
        for (kind, counts) in self.by_kind().into_iter().chain([total]) {
            let Counts {
                cases,
                negative,
                passed,
                failed,
                skipped,
            } = counts;
            let _ = writeln!(
                text,
                "{kind:<21}{cases:>7}{negative:>10}{passed:>8}{failed:>8}{skipped:>9}"
            );
        }
        for (capability, count) in self.skips() {
            let _ = writeln!(text, "skipped for want of {}: {count}", plain(capability));
        }
        match &self.accumulated {
            Some(Accumulated::Agreed { rounds, milestones }) => {
                let _ = writeln!(
                    text,
                    "accumulated: {rounds} rounds, {milestones} milestones agree"
                );
            }
            Some(Accumulated::NotOffered) => {
                text.push_str("accumulated: skipped, the implementation does not offer it\n");
            }
            Some(Accumulated::Failed(why)) => {
                let _ = writeln!(text, "FAILED  accumulated: {}", plain(why));
            }
            None => {}
        }
        let verdict = if self.is_success() {
            "passed"
        } else {
            "FAILED"
        };
        let Counts {
            cases,
            negative,
            passed,
            failed,
            skipped,
        } = self.counts();
        let _ = writeln!(
            text,
            "{verdict}: {cases} cases, {negative} negative; {passed} passed, {failed} failed, {skipped} skipped"
        );
        text
    }

    /// One object with the same content.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Counts {
            cases,
            negative,
            passed,
            failed,
            skipped,
        } = self.counts();
        let results: Vec<Value> = self
            .checked
            .iter()
            .map(|checked| {
                let case = checked.case;
                let mut result = json!({"id": case.id, "kind": case.kind, "spec": case.spec});
                let (verdict, why) = match &checked.verdict {
                    Verdict::Passed => ("passed", None),
                    Verdict::Failed(why) => ("failed", Some(why)),
                    Verdict::Skipped(why) => ("skipped", Some(why)),
                };
                result["verdict"] = verdict.into();
                if let Some(why) = why {
                    result["reason"] = why.as_str().into();
                }
                result
            })
            .collect();
        let mut report = json!({
            "name": self.about.name,
            "version": self.about.version,
            "success": self.is_success(),
            "cases": cases,
            "negative": negative,
            "passed": passed,
            "failed": failed,
            "skipped": skipped,
            "skipped_by_capability": self.skips(),
            "results": results,
        });
        match &self.accumulated {
            Some(Accumulated::Agreed { rounds, milestones }) => {
                report["accumulated"] = json!({"rounds": rounds, "milestones": milestones});
            }
            Some(Accumulated::NotOffered) => report["accumulated"] = json!({"offered": false}),
            Some(Accumulated::Failed(why)) => report["accumulated"] = json!({"reason": why}),
            None => {}
        }
        report
    }

    /// JUnit's XML: a suite for each kind.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let total = self.counts();
        let accumulated = usize::from(self.accumulated.is_some());
        let broken = usize::from(matches!(self.accumulated, Some(Accumulated::Failed(_))));
        let name = escape(&self.about.name);
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a String cannot fail.
        let _ = writeln!(
            xml,
            "<testsuites name=\"{name}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
            total.cases + accumulated,
            total.failed + broken,
            total.skipped
        );
        for (kind, counts) in self.by_kind() {
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{name}: {}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
                escape(kind),
                counts.cases,
                counts.failed,
                counts.skipped
            );
            for checked in self
                .checked
                .iter()
                .filter(|checked| checked.case.kind == kind)
            {
                let inner = match &checked.verdict {
                    Verdict::Passed => String::new(),
                    Verdict::Failed(why) => format!("<failure message=\"{}\"/>", escape(why)),
                    Verdict::Skipped(why) => format!("<skipped message=\"{}\"/>", escape(why)),
                };
                let _ = writeln!(
                    xml,
                    "    <testcase classname=\"{name}: {}\" name=\"{}\">{inner}</testcase>",
                    escape(kind),
                    escape(&checked.case.id)
                );
            }
            xml.push_str("  </testsuite>\n");
        }
        if let Some(accumulated) = &self.accumulated {
            let (skipped, inner) = match accumulated {
                Accumulated::Agreed { .. } => (0, String::new()),
                Accumulated::NotOffered => (1, "<skipped message=\"not offered\"/>".to_owned()),
                Accumulated::Failed(why) => (0, format!("<failure message=\"{}\"/>", escape(why))),
            };
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{name}: accumulated\" tests=\"1\" failures=\"{broken}\" skipped=\"{skipped}\">\n    <testcase classname=\"{name}: accumulated\" name=\"accumulated\">{inner}</testcase>\n  </testsuite>"
            );
        }
        xml.push_str("</testsuites>\n");
        xml
    }
}

/// Text of somebody else's on one line of a terminal: controls are escaped.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Text inside of an XML attribute; what XML 1.0 cannot hold becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_an_adapter_stays_on_its_line() {
        assert_eq!(plain("a\u{1b}[31m\nFAILED"), "a\\u{1b}[31m\\nFAILED");
        assert_eq!(plain("expected \"\u{e9}\""), "expected \"\u{e9}\"");
    }

    #[test]
    fn attributes_are_escaped() {
        assert_eq!(
            escape("<a b=\"c\">&\u{1}\n"),
            "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}&#10;"
        );
    }
}
