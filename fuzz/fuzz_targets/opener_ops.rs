//! An opener with the real AEAD: random bytes release nothing, and of a changed wire only the frames before the first change come out.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::rustcrypto;
use sealwire_fuzz::drive::{self, Ev, Fragments};
use sealwire_fuzz::mutate::{self, Mutation};
use sealwire_fuzz::seal::Script;

#[derive(Arbitrary, Debug)]
enum Change {
    Bytes(Vec<Mutation>),
    DropFrame(u8),
    RepeatFrame(u8),
    SwapFrames(u8, u8),
    CutAtFrame(u8),
}

#[derive(Arbitrary, Debug)]
enum Input {
    Random {
        script: Script,
        bytes: Vec<u8>,
        sizes: Vec<u8>,
    },
    Changed {
        script: Script,
        change: Change,
        sizes: Vec<u8>,
    },
}

fuzz_target!(|input: Input| {
    let provider = rustcrypto::provider();
    match input {
        Input::Random {
            script,
            bytes,
            sizes,
        } => {
            let mut opener = script.opener(&provider);
            let got = drive::stream(&mut opener, &bytes, &Fragments::Sizes(&sizes));
            assert_eq!(got.events, []);
            assert!(got.error.is_some());
        }
        Input::Changed {
            script,
            change,
            sizes,
        } => {
            let sealed = script.run(&provider);
            let mut wire = sealed.wire.clone();
            let ends: Vec<usize> = sealed.frames.iter().map(|(end, _)| *end).collect();
            apply(&mut wire, &ends, &change);

            let same = sealed
                .wire
                .iter()
                .zip(&wire)
                .take_while(|(a, b)| a == b)
                .count();
            let expected: Vec<Ev> = sealed
                .frames
                .iter()
                .take_while(|(end, _)| *end <= same)
                .filter_map(|(_, ev)| ev.clone())
                .collect();
            let mut opener = script.opener(&provider);
            let got = drive::stream(&mut opener, &wire, &Fragments::Sizes(&sizes));
            assert_eq!(got.events, expected);
            let ended = expected.last().is_some_and(Ev::is_end);
            if ended {
                let trailing = wire.len() > sealed.wire.len();
                assert_eq!(got.error, trailing.then_some("trailing-data"));
            } else if same == wire.len() {
                assert_eq!(got.error, Some("truncated"));
            } else {
                let possible = [
                    "decrypt",
                    "truncated",
                    "bad-frame-type",
                    "bad-frame-length",
                    "unexpected-frame",
                    "exhausted",
                ];
                assert!(got.error.is_some_and(|code| possible.contains(&code)));
            }
        }
    }
});

fn apply(wire: &mut Vec<u8>, ends: &[usize], change: &Change) {
    if ends.is_empty() {
        return;
    }
    let frame = |index: u8| {
        let index = usize::from(index) % ends.len();
        let start = index.checked_sub(1).map_or(0, |before| ends[before]);
        start..ends[index]
    };
    match change {
        Change::Bytes(mutations) => mutate::mutate(wire, mutations),
        Change::DropFrame(index) => {
            wire.drain(frame(*index));
        }
        Change::RepeatFrame(index) => {
            let range = frame(*index);
            let copy = wire[range.clone()].to_vec();
            wire.splice(range.end..range.end, copy);
        }
        Change::SwapFrames(a, b) => {
            let (a, b) = (frame(*a.min(b)), frame(*a.max(b)));
            if a.end <= b.start {
                let (first, second) = (wire[a.clone()].to_vec(), wire[b.clone()].to_vec());
                wire.splice(b, first);
                wire.splice(a, second);
            }
        }
        Change::CutAtFrame(index) => wire.truncate(frame(*index).end),
    }
}
