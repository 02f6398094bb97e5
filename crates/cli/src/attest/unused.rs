//! Arguments of `verify` that the evidence at hand makes nothing of: a mistake, which is named.

use sealwire_attest::TeeKind;

use super::VerifyArgs;
use super::input::{Bound, Case, InputError};

/// Finds an argument that would do nothing.
///
/// # Errors
/// [`InputError::Argument`].
pub(super) fn check(args: &VerifyArgs, cases: &[Case]) -> Result<(), InputError> {
    let any = |what: fn(&Case) -> bool| cases.iter().any(what);
    let native = any(|case| !matches!(case.bound, Bound::Chutes { .. }));
    let pinned = any(|case| matches!(case.bound, Bound::Pinned { .. }));
    let tdx = any(|case| case.evidence.tee == TeeKind::Tdx);
    let tokens = any(|case| case.evidence.gpu_tokens.is_some());
    let unused = [
        (
            args.nonce.is_some() && pinned,
            "--nonce does nothing: there is no enclave in this evidence, only the identity is compared with the policy's pins",
        ),
        (
            args.sent.is_some() && native && args.nonce.is_none(),
            "--sent does nothing without --nonce: evidence that answers no nonce has no age",
        ),
        (
            !args.collateral.is_empty() && !cases.is_empty() && !tdx,
            "--collateral is about Intel TDX, and none of the evidence is of it",
        ),
        (
            args.jwks.is_some() && !cases.is_empty() && !tokens,
            "--jwks does nothing: there are no tokens in the evidence; --gpu-token gives one",
        ),
    ];
    match unused.iter().find(|(found, _)| *found) {
        Some((_, message)) => Err(InputError::Argument(message)),
        None => Ok(()),
    }
}
