//! The model list, in the platform's shape, and further names for chutes.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use http::{Response, StatusCode};
use sealwire_http::chutes::{Chute, InstanceDescription, Uuid, parse_id};
use sealwire_http::net::{Body, json};
use sealwire_http::openai::model_list;
use serde_json::{Value, json};

use super::Chutes;

/// A further name for a chute: `NAME=CHUTE_ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    name: String,
    chute: Uuid,
}

/// The text is no alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an alias is NAME=CHUTE_ID, with the id in the form 8-4-4-4-12")]
pub struct AliasError;

impl FromStr for Alias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, AliasError> {
        let (name, id) = text.rsplit_once('=').ok_or(AliasError)?;
        let chute = parse_id(id).ok_or(AliasError)?;
        if name.is_empty() {
            return Err(AliasError);
        }
        Ok(Self {
            name: name.to_owned(),
            chute,
        })
    }
}

/// What all instances of a chute have in common, under whatever name each serves it: a client may get any of them.
struct Common {
    confidential: bool,
    features: Vec<String>,
}

impl Common {
    fn of(description: &InstanceDescription) -> Self {
        Self {
            confidential: description.confidential_compute,
            features: description.supported_features.clone(),
        }
    }

    fn with(&mut self, description: &InstanceDescription) {
        self.confidential &= description.confidential_compute;
        self.features
            .retain(|feature| description.supported_features.contains(feature));
    }
}

impl Chutes {
    /// The chutes of all instances ever seen, then the native labels that are none of their models.
    pub(crate) fn models(&self, labels: &[String]) -> Value {
        let instances = self.registry.described();
        let mut names: BTreeSet<&Chute> = BTreeSet::new();
        let mut chutes: BTreeMap<Uuid, Common> = BTreeMap::new();
        for instance in &instances {
            for chute in &instance.description.chutes {
                names.insert(chute);
                chutes
                    .entry(chute.chute_id)
                    .and_modify(|common| common.with(&instance.description))
                    .or_insert_with(|| Common::of(&instance.description));
            }
        }
        let mut data: Vec<Value> = names
            .iter()
            .filter_map(|chute| {
                let common = chutes.get(&chute.chute_id)?;
                Some(json!({
                    "id": chute.model,
                    "object": "model",
                    "created": 0,
                    "owned_by": "sealwire",
                    "root": chute.model,
                    "chute_id": chute.chute_id,
                    "confidential_compute": common.confidential,
                    "supported_features": common.features,
                }))
            })
            .collect();
        data.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
        let native = labels
            .iter()
            .filter(|label| !names.iter().any(|chute| chute.model == **label));
        if let Value::Array(native) = model_list(native.map(String::as_str))["data"].take() {
            data.extend(native);
        }
        json!({"object": "list", "data": data})
    }

    pub(super) fn aliases(&self) -> Response<Body> {
        let mut names: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
        for alias in &self.aliases {
            let chutes = names.entry(&alias.name).or_default();
            if !chutes.contains(&alias.chute) {
                chutes.push(alias.chute);
            }
        }
        let list: Value = names
            .into_iter()
            .map(|(alias, chute_ids)| json!({"alias": alias, "chute_ids": chute_ids}))
            .collect();
        json(StatusCode::OK, list.to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_needs_a_name_and_an_id() {
        const ID: &str = "e51e818e-fa63-570d-9f68-49d7d1b4d12f";
        let alias: Alias = format!("a=b={ID}").parse().expect("an alias");
        assert_eq!(
            (alias.name.as_str(), alias.chute.to_string().as_str()),
            ("a=b", ID)
        );
        for bad in ["", "a", "a=", &format!("={ID}"), ID, &format!("a={ID}0")] {
            assert_eq!(bad.parse::<Alias>(), Err(AliasError), "{bad}");
        }
    }
}
