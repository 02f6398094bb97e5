//! The same wire in different fragments, and frame by frame as messages, gives the same events and the same error.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::frame::FrameHeader;
use sealwire::testing::{self, NULL_PROVIDER};
use sealwire_fuzz::drive::{self, Fragments};
use sealwire_fuzz::wire::{FrameSpec, Receiver, wire};

#[derive(Arbitrary, Debug)]
struct Input {
    receiver: Receiver,
    a: Vec<u8>,
    b: Vec<u8>,
    frames: Vec<FrameSpec>,
}

fuzz_target!(|input: Input| {
    let wire = wire(&input.frames);
    let receiver = input.receiver.fit(&wire);
    let opener = || {
        testing::opener(
            &NULL_PROVIDER,
            &receiver.limits(),
            receiver.half(),
            [0; 32],
            receiver.c2s.then_some([1; 32]),
        )
        .unwrap()
    };
    let whole = drive::stream(&mut opener(), &wire, &Fragments::Whole);
    for fragments in [
        Fragments::Sizes(&input.a),
        Fragments::Sizes(&input.b),
        Fragments::AsNeeded,
    ] {
        let other = drive::stream(&mut opener(), &wire, &fragments);
        assert_eq!(whole, other, "{fragments:?}");
    }
    if let Some(frames) = split(&wire) {
        let other = drive::messages(&mut opener(), frames);
        assert_eq!(whole, other, "as messages");
    }
});

/// The wire's frames, if it is nothing but whole frames with sound headers.
fn split(mut wire: &[u8]) -> Option<Vec<&[u8]>> {
    let mut frames = Vec::new();
    while let Some(header) = wire.first_chunk::<4>() {
        let len = FrameHeader::decode(*header).ok()?.frame_len();
        let (frame, rest) = wire.split_at_checked(len)?;
        frames.push(frame);
        wire = rest;
    }
    wire.is_empty().then_some(frames)
}
