//! What people and programs see.

use std::fmt::Write;

use sealwire_attest::{Check, Inspection, Measurements, Outcome, Report, TeeKind, unix_to_rfc3339};
use serde_json::{Value, json};

use super::cells::{cell, differing_cells};

/// Longest cell of a table.
const CELL: usize = 64;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Rows of a report. The same check on several GPUs is one row while it passes.
pub(super) fn rows(checks: &[Check]) -> Vec<[String; 4]> {
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
