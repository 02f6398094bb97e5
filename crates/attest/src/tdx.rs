//! Intel TDX quotes.
use crate::collateral::Collateral;
use crate::evidence::Evidence;
use crate::policy::Policy;
use crate::report::Report;
use crate::verifier::Quoted;

pub(crate) fn check(
    report: &mut Report,
    _policy: &Policy,
    _evidence: &Evidence,
    _collateral: Option<&Collateral>,
    _now: u64,
) -> Option<Quoted> {
    report.not_run("quote", "", "");
    None
}
