//! An opener without crypto, so that any bytes reach what stands behind the AEAD, against a model of section 6.3.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::testing::{self, NULL_PROVIDER};
use sealwire_fuzz::drive::{self, Fragments};
use sealwire_fuzz::model;
use sealwire_fuzz::wire::{FrameSpec, Receiver, messages, wire};

#[derive(Arbitrary, Debug)]
struct Input {
    receiver: Receiver,
    sizes: Vec<u8>,
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
    let got = drive::stream(&mut opener(), &wire, &Fragments::Sizes(&input.sizes));
    assert_eq!(got, model::receive(&receiver, &wire));

    let messages = messages(&input.frames);
    let got = drive::messages(&mut opener(), messages.iter().map(Vec::as_slice));
    assert_eq!(got, model::receive_messages(&receiver, &messages));
});
