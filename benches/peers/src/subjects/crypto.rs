//! Providers through their traits beside the raw libraries, and the calls of their KEMs.

use serde_json::json;

use super::{Found, Run, all_json, print_speeds, print_times};
use crate::measure::{self, Series, Way, find, quotient};
use crate::table::{figures, print_figures, size};
use crate::{ours, providers, raw};

const SIZES: [usize; 7] = [64, 200, 1_024, 4_096, 16_384, 65_536, 1_048_576];

pub(crate) fn run(run: &Run) -> Found {
    let providers = providers::all();
    let slice = run.budget / (SIZES.len() as u32 + 1);
    let sizes: Vec<(String, Vec<Series>)> = SIZES
        .iter()
        .map(|&bytes| {
            let mut contestants: Vec<_> = providers
                .iter()
                .map(|named| raw::key(named, bytes))
                .collect();
            contestants.extend(raw::all(bytes));
            (size(bytes), measure::run(contestants, slice))
        })
        .collect();
    let calls = providers
        .iter()
        .flat_map(|named| {
            ours::SUITES
                .into_iter()
                .flat_map(|suite| ours::kem(named, suite))
        })
        .collect();
    let calls = measure::run(calls, slice);

    print_speeds("seal, GB/s", &sizes, Way::Write);
    print_speeds("open, GB/s", &sizes, Way::Read);
    let mut ratios = Vec::new();
    let mut rows = Vec::new();
    for named in &providers {
        for (name, way) in [("seal", Way::Write), ("open", Way::Read)] {
            let mut cells = Vec::new();
            for (bytes, (size, all)) in SIZES.into_iter().zip(&sizes) {
                let key = find(all, &raw::key_label(named.name));
                let raw = find(all, &raw::label(named.raw(bytes)));
                if let (Some(key), Some(raw)) = (key, raw) {
                    let ratio = quotient(&raw.per_byte(way), &key.per_byte(way));
                    cells.push(format!("{:.2}", ratio.median));
                    ratios.push(json!({
                        "provider": named.name, "size": size, "way": name, "ratio": figures(ratio),
                    }));
                }
            }
            rows.push((format!("{} {name}", named.name), cells));
        }
    }
    let columns: Vec<String> = sizes.iter().map(|(size, _)| size.clone()).collect();
    print_figures("AeadKey by raw, speed", &columns, &rows);
    print_times("KEM", &calls);

    let series = sizes
        .iter()
        .map(|(size, all)| (size.as_str(), all.as_slice()))
        .chain([("kem", calls.as_slice())]);
    vec![("series", all_json(series)), ("ratios", ratios.into())]
}
