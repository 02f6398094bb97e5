//! Our two clients, as `sealwire proxy` runs them, before the attacker.

use std::sync::Arc;

use sealwire_attest::Verifier;
use sealwire_http::net::{BaseUrl, HttpClient};
use sealwire_proxy::chutes::{self, ChutesConfig, EvidenceGate};
use sealwire_proxy::collateral::CollateralSource;
use sealwire_proxy::{EvidenceTrust, ProxyConfig, Server};

use super::rig::Rig;
use super::{AttackError, failed};
use crate::provider::{codec, provider};

/// Both want evidence of the rig's enclave; the collateral is what the rig keeps for them in a file.
fn trust(rig: &Rig) -> Result<EvidenceTrust, AttackError> {
    Ok(EvidenceTrust {
        verifier: Arc::new(Verifier::new(Rig::policy().map_err(failed)?)),
        collateral: CollateralSource::File(rig.collateral_file().to_owned()),
    })
}

pub(super) async fn native(
    relay: BaseUrl,
    rig: &Rig,
    client: &HttpClient,
) -> Result<Server, AttackError> {
    sealwire_proxy::start(
        ProxyConfig::new(relay, trust(rig)?),
        provider(),
        client.clone(),
    )
    .await
    .map_err(failed)
}

pub(super) async fn chutes(
    relay: BaseUrl,
    rig: &Rig,
    client: &HttpClient,
) -> Result<Server, AttackError> {
    let config = ChutesConfig::new(relay);
    let gate = EvidenceGate::new(
        client.clone(),
        config.e2e_base.clone(),
        provider(),
        trust(rig)?,
    )
    .map_err(failed)?;
    chutes::start(config, codec(), client.clone(), Arc::new(gate))
        .await
        .map_err(failed)
}
