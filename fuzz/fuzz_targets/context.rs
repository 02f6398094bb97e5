//! A context that parses encodes to the same bytes, and is one that can be built; what is built parses.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::{Context, Error};

#[derive(Arbitrary, Debug)]
enum Input {
    Bytes(Vec<u8>),
    Items(Vec<(u8, Option<u16>, Vec<u8>)>),
    Built {
        label: String,
        request_id: [u8; 16],
        attempt: u8,
        billing: Option<Vec<u8>>,
    },
}

fuzz_target!(|input: Input| {
    match input {
        Input::Bytes(bytes) => parse(&bytes),
        Input::Items(items) => {
            let mut bytes = Vec::new();
            for (kind, length, value) in items {
                let length = length.unwrap_or(value.len() as u16);
                bytes.push(kind);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(&value);
            }
            parse(&bytes);
        }
        Input::Built {
            label,
            request_id,
            attempt,
            billing,
        } => {
            let sound = (1..=255).contains(&label.len())
                && label.bytes().all(|byte| byte >= 0x20 && byte != 0x7F)
                && (1..=8).contains(&attempt)
                && billing
                    .as_ref()
                    .is_none_or(|handle| (1..=128).contains(&handle.len()));
            let built = build(&label, request_id, attempt, billing.as_deref());
            assert_eq!(built.is_ok(), sound);
            if let Ok(built) = built {
                assert_eq!(Context::parse(&built.encode()).as_ref(), Ok(&built));
            }
        }
    }
});

fn build(
    label: &str,
    request_id: [u8; 16],
    attempt: u8,
    billing: Option<&[u8]>,
) -> Result<Context, Error> {
    let context = Context::new(label, request_id, attempt)?;
    match billing {
        Some(handle) => context.with_billing(handle),
        None => Ok(context),
    }
}

fn parse(bytes: &[u8]) {
    match Context::parse(bytes) {
        Ok(context) => {
            assert!(bytes.len() <= 1_024);
            assert_eq!(context.encode(), bytes);
            let built = build(
                context.label(),
                context.request_id(),
                context.attempt(),
                context.billing(),
            );
            assert_eq!(built, Ok(context));
        }
        Err(error) => assert_eq!(error.code(), "bad-context"),
    }
}
