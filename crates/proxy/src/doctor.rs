//! What is wrong with the way to an instance, and what to do: each step that a request takes, looked at by itself.
//!
//! ```text
//! listen -> relay (name, TCP, TLS, HTTP) -> clock -> models -> names -> evidence of one instance [-> a sealed round trip]
//! ```
//!
//! A step that fails ends the examination: those behind it could say nothing. No key, no prompt and no answer is in what is said.

mod advice;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, HeaderMap};
use http::{Method, Request, Response};
use sealwire::CryptoProvider;
use sealwire::compat::chutes::Codec;
use sealwire_dialects::upstream;
use sealwire_http::carriage::HEALTH_PATH;
use sealwire_http::net::{BaseUrl, HttpClient, Incoming, empty, read_all};
use sealwire_http::openai::ApiError;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::api::{Front, MODELS};
use crate::apps::Applications;
use crate::backend::{Backend, Next, Question, Source, Usable};
use crate::chutes::{self, ChutesConfig, Gate};
use crate::{ProxyConfig, StartError, unix_now};

/// Time for one answer of the relay.
const ANSWER: Duration = Duration::from_secs(30);
/// Time for evidence to be fetched and judged.
const EVIDENCE: Duration = Duration::from_secs(90);
/// Time for the sealed round trip.
const LIVE: Duration = Duration::from_secs(180);
/// How far the clocks may differ, seconds: nonces of chutes-v1 live for less than a minute.
const SKEW: u64 = 20;
/// Names that are shown.
const SHOWN: usize = 5;
/// Largest answer that is read.
const MAX_ANSWER: usize = 1_024 * 1_024;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// Requests may work all the same.
    Warn,
    /// Requests do not work.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable, one word.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, one sentence.
    pub detail: String,
    /// What to do.
    pub advice: Option<String>,
}

/// What is looked at beside the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The model; else the default model, else the first that the relay lists.
    pub model: Option<String>,
    /// Asks the model for one token, sealed.
    pub live: bool,
}

impl Check {
    /// A check that passed.
    #[must_use]
    pub fn pass(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Pass, detail, None)
    }

    /// One that may matter.
    #[must_use]
    pub fn warn(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Outcome::Warn, detail, Some(advice.into()))
    }

    /// One that failed.
    #[must_use]
    pub fn fail(name: &'static str, detail: impl Into<String>, advice: Option<String>) -> Self {
        Self::new(name, Outcome::Fail, detail, advice)
    }

    fn new(
        name: &'static str,
        outcome: Outcome,
        detail: impl Into<String>,
        advice: Option<String>,
    ) -> Self {
        Self {
            name,
            outcome,
            detail: detail.into(),
            advice,
        }
    }

    fn of(name: &'static str, error: &ApiError) -> Self {
        let detail = error.message.trim_start_matches("sealwire: ");
        Self::fail(name, detail, advice::of(&error.code).map(str::to_owned))
    }

    /// `{"name","outcome","detail","advice"}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let outcome = match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
        };
        json!({"name": self.name, "outcome": outcome, "detail": self.detail, "advice": self.advice})
    }
}

/// Examines what a native proxy would meet. Must be called in a tokio runtime.
///
/// # Errors
///
/// [`StartError`] if such a proxy would not start.
pub async fn examine(
    mut config: ProxyConfig,
    provider: CryptoProvider,
    client: HttpClient,
    options: &Options,
) -> Result<Vec<Check>, StartError> {
    let front = Front::new(provider.verification, &config.front)?;
    // Nobody waits for an answer: evidence gets the time that it takes.
    config.limits.handshake_time = EVIDENCE;
    let (listen, apps) = (config.front.listen, config.front.apps.clone());
    let backend = crate::backend(config, provider, client.clone())?;
    Ok(Examination {
        backend,
        front,
        client,
        listen,
        apps,
    }
    .run(options)
    .await)
}

/// Examines what a proxy for chutes-v1 would meet. Must be called in a tokio runtime.
///
/// # Errors
///
/// [`StartError`] if such a proxy would not start.
pub async fn examine_chutes(
    config: ChutesConfig,
    codec: Codec,
    client: HttpClient,
    gate: Arc<dyn Gate>,
    options: &Options,
) -> Result<Vec<Check>, StartError> {
    let front = Front::new(codec.provider.verification, &config.front)?;
    let (listen, apps) = (config.front.listen, config.front.apps.clone());
    let backend = chutes::backend(config, codec, client.clone(), gate);
    Ok(Examination {
        backend,
        front,
        client,
        listen,
        apps,
    }
    .run(options)
    .await)
}

struct Examination<B> {
    backend: B,
    front: Front,
    client: HttpClient,
    listen: SocketAddr,
    apps: Applications,
}

impl<B: Backend> Examination<B> {
    async fn run(self, options: &Options) -> Vec<Check> {
        let mut checks = vec![self.listen().await];
        // What fails says all; whether it is whole tells the caller.
        let _ = self.way(options, &mut checks).await;
        checks
    }

    /// The way to an instance; `None` where it ends.
    async fn way(&self, options: &Options, checks: &mut Vec<Check>) -> Option<()> {
        for base in self.backend.about().relay {
            let response = match self.reach(&base).await {
                Ok(response) => response,
                Err(check) => {
                    checks.push(check);
                    return None;
                }
            };
            checks.push(reached(&base, &response));
            checks.push(clock(&base, response.headers()));
        }
        let names = self.models(checks).await?;
        let key = self.front.own_relay_key();
        let named = options.model.as_ref().or(self.apps.default_model.as_ref());
        let named = named.map(|name| self.apps.alias(name).unwrap_or(name));
        let model = named.or(names.first().map(String::as_str))?.to_owned();
        let verified = timeout(EVIDENCE, self.backend.verify(&model, key)).await;
        let usable = match verified {
            Ok(Ok(usable)) => usable,
            Ok(Err(error)) => {
                checks.push(Check::of("evidence", &error));
                return None;
            }
            Err(_) => {
                let detail = format!("{model}: no verdict within {} s", EVIDENCE.as_secs());
                let advice = advice::of("evidence_timeout").map(str::to_owned);
                checks.push(Check::fail("evidence", detail, advice));
                return None;
            }
        };
        checks.push(self.verified(&model, usable));
        if options.live {
            checks.push(self.live(&model, key).await);
        }
        Some(())
    }

    /// Whether the proxy could listen, or does.
    async fn listen(&self) -> Check {
        let listen = self.listen;
        let Err(error) = TcpListener::bind(listen).await else {
            return Check::pass("listen", format!("{listen} is free"));
        };
        let advice = "stop what listens there, or choose another address with --listen";
        let taken = || Check::fail("listen", format!("{listen}: {error}"), Some(advice.into()));
        let Ok(base) = format!("http://{listen}").parse::<BaseUrl>() else {
            return taken();
        };
        let health = async {
            let response = self.get(&base, HEALTH_PATH).await.ok()?;
            let mut body = response.into_body();
            read_all(&mut body, 64, Duration::from_secs(2)).await.ok()
        };
        match timeout(Duration::from_secs(3), health).await {
            Ok(Some(body)) if body.as_ref() == b"ok\n" => {
                Check::pass("listen", format!("a proxy answers at {base}"))
            }
            _ => taken(),
        }
    }

    async fn reach(&self, base: &BaseUrl) -> Result<Response<Incoming>, Check> {
        let unreachable = |why: String| {
            let advice = advice::of("relay_unreachable").map(str::to_owned);
            Check::fail("relay", format!("{base} is not reachable: {why}"), advice)
        };
        match timeout(ANSWER, self.get(base, MODELS)).await {
            Ok(answer) => answer.map_err(unreachable),
            Err(_) => Err(unreachable(format!(
                "no answer within {} s",
                ANSWER.as_secs()
            ))),
        }
    }

    /// A GET without a key: any answer will do.
    async fn get(&self, base: &BaseUrl, path: &str) -> Result<Response<Incoming>, String> {
        let mut request = Request::new(empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = base.join(path).map_err(|error| error.to_string())?;
        let answer = self.client.send(request).await;
        answer.map_err(|error| error.to_string())
    }

    /// The names of the models that can be used.
    async fn models(&self, checks: &mut Vec<Check>) -> Option<Vec<String>> {
        let list = match timeout(ANSWER, self.backend.models(self.front.own_relay_key())).await {
            Ok(Ok(list)) => list,
            Ok(Err(error)) => {
                checks.push(Check::of("models", &error));
                return None;
            }
            Err(_) => {
                let detail = format!("no list within {} s", ANSWER.as_secs());
                checks.push(Check::fail("models", detail, None));
                return None;
            }
        };
        let names: Vec<String> = list
            .get("data")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.get("id")?.as_str().map(str::to_owned))
            .collect();
        if names.is_empty() {
            let advice = advice::of("no_models").map(str::to_owned);
            let detail = "the relay lists no model that can be used";
            checks.push(Check::fail("models", detail, advice));
            return None;
        }
        let shown: Vec<String> = names
            .iter()
            .take(SHOWN)
            .map(|name| format!("{name:?}"))
            .collect();
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        checks.push(Check::pass("models", format!("{}{more}", shown.join(", "))));
        checks.extend(self.names(&names));
        Some(names)
    }

    /// Whether own names stand for models that there are.
    fn names(&self, listed: &[String]) -> Option<Check> {
        let aliases = self.apps.aliases.iter();
        let targets = aliases.map(|(name, target)| (format!("the alias {name:?}"), target));
        let default = self.apps.default_model.iter();
        let default = default.map(|target| {
            let target_of_alias = self.apps.aliases.get(target).unwrap_or(target);
            ("the default model".to_owned(), target_of_alias)
        });
        let strange: Vec<String> = targets
            .chain(default)
            .filter(|(_, target)| !listed.contains(target))
            .map(|(what, target)| format!("{what} is {target:?}, which the relay does not list"))
            .collect();
        if !strange.is_empty() {
            let advice = "correct --alias and --default-model, or wait for the model to be served";
            return Some(Check::warn("names", strange.join("; "), advice));
        }
        let count = self.apps.aliases.len();
        (count > 0 || self.apps.default_model.is_some())
            .then(|| Check::pass("names", "every alias and the default model are listed"))
    }

    fn verified(&self, model: &str, usable: Usable) -> Check {
        let document = self.backend.document();
        let trust = document.pointer("/policy/trust").and_then(Value::as_str);
        let blind = trust.is_some_and(|trust| trust.starts_with("insecure"));
        match usable {
            Usable::Waived => Check::warn(
                "evidence",
                format!("{model}: evidence is waived by name, its operator can read what you send"),
                "leave --allow-non-confidential out, and use a confidential model",
            ),
            Usable::Trusted(_) if blind => Check::warn(
                "evidence",
                format!("{model}: nothing is verified, the relay can read everything"),
                "use --policy, or --pin, instead of --insecure-trust-relay",
            ),
            Usable::Trusted(name) if trust == Some("identities") => Check::pass(
                "evidence",
                format!("{model}: instance {name} has a pinned identity"),
            ),
            Usable::Trusted(name) => Check::pass(
                "evidence",
                format!("{model}: instance {name} has proven itself under the policy"),
            ),
        }
    }

    /// One token, sealed there and back.
    async fn live(&self, model: &str, key: Option<&str>) -> Check {
        let body = json!({
            "model": model,
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "ping"}],
        });
        let question = Question {
            path: "/v1/chat/completions".to_owned(),
            headers: HeaderMap::new(),
            content: Bytes::from(body.to_string()),
            model: model.to_owned(),
            key: key.map(str::to_owned),
            padding: None,
        };
        match timeout(LIVE, self.ask(&question)).await {
            Ok(Ok(bytes)) => {
                Check::pass("live", format!("{model}: a sealed answer of {bytes} bytes"))
            }
            Ok(Err(error)) => Check::of("live", &error),
            Err(_) => Check::fail(
                "live",
                format!("{model}: no sealed answer within {} s", LIVE.as_secs()),
                advice::of("upstream_timeout").map(str::to_owned),
            ),
        }
    }

    async fn ask(&self, question: &Question) -> Result<usize, ApiError> {
        let answered = self.backend.ask(question).await?;
        let (status, mut source) = (answered.status.as_u16(), answered.source);
        let mut content = Vec::new();
        while let Next::Content(piece) = source.next().await? {
            if content.len() + piece.len() > MAX_ANSWER {
                let message = format!("the answer has more than {MAX_ANSWER} bytes");
                return Err(ApiError::server_error(502, "answer_too_large", message));
            }
            content.extend_from_slice(&piece);
        }
        if status >= 400 {
            return Err(upstream::error(status, &content));
        }
        Ok(content.len())
    }
}

fn reached(base: &BaseUrl, response: &Response<Incoming>) -> Check {
    let detail = format!("{base} answers ({})", response.status().as_u16());
    if base.is_loopback() || base.to_string().starts_with("https:") {
        return Check::pass("relay", detail);
    }
    Check::warn(
        "relay",
        format!("{detail}, without TLS: requests are sealed, the key for the relay is not"),
        "use the relay's https address",
    )
}

/// This clock against the relay's.
fn clock(base: &BaseUrl, headers: &HeaderMap) -> Check {
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let theirs = date
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
    let Some(theirs) = theirs else {
        return Check::warn(
            "clock",
            format!("{base} does not say what time it is"),
            "see that this machine's clock is right: evidence and keys are checked by it",
        );
    };
    let difference = unix_now().abs_diff(theirs.as_secs());
    if difference <= SKEW {
        return Check::pass("clock", format!("within {SKEW} s of the relay's"));
    }
    Check::fail(
        "clock",
        format!("differs from the relay's by {difference} s"),
        advice::of("clock").map(str::to_owned),
    )
}
