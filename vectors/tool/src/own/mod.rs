//! This library as an [`Implementation`], with a provider of choice.

mod blocks;
mod carriage;
mod chutes;
mod halves;
mod handshake;
mod http;
mod stream;

use std::collections::BTreeMap;

use sealwire::{CryptoProvider, Limits, testing};
use serde_json::{Map, Value};

use crate::accumulated;
use crate::case::Case;
use crate::implementation::{About, Answer, Implementation};
use crate::input::{Input, Stop, fault};

/// Every kind of spec/conformance.md section 2.
pub const KINDS: [&str; 25] = [
    "bundle",
    "context",
    "schedule",
    "ratchet",
    "padding",
    "exporter",
    "receipt",
    "handshake",
    "open",
    "seal",
    "stream",
    "carriage",
    "http-request",
    "http-response",
    "discovery-query",
    "discovery-answer",
    "inner-request",
    "inner-response",
    "chutes-key",
    "chutes-gunzip",
    "chutes-request-open",
    "chutes-request-seal",
    "chutes-response-open",
    "chutes-stream-open",
    "chutes-stream-seal",
];

/// Kinds that cannot do without coins for a KEM.
const NEED_COINS: [&str; 8] = [
    "handshake",
    "stream",
    "carriage",
    "chutes-request-open",
    "chutes-request-seal",
    "chutes-response-open",
    "chutes-stream-open",
    "chutes-stream-seal",
];

/// Coins for key generation and encapsulation can be given.
const KEM_COINS: &str = "kem-coins";

/// This library with one provider.
pub struct Own {
    about: About,
    provider: CryptoProvider,
}

/// Result members and intermediate values.
type Outcome = (Map<String, Value>, Map<String, Value>);

/// The default provider, with coins from the cases.
#[must_use]
pub fn rustcrypto() -> Own {
    Own::with_coins("rustcrypto", testing::COINS_PROVIDER)
}

impl Own {
    /// A provider that draws its own coins: cases that need others are skipped.
    #[must_use]
    pub fn without_coins(name: &str, provider: CryptoProvider) -> Self {
        Self::new(name, provider, false)
    }

    /// A provider with the KEMs of [`testing::COINS_PROVIDER`], which take the coins of the cases; hash, HKDF, AEAD and signatures are its own.
    #[must_use]
    pub fn with_coins(name: &str, provider: CryptoProvider) -> Self {
        let CryptoProvider { kems, random, .. } = testing::COINS_PROVIDER;
        let provider = CryptoProvider {
            kems,
            random,
            ..provider
        };
        Self::new(name, provider, true)
    }

    fn new(name: &str, provider: CryptoProvider, coins: bool) -> Self {
        let mut capabilities = vec!["client", "instance", "suite-2", "chutes-v1"];
        if coins {
            capabilities.push(KEM_COINS);
        }
        Self {
            about: About {
                name: format!("sealwire, {name}"),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                kinds: KINDS.map(str::to_owned).to_vec(),
                capabilities: capabilities.into_iter().map(str::to_owned).collect(),
                accumulate: coins.then_some(100_000),
            },
            provider,
        }
    }

    fn outcome(&self, case: &Case) -> Result<Outcome, Stop> {
        let provider = &self.provider;
        let run = Run {
            provider,
            params: Input(&case.json["params"]),
            coins: Input(&case.json["coins"]),
            input: Input(&case.json["in"]),
        };
        let plain = |expect: Map<String, Value>| (expect, Map::new());
        match case.kind.as_str() {
            "bundle" => blocks::bundle(run).map(plain),
            "context" => blocks::context(run).map(plain),
            "schedule" => blocks::schedule(run).map(plain),
            "ratchet" => blocks::ratchet(run).map(plain),
            "padding" => blocks::padding(run).map(plain),
            "exporter" => blocks::exporter(run).map(plain),
            "receipt" => blocks::receipt(run).map(plain),
            "handshake" => handshake::handshake(run),
            "open" => halves::open(run).map(plain),
            "seal" => halves::seal(run),
            "stream" => stream::stream(run),
            "carriage" => carriage::carriage(run).map(plain),
            "http-request" => http::request(run).map(plain),
            "http-response" => http::response(run).map(plain),
            "discovery-query" => http::discovery_query(run).map(plain),
            "discovery-answer" => http::discovery_answer(run).map(plain),
            "inner-request" => http::inner_request(run).map(plain),
            "inner-response" => http::inner_response(run).map(plain),
            "chutes-key" => chutes::key(run).map(plain),
            "chutes-gunzip" => chutes::gunzip(run).map(plain),
            "chutes-request-open" => chutes::request_open(run).map(plain),
            "chutes-request-seal" => chutes::request_seal(run).map(plain),
            "chutes-response-open" => chutes::response_open(run).map(plain),
            "chutes-stream-open" => chutes::stream_open(run).map(plain),
            "chutes-stream-seal" => chutes::stream_seal(run),
            other => Err(fault(format!("unknown kind {other}"))),
        }
    }
}

impl Implementation for Own {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&mut self, case: &Case) -> Answer {
        let coins = self.about.capabilities.iter().any(|have| have == KEM_COINS);
        if !coins && NEED_COINS.contains(&case.kind.as_str()) {
            return Answer::Skip(KEM_COINS.to_owned());
        }
        match self.outcome(case) {
            Ok((expect, mid)) => Answer::Result { expect, mid },
            Err(Stop::Code(code)) => Answer::Result {
                expect: crate::input::object([("error", code.into())]),
                mid: Map::new(),
            },
            Err(Stop::Fault(why)) => Answer::Fault(why),
        }
    }

    fn accumulate(&mut self, rounds: u32) -> Result<BTreeMap<u32, String>, String> {
        accumulated::run(&self.provider, rounds, |_| {})
    }
}

/// What a kind's function gets.
#[derive(Clone, Copy)]
struct Run<'a> {
    provider: &'a CryptoProvider,
    params: Input<'a>,
    coins: Input<'a>,
    input: Input<'a>,
}

impl Run<'_> {
    fn param(self, name: &str, default: u64) -> Result<u64, Stop> {
        if self.params.has(name) {
            self.params.number(name)
        } else {
            Ok(default)
        }
    }

    fn limits(self) -> Result<Limits, Stop> {
        let small = |number: u64| {
            u32::try_from(number).map_err(|_| fault("a parameter of more than 32 bits"))
        };
        Ok(Limits::default()
            .with_max_bytes(self.param("byte_budget", u64::MAX)?)
            .with_max_pad_bytes(self.param("pad_budget", 64 << 20)?)
            .with_schedule(
                small(self.param("epoch_frames", 65_536)?)?,
                self.param("max_frames", 1 << 48)?,
                small(self.param("max_empty", 32)?)?,
            ))
    }
}
