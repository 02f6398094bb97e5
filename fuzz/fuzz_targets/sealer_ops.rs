//! Any sequence of operations on a sealer: each answers as the model says, and the receiver gets exactly what went in.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::rustcrypto;
use sealwire::testing::NULL_PROVIDER;
use sealwire_fuzz::drive::{self, Fragments};
use sealwire_fuzz::seal::Script;

#[derive(Arbitrary, Debug)]
struct Input {
    real: bool,
    script: Script,
    sizes: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let provider = if input.real {
        rustcrypto::provider()
    } else {
        NULL_PROVIDER
    };
    let sealed = input.script.run(&provider);
    let mut opener = input.script.opener(&provider);
    let got = drive::stream(&mut opener, &sealed.wire, &Fragments::Sizes(&input.sizes));
    assert_eq!(got.events, sealed.events());
    assert_eq!(got.error, (!sealed.ended).then_some("truncated"));
});
