//! The KEMs of suites 1 and 2.

mod ml_kem;
mod x_wing;

pub(crate) use self::ml_kem::MlKem768;
#[cfg(feature = "testing")]
pub(crate) use self::ml_kem::{EXPANDED_LEN, MlKem768Key};
pub(crate) use self::x_wing::XWing;
#[cfg(feature = "testing")]
pub(crate) use self::x_wing::XWingKey;
