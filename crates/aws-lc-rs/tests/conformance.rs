//! The provider passes the conformance suite.
#![allow(missing_docs, reason = "tests")]

use sealwire::crypto::DecapsulationKey;
use sealwire::{CryptoError, Suite};
use sealwire_aws_lc_rs::testing::{import_ml_kem_768, import_x_wing};
use sealwire_provider_test::{Capability, Coins, run};

/// AWS-LC takes keys and no coins.
struct Import;

impl Coins for Import {
    fn import(
        &self,
        suite: Suite,
        expanded: &[u8],
    ) -> Option<Result<Box<dyn DecapsulationKey>, CryptoError>> {
        match suite {
            Suite::MlKem768 => Some(import_ml_kem_768(expanded)),
            Suite::XWing => Some(import_x_wing(expanded)),
            _ => None,
        }
    }
}

#[test]
fn aws_lc_passes_every_check() {
    let report = run(&sealwire_aws_lc_rs::provider(), &Import);
    println!("{report}");
    report.assert_passed();
    assert_eq!(report.skipped(Capability::KemImport), 0);
    assert!(report.passed() > 5_000);
}
