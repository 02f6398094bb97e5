//! The profiles of an instance on the command line, and the settings of chutes-v1.

use std::str::FromStr;

use clap::Args;
use sealwire::compat::chutes::{Compress, KeyRingConfig};
use sealwire_http::chutes::{Uuid, parse_id};
use sealwire_http::profile::Profile;
use sealwire_instance::ChutesConfig;

/// Arguments of an instance for its profiles.
#[derive(Args, Debug, Clone)]
pub struct ChutesArgs {
    /// A profile that it speaks: native, chutes-v1; repeat for both
    #[arg(long = "profile", value_name = "NAME", default_values_t = [Profile::Native])]
    profiles: Vec<Profile>,
    /// The id of a model (chutes-v1); repeat for more [default: derived from the model's name]
    #[arg(long = "chute-id", value_name = "MODEL=CHUTE_ID")]
    chute_ids: Vec<ModelId>,
    /// The name of this instance (chutes-v1) [default: a random one]
    #[arg(long, value_name = "ID", value_parser = id)]
    instance_id: Option<Uuid>,
    /// What the model server can do, for the model list (chutes-v1); repeat for more
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// Age at which discovery gets a new key (chutes-v1), seconds
    #[arg(long, value_name = "SECONDS", default_value_t = KeyRingConfig::default().rotation)]
    key_rotation: u64,
    /// Age at which a key is erased (chutes-v1), seconds
    #[arg(long, value_name = "SECONDS", default_value_t = KeyRingConfig::default().lifetime)]
    key_lifetime: u64,
    /// Most requests under one key (chutes-v1); then it is erased
    #[arg(long, value_name = "N", default_value_t = KeyRingConfig::default().filter_capacity)]
    key_requests: usize,
}

/// A model and its id.
#[derive(Debug, Clone)]
struct ModelId {
    model: String,
    id: Uuid,
}

impl FromStr for ModelId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (model, text) = text
            .rsplit_once('=')
            .ok_or_else(|| "expected MODEL=CHUTE_ID".to_owned())?;
        Ok(Self {
            model: model.to_owned(),
            id: id(text)?,
        })
    }
}

fn id(text: &str) -> Result<Uuid, String> {
    parse_id(text).ok_or_else(|| "expected an id in the form 8-4-4-4-12".to_owned())
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChutesArgsError {
    /// An id for a model that is not served.
    #[error("--chute-id names the model {0:?}, which no --model does")]
    UnknownModel(String),
}

impl ChutesArgs {
    /// Which arguments of chutes-v1 were given.
    pub(crate) fn given(&self) -> Vec<(&'static str, bool)> {
        let defaults = KeyRingConfig::default();
        vec![
            ("--chute-id", !self.chute_ids.is_empty()),
            ("--instance-id", self.instance_id.is_some()),
            ("--feature", !self.features.is_empty()),
            ("--key-rotation", self.key_rotation != defaults.rotation),
            ("--key-lifetime", self.key_lifetime != defaults.lifetime),
            (
                "--key-requests",
                self.key_requests != defaults.filter_capacity,
            ),
        ]
    }

    /// The profiles, and the settings of chutes-v1.
    ///
    /// # Errors
    ///
    /// [`ChutesArgsError`].
    pub fn read(
        self,
        models: &[String],
        compress: &'static dyn Compress,
    ) -> Result<(Vec<Profile>, ChutesConfig), ChutesArgsError> {
        let strange = self.chute_ids.iter().find(|id| !models.contains(&id.model));
        if let Some(strange) = strange {
            return Err(ChutesArgsError::UnknownModel(strange.model.clone()));
        }
        let chute_ids = self.chute_ids.into_iter().map(|id| (id.model, id.id));
        let config = ChutesConfig {
            instance_id: self.instance_id,
            chute_ids: chute_ids.collect(),
            features: self.features,
            keys: KeyRingConfig {
                rotation: self.key_rotation,
                lifetime: self.key_lifetime,
                filter_capacity: self.key_requests,
            },
            compress,
        };
        Ok((self.profiles, config))
    }
}
