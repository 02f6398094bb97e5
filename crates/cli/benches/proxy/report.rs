//! Rows with a goal, as a table and as JSON.

use std::fmt;

use serde_json::{Value, json};

/// What a figure must come to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// It is shown only.
    None,
}

/// One figure.
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) unit: &'static str,
    /// Without the chain, or of the other program.
    pub(crate) other: Option<f64>,
    pub(crate) ours: Option<f64>,
    /// The figure: a difference, a ratio, or what was measured itself.
    pub(crate) result: f64,
    pub(crate) goal: Goal,
}

impl Row {
    /// What ours adds to the other.
    pub(crate) fn added(figure: &str, unit: &'static str, pair: [f64; 2], goal: Goal) -> Self {
        let [other, ours] = pair;
        Self {
            figure: figure.to_owned(),
            unit,
            other: Some(other),
            ours: Some(ours),
            result: ours - other,
            goal,
        }
    }

    /// One alone.
    pub(crate) fn alone(figure: &str, unit: &'static str, result: f64, goal: Goal) -> Self {
        Self {
            figure: figure.to_owned(),
            unit,
            other: None,
            ours: None,
            result,
            goal,
        }
    }

    /// A ratio of two, given by the caller.
    pub(crate) fn ratio(figure: &str, pair: [f64; 2], result: f64, goal: Goal) -> Self {
        let [other, ours] = pair;
        Self {
            figure: figure.to_owned(),
            unit: "x",
            other: Some(other),
            ours: Some(ours),
            result,
            goal,
        }
    }

    /// Whether the goal is reached; a figure that could not be measured reaches none.
    fn met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtMost(most) => Some(self.result <= most),
            // The other one that did nothing makes any ratio.
            Goal::AtLeast(least) => Some(self.result.is_finite() && self.result >= least),
            Goal::None => None,
        }
    }

    fn to_json(&self) -> Value {
        let goal = match self.goal {
            Goal::AtMost(most) => json!({"at_most": most}),
            Goal::AtLeast(least) => json!({"at_least": least}),
            Goal::None => Value::Null,
        };
        json!({
            "figure": self.figure,
            "unit": self.unit,
            "other": self.other,
            "ours": self.ours,
            "result": self.result,
            "goal": goal,
            "met": self.met(),
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: Option<f64>| value.map_or(String::new(), number);
        let goal = match self.goal {
            Goal::AtMost(most) => format!("<= {}", number(most)),
            Goal::AtLeast(least) => format!(">= {}", number(least)),
            Goal::None => String::new(),
        };
        let word = match self.met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let line = format!(
            "{:<52} {:>10} {:>10} {:>10} {:<8} {goal:<11} {word}",
            self.figure,
            shown(self.other),
            shown(self.ours),
            number(self.result),
            self.unit,
        );
        f.write_str(line.trim_end())
    }
}

/// Prints the heading of a table.
pub(crate) fn heading(title: &str, other: &str, ours: &str, result: &str) {
    println!(
        "\n{title:<52} {other:>10} {ours:>10} {result:>10} {:<8} goal",
        ""
    );
}

/// The last line: what was reached, and what was not measured at all.
pub(crate) fn summary(rows: &[Row], not_measured: usize) -> String {
    let goals: Vec<bool> = rows.iter().filter_map(Row::met).collect();
    let met = goals.iter().filter(|met| **met).count();
    let left = match not_measured {
        0 => String::new(),
        some => format!(" ({some} not measured)"),
    };
    format!(
        "{met} of {} goals reached{left}",
        goals.len() + not_measured
    )
}

/// All of it for programs.
pub(crate) fn to_json(machine: &str, load: [&str; 2], rows: &[Row]) -> Value {
    json!({
        "machine": machine,
        "load_before": load[0],
        "load_after": load[1],
        "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
    })
}

/// Three digits or more, as many as say something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
