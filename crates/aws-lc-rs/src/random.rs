//! AWS-LC's random generator.

use sealwire::CryptoError;
use sealwire::crypto::SecureRandom;

pub(super) struct System;

impl SecureRandom for System {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        aws_lc_rs::rand::fill(out).map_err(|_| CryptoError::Random)
    }
}
