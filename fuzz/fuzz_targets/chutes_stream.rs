//! A stream of chutes-v1 behind a relay that does what it likes: only sealed lines come out, each once, numbered ones in order and without a gap,
//! and however the bytes arrive.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::compat::chutes::{Event, StreamLimits};
use sealwire_fuzz::chutes::{self, Act, Given, Script};
use sealwire_fuzz::mutate::{self, Mutation};

#[derive(Arbitrary, Debug)]
struct Input {
    script: Script,
    acts: Vec<Act>,
    bytes: Vec<Mutation>,
    bounds: Option<(u16, u16, u8)>,
    every_token: bool,
    sizes: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let sealed = input.script.seal();
    let mut events = sealed.events.clone();
    for act in input.acts.iter().take(8) {
        act.apply(&mut events);
    }
    let mut wire = events.concat();
    mutate::mutate(&mut wire, &input.bytes);

    let mut limits = StreamLimits {
        every_token: input.every_token,
        ..StreamLimits::default()
    };
    if let Some((line, bytes, chunks)) = input.bounds {
        limits.line = usize::from(line);
        limits.bytes = u64::from(bytes);
        limits.chunks = usize::from(chunks);
    }
    let given = chutes::open(limits, &wire, &[]);
    if !input.sizes.is_empty() {
        let pieces = chutes::open(limits, &wire, &input.sizes);
        assert_eq!(given.events, pieces.events);
        // Two bounds may be passed by the same line: bytes in pieces meet one of them first.
        if input.bounds.is_some() {
            assert_eq!(given.end.is_ok(), pieces.end.is_ok());
        } else {
            assert_eq!(given.end, pieces.end);
        }
    }

    judge(&input.script, &sealed.lines, &given);
    let untouched = wire == sealed.events.concat() && input.bounds.is_none();
    if let (true, Some((before, end))) = (untouched, input.script.expected()) {
        assert_eq!(given.end.map_err(|error| error.code()), end);
        let whole = sealed.lines.len();
        let out = lines(&given);
        assert!(out.len() >= before && (end.is_err() || out.len() == whole));
        assert_eq!(out, sealed.lines[..out.len()]);
    }
});

/// Lines in the order in which they came out.
fn lines(given: &Given) -> Vec<Vec<u8>> {
    given
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Content(line) | Event::Done(line) => Some(line.clone()),
            _ => None,
        })
        .collect()
}

fn judge(script: &Script, sealed: &[Vec<u8>], given: &Given) {
    let out = lines(given);
    if script.numbered {
        assert!(sealed.starts_with(&out), "a numbered stream is a prefix");
    } else {
        let mut left = sealed.to_vec();
        for line in &out {
            let at = left.iter().position(|have| have == line);
            left.remove(at.expect("a line that was not sealed, or came twice"));
        }
    }
    let heads = given
        .events
        .iter()
        .filter(|event| matches!(event, Event::Head(_)))
        .count();
    assert!(heads <= usize::from(script.numbered));
    let done = given
        .events
        .iter()
        .position(|event| matches!(event, Event::Done(_)));
    if given.end.is_ok() {
        assert!(done.is_some(), "whole without a sealed end");
    }
    // Behind the end there is nothing but blank lines, and what the relay says.
    let behind = done.map_or(&[][..], |done| &given.events[done + 1..]);
    for event in behind {
        match event {
            Event::Done(line) => assert!(line.trim_ascii().is_empty()),
            Event::Usage(_) | Event::RelayError(_) => {}
            other => panic!("{other:?} behind the end"),
        }
    }
    let failed = given
        .events
        .iter()
        .position(|event| matches!(event, Event::RelayError(_)));
    if let Some(at) = failed {
        assert_eq!(at + 1, given.events.len());
        assert_eq!(given.end.map_err(|error| error.code()), Err("relay-failed"));
    }
    for event in &given.events {
        if let Event::RelayError(text) = event {
            assert!(text.chars().count() <= 256 && !text.chars().any(char::is_control));
        }
    }
}
