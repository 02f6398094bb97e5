//! Discovery: which bundles are offered, and which are trusted.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealwire::{BundlePolicy, IdentityTrust, Suite};
use sealwire_http::carriage::{BUNDLES_PATH, EVIDENCE_PATH};
use sealwire_http::discovery::{BundleQuery, bundles_from_json};
use sealwire_http::evidence::EvidenceQuery;
use sealwire_http::problem::Problem;

use crate::errors::{Class, Fault};
use crate::{PROVIDER, unix_now};

/// A bundle whose encoding and signature are right; nothing says yet that its identity deserves trust.
#[pyclass(frozen)]
pub(crate) struct Bundle(pub(crate) sealwire::Bundle);

/// A bundle that passed every check: requests may be sealed to it.
#[pyclass(frozen)]
pub(crate) struct VerifiedBundle(pub(crate) sealwire::VerifiedBundle);

#[pymethods]
impl Bundle {
    /// Parses a bundle and verifies its signature.
    #[new]
    fn new(data: &[u8]) -> Result<Self, Fault> {
        Ok(Self(sealwire::Bundle::parse(&PROVIDER.verification, data)?))
    }

    /// First 16 bytes of the SHA-256 of its encoding.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.id())
    }

    /// The instance's Ed25519 public key, 32 bytes.
    #[getter]
    fn identity<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.identity())
    }

    /// What is served.
    #[getter]
    fn label(&self) -> &str {
        self.0.label()
    }

    /// Number of the suite.
    #[getter]
    fn suite(&self) -> u16 {
        self.0.suite().to_u16()
    }

    /// Start and end of its validity, unix seconds.
    #[getter]
    fn window(&self) -> (u64, u64) {
        self.0.window()
    }

    /// Whether it serves one handshake only.
    #[getter]
    fn single_use(&self) -> bool {
        self.0.is_single_use()
    }

    /// Checks it for `label` and one of `identities`. With `insecure_trust_relay` any identity is trusted.
    #[pyo3(signature = (label, identities, *, suites=None, single_use=false, insecure_trust_relay=false))]
    fn verify(
        &self,
        label: &str,
        identities: Vec<[u8; 32]>,
        suites: Option<Vec<u16>>,
        single_use: bool,
        insecure_trust_relay: bool,
    ) -> Result<VerifiedBundle, Fault> {
        let trust = if insecure_trust_relay {
            IdentityTrust::insecure_trust_relay()
        } else {
            IdentityTrust::pinned(&identities)
        };
        verify(&self.0, label, trust, suites, single_use)
    }

    fn __repr__(&self) -> String {
        format!("<Bundle for {:?}>", self.0.label())
    }
}

#[pymethods]
impl VerifiedBundle {
    /// The bundle.
    #[getter]
    fn bundle(&self) -> Bundle {
        Bundle(self.0.bundle().clone())
    }

    fn __repr__(&self) -> String {
        format!("<VerifiedBundle for {:?}>", self.0.bundle().label())
    }
}

pub(crate) fn verify(
    bundle: &sealwire::Bundle,
    label: &str,
    trust: IdentityTrust,
    suites: Option<Vec<u16>>,
    single_use: bool,
) -> Result<VerifiedBundle, Fault> {
    let suites = match suites {
        Some(numbers) => numbers
            .into_iter()
            .map(|number| {
                Suite::from_u16(number).ok_or_else(|| {
                    Fault::new(
                        Class::Config,
                        "suite",
                        format!("there is no suite {number}"),
                    )
                })
            })
            .collect::<Result<_, _>>()?,
        None => Suite::ALL.to_vec(),
    };
    let policy = BundlePolicy::new(label, trust)
        .suites(&suites)
        .require_single_use(single_use);
    Ok(VerifiedBundle(bundle.clone().verify(
        &PROVIDER,
        &policy,
        unix_now(),
    )?))
}

/// Path and query of a discovery.
#[pyfunction]
#[pyo3(signature = (label, single_use=false, suite=None))]
pub(crate) fn discovery_target(label: &str, single_use: bool, suite: Option<u16>) -> String {
    let query = BundleQuery {
        label: label.to_owned(),
        single_use,
        suite,
    };
    format!("{BUNDLES_PATH}?{}", query.to_query())
}

/// Path and query of evidence for an identity.
#[pyfunction]
#[pyo3(signature = (identity, nonce=None))]
pub(crate) fn evidence_target(identity: [u8; 32], nonce: Option<[u8; 32]>) -> String {
    let query = EvidenceQuery {
        identity: Some(identity),
        nonce,
    };
    format!("{EVIDENCE_PATH}?{}", query.to_query())
}

/// The encodings in a discovery's answer; `None` if it is none.
#[pyfunction]
pub(crate) fn offered(py: Python<'_>, json: &[u8]) -> Option<Vec<Py<PyBytes>>> {
    let list = bundles_from_json(json)?;
    Some(
        list.iter()
            .map(|bundle| PyBytes::new(py, bundle).unbind())
            .collect(),
    )
}

/// Code, detail and fresh bundle of a problem document; `None` if it is none.
#[pyfunction]
pub(crate) fn problem(
    py: Python<'_>,
    json: &[u8],
) -> Option<(&'static str, String, Option<Py<PyBytes>>)> {
    let problem = Problem::from_json(json)?;
    let bundle = problem
        .bundle
        .map(|bytes| PyBytes::new(py, &bytes).unbind());
    Some((problem.code.as_str(), problem.detail, bundle))
}
