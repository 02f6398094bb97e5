//! A bundle that parses is the encoding of its fields; a changed one is refused; the verifier answers as section 3.2 says.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::{Bundle, BundlePolicy, Error, IdentityTrust, Suite};
use sealwire_fuzz::fixture::{self, LABEL, PROVIDER, TRUSTING};
use sealwire_fuzz::mutate::{self, Mutation};
use sealwire_fuzz::wire::Bytes;
use std::sync::LazyLock;

#[derive(Arbitrary, Debug)]
enum Input {
    Bytes(Vec<u8>),
    /// A valid bundle, changed.
    Changed {
        x_wing: bool,
        single_use: bool,
        changes: Vec<Mutation>,
        policy: Policy,
    },
    /// Fields of any content, without a signature.
    Fields {
        version: Option<u8>,
        suite: u8,
        flags: u8,
        not_before: u64,
        window: u16,
        label: Bytes,
        kem_key: KemKey,
        extra: Option<Vec<u8>>,
        policy: Policy,
    },
}

#[derive(Arbitrary, Debug)]
enum KemKey {
    Valid(Vec<Mutation>),
    Other(Bytes),
}

#[derive(Arbitrary, Debug)]
struct Policy {
    suites: Vec<bool>,
    other_label: bool,
    single_use: bool,
    now: Clock,
    stranger: bool,
}

/// The client's clock: the last second at which the bundle is good, or the first, give or take some; or anything.
#[derive(Arbitrary, Debug)]
enum Clock {
    NearStart(i8),
    NearEnd(i8),
    At(u64),
}

/// Both suites, multi-use and single-use.
static BUNDLES: LazyLock<Vec<Bundle>> = LazyLock::new(|| {
    [(false, false), (false, true), (true, false), (true, true)]
        .map(|(x_wing, single_use)| fixture::ring(fixture::suite(x_wing), single_use).1)
        .to_vec()
});

fn sample(x_wing: bool, single_use: bool) -> &'static Bundle {
    &BUNDLES[usize::from(x_wing) * 2 + usize::from(single_use)]
}

fuzz_target!(|input: Input| {
    match input {
        Input::Bytes(bytes) => {
            parse(&bytes);
        }
        Input::Changed {
            x_wing,
            single_use,
            changes,
            policy,
        } => {
            let sample = sample(x_wing, single_use);
            let mut bytes = sample.as_bytes().to_vec();
            mutate::mutate(&mut bytes, &changes);
            let real = Bundle::parse(&PROVIDER.verification, &bytes);
            assert_eq!(real.is_ok(), bytes == sample.as_bytes());
            if let Some(bundle) = parse(&bytes) {
                verify(bundle, &policy);
            }
        }
        Input::Fields {
            version,
            suite,
            flags,
            not_before,
            window,
            label,
            kem_key,
            extra,
            policy,
        } => {
            let kem_key = match kem_key {
                KemKey::Valid(changes) => {
                    let mut key = fixture::kem_key(sample(suite == 2, false)).to_vec();
                    mutate::mutate(&mut key, &changes);
                    key
                }
                KemKey::Other(bytes) => bytes.to_vec(2_000),
            };
            let label = label.to_vec(300);
            let mut bytes = vec![version.unwrap_or(1), 0, suite, flags];
            bytes.extend_from_slice(&not_before.to_be_bytes());
            bytes.extend_from_slice(&not_before.wrapping_add(u64::from(window)).to_be_bytes());
            for field in [&label, &kem_key] {
                bytes.extend_from_slice(&(field.len() as u16).to_be_bytes());
                bytes.extend_from_slice(field);
            }
            bytes.extend_from_slice(&fixture::identity().public_key());
            bytes.extend_from_slice(&[9; 64]);
            bytes.extend_from_slice(&extra.unwrap_or_default());
            assert!(Bundle::parse(&PROVIDER.verification, &bytes).is_err());
            if let Some(bundle) = parse(&bytes) {
                verify(bundle, &policy);
            }
        }
    }
});

/// Section 3.1, up to the signature.
fn judge(bytes: &[u8]) -> Result<(), &'static str> {
    let length = "bundle-length";
    if *bytes.first().ok_or(length)? != 1 {
        return Err("bundle-version");
    }
    let kem_key_len = match bytes.get(1..3).ok_or(length)? {
        [0, 1] => 1_184,
        [0, 2] => 1_216,
        _ => return Err("bundle-suite"),
    };
    if *bytes.get(3).ok_or(length)? > 1 {
        return Err("bundle-flags");
    }
    let window = bytes.get(4..20).ok_or(length)?;
    let (not_before, not_after) = window.split_at(8);
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_i128, |n, byte| n << 8 | i128::from(*byte))
    };
    let window = number(not_after) - number(not_before);
    let lp = |at: usize| {
        let len = number(bytes.get(at..at + 2)?) as usize;
        bytes.get(at + 2..at + 2 + len)
    };
    let label = lp(20).ok_or(length)?;
    let kem_key = lp(22 + label.len()).ok_or(length)?;
    if kem_key.len() != kem_key_len || bytes.len() != 120 + label.len() + kem_key_len {
        return Err(length);
    }
    if !(1..=1_200).contains(&window) {
        return Err("bundle-window");
    }
    let sound = (1..=255).contains(&label.len())
        && std::str::from_utf8(label).is_ok()
        && label.iter().all(|byte| *byte >= 0x20 && *byte != 0x7F);
    if sound { Ok(()) } else { Err("bundle-label") }
}

/// Parses with the signature taken; the fields must be those of the bytes.
fn parse(bytes: &[u8]) -> Option<Bundle> {
    let real = Bundle::parse(&PROVIDER.verification, bytes);
    let parsed = Bundle::parse(&TRUSTING, bytes);
    assert_eq!(parsed.as_ref().map(drop).map_err(Error::code), judge(bytes));
    let bundle = match parsed {
        Ok(bundle) => bundle,
        Err(error) => {
            assert_eq!(real, Err(error), "the signature is judged last");
            return None;
        }
    };
    match real {
        Ok(real) => assert_eq!(real, bundle),
        Err(error) => assert_eq!(error.code(), "bundle-signature"),
    }
    let (not_before, not_after) = bundle.window();
    let label = bundle.label();
    let kem_key = fixture::kem_key(&bundle);
    let mut again = vec![1];
    again.extend_from_slice(&bundle.suite().to_u16().to_be_bytes());
    again.push(u8::from(bundle.is_single_use()));
    again.extend_from_slice(&not_before.to_be_bytes());
    again.extend_from_slice(&not_after.to_be_bytes());
    again.extend_from_slice(&(label.len() as u16).to_be_bytes());
    again.extend_from_slice(label.as_bytes());
    again.extend_from_slice(&(kem_key.len() as u16).to_be_bytes());
    again.extend_from_slice(kem_key);
    again.extend_from_slice(&bundle.identity());
    again.extend_from_slice(&bytes[bytes.len() - 64..]);
    assert_eq!(again, bytes);
    assert_eq!(bundle.as_bytes(), bytes);
    assert_eq!(bundle.hash(), PROVIDER.verification.hash.sha256(&[bytes]));
    assert_eq!(bundle.id(), bundle.hash()[..16]);
    assert!(not_after > not_before && not_after - not_before <= 1_200);
    Some(bundle)
}

/// FIPS 203's modulus check: each 12-bit coefficient of the first 1,152 bytes is below q.
fn modulus_check(kem_key: &[u8]) -> bool {
    kem_key[..1_152].chunks(3).all(|chunk| {
        let [a, b, c] = [0, 1, 2].map(|i| u16::from(chunk[i]));
        (a | (b & 15) << 8) < 3_329 && (b >> 4 | c << 4) < 3_329
    })
}

fn verify(bundle: Bundle, policy: &Policy) {
    let (not_before, not_after) = bundle.window();
    let now = match policy.now {
        Clock::NearStart(by) => not_before
            .saturating_sub(120)
            .saturating_add_signed(by.into()),
        Clock::NearEnd(by) => not_after
            .saturating_add(120)
            .saturating_add_signed(by.into()),
        Clock::At(now) => now,
    };
    let suites: Vec<Suite> = policy.suites.iter().map(|x| fixture::suite(*x)).collect();
    let wanted_label = if policy.other_label {
        LABEL
    } else {
        bundle.label()
    };
    let trusted = if policy.stranger {
        [0; 32]
    } else {
        bundle.identity()
    };
    let wanted = BundlePolicy::new(wanted_label, IdentityTrust::pinned(&[trusted]))
        .suites(&suites)
        .require_single_use(policy.single_use);

    let modulus = modulus_check(fixture::kem_key(&bundle));
    let expected = if !modulus {
        Some("bundle-kem-key")
    } else if !suites.contains(&bundle.suite()) {
        Some("policy-suite")
    } else if wanted_label != bundle.label() {
        Some("label-mismatch")
    } else if policy.single_use && !bundle.is_single_use() {
        Some("policy-single-use")
    } else if i128::from(now) < i128::from(not_before) - 120
        || i128::from(now) > i128::from(not_after) + 120
    {
        Some("clock-skew")
    } else if trusted != bundle.identity() {
        Some("identity-untrusted")
    } else {
        None
    };
    let kem = PROVIDER.kem(bundle.suite()).unwrap();
    let key_is_good = kem.check_public_key(fixture::kem_key(&bundle)).is_ok();
    if bundle.suite() == Suite::MlKem768 {
        assert_eq!(key_is_good, modulus);
    } else {
        // The rest of an X-Wing key may be of small order.
        assert!(modulus || !key_is_good);
    }
    let expected = if key_is_good {
        expected
    } else {
        Some("bundle-kem-key")
    };
    let copy = bundle.clone();
    match bundle.verify(PROVIDER, &wanted, now) {
        Ok(verified) => {
            assert_eq!(expected, None);
            assert_eq!(*verified.bundle(), copy);
        }
        Err(error) => assert_eq!(Some(error.code()), expected),
    }
}
