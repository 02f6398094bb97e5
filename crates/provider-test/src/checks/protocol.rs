//! Whole handshakes with the default provider at the other end, and a frame in each direction.

use sealwire::client::{self, ClientConfig, ResponseProgress};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::server::{self, KeyRing, KeyRingConfig, Now};
use sealwire::{
    Bundle, BundlePolicy, Context, CryptoProvider, Error, Event, IdentityKey, IdentityTrust,
    Limits, Opener, Suite, rustcrypto,
};

use super::kem::kems;
use crate::Subject;
use crate::report::Tally;

const NOW: Now = Now {
    unix: 1_800_000_000,
    monotonic: 0,
};
const LABEL: &str = "model";

pub(super) fn handshakes(subject: &Subject<'_>, tally: &mut Tally) {
    let other = rustcrypto::provider();
    for (suite, _) in kems(subject, tally) {
        for (what, client, instance) in [
            ("client", subject.provider, &other),
            ("instance", &other, subject.provider),
            ("both", subject.provider, subject.provider),
        ] {
            let done = exchange(suite, client, instance);
            tally.case(
                format_args!("{suite:?} as {what}: {done:?}"),
                done == Ok((b"question".to_vec(), b"answer".to_vec())),
            );
        }
    }
}

/// Asks and answers: what each end opened.
fn exchange(
    suite: Suite,
    client: &CryptoProvider,
    instance: &CryptoProvider,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let identity = IdentityKey::generate(instance)?;
    let trust = IdentityTrust::pinned(&[identity.public_key()]);
    let mut ring = KeyRing::new(instance, identity, LABEL, KeyRingConfig::default())?;
    let published = ring.bundle(suite, NOW)?;
    let bundle = Bundle::parse(&client.verification, published.as_bytes())?.verify(
        client,
        &BundlePolicy::new(LABEL, trust),
        NOW.unix,
    )?;
    let context = Context::new(LABEL, [7; 16], 1)?;
    let mut wire = Vec::new();
    let (sealer, wait) = client::start(
        client,
        &ClientConfig::default(),
        &bundle,
        &context,
        &mut wire,
    )?;
    sealer.finish(b"question", &mut wire)?;

    let RequestProgress::Done { consumed, request } = ParsedRequest::read(&wire)? else {
        return Err(Error::Truncated);
    };
    let mut answer = Vec::new();
    let mut accepted = server::accept(
        &mut ring,
        request,
        &context.encode(),
        &Limits::default(),
        NOW,
        &mut answer,
    )?;
    let question = content(&mut accepted.opener, &mut wire[consumed..])?;
    accepted.sealer.finish(b"answer", &mut answer)?;

    let ResponseProgress::Done {
        consumed,
        mut connected,
    } = wait.read(&answer)?
    else {
        return Err(Error::Truncated);
    };
    let answer = content(&mut connected.opener, &mut answer[consumed..])?;
    Ok((question, answer))
}

fn content(opener: &mut Opener, wire: &mut [u8]) -> Result<Vec<u8>, Error> {
    match opener.open(wire)?.event {
        Event::Final(content) => Ok(content.to_vec()),
        _ => Err(Error::Truncated),
    }
}
