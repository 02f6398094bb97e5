//! Quotes of TDX and reports of SEV-SNP: bytes of any kind are judged and refused; of good evidence with changes only what is unsigned may differ.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire_attest::{Collateral, Evidence, TeeKind, collateral, inspect};
use sealwire_fuzz::attest::{FIXTURE, verify_chutes, verify_quote};
use sealwire_fuzz::mutate::{Mutation, mutate};
use serde_json::Value;

#[derive(Arbitrary, Debug)]
enum Input {
    /// A quote of these bytes.
    Tdx { quote: Vec<u8> },
    /// A report with these bytes at its places, and certificates.
    Snp {
        version: u8,
        changes: Vec<Mutation>,
        certificates: Vec<Vec<u8>>,
    },
    /// Good evidence with changes.
    Changed {
        quote: Vec<Mutation>,
        statement: Vec<Mutation>,
        collateral: Vec<Mutation>,
    },
}

/// The header and the body of a quote, which its key signs.
const SIGNED: usize = 632;
const SNP_REPORT: usize = 1_184;

fn bare(tee: TeeKind, quote: Vec<u8>, certificates: Vec<Vec<u8>>) -> Evidence {
    Evidence {
        tee,
        quote,
        certificates,
        gpus: Vec::new(),
        gpu_tokens: None,
        ..FIXTURE.evidence.clone()
    }
}

fn refused(evidence: &Evidence) {
    let _ = inspect(evidence);
    let collateral = Some(&FIXTURE.collateral);
    assert!(
        verify_quote(evidence, collateral, &FIXTURE.statement)
            .verdict()
            .is_err()
    );
    assert!(verify_chutes(evidence, collateral).verdict().is_err());
}

/// The documents whose exact text is signed.
fn signed_documents(collateral: &Collateral) -> [Value; 2] {
    let json = collateral.to_json().expect("it was read");
    let value: Value = serde_json::from_slice(&json).expect("JSON");
    [value["tcb_info"].clone(), value["qe_identity"].clone()]
}

fuzz_target!(|input: Input| {
    match input {
        Input::Tdx { quote } => {
            let known = collateral::quote_fmspc(&quote).is_ok();
            assert_eq!(
                collateral::requests(&quote, collateral::INTEL_PCS).is_ok(),
                known
            );
            refused(&bare(TeeKind::Tdx, quote, Vec::new()));
        }
        Input::Snp {
            version,
            changes,
            certificates,
        } => {
            let mut report = vec![0; SNP_REPORT];
            report[0] = version;
            mutate(&mut report, &changes);
            refused(&bare(TeeKind::SevSnp, report, certificates));
        }
        Input::Changed {
            quote,
            statement: changes,
            collateral,
        } => {
            let good = &FIXTURE.evidence;
            let mut evidence = good.clone();
            mutate(&mut evidence.quote, &quote);
            let mut statement = FIXTURE.statement.clone();
            mutate(&mut statement, &changes);
            let mut json = FIXTURE.collateral_json.clone();
            mutate(&mut json, &collateral);
            let Ok(collateral) = Collateral::from_json(&json) else {
                return;
            };
            let _ = inspect(&evidence);
            let accepted = verify_quote(&evidence, Some(&collateral), &statement).verdict();
            if accepted.is_ok() {
                assert_eq!(evidence.quote[..SIGNED], good.quote[..SIGNED]);
                assert_eq!(statement, FIXTURE.statement);
                assert_eq!(
                    signed_documents(&collateral),
                    signed_documents(&FIXTURE.collateral)
                );
            } else {
                let unchanged = evidence.quote == good.quote
                    && statement == FIXTURE.statement
                    && json == FIXTURE.collateral_json;
                assert!(!unchanged, "good evidence is accepted");
            }
        }
    }
});
