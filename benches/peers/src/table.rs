//! Rows with a ratio, a goal and a verdict; and plain tables of figures.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::measure::{Series, Spread, Way};

/// What a ratio should be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// A quotient of speeds.
    AtLeast(f64),
    /// A quotient of times or sizes.
    AtMost(f64),
}

impl Goal {
    pub(crate) fn reached(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound:.2}"),
            Self::AtMost(bound) => write!(f, "<= {bound:.2}"),
        }
    }
}

/// In what the two of a ratio are.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    GbPerS,
    Ns,
    Bytes,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::GbPerS => "GB/s",
            Self::Ns => "ns",
            Self::Bytes => "B",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::GbPerS => format!("{value:.3} GB/s"),
            Self::Ns => time(value),
            Self::Bytes => format!("{value} B"),
        }
    }
}

/// One goal and what was measured for it.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: f64,
    pub(crate) peer: f64,
    pub(crate) unit: Unit,
    pub(crate) ratio: Spread,
    pub(crate) goal: Goal,
    /// Why the goal is none on this machine.
    pub(crate) inapplicable: Option<&'static str>,
}

impl Row {
    /// The median decides.
    pub(crate) fn reached(&self) -> bool {
        self.goal.reached(self.ratio.median)
    }

    fn verdict(&self) -> &'static str {
        match self.inapplicable {
            Some(why) => why,
            None if self.reached() => "met",
            None => "NOT MET",
        }
    }

    /// In the form that xtask draws (xtask/src/bench/figures.rs).
    pub(crate) fn json(&self) -> Value {
        let goal = match self.goal {
            Goal::AtLeast(least) => json!({"at_least": least}),
            Goal::AtMost(most) => json!({"at_most": most}),
        };
        json!({
            "figure": self.what,
            "unit": "x",
            "other": round(self.peer),
            "ours": round(self.ours),
            "pair_unit": self.unit.name(),
            "result": round(self.ratio.median),
            "p10": round(self.ratio.low),
            "p90": round(self.ratio.high),
            "goal": goal,
            "met": self.inapplicable.is_none().then(|| self.reached()),
            "note": self.inapplicable,
        })
    }
}

fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// A spread for JSON.
pub(crate) fn figures(spread: Spread) -> Value {
    json!({"median": round(spread.median), "p10": round(spread.low), "p90": round(spread.high)})
}

/// A series for JSON: times of one operation, speeds where it has bytes.
pub(crate) fn series_json(group: &str, series: &Series) -> Value {
    let mut object = json!({
        "group": group,
        "name": series.name,
        "raw": series.name.starts_with("raw "),
        "bytes": series.bytes,
        "rounds": series.per_byte(Way::Write).len(),
    });
    let ways = [
        ("write", Way::Write),
        ("read", Way::Read),
        ("both", Way::Both),
    ];
    for (name, way) in ways {
        if way == Way::Write || !series.one_way() {
            object[format!("{name}_ns")] = figures(series.time(way));
            if series.bytes > 1 {
                object[format!("{name}_gb_per_s")] = json!((series.speed(way) * 1e3).round() / 1e3);
            }
        }
    }
    object
}

/// Prints the rows and how many goals are reached, as the last line.
pub(crate) fn print_goals(rows: &[Row]) {
    print!("{}", goals_text(rows));
}

fn goals_text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:<width$}  {:>11} {:>11} {:>6} {:>14} {:>8}\n",
        "what", "sealwire", "peer", "ratio", "p10 to p90", "goal"
    );
    for row in rows {
        let _ = writeln!(
            text,
            "{:<width$}  {:>11} {:>11} {:>6.2} {:>14} {:>8}  {}",
            row.what,
            row.unit.show(row.ours),
            row.unit.show(row.peer),
            row.ratio.median,
            format!("{:.2} to {:.2}", row.ratio.low, row.ratio.high),
            row.goal.to_string(),
            row.verdict()
        );
    }
    let counted = rows.iter().filter(|row| row.inapplicable.is_none());
    let reached = counted.clone().filter(|row| row.reached()).count();
    let _ = writeln!(text, "{reached} of {} goals reached", counted.count());
    text
}

/// Prints figures under headings.
pub(crate) fn print_figures(title: &str, columns: &[String], rows: &[(String, Vec<String>)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let width = width.max(title.len());
    print!("\n{title:<width$}");
    for column in columns {
        print!(" {column:>9}");
    }
    println!();
    for (name, cells) in rows {
        print!("{name:<width$}");
        for cell in cells {
            print!(" {cell:>9}");
        }
        println!();
    }
}

/// A size as people write it.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// A time from nanoseconds.
pub(crate) fn time(nanoseconds: f64) -> String {
    if nanoseconds < 10_000.0 {
        format!("{nanoseconds:.0} ns")
    } else if nanoseconds < 10_000_000.0 {
        format!("{:.1} us", nanoseconds / 1e3)
    } else {
        format!("{:.1} ms", nanoseconds / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ratio: f64, goal: Goal, inapplicable: Option<&'static str>) -> Row {
        Row {
            what: "what".to_owned(),
            ours: 1.0,
            peer: 2.0,
            unit: Unit::Ns,
            ratio: Spread::exactly(ratio),
            goal,
            inapplicable,
        }
    }

    #[test]
    fn each_row_ends_in_its_verdict_and_the_last_line_counts() {
        let rows = [
            row(1.0, Goal::AtLeast(1.0), None),
            row(0.99, Goal::AtLeast(1.0), None),
            row(0.35, Goal::AtMost(0.35), None),
            row(0.36, Goal::AtMost(0.35), None),
            row(0.1, Goal::AtLeast(1.0), Some("does not apply")),
        ];
        let text = goals_text(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert!(!lines[0].contains("met") && !lines[0].contains("MET"));
        for (line, end) in lines[1..].iter().zip([
            ">= 1.00  met",
            ">= 1.00  NOT MET",
            "<= 0.35  met",
            "<= 0.35  NOT MET",
            ">= 1.00  does not apply",
        ]) {
            assert!(line.ends_with(end), "{line}");
        }
        assert_eq!(lines[6], "2 of 4 goals reached");
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(
            [200, 16_384, 67_108_864].map(size),
            ["200 B", "16 KiB", "64 MiB"]
        );
        assert_eq!(
            [303.4, 13_240.0, 5.5e7].map(time),
            ["303 ns", "13.2 us", "55.0 ms"]
        );
    }
}
