//! Many handshakes and streams from one seed, compared by a digest (spec/conformance.md section 4).

use std::collections::BTreeMap;

use sealwire::client::{self, ClientConfig, ResponseProgress};
use sealwire::crypto::Secret;
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::server::{self, KeyRing, KeyRingConfig, Now};
use sealwire::testing::set_coins;
use sealwire::{
    BundlePolicy, Context, CryptoProvider, Error, Event, IdentityKey, IdentityTrust, Limits,
    Opener, Padding, Sealer, Suite,
};
use sha2::{Digest, Sha256};
use shake::digest::{ExtendableOutput, Update, XofReader};

use crate::input::hex_text;

/// What the generator starts from.
const SEED: &[u8] = b"sealwire/1 accumulated";
/// `not_before` of round 0.
const START: u64 = 1_800_000_000;
/// Rounds after which there is a digest.
const MILESTONES: [u32; 4] = [100, 1_000, 10_000, 100_000];

/// The digests up to `rounds`, by a provider that takes the coins of [`set_coins`]. `progress` is told each round that is done.
///
/// # Errors
/// A round in which the two roles disagree.
pub fn run(
    provider: &CryptoProvider,
    rounds: u32,
    mut progress: impl FnMut(u32),
) -> Result<BTreeMap<u32, String>, String> {
    let mut generator = Generator::new();
    let mut absorbed = Sha256::new();
    let mut digests = BTreeMap::new();
    for round in 1..=rounds {
        one(provider, &mut generator, round, &mut absorbed)
            .map_err(|why| format!("round {round}: {why}"))?;
        if MILESTONES.contains(&round) {
            digests.insert(round, hex_text(&absorbed.clone().finalize()));
        }
        progress(round);
    }
    Ok(digests)
}

/// The choices of all rounds, from SHAKE-128.
struct Generator(shake::Shake128Reader);

impl Generator {
    fn new() -> Self {
        let mut shake = shake::Shake128::default();
        shake.update(SEED);
        Self(shake.finalize_xof())
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read(&mut bytes);
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read(&mut bytes);
        bytes
    }

    fn pick(&mut self, below: u32) -> u32 {
        u32::from_be_bytes(self.array()) % below
    }

    /// The content of a frame.
    fn content(&mut self) -> Vec<u8> {
        let len = self.pick(200);
        self.take(usize::try_from(len).unwrap_or_default())
    }
}

/// A sealed half and what was put into it.
#[derive(Default)]
struct Sealed {
    wire: Vec<u8>,
    content: Vec<u8>,
}

impl Sealed {
    fn data(&mut self, sealer: &mut Sealer, content: &[u8]) -> Result<(), Error> {
        let start = self.wire.len();
        let len = sealer.sealed_len(content.len())?;
        self.wire.resize(start + len, 0);
        if let Some(frame) = self.wire.get_mut(start..) {
            sealer.seal(content, frame)?;
        }
        self.content.extend_from_slice(content);
        Ok(())
    }

    fn finish(&mut self, sealer: Sealer, content: &[u8]) -> Result<(), Error> {
        sealer.finish(content, &mut self.wire)?;
        self.content.extend_from_slice(content);
        Ok(())
    }

    fn opened_by(&self, opener: &mut Opener) -> Result<(), String> {
        let mut wire = self.wire.clone();
        let (mut at, mut content) = (0, Vec::new());
        while !opener.is_ended() {
            let rest = wire.get_mut(at..).unwrap_or_default();
            let opened = opener.open(rest).map_err(|error| error.to_string())?;
            at += opened.consumed;
            match opened.event {
                Event::Data(piece) | Event::Final(piece) => content.extend_from_slice(piece),
                _ => return Err("a half without its end".to_owned()),
            }
        }
        if content == self.content {
            Ok(())
        } else {
            Err("other content came out than went in".to_owned())
        }
    }
}

fn one(
    provider: &CryptoProvider,
    generator: &mut Generator,
    round: u32,
    absorbed: &mut Sha256,
) -> Result<(), String> {
    let text = |error: Error| error.to_string();
    let (suite, seed, coins) = if round % 2 == 1 {
        (Suite::MlKem768, 64, 32)
    } else {
        (Suite::XWing, 32, 64)
    };
    let identity_seed = Secret::new(generator.array());
    let kem_seed = generator.take(seed);
    let client_seed = generator.take(seed);
    let encaps_s = generator.take(coins);
    let encaps_c = generator.take(coins);
    let label = format!("m{}", generator.pick(1_000));
    let request_id = generator.array();
    let attempt = u8::try_from(1 + generator.pick(8)).unwrap_or(1);
    let billing_len = generator.pick(17);
    let billing = generator.take(usize::try_from(billing_len).unwrap_or_default());
    let single_use = generator.pick(2) == 1;
    let epoch_frames = 2 + generator.pick(7);
    let early = generator.pick(4);
    let late = generator.pick(4);
    let answer = generator.pick(8);
    let padding = match generator.pick(4) {
        0 => Padding::None,
        1 => Padding::Buckets,
        2 => Padding::Padme,
        _ => Padding::fixed(256).map_err(text)?,
    };

    let mut context = Context::new(&label, request_id, attempt).map_err(text)?;
    if !billing.is_empty() {
        context = context.with_billing(&billing).map_err(text)?;
    }
    let now = Now {
        unix: START + u64::from(round),
        monotonic: 0,
    };
    let mut config = KeyRingConfig::default();
    config.rotation = config.lifetime;
    let identity = IdentityKey::from_seed(provider, &identity_seed);
    let mut ring = KeyRing::new(provider, identity, &label, config).map_err(text)?;
    set_coins(&kem_seed);
    let bundle = if single_use {
        ring.single_use_bundle(suite, now)
    } else {
        ring.bundle(suite, now)
    };
    let bundle = bundle.map_err(text)?;
    let policy = BundlePolicy::new(&label, IdentityTrust::pinned(&[bundle.identity()]));
    let verified = bundle
        .clone()
        .verify(provider, &policy, now.unix)
        .map_err(text)?;

    let limits = Limits::default().with_schedule(epoch_frames, 1 << 48, 32);
    set_coins(&[client_seed, encaps_s].concat());
    let mut h1 = Vec::new();
    let client_config = ClientConfig {
        limits,
        ..ClientConfig::default()
    };
    let (mut sealer, waiting) =
        client::start(provider, &client_config, &verified, &context, &mut h1).map_err(text)?;
    let RequestProgress::Done { request, .. } = ParsedRequest::read(&h1).map_err(text)? else {
        return Err("H1 is not whole".to_owned());
    };
    set_coins(&encaps_c);
    let mut h2 = Vec::new();
    let context_bytes = context.encode();
    let mut accepted =
        server::accept(&mut ring, request, &context_bytes, &limits, now, &mut h2).map_err(text)?;
    let ResponseProgress::Done { mut connected, .. } = waiting.read(&h2).map_err(text)? else {
        return Err("H2 is not whole".to_owned());
    };

    let mut c2s = Sealed::default();
    sealer.set_padding(padding);
    for _ in 0..early {
        c2s.data(&mut sealer, &generator.content()).map_err(text)?;
    }
    sealer
        .switch(connected.switch_key, &mut c2s.wire)
        .map_err(text)?;
    for _ in 0..late {
        c2s.data(&mut sealer, &generator.content()).map_err(text)?;
    }
    c2s.finish(sealer, &[]).map_err(text)?;

    let mut s2c = Sealed::default();
    accepted.sealer.set_padding(padding);
    for _ in 0..answer {
        let content = generator.content();
        s2c.data(&mut accepted.sealer, &content).map_err(text)?;
        if content.len() % 2 == 1 {
            accepted.sealer.key_update(&mut s2c.wire).map_err(text)?;
        }
    }
    s2c.finish(accepted.sealer, b"done").map_err(text)?;

    c2s.opened_by(&mut accepted.opener)?;
    s2c.opened_by(&mut connected.opener)?;
    let (mut exported, mut other) = ([0; 32], [0; 32]);
    for (session, out) in [
        (&connected.session, &mut exported),
        (&accepted.session, &mut other),
    ] {
        session
            .export(b"accumulated", &round.to_be_bytes(), out)
            .map_err(text)?;
    }
    if exported != other {
        return Err("the exporters of the two sides differ".to_owned());
    }
    for part in [
        bundle.as_bytes(),
        &context_bytes,
        &h1,
        &h2,
        &c2s.wire,
        &s2c.wire,
        &exported,
    ] {
        Digest::update(absorbed, part);
    }
    Ok(())
}
