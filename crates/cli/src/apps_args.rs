//! What applications get beside their answers, on the command line: names of models and how their APIs reach the model server.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sealwire::crypto::SecureRandom;
use sealwire_http::net::warn;
use sealwire_http::profile::Profile;
use sealwire_proxy::apps::{ApiMode, Applications, InlineSystem, ModelSettings};

use crate::cache_salt;
use crate::settings::FileTables;

/// How Responses and Messages reach the model server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ApiModeArg {
    /// As Chat Completions, which every model server speaks.
    Translate,
    /// As they came, for model servers that speak these APIs themselves.
    Native,
    /// As they came, unless the model server refuses the path; then translated, for an hour.
    Auto,
}

/// What becomes of system messages between turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InlineSystemArg {
    /// They become user messages, marked as not coming from the user.
    User,
    /// They stay where they are.
    Keep,
    /// They are moved into the first system message.
    Hoist,
}

impl From<ApiModeArg> for ApiMode {
    fn from(mode: ApiModeArg) -> Self {
        match mode {
            ApiModeArg::Translate => Self::Translate,
            ApiModeArg::Native => Self::Native,
            ApiModeArg::Auto => Self::Auto,
        }
    }
}

impl From<InlineSystemArg> for InlineSystem {
    fn from(place: InlineSystemArg) -> Self {
        match place {
            InlineSystemArg::User => Self::User,
            InlineSystemArg::Keep => Self::Keep,
            InlineSystemArg::Hoist => Self::Hoist,
        }
    }
}

/// A name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) target: String,
}

impl FromStr for Alias {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, target)) if !name.is_empty() && !target.is_empty() => Ok(Self {
                name: name.to_owned(),
                target: target.to_owned(),
            }),
            _ => Err("expected NAME=TARGET, such as haiku=org/small-model".to_owned()),
        }
    }
}

/// Arguments about applications.
#[derive(Args, Clone)]
#[command(next_help_heading = "Models and applications")]
pub struct AppsArgs {
    /// A name that stands for a model; repeat for more. `haiku`, `sonnet` and `opus` also stand for every claude-.. name that contains them
    #[arg(
        long = "alias",
        value_name = "NAME=TARGET",
        env = "SEALWIRE_ALIAS",
        value_delimiter = ','
    )]
    aliases: Vec<Alias>,
    /// The model for requests that name none, or one that the relay does not list
    #[arg(long, value_name = "MODEL", env = "SEALWIRE_DEFAULT_MODEL")]
    pub(crate) default_model: Option<String>,
    /// How Responses and Messages reach model servers
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value = "translate",
        env = "SEALWIRE_API_MODE"
    )]
    api_mode: ApiModeArg,
    /// What becomes of system messages between turns
    #[arg(
        long,
        value_name = "PLACE",
        value_enum,
        default_value = "user",
        env = "SEALWIRE_INLINE_SYSTEM"
    )]
    inline_system: InlineSystemArg,
    /// Model servers leave `<think>..</think>` in the content: it becomes reasoning
    #[arg(long, env = "SEALWIRE_SPLIT_THINK")]
    split_think: bool,
    /// Silence after which a streamed answer shows that it lives, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3_600), env = "SEALWIRE_KEEP_ALIVE")]
    keep_alive: u64,
    /// Counts tokens at the model server instead of estimating
    #[arg(long, env = "SEALWIRE_EXACT_COUNTS")]
    exact_counts: bool,
    /// Lets model servers share their prefix cache between this installation and others. Its timing tells what was asked before
    #[arg(long, env = "SEALWIRE_SHARED_PROMPT_CACHE")]
    shared_prompt_cache: bool,
}

/// Settings of applications that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppsError {
    /// A setting of the other profile.
    #[error("[models.{0:?}] padding does not go with --profile {1}")]
    Padding(String, Profile),
    /// There are no random bytes for a salt.
    #[error("the system's random generator failed")]
    Random,
}

impl AppsArgs {
    /// The settings, with those tables of the file. The salt of this installation is among them; where it cannot be kept, stderr says so.
    ///
    /// # Errors
    ///
    /// [`AppsError`].
    pub(crate) fn read(
        &self,
        tables: &FileTables,
        profile: Profile,
        random: &dyn SecureRandom,
    ) -> Result<Applications, AppsError> {
        let cache_salt = if self.shared_prompt_cache {
            None
        } else {
            let (salt, not_kept) =
                cache_salt::load_or_make(random).map_err(|_| AppsError::Random)?;
            if let Some(why) = not_kept {
                warn(&format!(
                    "no cache salt is kept, this run has one of its own: {why}"
                ));
            }
            Some(salt)
        };
        Ok(Applications {
            cache_salt,
            ..self.without_salt(tables, profile)?
        })
    }

    /// The same without a salt, for those who ask nothing of an application.
    pub(crate) fn without_salt(
        &self,
        tables: &FileTables,
        profile: Profile,
    ) -> Result<Applications, AppsError> {
        let padded = tables
            .models
            .iter()
            .find(|(_, model)| model.padding.is_some());
        if let (Some((name, _)), Profile::ChutesV1) = (padded, profile) {
            return Err(AppsError::Padding(name.clone(), profile));
        }
        let any_model = ModelSettings {
            api_mode: self.api_mode.into(),
            inline_system: self.inline_system.into(),
            split_think: self.split_think,
            ..ModelSettings::default()
        };
        let mut aliases = tables.aliases.clone();
        let given = self.aliases.iter().cloned();
        aliases.extend(given.map(|alias| (alias.name, alias.target)));
        let models = tables.models.iter();
        Ok(Applications {
            aliases,
            default_model: self.default_model.clone(),
            models: models
                .map(|(name, model)| (name.clone(), model.over(&any_model)))
                .collect(),
            any_model,
            cache_salt: None,
            keep_alive: Duration::from_secs(self.keep_alive),
            exact_counts: self.exact_counts,
        })
    }
}
