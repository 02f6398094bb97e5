//! What can be measured.

pub(crate) mod crypto;
pub(crate) mod goals;
pub(crate) mod protocol;

use std::time::Duration;

use serde_json::Value;

use crate::machine::Machine;
use crate::measure::{Series, Way};
use crate::table::{print_figures, series_json, time};

/// How long to measure, in all, and where.
pub(crate) struct Run {
    pub(crate) budget: Duration,
    pub(crate) machine: Machine,
}

/// What a subject gives beside what it prints: members of its JSON.
pub(crate) type Found = Vec<(&'static str, Value)>;

fn all_json<'a>(groups: impl Iterator<Item = (&'a str, &'a [Series])>) -> Value {
    groups
        .flat_map(|(group, all)| all.iter().map(move |series| series_json(group, series)))
        .collect()
}

/// GB/s of every contestant (rows) at every size (columns) in one direction.
fn print_speeds(title: &str, sizes: &[(String, Vec<Series>)], way: Way) {
    let columns: Vec<String> = sizes.iter().map(|(size, _)| size.clone()).collect();
    let count = sizes.first().map_or(0, |(_, all)| all.len());
    let rows: Vec<(String, Vec<String>)> = (0..count)
        .map(|index| {
            let cells = sizes
                .iter()
                .map(|(_, all)| format!("{:.2}", all[index].speed(way)));
            (sizes[0].1[index].name.clone(), cells.collect())
        })
        .collect();
    print_figures(title, &columns, &rows);
}

/// Times of calls.
fn print_times(title: &str, all: &[Series]) {
    let rows: Vec<(String, Vec<String>)> = all
        .iter()
        .map(|series| {
            let spread = series.time(Way::Write);
            let cells = [spread.median, spread.low, spread.high].map(time);
            (series.name.clone(), cells.into())
        })
        .collect();
    print_figures(title, &["median", "p10", "p90"].map(str::to_owned), &rows);
}
