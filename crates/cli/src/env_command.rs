//! `sealwire env`: the settings of applications that use a proxy, ready to paste. It reads the proxy's own settings, and asks the proxy for its models if it
//! runs.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, StatusCode};
use sealwire_http::net::{BaseUrl, ClientConfig, HttpClient, SecretArgument, empty, read_all, say};
use serde_json::Value;
use tokio::time::timeout;

use crate::client_settings::{self, AppAccess};
use crate::settings::{self, FileError, FileSettings, FileTables};

/// Where a proxy listens if nobody says otherwise.
const LISTEN: &str = "127.0.0.1:8790";
/// Time for the proxy to say which models there are; it may have to ask the relay.
const TIME: Duration = Duration::from_secs(5);
/// Largest list of models.
const MAX_LIST: usize = 8 * 1_024 * 1_024;
/// Names that Claude Code uses, and the variable for each.
const FAMILIES: [(&str, &str); 3] = [
    ("opus", "ANTHROPIC_DEFAULT_OPUS_MODEL"),
    ("sonnet", "ANTHROPIC_DEFAULT_SONNET_MODEL"),
    ("haiku", "ANTHROPIC_DEFAULT_HAIKU_MODEL"),
];

/// An application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// Claude Code: lines for a shell.
    Claude,
    /// Codex: a part of its config.toml.
    Codex,
    /// Clients of the OpenAI API: lines for a shell.
    Openai,
    /// Clients of the Anthropic API: lines for a shell.
    Anthropic,
}

/// Arguments of `sealwire env`.
#[derive(Args, Clone)]
pub struct EnvArgs {
    /// The application
    #[arg(value_enum)]
    client: Client,
    /// The proxy [default: where its settings say that it listens]
    #[arg(long, value_name = "URL")]
    url: Option<BaseUrl>,
    /// The model [default: that of the proxy's settings, else the only one that it lists]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The proxy's file of settings
    #[arg(long, value_name = "FILE", env = "SEALWIRE_CONFIG")]
    config: Option<PathBuf>,
}

/// Why there are no settings to print.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// The proxy's file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its address.
    #[error("{0:?} is not where a proxy can be reached; name it with --url")]
    Listen(String),
    /// A name that no line can hold.
    #[error("the model's name {0:?} has control characters")]
    Name(String),
}

/// What is known for the lines.
struct Known {
    url: String,
    access: AppAccess,
    model: Option<String>,
    /// Most tokens of prompt and answer.
    window: Option<u64>,
    tables: FileTables,
}

/// Prints the settings of an application.
///
/// # Errors
///
/// [`EnvError`].
pub async fn run(args: EnvArgs) -> Result<(), EnvError> {
    let known = known(&args).await?;
    let names = known.model.iter().chain(known.tables.aliases.values());
    for name in names {
        // They are quoted for the shell and for TOML; a line's end is in no name.
        if name.chars().any(char::is_control) {
            return Err(EnvError::Name(name.clone()));
        }
    }
    let lines = match args.client {
        Client::Claude => claude(&known),
        Client::Codex => codex(&known),
        Client::Openai => vec![
            format!(
                "export OPENAI_BASE_URL={}",
                quoted(&format!("{}/v1", known.url))
            ),
            format!("export OPENAI_API_KEY={}", known.access.in_shell()),
        ],
        Client::Anthropic => vec![
            format!("export ANTHROPIC_BASE_URL={}", quoted(&known.url)),
            format!("export ANTHROPIC_API_KEY={}", known.access.in_shell()),
        ],
    };
    lines.iter().for_each(|line| say(line));
    Ok(())
}

async fn known(args: &EnvArgs) -> Result<Known, EnvError> {
    let file = settings::load(args.config.as_deref())?;
    let said = |key: &str| said(file.as_ref(), key);
    let url = match &args.url {
        Some(url) => url.to_string(),
        None => {
            let listen = said("listen").unwrap_or_else(|| LISTEN.to_owned());
            match listen.parse::<SocketAddr>() {
                Ok(address) if address.port() != 0 => client_settings::url(address),
                _ => return Err(EnvError::Listen(listen)),
            }
        }
    };
    let has = |key: &str| said(key).is_some();
    let access = AppAccess::new(
        has("app_key") || has("app_key_from"),
        has("relay_key") || has("relay_key_from"),
        said("forward_key").as_deref() == Some("true"),
    );
    let default = said("default_model");
    // The key of this machine's proxy goes to no other.
    let key = said("app_key").filter(|_| args.url.is_none());
    let listed = listed(&url, key).await.unwrap_or_default();
    let only = match listed.as_slice() {
        [(only, _)] => Some(only.clone()),
        _ => None,
    };
    let tables = file.map(|file| file.tables).unwrap_or_default();
    let model = args.model.clone().or(default).or(only);
    let window = model.as_ref().and_then(|model| {
        let target = tables.aliases.get(model).unwrap_or(model);
        let own = tables
            .models
            .get(target)
            .and_then(|table| table.max_model_len());
        own.or_else(|| {
            let entry = listed.iter().find(|(name, _)| name == target);
            entry.and_then(|(_, window)| *window)
        })
    });
    Ok(Known {
        url,
        access,
        model,
        window,
        tables,
    })
}

/// What the environment says, or the file.
fn said(file: Option<&FileSettings>, key: &str) -> Option<String> {
    let variable = format!("SEALWIRE_{}", key.to_uppercase());
    let of_environment = env::var(variable).ok().filter(|value| !value.is_empty());
    of_environment.or_else(|| {
        let values = &file?.values;
        values.iter().find(|value| value.id == key)?.text.clone()
    })
}

/// The models that the proxy lists and how long their prompts may be, if it runs.
async fn listed(url: &str, key: Option<String>) -> Option<Vec<(String, Option<u64>)>> {
    let base: BaseUrl = url.parse().ok()?;
    let mut request = Request::new(empty());
    *request.uri_mut() = base.join("/v1/models").ok()?;
    if let Some(key) = key {
        // It never fails to parse.
        let key = key.parse::<SecretArgument>().ok()?.read().ok()?;
        let mut key = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
        key.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, key);
    }
    let client = HttpClient::new(&ClientConfig::default());
    let answer = async {
        let response = client.send(request).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let mut body = response.into_body();
        read_all(&mut body, MAX_LIST, TIME).await.ok()
    };
    let body = timeout(TIME, answer).await.ok()??;
    let list: Value = serde_json::from_slice(&body).ok()?;
    let models = list.get("data")?.as_array()?.iter().filter_map(|entry| {
        let window = entry.get("max_input_tokens").and_then(Value::as_u64);
        Some((entry.get("id")?.as_str()?.to_owned(), window))
    });
    Some(models.collect())
}

fn claude(known: &Known) -> Vec<String> {
    let mut lines = vec![
        // Without /v1, which Claude Code adds.
        format!("export ANTHROPIC_BASE_URL={}", quoted(&known.url)),
        format!("export ANTHROPIC_AUTH_TOKEN={}", known.access.in_shell()),
    ];
    match &known.model {
        Some(model) => {
            lines.push(format!("export ANTHROPIC_MODEL={}", quoted(model)));
            lines.push(format!(
                "export CLAUDE_CODE_SUBAGENT_MODEL={}",
                quoted(model)
            ));
        }
        None => lines.push(NO_MODEL.to_owned()),
    }
    for (family, variable) in FAMILIES {
        let alias = known.tables.aliases.get(family);
        if let Some(model) = alias.or(known.model.as_ref()) {
            lines.push(format!("export {variable}={}", quoted(model)));
        }
    }
    // The first would change the start of each prompt, and so lose the prefix cache; the others are for Anthropic's own servers.
    lines.extend(
        [
            "CLAUDE_CODE_ATTRIBUTION_HEADER=0",
            "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
        ]
        .map(|setting| format!("export {setting}")),
    );
    lines
}

/// The keys without a table stand first: TOML would take them for the table's.
fn codex(known: &Known) -> Vec<String> {
    let mut lines =
        vec!["# ~/.codex/config.toml; these lines go before its first [table]".to_owned()];
    match &known.model {
        Some(model) => lines.push(format!("model = {}", basic(model))),
        None => lines.push(NO_MODEL.to_owned()),
    }
    lines.push("model_provider = \"sealwire\"".to_owned());
    if let Some(window) = known.window {
        lines.push(format!("model_context_window = {window}"));
        lines.push(format!(
            "model_auto_compact_token_limit = {}",
            window / 10 * 9
        ));
    }
    lines.push("web_search = \"disabled\"".to_owned());
    lines.push(String::new());
    lines.push("[model_providers.sealwire]".to_owned());
    lines.push("name = \"sealwire\"".to_owned());
    lines.push(format!(
        "base_url = {}",
        basic(&format!("{}/v1", known.url))
    ));
    lines.push("wire_api = \"responses\"".to_owned());
    if let Some(variable) = known.access.variable() {
        lines.push(format!("env_key = \"{variable}\""));
    }
    lines.push("stream_idle_timeout_ms = 300000".to_owned());
    lines
}

const NO_MODEL: &str =
    "# no model is named: give --model NAME; GET /v1/models at the proxy lists them";

/// A word for a POSIX shell, whatever is in it.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A basic string of TOML; there are no control characters in `text`.
fn basic(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_a_name() {
        for (name, shell, toml) in [
            ("org/model-1.5", "org/model-1.5", "\"org/model-1.5\""),
            ("a b", "'a b'", "\"a b\""),
            ("$(x)`y`", "'$(x)`y`'", "\"$(x)`y`\""),
            ("it's", "'it'\\''s'", "\"it's\""),
            ("a\"\\", "'a\"\\'", "\"a\\\"\\\\\""),
            ("", "''", "\"\""),
        ] {
            assert_eq!(quoted(name), shell);
            assert_eq!(basic(name), toml);
            let table: toml::Table = toml::from_str(&format!("x = {toml}")).expect("TOML");
            assert_eq!(table["x"].as_str(), Some(name));
        }
    }
}
