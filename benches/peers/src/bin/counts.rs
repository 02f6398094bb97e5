//! Instructions of a handshake and of a frame, counted by callgrind: a regression shows without a quiet machine.
//!
//! A scenario runs N and 2N times; the difference is what counts, so that start and setup fall out. valgrind shows programs a processor without
//! AVX-512, whatever the machine has: the counts are of the code for AVX2 at most.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use sealwire::limits::FRAME_OVERHEAD;
use sealwire::{CryptoProvider, Event, Suite, testing};
use sealwire_peers::{Handshakes, features, opener, sealer};
use serde_json::{Value, json};

const USAGE: &str = "\
counts run --file FILE --out FOLDER [--bless]   counts and compares with FILE, or writes it
counts scenario PROVIDER WHAT TIMES             what is counted
counts features                                 what the processor seems to have
";

/// By how much a count may exceed the one in the file.
const TOLERANCE: f64 = 0.03;
/// With how often its handshakes are counted: AWS-LC draws its own coins, and its sampling takes more or fewer rounds.
const PROVIDERS: [(&str, u64); 2] = [("default", 10), ("aws-lc-rs", 60)];
/// With how often they are counted; 0 for what the provider says.
const SCENARIOS: [(&str, u64); 6] = [
    ("handshake-1", 0),
    ("handshake-2", 0),
    ("seal-200", 200),
    ("pump-200", 200),
    ("seal-16384", 20),
    ("pump-16384", 20),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["features"] => {
            println!("{}", json!(features()));
            Ok(())
        }
        ["scenario", provider, what, times] => scenario(provider, what, times),
        ["run", "--file", file, "--out", out] => run(Path::new(file), Path::new(out), false),
        ["run", "--file", file, "--out", out, "--bless"] => {
            run(Path::new(file), Path::new(out), true)
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("counts: {why}");
            ExitCode::FAILURE
        }
    }
}

fn scenario(provider: &str, what: &str, times: &str) -> Result<(), String> {
    let provider = match provider {
        "default" => testing::COINS_PROVIDER,
        "aws-lc-rs" => sealwire_aws_lc_rs::provider(),
        other => return Err(format!("there is no provider {other:?}")),
    };
    let times: u64 = times.parse().map_err(|_| "not a number")?;
    match what.split_once('-') {
        Some(("handshake", "1")) => handshakes(provider, Suite::MlKem768, times),
        Some(("handshake", "2")) => handshakes(provider, Suite::XWing, times),
        Some(("seal", content)) => frames(&provider, content, times, false)?,
        Some(("pump", content)) => frames(&provider, content, times, true)?,
        _ => return Err(format!("there is no scenario {what:?}")),
    }
    Ok(())
}

/// More coins than one handshake takes, other ones each time: the instance refuses a repeated H1.
fn set_coins(round: u64, len: usize) {
    let coins: Vec<u8> = (0..len as u64)
        .map(|at| (round.wrapping_mul(0x9E37_79B9) >> (at % 24)).wrapping_add(at * 7) as u8)
        .collect();
    testing::set_coins(&coins);
}

fn handshakes(provider: CryptoProvider, suite: Suite, times: u64) {
    set_coins(0, 4_096);
    let mut handshakes = Handshakes::new(provider, suite);
    for round in 1..=times {
        set_coins(round, 256);
        black_box(handshakes.both());
    }
}

fn frames(provider: &CryptoProvider, content: &str, times: u64, open: bool) -> Result<(), String> {
    let content: usize = content.parse().map_err(|_| "not a length")?;
    let (mut sealer, mut opener) = (sealer(provider), opener(provider));
    let mut frame = vec![7; content + FRAME_OVERHEAD];
    for _ in 0..times {
        sealer
            .seal_in_place(black_box(&mut frame), content)
            .expect("seals");
        if open {
            let opened = opener.open(black_box(&mut frame)).expect("opens");
            assert!(matches!(opened.event, Event::Data(_)));
        }
    }
    Ok(())
}

fn own() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| error.to_string())
}

fn read(command: &mut Command) -> Result<(String, String), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    if output.status.success() {
        Ok((stdout, stderr))
    } else {
        Err(format!("{name}: {}: {stderr}", output.status))
    }
}

/// Instructions of a scenario; callgrind's file stays in `out` for callgrind_annotate.
fn instructions(out: &Path, provider: &str, what: &str, times: u64) -> Result<u64, String> {
    let file = out.join(format!("callgrind.{provider}.{what}"));
    let (_, report) = read(
        Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(own()?)
            .args(["scenario", provider, what, &times.to_string()]),
    )?;
    report
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or(format!("callgrind says no count: {report}"))
}

/// Opening is what sealing and opening take beyond sealing.
fn count(out: &Path) -> Result<BTreeMap<String, u64>, String> {
    let mut counts = BTreeMap::new();
    for (provider, handshakes) in PROVIDERS {
        for (what, times) in SCENARIOS {
            let times = if times == 0 { handshakes } else { times };
            let once = instructions(out, provider, what, times)?;
            let twice = instructions(out, provider, what, 2 * times)?;
            let each = twice.saturating_sub(once) / times;
            counts.insert(format!("{provider} {what}"), each);
        }
        for content in ["200", "16384"] {
            let pump = counts.remove(&format!("{provider} pump-{content}"));
            let seal = counts.get(&format!("{provider} seal-{content}"));
            let open = pump.unwrap_or(0).saturating_sub(seal.copied().unwrap_or(0));
            counts.insert(format!("{provider} open-{content}"), open);
        }
    }
    Ok(counts)
}

fn run(file: &Path, out: &Path, bless: bool) -> Result<(), String> {
    std::fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let (rustc, _) = read(Command::new(rustc).arg("--version"))?;
    let (valgrind, _) = read(Command::new("valgrind").arg("--version"))?;
    // What a program sees there, not what the machine has.
    let (features, _) = read(
        Command::new("valgrind")
            .args(["--tool=none", "-q"])
            .arg(own()?)
            .arg("features"),
    )?;
    let features: Value = serde_json::from_str(&features).map_err(|error| error.to_string())?;
    let counts = count(out)?;
    let mut now = json!({
        "rustc": rustc,
        "valgrind": valgrind,
        "features_under_valgrind": features,
        "tolerance": TOLERANCE,
        "instructions": counts,
    });
    if bless {
        write(file, &now)?;
    }
    let known =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let known: Value = serde_json::from_str(&known).map_err(|error| error.to_string())?;
    for (name, now) in [("rustc", &rustc), ("valgrind", &valgrind)] {
        if known[name] != **now {
            println!("{name} is {now}; the file was made with {}", known[name]);
        }
    }
    let comparable = known["features_under_valgrind"] == features;
    if !comparable {
        println!("other processor features than in the file, so other code: {features}");
    }
    let (rows, more) = compare(&known, &counts, comparable);
    now["rows"] = rows.into();
    write(&out.join("counts.json"), &now)?;
    if comparable && more > 0 {
        return Err(format!(
            "{more} counts are above the file's by more than {TOLERANCE}; if that is meant, run with --bless"
        ));
    }
    Ok(())
}

fn write(path: &Path, counts: &Value) -> Result<(), String> {
    std::fs::write(path, format!("{counts:#}\n"))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints the counts beside those of the file; them as rows in the form that xtask draws (xtask/src/bench/figures.rs), and how many are above the
/// tolerance.
fn compare(known: &Value, counts: &BTreeMap<String, u64>, comparable: bool) -> (Vec<Value>, usize) {
    let tolerance = known["tolerance"].as_f64().unwrap_or(TOLERANCE);
    let (mut rows, mut more) = (Vec::new(), 0);
    println!(
        "{:<24} {:>12} {:>12} {:>8}",
        "instructions", "now", "file", "ratio"
    );
    for (name, &now) in counts {
        let before = known["instructions"][name].as_u64();
        let before = before.filter(|&count| count > 0);
        let ratio = before.map(|before| now as f64 / before as f64);
        // What the file does not have is more as well.
        let allowed = ratio.is_some_and(|ratio| ratio <= 1.0 + tolerance);
        more += usize::from(!allowed);
        rows.push(json!({
            "figure": name,
            "unit": "x",
            "other": before,
            "ours": now,
            "pair_unit": "instructions",
            "result": ratio,
            "goal": {"at_most": 1.0 + tolerance},
            "met": comparable.then_some(allowed),
        }));
        let (Some(before), Some(ratio)) = (before, ratio) else {
            println!("{name:<24} {now:>12} {:>12} {:>8}", "none", "");
            continue;
        };
        let note = if !allowed {
            "  more than allowed"
        } else if ratio < 1.0 - tolerance {
            "  less: worth --bless"
        } else {
            ""
        };
        println!("{name:<24} {now:>12} {before:>12} {ratio:>8.3}{note}");
    }
    (rows, more)
}
