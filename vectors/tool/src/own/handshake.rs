//! The handshake from coins, each role alone or both (spec/conformance.md section 2.2).

use sealwire::client::{self, AwaitResponse, ClientConfig, Connected, ResponseProgress};
use sealwire::crypto::Secret;
use sealwire::handshake::{ParsedRequest, RequestProgress, transcript};
use sealwire::server::{self, Accepted, KeyRing, KeyRingConfig, Now};
use sealwire::testing::{self, set_coins};
use sealwire::{Bundle, Context, Error, HandshakeFault, IdentityKey, Limits, Sealer};
use serde_json::{Map, Value};

use super::{Outcome, Run, blocks};
use crate::input::{Stop, fault, hex, object, unhex};

/// Cases read no clock: keys are made at 0 and used at 0.
const START: Now = Now {
    unix: 0,
    monotonic: 0,
};

pub(super) fn handshake(run: Run<'_>) -> Result<Outcome, Stop> {
    let context = run.input.hex("context")?;
    let role = run.input.get("role").and_then(Value::as_str);
    match role {
        Some("instance") => {
            let mut instance = Instance::new(run)?;
            for earlier in run
                .input
                .get("seen")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let h1 = unhex(earlier).ok_or_else(|| fault("seen is no hex"))?;
                // Received, whatever came of it.
                let _ = instance.accept(&h1, &context);
            }
            instance.taken = run.input.flag("taken", false);
            instance.busy = run.params.flag("busy", false);
            let h1 = run.input.hex("h1")?;
            let (_, h2) = instance.accept(&h1, &context)?;
            Ok((object([("h1", hex(&h1)), ("h2", hex(&h2))]), Map::new()))
        }
        Some("client") => {
            let started = start(run, &ClientConfig::default())?;
            let h2 = run.input.hex("h2")?;
            read_h2(started.waiting, &h2)?;
            Ok((
                object([("h1", hex(&started.h1)), ("h2", hex(&h2))]),
                Map::new(),
            ))
        }
        Some(_) => Err(fault("unknown role")),
        None => {
            let started = start(run, &ClientConfig::default())?;
            let (_, h2) = Instance::new(run)?.accept(&started.h1, &context)?;
            read_h2(started.waiting, &h2)?;
            let mid = intermediates(run, &started.h1, &h2)?;
            Ok((object([("h1", hex(&started.h1)), ("h2", hex(&h2))]), mid))
        }
    }
}

/// An instance that holds the key of the case's bundle and no other.
pub(super) struct Instance<'a> {
    run: Run<'a>,
    ring: KeyRing,
    /// Another handshake takes the key after the next one has looked it up.
    taken: bool,
    /// It has no capacity left.
    pub(super) busy: bool,
}

impl<'a> Instance<'a> {
    pub(super) fn new(run: Run<'a>) -> Result<Self, Stop> {
        let bytes = run.input.hex("bundle")?;
        let wanted = Bundle::parse(&run.provider.verification, &bytes)?;
        let seed = Secret::new(run.coins.array("identity_seed")?);
        let identity = IdentityKey::from_seed(run.provider, &seed);
        let (not_before, not_after) = wanted.window();
        let mut config = KeyRingConfig::default();
        config.lifetime = not_after.saturating_sub(not_before);
        config.rotation = config.lifetime;
        config.filter_capacity = usize::try_from(run.param("filter_capacity", 65_536)?)
            .map_err(|_| fault("filter_capacity is too large"))?;
        let mut ring = KeyRing::new(run.provider, identity, wanted.label(), config)?;
        set_coins(&run.coins.hex("kem_seed")?);
        let now = Now {
            unix: not_before,
            ..START
        };
        let made = if wanted.is_single_use() {
            ring.single_use_bundle(wanted.suite(), now)?
        } else {
            ring.bundle(wanted.suite(), now)?
        };
        if made.as_bytes() != bytes {
            return Err(fault("the bundle made from the coins is another one"));
        }
        Ok(Self {
            run,
            ring,
            taken: false,
            busy: false,
        })
    }

    /// H1 as the transport brought it, and nothing behind it.
    pub(super) fn accept(
        &mut self,
        h1: &[u8],
        context: &[u8],
    ) -> Result<(Accepted, Vec<u8>), Error> {
        match ParsedRequest::read(h1)? {
            RequestProgress::Done { request, .. } => {
                self.accept_request(request, context, &Limits::default())
            }
            _ => Err(Error::Truncated),
        }
    }

    /// Section 5.4 from step 2, as a program runs it: the lookup, then outside of any lock the decapsulation, then admission.
    pub(super) fn accept_request(
        &mut self,
        request: ParsedRequest,
        context: &[u8],
        limits: &Limits,
    ) -> Result<(Accepted, Vec<u8>), Error> {
        let key = self
            .ring
            .key(&request.bundle_id(), START)
            .ok_or(HandshakeFault::KeyUnknown)?;
        let repeated = request.as_bytes().to_vec();
        let busy = self.busy;
        // Capacity is the program's. A handshake that would fail before step 4 fails with that.
        let confirmed = match server::decapsulate(self.run.provider, request, key, context) {
            Ok(_) | Err(Error::Handshake(HandshakeFault::Confirm)) if busy => {
                return Err(HandshakeFault::Busy.into());
            }
            result => result?,
        };
        if std::mem::take(&mut self.taken) {
            self.accept(&repeated, context)?;
        }
        let admitted = confirmed.admit(&mut self.ring, START)?;
        set_coins(&self.run.coins.hex("encaps_c").unwrap_or_default());
        let mut h2 = Vec::new();
        let accepted = admitted.respond(limits, &mut h2)?;
        Ok((accepted, h2))
    }
}

/// A client that has made H1.
pub(super) struct Started {
    pub(super) sealer: Sealer,
    pub(super) waiting: AwaitResponse,
    pub(super) h1: Vec<u8>,
    pub(super) context: Context,
}

pub(super) fn start(run: Run<'_>, config: &ClientConfig) -> Result<Started, Stop> {
    let bundle = Bundle::parse(&run.provider.verification, &run.input.hex("bundle")?)?;
    let now = bundle.window().0;
    let policy = blocks::own_policy(&bundle);
    let verified = bundle.verify(run.provider, &policy, now)?;
    let context = Context::parse(&run.input.hex("context")?)?;
    let coins = [run.coins.hex("client_seed")?, run.coins.hex("encaps_s")?];
    set_coins(&coins.concat());
    let mut h1 = Vec::new();
    let (sealer, waiting) = client::start(run.provider, config, &verified, &context, &mut h1)?;
    Ok(Started {
        sealer,
        waiting,
        h1,
        context,
    })
}

/// H2 as the transport brought it, and nothing behind it.
pub(super) fn read_h2(waiting: AwaitResponse, h2: &[u8]) -> Result<Connected, Error> {
    match waiting.read(h2)? {
        ResponseProgress::Done { connected, .. } => Ok(connected),
        _ => Err(Error::Truncated),
    }
}

/// Every secret and transcript hash of a finished handshake, from its messages and the coins.
pub(super) fn intermediates(
    run: Run<'_>,
    h1: &[u8],
    h2: &[u8],
) -> Result<Map<String, Value>, Stop> {
    let provider = run.provider;
    let bundle = Bundle::parse(&provider.verification, &run.input.hex("bundle")?)?;
    let suite = bundle.suite();
    let kem = provider.kem(suite).ok_or_else(|| fault("no such suite"))?;
    let shared = |seed: &str, ciphertext: Option<&[u8]>| -> Result<[u8; 32], Stop> {
        set_coins(&run.coins.hex(seed)?);
        let pair = kem.generate().map_err(Error::from)?;
        let ciphertext = ciphertext.ok_or_else(|| fault("a message is too short"))?;
        let secret = pair
            .secret_key
            .decapsulate(ciphertext)
            .map_err(Error::from)?;
        Ok(*secret.expose())
    };
    let ss_s = shared("kem_seed", h1.get(22..22 + suite.ciphertext_len()))?;
    let ss_c = shared("client_seed", h2.get(2..2 + suite.ciphertext_len()))?;
    let hash = provider.verification.hash;
    let th0 = transcript::th0(hash, suite, &bundle.hash(), &run.input.hex("context")?);
    let th1 = transcript::th1(hash, &th0, h1);
    let th2 = transcript::th2(hash, &th1, h1, h2);
    let early = testing::early_secrets(provider, &th0, &th1, ss_s)?;
    let [_, _, _, (_, derived)] = early;
    let late = testing::late_secrets(provider, derived, &th2, ss_c)?;
    let mut mid = object([
        ("ss_s", hex(&ss_s)),
        ("ss_c", hex(&ss_c)),
        ("th0", hex(&th0)),
        ("th1", hex(&th1)),
        ("th2", hex(&th2)),
    ]);
    for (name, value) in early.into_iter().chain(late) {
        mid.insert(name.to_owned(), hex(&value));
    }
    Ok(mid)
}
