//! The limit of open files: raised as far as it may be, and named where it is too low.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_sealwire");

/// What a program says on stderr until it listens, under these limits, and the soft limit that it then has, where that can be seen.
fn started(soft: u32, hard: u32, args: &[&str]) -> (String, Option<String>) {
    let nowhere = env!("CARGO_TARGET_TMPDIR");
    let mut child = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -n {hard} && ulimit -S -n {soft} && exec \"$0\" \"$@\""),
        ])
        .arg(BINARY)
        .args(args)
        .env("XDG_CONFIG_HOME", nowhere)
        .env("XDG_STATE_HOME", nowhere)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let listens = out
        .lines()
        .map_while(Result::ok)
        .any(|line| line.starts_with("listening "));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).ok();
    let soft = limits.as_deref().and_then(|limits| {
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))?;
        Some(line.split_whitespace().next()?.to_owned())
    });
    let _ = child.kill();
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    stderr.read_to_string(&mut said).expect("text");
    let _ = child.wait();
    assert!(listens, "{said}");
    (said, soft)
}

const INSTANCE: [&str; 7] = [
    "instance",
    "--upstream",
    "http://127.0.0.1:1",
    "--model",
    "m",
    "--evidence",
    "none",
];
const RELAY: [&str; 3] = ["relay", "--instance", "http://127.0.0.1:1"];
const PROXY: [&str; 6] = [
    "proxy",
    "--listen",
    "127.0.0.1:0",
    "--relay",
    "http://127.0.0.1:1",
    "--insecure-trust-relay",
];

#[test]
fn a_limit_that_is_too_low_is_named_with_the_argument_that_asks_for_more() {
    for (args, argument) in [
        (&INSTANCE[..], "--max-streams"),
        (&RELAY, "--max-streams"),
        (&PROXY, "--max-connections"),
    ] {
        let (said, _) = started(64, 300, args);
        assert!(
            said.contains("warning: 300 files") && said.contains(argument),
            "{said}"
        );
    }
}

#[test]
fn the_soft_limit_is_raised_and_nothing_is_said_where_the_hard_one_suffices() {
    for (args, argument) in [
        (&INSTANCE[..], "--max-streams"),
        (&RELAY, "--max-streams"),
        (&PROXY, "--max-connections"),
    ] {
        let (said, soft) = started(64, 300, &[args, &[argument, "100"]].concat());
        assert!(!said.contains("files"), "{said}");
        // No /proc: there is nothing to see it by.
        assert!(soft.is_none_or(|soft| soft == "300"));
    }
}

#[test]
fn over_http2_a_stream_takes_half_as_many_files() {
    for (args, argument) in [(&RELAY[..], "--max-streams"), (&PROXY, "--max-connections")] {
        let over = |more: &[&str]| started(64, 300, &[args, &[argument, "200"], more].concat()).0;
        assert!(over(&[]).contains("warning: 300 files"));
        assert!(!over(&["--http2"]).contains("files"));
    }
}
