//! Handshakes by role; frames and bodies by size.

use bytes::Bytes;

use super::{Found, Run, all_json, print_speeds, print_times};
use crate::measure::{self, Series, Way};
use crate::ours::{self, BODY, Target};
use crate::providers;
use crate::table::{print_figures, size};

const SIZES: [usize; 7] = [64, 200, 1_024, 4_096, 16_384, 1_048_576, BODY];

pub(crate) fn run(run: &Run) -> Found {
    let providers = providers::all();
    let roles = providers
        .iter()
        .flat_map(|named| {
            ours::SUITES
                .into_iter()
                .flat_map(|suite| ours::roles(named, suite))
        })
        .collect();
    let roles = measure::run(roles, run.budget / 4);
    let slice = run.budget / 2 / SIZES.len() as u32;
    let sizes: Vec<(String, Vec<Series>)> = SIZES
        .iter()
        .map(|&bytes| {
            let contestants = providers
                .iter()
                .map(|named| ours::channel(named, bytes))
                .collect();
            (size(bytes), measure::run(contestants, slice))
        })
        .collect();
    let content = Bytes::from(vec![7; BODY]);
    let bodies = providers
        .iter()
        .flat_map(|named| Target::ALL.map(|target| ours::body(named, target, &content)))
        .collect();
    let bodies = measure::run(bodies, run.budget / 4);

    print_times("handshake", &roles);
    print_speeds("seal, GB/s", &sizes, Way::Write);
    print_speeds("open, GB/s", &sizes, Way::Read);
    print_speeds("seal and open, GB/s", &sizes, Way::Both);
    let rows: Vec<_> = bodies
        .iter()
        .map(|series| {
            let speed = format!("{:.2}", series.speed(Way::Write));
            (series.name.clone(), vec![speed])
        })
        .collect();
    print_figures("64 MiB sealed", &["GB/s".to_owned()], &rows);

    let series = sizes
        .iter()
        .map(|(size, all)| (size.as_str(), all.as_slice()))
        .chain([("handshake", roles.as_slice()), ("body", bodies.as_slice())]);
    vec![("series", all_json(series))]
}
