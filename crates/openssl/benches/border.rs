//! From which length OpenSSL is faster than AWS-LC, and what its keys cost. Medians of rounds that take turns.
#![allow(missing_docs, reason = "a bench")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use sealwire::crypto::{Aead, AeadKey, Secret};
use sealwire_openssl::ByLength;

const AAD: [u8; 4] = [1; 4];
const ROUNDS: usize = 400;
const KEY: [u8; 32] = [7; 32];

static COMBINED: ByLength = sealwire_openssl::combined(sealwire_aws_lc_rs::AEAD);

/// What is compared, by name.
const AEADS: [(&str, &dyn Aead); 3] = [
    ("aws-lc-rs", sealwire_aws_lc_rs::AEAD),
    ("openssl", sealwire_openssl::AEAD),
    ("combined", &COMBINED),
];

fn nonce(count: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&count.to_be_bytes());
    nonce
}

/// Nanoseconds of a call, for each of `calls`.
fn medians(calls: &mut [Box<dyn FnMut() + '_>], times: u32) -> Vec<f64> {
    let mut taken = vec![Vec::new(); calls.len()];
    for _ in 0..ROUNDS {
        for (call, taken) in calls.iter_mut().zip(&mut taken) {
            let start = Instant::now();
            for _ in 0..times {
                call();
            }
            taken.push(start.elapsed());
        }
    }
    let median = |mut all: Vec<Duration>| {
        all.sort_unstable();
        all[all.len() / 2].as_secs_f64() * 1e9 / f64::from(times)
    };
    taken.into_iter().map(median).collect()
}

fn row(what: &str, figures: &[f64]) {
    print!("{what:<16}");
    for figure in figures {
        print!("{figure:>12.0}");
    }
    println!();
}

fn seal<'a>(key: &'a dyn AeadKey, len: usize) -> Box<dyn FnMut() + 'a> {
    let (mut buffer, mut count) = (vec![7; len], 0);
    Box::new(move || {
        count += 1;
        let tag = key.seal_in_place(&nonce(count), &AAD, black_box(&mut buffer));
        black_box(tag.expect("seals"));
    })
}

/// As a sink seals: from another buffer, four bytes behind.
fn scatter<'a>(key: &'a dyn AeadKey, len: usize) -> Box<dyn FnMut() + 'a> {
    let (text, mut out, mut count) = (vec![7; len - 4], vec![0; len], 0);
    Box::new(move || {
        count += 1;
        let tag = key.seal_scatter(&nonce(count), &AAD, black_box(&text), &[0; 4], &mut out);
        black_box(tag.expect("seals"));
    })
}

/// The copy of the sealed text is a part of what is timed, and the same for all.
fn open<'a>(key: &'a dyn AeadKey, len: usize) -> Box<dyn FnMut() + 'a> {
    let mut sealed = vec![7; len];
    let tag = key
        .seal_in_place(&nonce(0), &AAD, &mut sealed)
        .expect("seals");
    let mut buffer = sealed.clone();
    Box::new(move || {
        buffer.copy_from_slice(&sealed);
        key.open_in_place(&nonce(0), &AAD, black_box(&mut buffer), &tag)
            .expect("opens");
    })
}

fn main() {
    println!("OpenSSL is fast here: {}", sealwire_openssl::is_fast());
    let keys: Vec<_> = AEADS.map(|(_, aead)| aead.key(&Secret::new(KEY))).into();
    print!("{:<16}", "ns");
    for (name, _) in AEADS {
        print!("{name:>12}");
    }
    println!();
    let mut prepare: Vec<_> = AEADS
        .map(|(_, aead)| -> Box<dyn FnMut()> {
            Box::new(move || drop(black_box(aead.key(&Secret::new(KEY)))))
        })
        .into();
    row("key", &medians(&mut prepare, 50));
    for len in [
        200, 512, 1_024, 1_280, 1_536, 1_792, 2_048, 3_072, 4_096, 16_384,
    ] {
        type Make = for<'a> fn(&'a dyn AeadKey, usize) -> Box<dyn FnMut() + 'a>;
        for (what, make) in [("seal", seal as Make), ("open", open), ("scatter", scatter)] {
            let mut calls: Vec<_> = keys.iter().map(|key| make(&**key, len)).collect();
            row(&format!("{what} {len}"), &medians(&mut calls, 20));
        }
    }
}
