//! The handshake by role and suite, with the default provider.
#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sealwire::client::{self, AwaitResponse, ClientConfig, ResponseProgress};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::server::{self, KeyRing, KeyRingConfig, Now};
use sealwire::{
    Bundle, BundlePolicy, Context, CryptoProvider, IdentityKey, IdentityTrust, Limits, Suite,
    VerifiedBundle, rustcrypto,
};

const NOW: Now = Now {
    unix: 1_800_000_000,
    monotonic: 5_000,
};
const LABEL: &str = "demo/model";

struct Bench {
    provider: CryptoProvider,
    ring: KeyRing,
    bundle: VerifiedBundle,
    context: Context,
    context_bytes: Vec<u8>,
}

fn policy(bundle: &Bundle) -> BundlePolicy {
    BundlePolicy::new(LABEL, IdentityTrust::pinned(&[bundle.identity()]))
}

impl Bench {
    fn new(suite: Suite) -> Self {
        let provider = rustcrypto::provider();
        let identity = IdentityKey::generate(&provider).unwrap();
        let mut config = KeyRingConfig::default();
        config.filter_capacity = usize::MAX;
        let mut ring = KeyRing::new(&provider, identity, LABEL, config).unwrap();
        let bundle = ring.bundle(suite, NOW).unwrap();
        let policy = policy(&bundle);
        let context = Context::new(LABEL, [7; 16], 1).unwrap();
        Self {
            provider,
            ring,
            bundle: bundle.verify(&provider, &policy, NOW.unix).unwrap(),
            context_bytes: context.encode(),
            context,
        }
    }

    fn start(&self) -> (Vec<u8>, AwaitResponse) {
        let mut h1 = Vec::new();
        let config = ClientConfig::default();
        let (_, wait) = client::start(
            &self.provider,
            &config,
            &self.bundle,
            &self.context,
            &mut h1,
        )
        .unwrap();
        (h1, wait)
    }

    fn accept(&mut self, h1: &[u8]) -> Vec<u8> {
        let Ok(RequestProgress::Done { request, .. }) = ParsedRequest::read(h1) else {
            panic!("a whole H1");
        };
        let mut h2 = Vec::new();
        let limits = Limits::default();
        let context = &self.context_bytes;
        server::accept(&mut self.ring, request, context, &limits, NOW, &mut h2).unwrap();
        h2
    }
}

fn finish(wait: AwaitResponse, h2: &[u8]) -> client::Connected {
    match wait.read(h2) {
        Ok(ResponseProgress::Done { connected, .. }) => connected,
        _ => panic!("a valid H2"),
    }
}

fn handshake(c: &mut Criterion) {
    for (suite, name) in [(Suite::MlKem768, "ML-KEM-768"), (Suite::XWing, "X-Wing")] {
        let mut bench = Bench::new(suite);
        let mut group = c.benchmark_group(format!("handshake {name}"));
        let bytes = bench.bundle.bundle().as_bytes().to_vec();
        group.bench_function("client: parse and verify a bundle", |b| {
            b.iter(|| {
                let bundle = Bundle::parse(&bench.provider.verification, &bytes).unwrap();
                let policy = policy(&bundle);
                bundle.verify(&bench.provider, &policy, NOW.unix).unwrap()
            });
        });
        group.bench_function("client: start", |b| b.iter(|| bench.start()));
        group.bench_function("instance: accept", |b| {
            let mut h1s = Vec::new();
            b.iter_custom(|iterations| {
                h1s.clear();
                h1s.extend((0..iterations).map(|_| bench.start().0));
                let start = std::time::Instant::now();
                for h1 in &h1s {
                    std::hint::black_box(bench.accept(h1));
                }
                start.elapsed()
            });
        });
        group.bench_function("client: read", |b| {
            b.iter_batched(
                || {
                    let (h1, wait) = bench.start();
                    (wait, bench.accept(&h1))
                },
                |(wait, h2)| finish(wait, &h2),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("both, from start to read", |b| {
            b.iter(|| {
                let (h1, wait) = bench.start();
                let h2 = bench.accept(&h1);
                finish(wait, &h2)
            });
        });
        group.finish();
    }
}

criterion_group!(benches, handshake);
criterion_main!(benches);
