//! Evidence: what shows that a key was made inside an enclave (`spec/evidence.md`).
//!
//! No I/O, no clock, no threads: bytes and `now` (unix seconds) go in, a [`Report`] comes out. In a report every check has a name,
//! what was expected and what was got; the first failure never hides the others. Only [`Report::verdict`] makes a [`Verified`], and
//! only a [`Verified`] gives the trust that a handshake needs.
//!
//! | feature | default | gives |
//! | --- | --- | --- |
//! | `verify` | yes | [`Policy`], [`Verifier`], [`Collateral`], [`Cache`] |
//! | `testing` | no | makers of quotes, collateral, GPU reports and tokens under test roots |
//!
//! Without features there are the formats: [`Evidence`], [`Statement`], [`native`]; an instance needs no more.

mod encoding;
pub mod evidence;
pub mod native;
mod statement;

#[cfg(feature = "verify")]
mod binding;
#[cfg(feature = "verify")]
mod cache;
#[cfg(feature = "verify")]
mod chain;
#[cfg(feature = "verify")]
pub mod collateral;
#[cfg(feature = "verify")]
mod gpu;
#[cfg(feature = "verify")]
mod policy;
#[cfg(feature = "verify")]
mod report;
#[cfg(feature = "verify")]
mod roots;
#[cfg(feature = "verify")]
mod snp;
#[cfg(feature = "verify")]
mod tdx;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "verify")]
mod time;
#[cfg(feature = "verify")]
mod verified;
#[cfg(feature = "verify")]
mod verifier;

#[cfg(feature = "verify")]
pub use binding::{Binding, Freshness, Hints};
#[cfg(feature = "verify")]
pub use cache::Cache;
#[cfg(feature = "verify")]
pub use collateral::Collateral;
pub use evidence::{Evidence, EvidenceError, GpuEvidence, GpuTokens, TeeKind};
#[cfg(feature = "verify")]
pub use gpu::{GpuView, Jwks, JwksError};
#[cfg(feature = "verify")]
pub use policy::{GpuRequirement, GpuWay, Measured, Policy, PolicyError};
#[cfg(feature = "verify")]
pub use report::{Check, Measurements, Outcome, Reason, Rejected, Report, TcbView};
#[cfg(feature = "verify")]
pub use roots::RootError;
pub use statement::{Statement, StatementError};
#[cfg(feature = "verify")]
pub use time::{from_rfc3339 as unix_from_rfc3339, to_rfc3339 as unix_to_rfc3339};
#[cfg(feature = "verify")]
pub use verified::{AttestedChutesKey, Bound, Verified, VerifiedError};
#[cfg(feature = "verify")]
pub use verifier::{Inspection, Verifier, inspect};
