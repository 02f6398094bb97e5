//! GPUs: their own reports, and tokens of NVIDIA's attestation service.

mod spdm;
mod token;

pub use spdm::GpuView;
pub(crate) use spdm::{check as check_spdm, view};
pub(crate) use token::check as check_tokens;
pub use token::{Jwks, JwksError};
