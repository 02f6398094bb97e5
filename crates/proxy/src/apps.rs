//! What applications get beside their answers: names of models, settings for each, keep-alives.

use std::collections::BTreeMap;
use std::time::Duration;

pub use sealwire_dialects::InlineSystem;
use sealwire_http::inner::PaddingWish;
use sealwire_http::openai::ApiError;

/// How an API other than Chat Completions reaches the model server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiMode {
    /// As Chat Completions, which every model server speaks.
    #[default]
    Translate,
    /// As it came, for model servers that speak the API themselves.
    Native,
    /// As it came, unless the model server refuses the path; then translated, for an hour.
    Auto,
}

/// Settings of one model, or of all that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelSettings {
    /// How Responses and Messages reach the model server.
    pub api_mode: ApiMode,
    /// What becomes of system messages between turns.
    pub inline_system: InlineSystem,
    /// The model server leaves `<think>..</think>` in the content.
    pub split_think: bool,
    /// Most tokens of prompt and answer; `None`: what the model list says.
    pub max_model_len: Option<u64>,
    /// Padding of requests, and the wish for answers; `None`: as the proxy is set.
    pub padding: Option<PaddingWish>,
}

/// Settings of the applications' side.
#[derive(Clone)]
pub struct Applications {
    /// Names that stand for other names. A name such as `haiku`, `sonnet` or `opus` also stands for every `claude-..` name that contains it.
    pub aliases: BTreeMap<String, String>,
    /// For requests that name no model, or one that the relay does not list.
    pub default_model: Option<String>,
    /// Settings by the model's name at the relay.
    pub models: BTreeMap<String, ModelSettings>,
    /// Settings of all others.
    pub any_model: ModelSettings,
    /// Goes into every chat request: the model server then shares no prefix cache with other users, whose timing would tell what was asked before.
    /// `None`: not set.
    pub cache_salt: Option<String>,
    /// Silence after which a streamed answer shows that it lives, also before it begins.
    pub keep_alive: Duration,
    /// `count_tokens` asks the model server instead of estimating.
    pub exact_counts: bool,
}

impl Default for Applications {
    fn default() -> Self {
        Self {
            aliases: BTreeMap::new(),
            default_model: None,
            models: BTreeMap::new(),
            any_model: ModelSettings::default(),
            cache_salt: None,
            keep_alive: Duration::from_secs(15),
            exact_counts: false,
        }
    }
}

impl std::fmt::Debug for Applications {
    // The salt is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applications")
            .field("aliases", &self.aliases)
            .field("default_model", &self.default_model)
            .finish_non_exhaustive()
    }
}

/// The model of a request.
pub(crate) struct Named {
    /// As the application names it.
    pub(crate) asked: String,
    /// As the relay knows it.
    pub(crate) model: String,
}

impl Applications {
    /// The model of a request that names this one, or none.
    ///
    /// # Errors
    /// That none is named and there is no default.
    pub(crate) fn named(&self, asked: Option<String>) -> Result<Named, ApiError> {
        let asked = asked.or_else(|| self.default_model.clone());
        let asked = asked.ok_or_else(|| {
            ApiError::invalid_request(400, "no_model", "the request names no model")
                .with_param("model")
        })?;
        let model = self.alias(&asked).unwrap_or(&asked).to_owned();
        Ok(Named { asked, model })
    }

    /// The settings of a model.
    #[must_use]
    pub fn settings(&self, model: &str) -> &ModelSettings {
        self.models.get(model).unwrap_or(&self.any_model)
    }

    /// The name that an alias stands for.
    #[must_use]
    pub fn alias(&self, name: &str) -> Option<&str> {
        if let Some(target) = self.aliases.get(name) {
            return Some(target);
        }
        let lower = name.to_ascii_lowercase();
        if !lower.starts_with("claude") {
            return None;
        }
        // Also names that do not exist yet.
        self.aliases
            .iter()
            .find(|(alias, _)| lower.split(['-', '.', '@', '[']).any(|word| word == *alias))
            .map(|(_, target)| target.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_a_name_or_a_family() {
        let apps = Applications {
            aliases: [("haiku", "small"), ("opus", "large"), ("gpt-5", "large")]
                .map(|(name, target)| (name.to_owned(), target.to_owned()))
                .into(),
            ..Applications::default()
        };
        for (name, target) in [
            ("haiku", Some("small")),
            ("claude-haiku-4-5-20251001", Some("small")),
            ("claude-9-opus[1m]", Some("large")),
            ("Claude-3.5-Haiku", Some("small")),
            ("my-haiku-model", None),
            ("claude-sonnet-4", None),
            ("gpt-5", Some("large")),
            ("gpt-5-mini", None),
        ] {
            assert_eq!(apps.alias(name), target, "{name}");
        }
    }
}
