//! Evidence of GPUs, SPDM reports and tokens: bytes of any kind are judged and refused; of good evidence with changes only what is unsigned may differ.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire_attest::{Evidence, GpuEvidence, GpuTokens, Outcome, Report, inspect};
use sealwire_fuzz::attest::{FIXTURE, verify_all};
use sealwire_fuzz::mutate::{Mutation, mutate};

#[derive(Arbitrary, Debug)]
enum Input {
    Any {
        reports: Vec<(Vec<u8>, Vec<u8>)>,
        overall: String,
        tokens: Vec<(String, String)>,
    },
    /// Good evidence with changes.
    Changed {
        evidence: Vec<Mutation>,
        certificate: Vec<Mutation>,
        overall: Vec<Mutation>,
        token: Vec<Mutation>,
    },
}

/// The checks of GPUs alone, without a quote.
fn judge(gpus: Vec<GpuEvidence>, gpu_tokens: Option<GpuTokens>) -> Report {
    let evidence = Evidence {
        quote: Vec::new(),
        gpus,
        gpu_tokens,
        ..FIXTURE.evidence.clone()
    };
    let _ = inspect(&evidence);
    verify_all(&evidence, None, &FIXTURE.statement)
}

/// Whether there are checks whose names begin so, and all of them passed.
fn passed(report: &Report, name: &str) -> bool {
    let mut checks = report
        .checks
        .iter()
        .filter(|check| check.name.starts_with(name))
        .peekable();
    checks.peek().is_some() && checks.all(|check| check.outcome == Outcome::Passed)
}

fn changed(text: &str, changes: &[Mutation]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mutate(&mut bytes, changes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fuzz_target!(|input: Input| {
    match input {
        Input::Any {
            reports,
            overall,
            tokens,
        } => {
            let reports = reports
                .into_iter()
                .take(3)
                .map(|(certificate, evidence)| GpuEvidence {
                    arch: "HOPPER".to_owned(),
                    certificate,
                    evidence,
                });
            let tokens = GpuTokens {
                overall,
                gpus: tokens.into_iter().take(3).collect(),
            };
            let report = judge(reports.collect(), Some(tokens));
            assert!(!passed(&report, "gpu 0 ") && !passed(&report, "token "));
        }
        Input::Changed {
            evidence,
            certificate,
            overall,
            token,
        } => {
            let good = &FIXTURE.evidence;
            let mut gpu = good.gpus[0].clone();
            mutate(&mut gpu.evidence, &evidence);
            mutate(&mut gpu.certificate, &certificate);
            let whole = good.gpu_tokens.as_ref().expect("it has tokens");
            let mut tokens = whole.clone();
            tokens.overall = changed(&tokens.overall, &overall);
            for (_, text) in &mut tokens.gpus {
                *text = changed(text, &token);
            }
            let same = (gpu == good.gpus[0], tokens == *whole);
            let signed = gpu.evidence == good.gpus[0].evidence;
            let payloads = payloads(&tokens) == payloads(whole);
            let report = judge(vec![gpu], Some(tokens));
            // What is signed cannot have changed; the chain may have, where it still leads to the root.
            assert!(signed || !passed(&report, "gpu 0 "));
            assert!(payloads || !passed(&report, "token "));
            assert!(!same.0 || passed(&report, "gpu 0 "));
            assert!(!same.1 || passed(&report, "token "));
        }
    }
});

/// What tokens say, without their signatures, which can be written in two ways.
fn payloads(tokens: &GpuTokens) -> Vec<&str> {
    let all = tokens.gpus.iter().map(|(_, token)| token.as_str());
    all.chain([tokens.overall.as_str()])
        .map(|token| token.rsplit_once('.').map_or(token, |(signed, _)| signed))
        .collect()
}
