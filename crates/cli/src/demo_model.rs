//! A small OpenAI-compatible model server for demos and tests: canned answers, token by token. It is no model.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use sealwire_http::carriage::HEALTH_PATH;
use sealwire_http::net::{
    Body, BodySender, Handler, Incoming, Server, ServerLimits, announce, channel, json, read_all,
    text,
};
use sealwire_http::openai::{ApiError, model_list};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Arguments of the demo model server.
#[derive(Args, Debug, Clone)]
pub struct DemoModelArgs {
    /// Where it listens; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The model name that it answers to
    #[arg(long, value_name = "NAME", default_value = "demo")]
    model: String,
    /// Pause before each token, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    token_delay_ms: u64,
}

/// Runs the demo model server until it is told to stop, and prints where it listens.
///
/// # Errors
///
/// The operating system's, if the address cannot be bound.
pub async fn run(args: DemoModelArgs, stop: impl Future<Output = ()>) -> std::io::Result<()> {
    let server = start(DemoModelConfig {
        listen: args.listen,
        model: args.model,
        token_delay: Duration::from_millis(args.token_delay_ms),
    })
    .await?;
    announce(server.address());
    stop.await;
    server.shut_down(Duration::from_secs(2)).await;
    Ok(())
}

/// Settings of the demo model server.
#[derive(Debug, Clone)]
pub struct DemoModelConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The model name that it answers to.
    pub model: String,
    /// Pause before each token.
    pub token_delay: Duration,
}

/// Starts the demo model server.
///
/// # Errors
///
/// The operating system's, if the address cannot be bound.
pub async fn start(config: DemoModelConfig) -> std::io::Result<Server> {
    let listen = config.listen;
    Server::start(
        listen,
        ServerLimits::default(),
        Arc::new(DemoModel { config }),
    )
    .await
}

struct DemoModel {
    config: DemoModelConfig,
}

/// Which of the two text APIs a request speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Chat,
    Completion,
}

impl Handler for DemoModel {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, HEALTH_PATH) => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/v1/models") => json(
                StatusCode::OK,
                model_list([self.config.model.as_str()])
                    .to_string()
                    .into_bytes(),
            ),
            (&Method::POST, "/v1/chat/completions") => self.generate(request, Dialect::Chat).await,
            (&Method::POST, "/v1/completions") => self.generate(request, Dialect::Completion).await,
            (&Method::POST, "/v1/embeddings") => self.embed(request).await,
            _ => api_error(&ApiError::invalid_request(
                404,
                "unknown_url",
                "the demo model serves /v1/models, /v1/chat/completions, /v1/completions and /v1/embeddings",
            )),
        }
    }
}

impl DemoModel {
    async fn body(&self, request: Request<Incoming>) -> Result<Value, ApiError> {
        let mut body = request.into_body();
        let bytes = read_all(&mut body, 64 * 1_024 * 1_024, Duration::from_secs(30))
            .await
            .map_err(|error| ApiError::invalid_request(400, "bad_body", error.to_string()))?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::invalid_request(400, "bad_json", error.to_string()))?;
        let model = value.get("model").and_then(Value::as_str).unwrap_or("");
        if model != self.config.model {
            return Err(ApiError::invalid_request(
                404,
                "model_not_found",
                format!("the model {model:?} does not exist here"),
            ));
        }
        Ok(value)
    }

    async fn generate(&self, request: Request<Incoming>, dialect: Dialect) -> Response<Body> {
        let body = match self.body(request).await {
            Ok(body) => body,
            Err(error) => return api_error(&error),
        };
        let question = match dialect {
            Dialect::Chat => last_question(&body),
            Dialect::Completion => text_of(body.get("prompt")),
        };
        if question.is_empty() {
            return api_error(&ApiError::invalid_request(
                400,
                "no_question",
                "the request holds no text to answer",
            ));
        }
        let mut tokens = tokenize(&answer(&question));
        let limit = body
            .get("max_completion_tokens")
            .or_else(|| body.get("max_tokens"))
            .and_then(Value::as_u64)
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let finish = if tokens.len() > limit {
            "length"
        } else {
            "stop"
        };
        tokens.truncate(limit);
        let prompt_tokens = tokenize(&prompt_text(&body)).len();
        let answer = Answer {
            dialect,
            model: self.config.model.clone(),
            created: unix_now(),
            prompt_tokens,
            tokens,
            finish,
        };
        if body.get("stream").and_then(Value::as_bool) == Some(true) {
            let option = |name: &str| {
                body.get("stream_options")
                    .and_then(|options| options.get(name))
                    .and_then(Value::as_bool)
                    == Some(true)
            };
            let counts = Counts {
                last: option("include_usage"),
                running: option("continuous_usage_stats"),
            };
            let (sender, body) = channel(8);
            let delay = self.config.token_delay;
            tokio::spawn(async move {
                // An error is a client that went away: generation stops with it.
                let _ = answer.stream(sender, delay, counts).await;
            });
            let mut response = Response::new(body);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            return response;
        }
        let steps = u32::try_from(answer.tokens.len()).unwrap_or(u32::MAX);
        sleep(self.config.token_delay.saturating_mul(steps)).await;
        json(StatusCode::OK, answer.whole().to_string().into_bytes())
    }

    async fn embed(&self, request: Request<Incoming>) -> Response<Body> {
        let body = match self.body(request).await {
            Ok(body) => body,
            Err(error) => return api_error(&error),
        };
        let inputs: Vec<String> = match body.get("input") {
            Some(Value::Array(items)) => items.iter().map(|item| text_of(Some(item))).collect(),
            other => vec![text_of(other)],
        };
        let tokens: usize = inputs.iter().map(|input| tokenize(input).len()).sum();
        let data: Vec<Value> = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| {
                json!({"object": "embedding", "index": index, "embedding": embedding(input)})
            })
            .collect();
        let answer = json!({
            "object": "list",
            "model": self.config.model,
            "data": data,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        });
        json(StatusCode::OK, answer.to_string().into_bytes())
    }
}

/// What a streamed answer counts, as `stream_options` asks.
#[derive(Clone, Copy)]
struct Counts {
    /// `include_usage`: an event without choices behind the last.
    last: bool,
    /// `continuous_usage_stats`: the counts so far in every event.
    running: bool,
}

struct Answer {
    dialect: Dialect,
    model: String,
    created: u64,
    prompt_tokens: usize,
    tokens: Vec<String>,
    finish: &'static str,
}

impl Answer {
    /// The counts after so many tokens of the answer.
    fn usage(&self, tokens: usize) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": self.prompt_tokens + tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        })
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": "demo-1",
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn whole(&self) -> Value {
        let text = self.tokens.concat();
        let (object, choice) = match self.dialect {
            Dialect::Chat => (
                "chat.completion",
                json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": self.finish}),
            ),
            Dialect::Completion => (
                "text_completion",
                json!({"index": 0, "text": text, "logprobs": null, "finish_reason": self.finish}),
            ),
        };
        let mut whole = self.envelope(object, json!([choice]));
        if let Some(object) = whole.as_object_mut() {
            object.insert("usage".to_owned(), self.usage(self.tokens.len()));
        }
        whole
    }

    fn piece(&self, text: Option<&str>, finish: Option<&str>) -> Value {
        match self.dialect {
            Dialect::Chat => {
                let delta = match text {
                    Some(text) => json!({"content": text}),
                    None => json!({}),
                };
                self.envelope(
                    "chat.completion.chunk",
                    json!([{"index": 0, "delta": delta, "finish_reason": finish}]),
                )
            }
            Dialect::Completion => self.envelope(
                "text_completion",
                json!([{"index": 0, "text": text.unwrap_or(""), "logprobs": null, "finish_reason": finish}]),
            ),
        }
    }

    async fn stream(
        &self,
        sender: BodySender,
        delay: Duration,
        counts: Counts,
    ) -> Result<(), sealwire_http::net::Closed> {
        let event = |mut value: Value, tokens: usize| {
            if counts.running
                && let Some(map) = value.as_object_mut()
            {
                map.insert("usage".to_owned(), self.usage(tokens));
            }
            format!("data: {value}\n\n").into_bytes()
        };
        let all = self.tokens.len();
        if self.dialect == Dialect::Chat {
            let role = json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]);
            sender
                .send(event(self.envelope("chat.completion.chunk", role), 0))
                .await?;
        }
        for (before, token) in self.tokens.iter().enumerate() {
            tokio::select! {
                () = sleep(delay) => {}
                () = sender.closed() => return Err(sealwire_http::net::Closed),
            }
            sender
                .send(event(self.piece(Some(token), None), before + 1))
                .await?;
        }
        sender
            .send(event(self.piece(None, Some(self.finish)), all))
            .await?;
        if counts.last {
            let object = match self.dialect {
                Dialect::Chat => "chat.completion.chunk",
                Dialect::Completion => "text_completion",
            };
            let mut usage = self.envelope(object, json!([]));
            if let Some(map) = usage.as_object_mut() {
                map.insert("usage".to_owned(), self.usage(all));
            }
            sender.send(event(usage, all)).await?;
        }
        sender.send(&b"data: [DONE]\n\n"[..]).await?;
        sender.finish().await
    }
}

fn api_error(error: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, error.to_json())
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The text of a message's content, a prompt or an input: a string, or a list of strings or text parts.
fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| {
                part.as_str()
                    .or_else(|| part.get("text").and_then(Value::as_str))
            })
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    }
}

fn last_question(body: &Value) -> String {
    body.get("messages")
        .and_then(Value::as_array)
        .and_then(|messages| {
            messages
                .iter()
                .rev()
                .find(|message| message.get("role").and_then(Value::as_str) == Some("user"))
        })
        .map_or_else(String::new, |message| text_of(message.get("content")))
}

fn prompt_text(body: &Value) -> String {
    match body.get("messages").and_then(Value::as_array) {
        Some(messages) => messages
            .iter()
            .map(|message| text_of(message.get("content")))
            .collect::<Vec<_>>()
            .join(" "),
        None => text_of(body.get("prompt")),
    }
}

/// Words with the blank before them, as tokenizers like to cut.
fn tokenize(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for word in text.split_inclusive(' ') {
        tokens.push(word.to_owned());
    }
    tokens
}

fn answer(question: &str) -> String {
    const TOPICS: [(&[&str], &str); 6] = [
        (
            &["sky", "blue"],
            "The sky looks blue because air scatters short wavelengths far more than long ones. Sunlight holds all colours; the blue part bounces \
             around the atmosphere and reaches your eye from every direction, while red passes nearly straight through. At sunset the light crosses \
             more air, most blue is scattered away, and reds remain.",
        ),
        (
            &["relay", "see", "sealwire", "encrypt"],
            "A relay on this path sees that somebody asked some model something, how many bytes went each way and when, and a signed count of tokens \
             for the bill. The question and this answer are sealed between your machine and the model's enclave, so the relay cannot read them, \
             change them, or cut them short without being noticed.",
        ),
        (&["capital", "france"], "The capital of France is Paris."),
        (
            &["haiku", "poem"],
            "Sealed before it leaves, / a question crosses the dark; / only one reads it.",
        ),
        (
            &["hello", "hi", "hey"],
            "Hello! I am a canned demo model, but I was reached through an encrypted path from end to end. Ask me why the sky is blue.",
        ),
        (
            &["count", "numbers"],
            "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty",
        ),
    ];
    let lower = question.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let best = TOPICS
        .iter()
        .map(|(keys, text)| (keys.iter().filter(|key| words.contains(key)).count(), text))
        .max_by_key(|(hits, _)| *hits)
        .filter(|(hits, _)| *hits > 0);
    match best {
        Some((_, text)) => (*text).to_owned(),
        None => format!(
            "You asked something of {} words. This demo model knows only a few canned answers, so it cannot help with that one; try asking why the sky \
             is blue, or what the relay can see.",
            words.len()
        ),
    }
}

/// Eight numbers that depend on the text and on nothing else.
fn embedding(text: &str) -> Vec<f64> {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (0..8)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let sample = u32::try_from(state >> 32).unwrap_or(0);
            f64::from(sample) / f64::from(u32::MAX) * 2.0 - 1.0
        })
        .collect()
}
