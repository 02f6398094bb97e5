//! The key schedule: every HKDF label in one table (spec/protocol.md sections 2.2, 5.2, 5.6 and 6.4).

use crate::codec::lp_len;
use crate::crypto::{Hash, Kdf, Secret};
use crate::error::{ApiMisuse, Error};

const DERIVED: &[u8] = b"sealwire/1 derived";
const CONFIRM1: &[u8] = b"sealwire/1 confirm1";
const CONFIRM2: &[u8] = b"sealwire/1 confirm2";
const C2S_0: &[u8] = b"sealwire/1 c2s 0";
const C2S_1: &[u8] = b"sealwire/1 c2s 1";
const S2C_0: &[u8] = b"sealwire/1 s2c 0";
const EXPORTER: &[u8] = b"sealwire/1 exporter";
const NEXT: &[u8] = b"sealwire/1 next";
const KEY: &[u8] = b"sealwire/1 key";
const IV: &[u8] = b"sealwire/1 iv";
const EXP: &[u8] = b"sealwire/1 exp";

/// Section 5.6.
const MAX_EXPORT: usize = 8_160;

/// What both sides derive from ss_s.
pub(crate) struct EarlySecrets {
    pub(crate) confirm1: Secret<32>,
    pub(crate) c2s_early: Secret<32>,
    /// Salt of prk2.
    pub(crate) derived: Secret<32>,
}

impl EarlySecrets {
    pub(crate) fn derive(
        kdf: &dyn Kdf,
        th0: &[u8; 32],
        th1: &[u8; 32],
        shared: &Secret<32>,
    ) -> Result<Self, Error> {
        let prk1 = kdf.extract(th0, shared);
        Ok(Self {
            confirm1: expand(kdf, &prk1, CONFIRM1, th1)?,
            c2s_early: expand(kdf, &prk1, C2S_0, th1)?,
            derived: expand(kdf, &prk1, DERIVED, th1)?,
        })
    }
}

/// What both sides derive from ss_c.
pub(crate) struct LateSecrets {
    pub(crate) confirm2: Secret<32>,
    pub(crate) s2c: Secret<32>,
    pub(crate) c2s_late: Secret<32>,
    pub(crate) exporter: Secret<32>,
}

impl LateSecrets {
    pub(crate) fn derive(
        kdf: &dyn Kdf,
        derived: &Secret<32>,
        th2: &[u8; 32],
        shared: &Secret<32>,
    ) -> Result<Self, Error> {
        let prk2 = kdf.extract(derived.expose(), shared);
        Ok(Self {
            confirm2: expand(kdf, &prk2, CONFIRM2, th2)?,
            s2c: expand(kdf, &prk2, S2C_0, th2)?,
            c2s_late: expand(kdf, &prk2, C2S_1, th2)?,
            exporter: expand(kdf, &prk2, EXPORTER, th2)?,
        })
    }
}

fn expand(
    kdf: &dyn Kdf,
    prk: &Secret<32>,
    label: &[u8],
    th: &[u8; 32],
) -> Result<Secret<32>, Error> {
    let mut out = Secret::zero();
    kdf.expand(prk, &[label, th], out.expose_mut())?;
    Ok(out)
}

/// The traffic secret of the next epoch.
pub(crate) fn next_secret(kdf: &dyn Kdf, ts: &Secret<32>) -> Result<Secret<32>, Error> {
    let mut out = Secret::zero();
    kdf.expand(ts, &[NEXT], out.expose_mut())?;
    Ok(out)
}

/// Key and IV of an epoch.
pub(crate) fn epoch_keys(
    kdf: &dyn Kdf,
    ts: &Secret<32>,
) -> Result<(Secret<32>, Secret<12>), Error> {
    let (mut key, mut iv) = (Secret::zero(), Secret::zero());
    kdf.expand(ts, &[KEY], key.expose_mut())?;
    kdf.expand(ts, &[IV], iv.expose_mut())?;
    Ok((key, iv))
}

/// Section 5.6.
pub(crate) fn export(
    kdf: &dyn Kdf,
    hash: &dyn Hash,
    exporter: &Secret<32>,
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), Error> {
    if out.is_empty() || out.len() > MAX_EXPORT || label.len() > usize::from(u16::MAX) {
        return Err(ApiMisuse::ExportLength.into());
    }
    let context = hash.sha256(&[context]);
    let parts: [&[u8]; 5] = [&lp_len(EXP), EXP, &lp_len(label), label, &context];
    Ok(kdf.expand(exporter, &parts, out)?)
}
