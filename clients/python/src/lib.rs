//! The core of the Python package `sealwire`: what must not be written twice, sans-IO. Bytes go in, bytes and typed exceptions come out; Python's httpx
//! moves them. Everything here is private to the package but what `sealwire` itself names.

use pyo3::prelude::*;

mod bundle;
mod chutes;
mod dialects;
mod errors;
mod evidence;
mod lowlevel;
mod native;
mod question;
mod tail;

/// Seconds since 1970.
fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// AWS-LC, as in the binary (spec/adr/0010).
const PROVIDER: sealwire::CryptoProvider = sealwire_aws_lc_rs::provider();

/// The module that Python imports.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::bundle::{
        Bundle, VerifiedBundle, discovery_target, evidence_target, offered, problem,
    };
    #[pymodule_export]
    use crate::chutes::{ChutesAwait, ChutesStream, instance_key, seal_request};
    #[pymodule_export]
    use crate::dialects::{EventWriter, Translator, count_tokens, error_body, translate};
    #[pymodule_export]
    use crate::evidence::{ChutesEvidence, Collateral, Evidence, Policy, Report};
    #[pymodule_export]
    use crate::lowlevel::{Awaiting, Opener, Sealer, SwitchKey, start};
    #[pymodule_export]
    use crate::native::{Answer, seal};
    #[pymodule_export]
    use crate::question::{Question, prepare, random, read_question};
}
