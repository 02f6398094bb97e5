//! `cargo xtask fuzz`: each fuzz target for a given time.

use std::fs;
use std::process::ExitCode;

use crate::env::{has_cargo_subcommand, root};
use crate::report::{Outcome, Report};
use crate::run::{cargo, status};

/// Flags for libFuzzer: inputs of a full frame's order of size from the start, and its counts at the end.
const FLAGS: [&str; 3] = ["-max_len=4096", "-len_control=0", "-print_final_stats=1"];

const USAGE: &str = "usage: cargo xtask fuzz [--seconds N] [TARGET ..]";

pub(crate) fn run(args: &[String]) -> ExitCode {
    let (seconds, picked) = match parse(args) {
        Ok(parsed) => parsed,
        Err(why) => {
            eprintln!("xtask: {why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let targets = targets();
    if let Some(unknown) = picked.iter().find(|name| !targets.contains(name)) {
        eprintln!(
            "xtask: there is no fuzz target {unknown:?}; there are: {}",
            targets.join(", ")
        );
        return ExitCode::from(2);
    }
    let mut report = Report::new("cargo xtask fuzz");
    if targets.is_empty() {
        report.step("fuzz targets", || {
            Outcome::Failed("fuzz/fuzz_targets holds none".to_owned())
        });
    }
    for target in targets {
        if picked.is_empty() || picked.contains(&target) {
            report.step(format!("fuzz {target}"), || one(&target, seconds));
        }
    }
    report.finish()
}

/// Runs one target. New inputs go to fuzz/corpus, which is not committed; fuzz/seeds is read only.
fn one(target: &str, seconds: u32) -> Outcome {
    if !has_cargo_subcommand("fuzz") {
        return Outcome::Missing("cargo-fuzz (cargo install --locked cargo-fuzz)".to_owned());
    }
    let corpus = format!("fuzz/corpus/{target}");
    if let Err(error) = fs::create_dir_all(root().join(&corpus)) {
        return Outcome::Failed(format!("{corpus}: {error}"));
    }
    let mut command = cargo(&["fuzz", "run", target, &corpus]);
    // Only these need what that crate needs, which is much.
    if target.starts_with("attest_") {
        command.args(["--features", "attest"]);
    }
    let seeds = format!("fuzz/seeds/{target}");
    if root().join(&seeds).is_dir() {
        command.arg(seeds);
    }
    command.arg("--").args(FLAGS);
    command.arg(format!("-max_total_time={seconds}"));
    // The sanitizers are unstable flags of the compiler; a stable toolchain takes them with this variable.
    command.env("RUSTC_BOOTSTRAP", "1");
    status(command)
}

fn parse(args: &[String]) -> Result<(u32, Vec<String>), String> {
    let mut seconds = 60;
    let mut picked = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => {
                let value = args.next().ok_or("--seconds needs a number")?;
                seconds = value
                    .parse()
                    .ok()
                    // Zero would mean no limit.
                    .filter(|seconds| *seconds > 0)
                    .ok_or_else(|| format!("--seconds {value}: not a number of 1 or more"))?;
            }
            flag if flag.starts_with('-') => return Err(format!("unknown flag {flag}")),
            name => picked.push(name.to_owned()),
        }
    }
    Ok((seconds, picked))
}

fn targets() -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join("fuzz").join("fuzz_targets")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments() {
        assert_eq!(parse(&[]), Ok((60, vec![])));
        assert_eq!(
            parse(&words("bundle --seconds 5")),
            Ok((5, vec!["bundle".to_owned()]))
        );
        for bad in ["--seconds", "--seconds 0", "--seconds x", "--second 5"] {
            assert!(parse(&words(bad)).is_err(), "{bad}");
        }
    }
}
