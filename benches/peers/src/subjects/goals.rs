//! Every goal that one process can measure, beside the peers of the same run.

use std::process::Command;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Found, Run, all_json};
use crate::measure::{self, Contestant, Series, Spread, Way, find, quotient};
use crate::ours::{self, BODY, SUITES, Target};
use crate::providers::{self, AWS_LC, DEFAULT, Named};
use crate::table::{Goal, Row, Unit, print_goals, size};
use crate::{peers, raw};

const FRAME: usize = 16_384;
const CHUNK: usize = 200;
const NO_AVX512: &str = "does not apply: no AVX-512";

/// Both directions of a channel; or one, for what is only written.
const WRITE: (&str, Way) = ("write", Way::Write);
const READ: (&str, Way) = ("read", Way::Read);
const BOTH: (&str, Way) = ("write and read", Way::Both);

pub(crate) fn run(run: &Run) -> Found {
    let providers = providers::all();
    let frames = messages(&providers, FRAME, run.budget.mul_f64(0.4));
    let chunks = messages(&providers, CHUNK, run.budget.mul_f64(0.2));
    let content = Bytes::from(vec![7; BODY]);
    let bodies = providers
        .iter()
        .flat_map(|named| Target::ALL.map(|target| ours::body(named, target, &content)))
        .collect();
    let bodies = measure::run(bodies, run.budget.mul_f64(0.15));
    let mut handshakes = peers::handshakes();
    for named in &providers {
        for suite in SUITES {
            handshakes.push(ours::handshake(named, suite));
            handshakes.push(ours::five_kem_calls(named, suite));
        }
    }
    let handshakes = measure::run(handshakes, run.budget.mul_f64(0.25));
    let (state, state_json) = footprint();

    let mut goals = Goals {
        rows: Vec::new(),
        frames: &frames,
        chunks: &chunks,
        bodies: &bodies,
        handshakes: &handshakes,
        avx512: run.machine.avx512(),
    };
    goals.own_cost(&providers);
    goals.against_peers(&providers);
    goals.handshakes(&providers);
    goals.rows.extend(state);
    let rows = goals.rows;
    print_goals(&rows);

    let groups = [
        ("16 KiB", frames.as_slice()),
        ("200 B", chunks.as_slice()),
        ("64 MiB", bodies.as_slice()),
        ("handshake", handshakes.as_slice()),
    ];
    vec![
        ("rows", rows.iter().map(Row::json).collect()),
        ("series", all_json(groups.into_iter())),
        ("state", state_json),
    ]
}

/// Raw AEADs, sealwire and peers with messages of one size.
fn messages(providers: &[Named], bytes: usize, budget: std::time::Duration) -> Vec<Series> {
    let mut contestants: Vec<Contestant> = raw::all(bytes);
    contestants.extend(providers.iter().map(|named| ours::channel(named, bytes)));
    contestants.extend(peers::channels(bytes));
    measure::run(contestants, budget)
}

/// Whose median is least.
fn fastest<T>(
    candidates: impl Iterator<Item = T>,
    all: &[Series],
    name: impl Fn(&T) -> String,
    way: Way,
) -> Option<(T, &Series)> {
    candidates
        .filter_map(|candidate| Some((find(all, &name(&candidate))?, candidate)))
        .map(|(series, candidate)| (candidate, series))
        .min_by(|(_, a), (_, b)| {
            let median = |series: &Series| Spread::of(series.per_byte(way)).median;
            median(a).total_cmp(&median(b))
        })
}

struct Goals<'a> {
    rows: Vec<Row>,
    frames: &'a [Series],
    chunks: &'a [Series],
    bodies: &'a [Series],
    handshakes: &'a [Series],
    avx512: bool,
}

impl Goals<'_> {
    /// `ours` beside `peer`: speeds where there is a least, times where there is a most.
    fn push(
        &mut self,
        what: String,
        ours: &Series,
        peer: &Series,
        way: Way,
        goal: Goal,
    ) -> &mut Row {
        let median = |series: &Series| match goal {
            Goal::AtLeast(_) => series.speed(way),
            Goal::AtMost(_) => series.time(way).median,
        };
        let (unit, above, below) = match goal {
            Goal::AtLeast(_) => (Unit::GbPerS, peer, ours),
            Goal::AtMost(_) => (Unit::Ns, ours, peer),
        };
        self.rows.push(Row {
            what,
            ours: median(ours),
            peer: median(peer),
            unit,
            ratio: quotient(&above.per_byte(way), &below.per_byte(way)),
            goal,
            inapplicable: None,
        });
        self.rows.last_mut().expect("just pushed")
    }

    /// Frames beside the raw AEAD of their provider, with the same associated data; `SealSink` beside frames sealed in place.
    fn own_cost(&mut self, providers: &[Named]) {
        for named in providers {
            let ours = ours::label(named.name);
            for (group, bytes, bound) in [(self.frames, FRAME, 0.95), (self.chunks, CHUNK, 0.8)] {
                let (raw, size) = (raw::label(named.raw(bytes)), size(bytes));
                let (Some(ours), Some(raw)) = (find(group, &ours), find(group, &raw)) else {
                    continue;
                };
                for (name, way) in [("seal", Way::Write), ("open", Way::Read)] {
                    let what = format!("{}: {name} {size} vs its raw AEAD, 4 B of AAD", named.name);
                    self.push(what, ours, raw, way, Goal::AtLeast(bound));
                }
            }
        }
        for named in providers {
            let (ours, raw) = (ours::label(named.name), raw::label(named.raw(CHUNK)));
            let (Some(ours), Some(raw)) = (find(self.chunks, &ours), find(self.chunks, &raw))
            else {
                continue;
            };
            for (name, way) in [("seal", Way::Write), ("open", Way::Read)] {
                let what = format!(
                    "{}: time to {name} 200 B vs its raw AEAD, 4 B of AAD",
                    named.name
                );
                self.push(what, ours, raw, way, Goal::AtMost(1.25));
            }
        }
        for named in providers {
            let body = |target: Target| find(self.bodies, &target.label(named.name));
            let found = (
                body(Target::InPlace),
                body(Target::Dropped),
                body(Target::Vector),
            );
            let (Some(in_place), Some(dropped), Some(vector)) = found else {
                continue;
            };
            let what = |into: &str| {
                format!(
                    "{}: 64 MiB by SealSink {into} vs frames in place",
                    named.name
                )
            };
            let goals = [("dropped", dropped, 0.9), ("to a vector", vector, 0.7)];
            for (into, sink, bound) in goals {
                let goal = Goal::AtLeast(bound);
                self.push(what(into), sink, in_place, Way::Write, goal);
            }
        }
    }

    fn versus(
        &mut self,
        group: &[Series],
        size: &str,
        named: &Named,
        peer: &str,
        (name, way): (&str, Way),
        bound: f64,
    ) -> Option<&mut Row> {
        let ours = find(group, &ours::label(named.name))?;
        let peer = find(group, peer)?;
        let what = format!("{}: {name} {size} vs {}", named.name, peer.name);
        Some(self.push(what, ours, peer, way, Goal::AtLeast(bound)))
    }

    fn against_peers(&mut self, providers: &[Named]) {
        let frames = self.frames;
        if let Some(aws_lc) = providers.iter().find(|named| named.name == AWS_LC) {
            let goals = [
                (peers::RUSTLS, WRITE, 1.25),
                (peers::RUSTLS, BOTH, 1.2),
                (peers::SNOW_RING, WRITE, 1.15),
                (peers::SNOW_RING, BOTH, 1.15),
                (peers::SNOW_DEFAULT, WRITE, 1.8),
                (peers::SNOW_DEFAULT, BOTH, 1.8),
                (peers::AGE, WRITE, 1.8),
                (peers::AGE, BOTH, 1.8),
                (peers::OHTTP, WRITE, 2.5),
                (peers::OHTTP, BOTH, 2.5),
            ];
            for (peer, way, bound) in goals {
                self.versus(frames, "16 KiB", aws_lc, peer, way, bound);
            }
        }
        self.fastest_combination(providers);
        if let Some(default) = providers.iter().find(|named| named.name == DEFAULT) {
            for (group, size) in [(self.frames, "16 KiB"), (self.chunks, "200 B")] {
                for peer in peers::SAME_AEAD {
                    // Its chunks have a size of their own.
                    if peer == peers::AGE && size != "16 KiB" {
                        continue;
                    }
                    for way in [WRITE, READ] {
                        self.versus(group, size, default, peer, way, 1.0);
                    }
                }
            }
        }
    }

    /// The provider that carries 16 KiB frames fastest both ways in this run.
    fn fastest_combination(&mut self, providers: &[Named]) {
        let frames = self.frames;
        let best = fastest(
            providers.iter(),
            frames,
            |named| ours::label(named.name),
            Way::Both,
        );
        let Some((best, ours)) = best else {
            return;
        };
        let inapplicable = (!self.avx512).then_some(NO_AVX512);
        let goals = [
            (peers::RUSTLS, WRITE, 2.0),
            (peers::RUSTLS, BOTH, 2.0),
            (peers::LIBSODIUM, WRITE, 1.3),
            (peers::LIBSODIUM, BOTH, 1.3),
        ];
        for (peer, way, bound) in goals {
            if let Some(row) = self.versus(frames, "16 KiB", best, peer, way, bound) {
                row.what = format!("fastest, {}", row.what);
                row.inapplicable = inapplicable;
            }
        }
        for (name, way) in [("seal", Way::Write), ("open", Way::Read)] {
            let raw = frames
                .iter()
                .filter(|series| series.name.starts_with("raw "));
            let raw = fastest(raw, frames, |series| series.name.clone(), way);
            if let Some((_, raw)) = raw {
                let what = format!(
                    "fastest, {}: {name} 16 KiB vs the fastest AEAD, {}",
                    best.name, raw.name
                );
                self.push(what, ours, raw, way, Goal::AtLeast(0.85))
                    .inapplicable = inapplicable;
            }
        }
    }

    fn handshakes(&mut self, providers: &[Named]) {
        let all = self.handshakes;
        for ((suite, name), bound) in SUITES.into_iter().zip([0.35, 0.75]) {
            let best = fastest(
                providers.iter(),
                all,
                |named| ours::handshake_label(named.name, name),
                Way::Write,
            );
            let (Some((best, ours)), Some(tls)) = (best, find(all, peers::X25519MLKEM768)) else {
                continue;
            };
            let what = format!(
                "fastest, {}: handshake {name} ({suite:?}) vs {}",
                best.name, tls.name
            );
            self.push(what, ours, tls, Way::Write, Goal::AtMost(bound));
        }
        for (_, name) in SUITES {
            let ours = find(all, &ours::handshake_label(DEFAULT, name));
            let calls = find(all, &ours::kem_label(DEFAULT, name));
            if let (Some(ours), Some(calls)) = (ours, calls) {
                let what = format!("{DEFAULT}: handshake {name} vs its five KEM calls");
                self.push(what, ours, calls, Way::Write, Goal::AtMost(1.1));
            }
        }
    }
}

/// Asks the program beside this one, which counts its heap.
fn footprint() -> (Option<Row>, Value) {
    let counted = std::env::current_exe()
        .ok()
        .map(|exe| exe.with_file_name(format!("footprint{}", std::env::consts::EXE_SUFFIX)))
        .and_then(|program| Command::new(program).output().ok())
        .and_then(|output| serde_json::from_slice::<Value>(&output.stdout).ok());
    let Some(counted) = counted else {
        eprintln!("the program footprint is not built: no row for the state of a stream");
        return (None, json!(null));
    };
    const BOUND: f64 = 1_024.0;
    let row = counted[DEFAULT]["bytes"].as_f64().map(|bytes| Row {
        what: format!(
            "{DEFAULT}: sealer and opener of a stream, {} B of it heap",
            counted[DEFAULT]["heap"]
        ),
        ours: bytes,
        peer: BOUND,
        unit: Unit::Bytes,
        ratio: Spread::exactly(bytes / BOUND),
        goal: Goal::AtMost(1.0),
        inapplicable: None,
    });
    (row, counted)
}
