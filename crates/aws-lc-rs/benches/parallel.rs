//! Bulk on two threads beside bulk on one, with the default provider and AWS-LC. Beside it a loop that only computes, on one thread and split between two:
//! it says how free the processors are. Rounds take turns. Last what both ways spend of processors, which says what free ones would give where these are not
//! (Linux only).
//!
//! With `--idle` up to 16 MiB, and a round starts only where the machine did nothing for a tenth of a second (Linux only).
#![allow(missing_docs, reason = "a bench")]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use sealwire::{Event, Half, Limits, Opener, Padding, Sealer, testing};

const SECRET: [u8; 32] = [0x42; 32];
const MIB: usize = 1024 * 1024;
const SIZES: [usize; 4] = [MIB, 4 * MIB, 16 * MIB, 64 * MIB];
const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
/// For each size and provider.
const BUDGET: Duration = Duration::from_secs(6);
const BUDGET_IDLE: Duration = Duration::from_secs(20);
const LEAST_ROUNDS: usize = 5;

/// One figure for each round: on one thread, and on two.
#[derive(Default)]
struct Row(Vec<(f64, f64)>);

impl Row {
    fn print(&self, name: &str, bytes: usize) {
        if self.0.is_empty() {
            println!("{name:<34} no idle moment");
            return;
        }
        let sorted = |values: Vec<f64>| {
            let mut values = values;
            values.sort_by(f64::total_cmp);
            values
        };
        let ratios = sorted(self.0.iter().map(|(one, two)| one / two).collect());
        let one = sorted(self.0.iter().map(|(one, _)| *one).collect());
        let two = sorted(self.0.iter().map(|(_, two)| *two).collect());
        let at = |part: usize| ratios[(ratios.len() - 1) * part / 10];
        let best = one[0] / two[0];
        let speed = |seconds: f64| bytes as f64 / seconds / 1e9;
        println!(
            "{name:<34} {:>6.2}  {:>4.2} to {:>4.2}   {best:>6.2}   {:>6.3} {:>6.3}   {}",
            at(5),
            at(1),
            at(9),
            speed(one[0]),
            speed(two[0]),
            ratios.len()
        );
    }
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

/// Runs both, either first as often as the other.
fn pair(round: usize, one: &mut dyn FnMut() -> f64, two: &mut dyn FnMut() -> f64) -> (f64, f64) {
    if round.is_multiple_of(2) {
        let first = one();
        (first, two())
    } else {
        let first = two();
        (one(), first)
    }
}

fn compute(turns: u64) {
    let mut state = 1_u64;
    for turn in 0..turns {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005) ^ turn);
    }
    black_box(state);
}

fn sealer(provider: &sealwire::CryptoProvider) -> Sealer {
    let limits = Limits::DEFAULT;
    let mut sealer = testing::sealer(provider, &limits, Half::S2c, SECRET, true).expect("a sealer");
    sealer.set_padding(Padding::None);
    sealer
}

fn opener(provider: &sealwire::CryptoProvider) -> Opener {
    testing::opener(provider, &Limits::DEFAULT, Half::S2c, SECRET, None).expect("an opener")
}

fn seal(sealer: &mut Sealer, content: &[u8], out: &mut Vec<u8>, parallel: bool) {
    let sealed = if parallel {
        sealer.seal_vec_parallel(content, TWO, out)
    } else {
        sealer.seal_vec(content, out)
    };
    sealed.expect("seals");
    black_box(out);
}

fn open(opener: &mut Opener, mut rest: &mut [u8], parallel: bool) {
    if parallel {
        let opened = opener.open_parallel(rest, TWO, |event| {
            black_box(event);
        });
        opened.expect("opens");
        return;
    }
    loop {
        let opened = opener.open(rest).expect("opens");
        let consumed = opened.consumed;
        if matches!(black_box(opened.event), Event::NeedInput { .. }) {
            break;
        }
        rest = &mut rest[consumed..];
    }
}

fn compare(
    name: &str,
    provider: &sealwire::CryptoProvider,
    size: usize,
    budget: Duration,
    idle: bool,
) {
    let content = vec![7; size];
    let mut sender = sealer(provider);
    let mut wire = Vec::new();
    sealer(provider)
        .seal_vec(&content, &mut wire)
        .expect("seals");
    let mut kept = wire.clone();
    let mut buffer = wire.clone();
    let [mut control, mut into_kept, mut into_new, mut opened] = [(); 4].map(|()| Row::default());
    let turns = size as u64 / 4;
    let start = Instant::now();
    let mut round = 0;
    while round < LEAST_ROUNDS || start.elapsed() < budget {
        if idle && !was_idle() {
            if start.elapsed() < budget {
                continue;
            }
            break;
        }
        control
            .0
            .push(pair(round, &mut || seconds(|| compute(turns)), &mut || {
                seconds(|| {
                    thread::scope(|scope| {
                        scope.spawn(|| compute(turns / 2));
                        compute(turns / 2);
                    });
                })
            }));
        let mut times = [[0.0; 2]; 3];
        for turn in 0..2 {
            let parallel = (turn + round) % 2 == 1;
            let side = usize::from(parallel);
            kept.clear();
            times[0][side] = seconds(|| seal(&mut sender, &content, &mut kept, parallel));
            times[1][side] = seconds(|| seal(&mut sender, &content, &mut Vec::new(), parallel));
            buffer.copy_from_slice(&wire);
            let mut receiver = opener(provider);
            times[2][side] = seconds(|| open(&mut receiver, &mut buffer, parallel));
        }
        for (row, [one, two]) in [&mut into_kept, &mut into_new, &mut opened]
            .into_iter()
            .zip(times)
        {
            row.0.push((one, two));
        }
        round += 1;
    }
    let size_name = format!("{} MiB", size / MIB);
    control.print(&format!("computing only, beside {size_name}"), 0);
    into_kept.print(&format!("{name}: seal {size_name}, vector kept"), size);
    into_new.print(&format!("{name}: seal {size_name}, new vector"), size);
    opened.print(&format!("{name}: open {size_name}"), size);
}

/// What this process has spent of processors, threads that ended included; to 10 ms. Nothing outside of Linux.
fn spent() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = ticks.filter_map(|ticks| ticks.parse().ok()).collect();
    Some(ticks.iter().sum::<f64>() / 100.0)
}

/// Seals and opens until `budget` is spent: nanoseconds of processors for a byte.
fn cost(
    provider: &sealwire::CryptoProvider,
    size: usize,
    budget: f64,
    parallel: bool,
) -> Option<f64> {
    let content = vec![7; size];
    let (mut sender, mut receiver) = (sealer(provider), opener(provider));
    let (mut wire, mut done) = (Vec::new(), 0.0);
    let from = spent()?;
    loop {
        wire.clear();
        seal(&mut sender, &content, &mut wire, parallel);
        open(&mut receiver, &mut wire, parallel);
        done += size as f64;
        let time = spent()? - from;
        if time >= budget {
            return Some(time / done * 1e9);
        }
    }
}

fn costs(name: &str, provider: &sealwire::CryptoProvider, size: usize, budget: f64) {
    let [one, two] = [false, true].map(|parallel| cost(provider, size, budget, parallel));
    if let (Some(one), Some(two)) = (one, two) {
        let what = format!("{name}: seal and open {} MiB", size / MIB);
        println!(
            "{what:<34} {one:>10.3} {two:>10.3} {:>8.2}",
            2.0 * one / two
        );
    }
}

/// What all processors did since the machine started, and what of it was nothing, in ticks.
fn ticks() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let fields = stat.lines().next()?.split_whitespace().skip(1).take(8);
    let ticks: Vec<u64> = fields.filter_map(|ticks| ticks.parse().ok()).collect();
    Some((ticks.iter().sum(), ticks.get(3)? + ticks.get(4)?))
}

/// Whether the processors were free for the next tenth of a second; true where that cannot be known.
fn was_idle() -> bool {
    let before = ticks();
    thread::sleep(Duration::from_millis(100));
    let (Some(before), Some(after)) = (before, ticks()) else {
        return true;
    };
    (after.1 - before.1) * 100 >= (after.0 - before.0) * 93
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn main() {
    let measures = std::env::args().any(|arg| arg == "--bench");
    let idle = std::env::args().any(|arg| arg == "--idle");
    let (sizes, budget) = match (measures, idle) {
        (true, true) => (&SIZES[..3], BUDGET_IDLE),
        (true, false) => (SIZES.as_slice(), BUDGET),
        (false, _) => (&SIZES[..1], Duration::ZERO),
    };
    println!("load before: {}", load());
    println!("Speed on two threads by speed on one; GB/s of the fastest rounds");
    println!(
        "{:<34} {:>6}  {:>12}   {:>6}   {:>6} {:>6}   rounds",
        "", "median", "p10 to p90", "best", "one", "two"
    );
    let providers = [
        ("default", sealwire::rustcrypto::provider()),
        ("aws-lc-rs", sealwire_aws_lc_rs::provider()),
    ];
    for (name, provider) in &providers {
        for size in sizes {
            compare(name, provider, *size, budget, idle);
        }
    }
    println!(
        "Nanoseconds of processors for a byte on one thread and on two, and what that lets two reach"
    );
    for (name, provider) in &providers {
        for size in sizes {
            costs(
                name,
                provider,
                *size,
                budget.min(BUDGET).as_secs_f64() / 6.0,
            );
        }
    }
    println!("load after: {}", load());
}
