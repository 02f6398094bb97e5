//! What people and programs see.

use std::fmt::Write;

use sealwire_attest::{Check, Inspection, Measurements, Outcome, Report, TeeKind, unix_to_rfc3339};
use serde_json::{Value, json};

/// Longest cell of a table.
const CELL: usize = 64;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Longest word of a cell that is shown whole.
const WORD: usize = 40;

/// Text from evidence may hold anything; what could steer a terminal is shown as `?`. A long word keeps its ends.
fn cell(text: &str) -> String {
    cell_by(text, short)
}

/// Each word by itself, without the marks behind it.
fn cell_by(text: &str, word: impl Fn(&str) -> String) -> String {
    let words: Vec<String> = text
        .split(' ')
        .map(|marked| {
            let bare = bare(marked);
            word(bare) + marked.strip_prefix(bare).unwrap_or_default()
        })
        .collect();
    words
        .join(" ")
        .chars()
        .map(|character| {
            if character.is_control() {
                '?'
            } else {
                character
            }
        })
        .collect()
}

fn bare(word: &str) -> &str {
    word.trim_end_matches([';', ',', ':', '.'])
}

fn short(word: &str) -> String {
    let length = word.chars().count();
    if length <= WORD {
        return word.to_owned();
    }
    let head: String = word.chars().take(16).collect();
    let tail: String = word.chars().skip(length - 8).collect();
    format!("{head}..{tail}")
}

/// What was expected and what was got, where they differ: words that would be shortened to the same show where they part.
fn differing_cells(expected: &str, got: &str) -> (String, String) {
    let against = |other: &str| {
        let others: Vec<String> = other.split(' ').map(|word| bare(word).to_owned()).collect();
        move |word: &str| {
            let shown = short(word);
            others
                .iter()
                .filter(|other| *other != word && short(other) == shown)
                .map(|other| common_length(word, other))
                .min()
                .map_or(shown, |part| short_at(word, part))
        }
    };
    (
        cell_by(expected, against(got)),
        cell_by(got, against(expected)),
    )
}

/// How many characters two words begin with alike.
fn common_length(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs.take_while(|(one, other)| one == other).count()
}

/// A long word with its ends and what stands around a place within.
fn short_at(word: &str, place: usize) -> String {
    let length = word.chars().count();
    let from = place.saturating_sub(4);
    let part = |from: usize, to: usize| -> String {
        word.chars()
            .skip(from)
            .take(to.saturating_sub(from))
            .collect()
    };
    let (until, tail) = ((place + 8).min(length), length.saturating_sub(8));
    format!(
        "{}..{}..{}",
        part(0, 8),
        part(from, until),
        part(tail, length)
    )
}

/// Rows of a report. The same check on several GPUs is one row while it passes.
fn rows(checks: &[Check]) -> Vec<[String; 4]> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    let mut folded: Vec<&str> = Vec::new();
    for check in checks {
        let kind = check
            .name
            .strip_prefix("gpu ")
            .and_then(|rest| rest.split_once(' '))
            .filter(|_| check.outcome == Outcome::Passed)
            .map(|(_, kind)| kind);
        if let Some(kind) = kind {
            if !folded.contains(&kind) {
                folded.push(kind);
                let suffix = format!(" {kind}");
                let same: Vec<&Check> = checks
                    .iter()
                    .filter(|other| {
                        other.outcome == Outcome::Passed
                            && other.name.starts_with("gpu ")
                            && other.name.ends_with(&suffix)
                    })
                    .collect();
                let got = if same.iter().all(|other| other.got == check.got) {
                    cell(&check.got)
                } else {
                    "as expected".to_owned()
                };
                let name = if same.len() == 1 {
                    check.name.to_string()
                } else {
                    format!("{} gpus {kind}", same.len())
                };
                rows.push([
                    name,
                    check.outcome.word().to_owned(),
                    cell(&check.expected),
                    got,
                ]);
            }
            continue;
        }
        let (expected, got) = match check.outcome {
            Outcome::Failed(_) => differing_cells(&check.expected, &check.got),
            _ => (cell(&check.expected), cell(&check.got)),
        };
        let name = cell(&check.name);
        rows.push([name, check.outcome.word().to_owned(), expected, got]);
    }
    rows
}

/// A table whose last column may be of any length.
fn table(rows: &[[String; 4]]) -> String {
    let mut widths = [0; 3];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count()).min(CELL);
        }
    }
    let [first, second, third] = widths;
    rows.iter()
        .fold(String::new(), |mut text, [name, outcome, expected, got]| {
            let line = format!("  {name:first$}  {outcome:second$}  {expected:third$}  {got}");
            let _ = writeln!(text, "{}", line.trim_end());
            text
        })
}

pub(super) fn text(reports: &[(&str, Report)], now: u64) -> String {
    let mut text = format!("checked for {}\n", unix_to_rfc3339(now));
    for (id, report) in reports {
        let verdict = report.verdict();
        let word = match &verdict {
            Ok(_) => "PASS".to_owned(),
            Err(rejected) => {
                let codes: Vec<&str> = rejected
                    .reasons
                    .iter()
                    .map(|reason| reason.code())
                    .collect();
                format!("REFUSED: {}", codes.join(", "))
            }
        };
        let _ = writeln!(text, "\n{} ({}): {word}", cell(id), report.tee.name());
        let mut lines = vec![["check", "outcome", "expected", "got"].map(str::to_owned)];
        lines.extend(rows(&report.checks));
        text.push_str(&table(&lines));
        if let Ok(verified) = verdict {
            let _ = writeln!(
                text,
                "  good until {}",
                unix_to_rfc3339(verified.valid_until())
            );
        }
    }
    let passed = reports
        .iter()
        .filter(|(_, report)| report.verdict().is_ok())
        .count();
    let _ = writeln!(text, "\n{passed} of {} instances pass", reports.len());
    text
}

pub(super) fn json(reports: &[(&str, Report)], now: u64) -> Value {
    let instances: Vec<Value> = reports
        .iter()
        .map(|(id, report)| {
            let verdict = report.verdict();
            let reasons: Vec<&str> = verdict
                .as_ref()
                .err()
                .map(|rejected| rejected.reasons.iter().map(|reason| reason.code()).collect())
                .unwrap_or_default();
            let checks: Vec<Value> = report
                .checks
                .iter()
                .map(|check| {
                    let reason = match check.outcome {
                        Outcome::Failed(reason) => Some(reason.code()),
                        _ => None,
                    };
                    let outcome = check.outcome.word().to_ascii_lowercase();
                    json!({ "name": check.name, "outcome": outcome, "reason": reason, "expected": check.expected, "got": check.got })
                })
                .collect();
            json!({
                "instance": id, "tee": report.tee.name(), "passed": verdict.is_ok(), "reasons": reasons,
                "valid_until": verdict.as_ref().ok().map(sealwire_attest::Verified::valid_until),
                "measurements": report.measurements.as_ref().map(measurements), "checks": checks,
            })
        })
        .collect();
    json!({ "at": now, "instances": instances })
}

/// Names and values of measurements; the first ones are those that a policy lists.
fn fields(measurements: &Measurements) -> Vec<(&'static str, String, bool)> {
    match measurements {
        Measurements::Tdx {
            mrseam,
            mrtd,
            mrconfigid,
            rtmr,
            td_attributes,
            xfam,
        } => {
            let [rtmr0, rtmr1, rtmr2, rtmr3] = rtmr;
            vec![
                ("mrtd", hex(mrtd), true),
                ("rtmr0", hex(rtmr0), true),
                ("rtmr1", hex(rtmr1), true),
                ("rtmr2", hex(rtmr2), true),
                ("rtmr3", hex(rtmr3), true),
                ("mrconfigid", hex(mrconfigid), true),
                ("mrseam", hex(mrseam), true),
                ("td_attributes", hex(td_attributes), false),
                ("xfam", hex(xfam), false),
            ]
        }
        Measurements::Snp {
            measurement,
            host_data,
            policy,
            vmpl,
        } => vec![
            ("measurement", hex(measurement), true),
            ("host_data", hex(host_data), true),
            ("policy", format!("{policy:#x}"), false),
            ("vmpl", vmpl.to_string(), false),
        ],
        _ => Vec::new(),
    }
}

fn measurements(measurements: &Measurements) -> Value {
    fields(measurements)
        .into_iter()
        .map(|(name, value, _)| (name.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(super) fn show(shown: &[(&str, TeeKind, Inspection)]) -> String {
    let mut text = String::from("nothing here was verified\n");
    for (id, tee, inspection) in shown {
        let _ = writeln!(text, "\n{} ({})", cell(id), tee.name());
        match &inspection.measurements {
            Some(measurements) => {
                for (name, value, _) in fields(measurements) {
                    let _ = writeln!(text, "  {name:14} {value}");
                }
            }
            None => text.push_str("  no quote that can be read\n"),
        }
        if let Some(report_data) = &inspection.report_data {
            let _ = writeln!(text, "  {:14} {}", "report data", hex(report_data));
        }
        if let Some(fmspc) = &inspection.fmspc {
            let _ = writeln!(text, "  {:14} {}", "fmspc", hex(fmspc));
        }
        if let Some(statement) = &inspection.statement {
            let _ = writeln!(
                text,
                "  {:14} {}",
                "labels",
                cell(&statement.labels.join(", "))
            );
            let _ = writeln!(text, "  {:14} {}", "upstream", cell(&statement.upstream));
            let _ = writeln!(text, "  {:14} {}", "version", cell(&statement.version));
        }
        for (index, gpu) in inspection.gpus.iter().enumerate() {
            let _ = writeln!(
                text,
                "  {:14} {}, {} measurements, {}",
                format!("gpu {index}"),
                cell(&gpu.arch),
                gpu.measurements.len(),
                cell(&gpu.device)
            );
        }
    }
    text
}

pub(super) fn show_json(shown: &[(&str, TeeKind, Inspection)]) -> Value {
    shown
        .iter()
        .map(|(id, tee, inspection)| {
            let gpus: Vec<Value> = inspection
                .gpus
                .iter()
                .map(|gpu| {
                    let digests: Vec<Value> = gpu
                        .measurements
                        .iter()
                        .map(|(index, digest)| json!({ "index": index, "digest": hex(digest) }))
                        .collect();
                    json!({ "arch": gpu.arch, "device": gpu.device, "measurements": digests })
                })
                .collect();
            json!({
                "instance": id, "tee": tee.name(), "verified": false,
                "measurements": inspection.measurements.as_ref().map(measurements),
                "report_data": inspection.report_data.map(|data| hex(&data)),
                "fmspc": inspection.fmspc.map(|fmspc| hex(&fmspc)), "gpus": gpus,
            })
        })
        .collect()
}

pub(super) fn policy(seen: &[Measurements], gpus: bool) -> String {
    let mut text = String::from(
        "# What evidence showed. That it was measured does not make it good: compare it with what you built or were told.\n",
    );
    let _ = writeln!(
        text,
        "gpu = \"{}\"",
        if gpus { "required" } else { "if-present" }
    );
    for (index, measurements) in seen.iter().enumerate() {
        let _ = writeln!(text, "\n[[measurements]]\nname = \"seen-{}\"", index + 1);
        for (name, value, listed) in fields(measurements) {
            if listed {
                let _ = writeln!(text, "{name} = \"{value}\"");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use sealwire_attest::Reason;

    use super::*;

    fn row(expected: &str, got: &str) -> (String, String) {
        let check = Check {
            name: "report data".into(),
            outcome: Outcome::Failed(Reason::ReportData),
            expected: expected.to_owned(),
            got: got.to_owned(),
        };
        let rows = rows(&[check]);
        let [[_, _, expected, got]] = rows.as_slice() else {
            panic!("one row");
        };
        (expected.clone(), got.clone())
    }

    #[test]
    fn what_differs_is_shown_wherever_it_is() {
        let expected = "0123456789abcdef".repeat(8);
        for place in 0..128 {
            let mut got = expected.clone();
            got.replace_range(place..=place, "X");
            let (shown, other) = row(&expected, &format!("{got}; nonce or key differs"));
            assert!(other.contains('X'), "{place}: {other}");
            assert!(!shown.contains('X') && shown.len() < 64, "{place}: {shown}");
        }
    }

    #[test]
    fn words_of_different_lengths_do_not_look_alike() {
        let (expected, got) = row(&"a".repeat(96), &"a".repeat(97));
        assert_ne!(expected, got);
    }

    #[test]
    fn one_of_several_that_were_expected_may_be_the_like() {
        let likely = format!("{}b{}", "a".repeat(50), "a".repeat(50));
        let (expected, got) = row(&format!("other or {likely}"), &"a".repeat(101));
        assert!(expected.ends_with(&short_at(&likely, 50)), "{expected}");
        assert_ne!(short_at(&likely, 50), got);
    }

    #[test]
    fn a_terminal_is_not_steered_by_evidence() {
        let (expected, got) = row("none", "\u{1b}[2J");
        assert_eq!((expected.as_str(), got.as_str()), ("none", "?[2J"));
    }
}
