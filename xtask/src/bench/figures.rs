//! The form in which every bench writes what it found, `target/bench/SUBJECT.json`, and how that is drawn.
//!
//! `rows` are single figures: `figure` names one; `result` is what was found, in `unit` (`x`: a ratio), or null where that failed; `other` and `ours` are
//! what it was made of, in `pair_unit` where the name does not say it; `goal` is `{"at_most": n}`, `{"at_least": n}` or null; `met` says whether it is
//! reached, and is null where that does not count, for which `note` may have the reason; `p10` and `p90` are the spread of the result.
//! `series` are speeds or times of each contestant (`name`; `raw` if it is a library called directly) by `group`. They are drawn where there are no rows.

use serde_json::Value;

use super::plot::{Bar, Colour, Group, Panel};

/// What is drawn of a file.
pub(super) fn panels(file: &Value) -> Result<Vec<Panel>, String> {
    match (file["rows"].as_array(), file["series"].as_array()) {
        (Some(rows), _) => {
            let rows: Result<Vec<Row>, String> = rows.iter().map(Row::read).collect();
            Ok(of_rows(&rows?))
        }
        (None, Some(series)) => of_series(series),
        (None, None) => Err("neither rows nor series".to_owned()),
    }
}

#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    /// `None` where there is none.
    fn read(goal: &Value) -> Result<Option<Self>, String> {
        let bound = |key: &str| goal[key].as_f64().filter(|bound| *bound > 0.0);
        match (goal, bound("at_least"), bound("at_most")) {
            (Value::Null, ..) => Ok(None),
            (_, Some(least), None) => Ok(Some(Self::AtLeast(least))),
            (_, None, Some(most)) => Ok(Some(Self::AtMost(most))),
            _ => Err(format!(
                "a goal is one number above zero, at_least or at_most: {goal}"
            )),
        }
    }

    fn bound(self) -> f64 {
        match self {
            Self::AtLeast(bound) | Self::AtMost(bound) => bound,
        }
    }
}

struct Row {
    figure: String,
    unit: String,
    result: Option<f64>,
    spread: Option<[f64; 2]>,
    goal: Option<Goal>,
    met: Option<bool>,
    note: Option<String>,
}

impl Row {
    fn read(row: &Value) -> Result<Self, String> {
        let spread = |key: &str| row[key].as_f64();
        Ok(Self {
            figure: text(row, "figure")?,
            unit: text(row, "unit")?,
            result: row["result"].as_f64(),
            spread: spread("p10").zip(spread("p90")).map(<[f64; 2]>::from),
            goal: Goal::read(&row["goal"])?,
            met: row["met"].as_bool(),
            note: row["note"].as_str().map(str::to_owned),
        })
    }

    /// Its bar in parts of `one`.
    fn bar(&self, one: f64) -> Bar {
        let mut text = match (self.result, self.unit.as_str()) {
            (None, _) => "not measured".to_owned(),
            (Some(result), "x") => number(result),
            (Some(result), unit) => format!("{} {unit}", number(result)),
        };
        match self.goal {
            Some(Goal::AtLeast(least)) => text += &format!(" (≥ {})", number(least)),
            Some(Goal::AtMost(most)) => text += &format!(" (≤ {})", number(most)),
            None => {}
        }
        if let Some(note) = &self.note {
            text += &format!(", {note}");
        }
        Bar {
            label: self.figure.clone(),
            length: self.result.map(|result| result.max(0.0) / one),
            spread: self.spread.map(|spread| spread.map(|end| end / one)),
            text,
            colour: match (self.goal, self.met) {
                (None, _) | (_, Some(true)) => Colour::Plain,
                (_, Some(false)) => Colour::Marked,
                (Some(_), None) => Colour::Faint,
            },
        }
    }
}

/// Rows with a goal as shares of it, whatever their units; then the others, each unit over an axis of its own.
fn of_rows(rows: &[Row]) -> Vec<Panel> {
    let mut goals = Vec::new();
    let mut panels = Vec::new();
    for row in rows {
        match row.goal {
            Some(goal) => {
                let title = match goal {
                    Goal::AtLeast(_) => "At least the goal: wanted is the line or beyond",
                    Goal::AtMost(_) => "At most the goal: wanted is up to the line",
                };
                push(&mut goals, title, row.bar(goal.bound()));
            }
            None => push_unit(&mut panels, &row.unit, "Without a goal", row.bar(1.0)),
        }
    }
    if !goals.is_empty() {
        let spread = rows.iter().any(|row| row.spread.is_some());
        let lines = if spread {
            ", thin lines are p10 to p90"
        } else {
            ""
        };
        let first = Panel {
            unit: format!("share of the goal; orange misses it{lines}"),
            mark: Some(1.0),
            groups: goals,
        };
        panels.insert(0, first);
    }
    panels
}

/// Speeds where there are some, times where not.
fn of_series(series: &[Value]) -> Result<Vec<Panel>, String> {
    let raw = |one: &Value| one["raw"].as_bool().unwrap_or(false);
    let speeds = if series.iter().any(raw) {
        "GB/s; orange are libraries called directly"
    } else {
        "GB/s"
    };
    let mut panels = Vec::new();
    for way in ["write", "read"] {
        for one in series {
            let group = text(one, "group")?;
            let time = &one[format!("{way}_ns")];
            let speed = one[format!("{way}_gb_per_s")].as_f64();
            let microseconds = |key: &str| time[key].as_f64().map(|time| time / 1e3);
            let (unit, length, spread) = match speed {
                Some(_) => (speeds, speed, None),
                None => (
                    "us",
                    microseconds("median"),
                    microseconds("p10").zip(microseconds("p90")),
                ),
            };
            let Some(result) = length else {
                continue;
            };
            let both = one["read_ns"].is_object();
            let title = if both {
                format!("{way} {group}")
            } else {
                group
            };
            let bar = Bar {
                label: text(one, "name")?,
                length,
                spread: spread.map(<[f64; 2]>::from),
                text: number(result),
                colour: if raw(one) {
                    Colour::Marked
                } else {
                    Colour::Plain
                },
            };
            push_unit(&mut panels, unit, &title, bar);
        }
    }
    Ok(panels)
}

fn push_unit(panels: &mut Vec<Panel>, unit: &str, title: &str, bar: Bar) {
    let unit = if unit == "x" { "ratio" } else { unit };
    let at = panels.iter().position(|panel| panel.unit == unit);
    let at = at.unwrap_or_else(|| {
        panels.push(Panel {
            unit: unit.to_owned(),
            mark: None,
            groups: Vec::new(),
        });
        panels.len() - 1
    });
    push(&mut panels[at].groups, title, bar);
}

fn push(groups: &mut Vec<Group>, title: &str, bar: Bar) {
    match groups.iter_mut().find(|group| group.title == title) {
        Some(group) => group.bars.push(bar),
        None => groups.push(Group {
            title: title.to_owned(),
            bars: vec![bar],
        }),
    }
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or(format!("no {key} in {value}"))
}

/// Three digits or more, without zeros at the end of a fraction.
fn number(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 100.0 => return format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(unit: &str, result: Value, goal: Value, met: Value) -> Value {
        json!({"figure": "f", "unit": unit, "other": 1, "ours": 2, "result": result, "goal": goal, "met": met})
    }

    #[test]
    fn goals_share_an_axis_and_other_rows_do_so_by_unit() {
        let file = json!({"rows": [
            row("ms", json!(1.5), json!({"at_most": 3.0}), json!(true)),
            row("us", json!(4.0), Value::Null, Value::Null),
            row("x", json!(0.5), json!({"at_least": 2}), json!(false)),
            row("x", json!(7), json!({"at_least": 2}), Value::Null),
            row("ms", json!(9.0), Value::Null, Value::Null),
            row("us", json!(5.0), Value::Null, Value::Null),
        ]});
        let panels = panels(&file).expect("sound");
        let bars: Vec<Vec<(usize, Option<f64>, Colour)>> = panels
            .iter()
            .map(|panel| {
                let groups = panel.groups.iter().enumerate();
                groups
                    .flat_map(|(at, group)| {
                        let bars = group.bars.iter();
                        bars.map(move |bar| (at, bar.length, bar.colour))
                    })
                    .collect()
            })
            .collect();
        assert_eq!(
            bars,
            [
                vec![
                    (0, Some(0.5), Colour::Plain),
                    (1, Some(0.25), Colour::Marked),
                    (1, Some(3.5), Colour::Faint)
                ],
                vec![(0, Some(4.0), Colour::Plain), (0, Some(5.0), Colour::Plain)],
                vec![(0, Some(9.0), Colour::Plain)],
            ]
        );
        let marks: Vec<_> = panels.iter().map(|panel| panel.mark).collect();
        assert_eq!(marks, [Some(1.0), None, None]);
        assert_eq!(panels[0].groups[0].bars[0].text, "1.5 ms (≤ 3)");
    }

    #[test]
    fn what_was_not_measured_is_named() {
        let file = json!({"rows": [row("x", Value::Null, json!({"at_most": 1}), json!(false))]});
        let panels = panels(&file).expect("sound");
        let bar = &panels[0].groups[0].bars[0];
        assert_eq!((bar.length, bar.colour), (None, Colour::Marked));
        assert_eq!(bar.text, "not measured (≤ 1)");
    }

    #[test]
    fn series_are_speeds_by_way_and_times_apart() {
        let ns = json!({"median": 2e3, "p10": 1e3, "p90": 3e3});
        let file = json!({"series": [
            {"group": "64 B", "name": "raw a", "raw": true, "write_ns": ns, "write_gb_per_s": 2, "read_ns": ns, "read_gb_per_s": 3},
            {"group": "kem", "name": "b", "raw": false, "write_ns": ns},
        ]});
        let panels = panels(&file).expect("sound");
        let titles: Vec<Vec<&str>> = panels
            .iter()
            .map(|panel| panel.groups.iter().map(|group| &*group.title).collect())
            .collect();
        assert_eq!(titles, [vec!["write 64 B", "read 64 B"], vec!["kem"]]);
        let kem = &panels[1].groups[0].bars[0];
        assert_eq!((kem.length, kem.spread), (Some(2.0), Some([1.0, 3.0])));
        assert_eq!(panels[0].groups[1].bars[0].colour, Colour::Marked);
    }

    #[test]
    fn another_form_is_an_error() {
        let both = json!({"at_most": 1, "at_least": 1});
        for goal in [json!(0.2), json!({"at_most": 0}), both] {
            let file = json!({"rows": [row("x", json!(1), goal, Value::Null)]});
            assert!(panels(&file).is_err(), "{file}");
        }
        assert!(panels(&json!({"rows": [{"unit": "x"}]})).is_err());
        assert!(panels(&json!({})).is_err());
    }
}
