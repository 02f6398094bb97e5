//! A small OpenAI-compatible model server for demos and tests: canned answers, token by token, or what a prompt asks it to do (`script.rs`). It is no model.

mod acts;
mod asked;
mod bounds;
mod embed;
mod plan;
mod reply;
mod schema;
mod script;
mod stream;
mod tally;
mod text;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use sealwire_http::carriage::HEALTH_PATH;
use sealwire_http::net::{
    Body, Handler, Incoming, Server, ServerLimits, announce, channel, full, json, read_all,
};
use sealwire_http::openai::ApiError;
use serde_json::{Value, json};
use tokio::time::sleep;

use self::acts::{Act, Tokens};
use self::asked::{Asked, Dialect, Question};
use self::reply::Reply;
use self::script::Step;
use self::stream::{Counts, Stream};
use self::tally::Tally;

/// Counts of requests for text, for tests: `{"begun","ended","given_up"}`.
const TALLY_PATH: &str = "/tally";

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
    /// Most tokens of prompt and answer together [default: no bound]
    #[arg(long, value_name = "TOKENS")]
    max_model_len: Option<usize>,
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
        max_model_len: args.max_model_len,
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
    /// Most tokens of prompt and answer together.
    pub max_model_len: Option<usize>,
}

/// Starts the demo model server.
///
/// # Errors
///
/// The operating system's, if the address cannot be bound.
pub async fn start(config: DemoModelConfig) -> std::io::Result<Server> {
    let listen = config.listen;
    let model = DemoModel {
        config,
        tally: Arc::default(),
    };
    Server::start(listen, ServerLimits::default(), Arc::new(model)).await
}

struct DemoModel {
    config: DemoModelConfig,
    tally: Arc<Tally>,
}

impl Handler for DemoModel {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let answer = match (request.method(), path.as_str()) {
            (&Method::GET, HEALTH_PATH) => {
                return sealwire_http::net::text(StatusCode::OK, "ok\n");
            }
            (&Method::GET, TALLY_PATH) => Ok(ok(&self.tally.to_json())),
            (&Method::GET, "/v1/models") => Ok(ok(&self.models())),
            (&Method::POST, "/v1/chat/completions") => self.generate(request, Dialect::Chat).await,
            (&Method::POST, "/v1/completions") => self.generate(request, Dialect::Completion).await,
            (&Method::POST, "/v1/embeddings") => self
                .body(request)
                .await
                .map(|(_, body)| ok(&embed::answer(&self.config.model, &body))),
            (&Method::POST, "/tokenize") => self.tokenize(request).await,
            _ => Err(ApiError::invalid_request(
                404,
                "unknown_url",
                "the demo model serves /v1/models, /v1/chat/completions, /v1/completions, /v1/embeddings and /tokenize",
            )),
        };
        answer.unwrap_or_else(|error| api_error(&error))
    }
}

impl DemoModel {
    async fn body(&self, request: Request<Incoming>) -> Result<(HeaderMap, Value), ApiError> {
        let (parts, mut body) = request.into_parts();
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
        Ok((parts.headers, value))
    }

    fn models(&self) -> Value {
        let name = &self.config.model;
        json!({"object": "list", "data": [{
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": "sealwire",
            "root": name,
            "parent": null,
            "max_model_len": self.config.max_model_len,
        }]})
    }

    /// As vLLM has it.
    async fn tokenize(&self, request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
        let asked = self.asked(request, Dialect::Chat).await?;
        let count = match asked.body.get("prompt") {
            Some(prompt) => text::tokens(&text::of(Some(prompt))).len(),
            None => asked.prompt_tokens().0,
        };
        let tokens: Vec<usize> = (1..=count).collect();
        Ok(ok(&json!({
            "count": count,
            "max_model_len": self.config.max_model_len,
            "tokens": tokens,
            "token_strs": null,
        })))
    }

    async fn asked(&self, request: Request<Incoming>, dialect: Dialect) -> Result<Asked, ApiError> {
        let (headers, body) = self.body(request).await?;
        Ok(Asked {
            dialect,
            headers,
            body,
        })
    }

    async fn generate(
        &self,
        request: Request<Incoming>,
        dialect: Dialect,
    ) -> Result<Response<Body>, ApiError> {
        let asked = self.asked(request, dialect).await?;
        let run = self.tally.begin();
        let questions = asked.questions();
        let empty = |question: &Question| question.text.is_empty() && question.parts.is_empty();
        if questions.is_empty() || questions.iter().any(empty) {
            run.end();
            return Err(ApiError::invalid_request(
                400,
                "no_question",
                "the request holds no text to answer",
            ));
        }
        if let Some(most) = self.config.max_model_len
            && let Some(words) = bounds::too_long(most, asked.prompt_tokens().0, asked.limit())
        {
            run.end();
            return Ok(bounds::refusal(400, &words));
        }
        let mut choices = Vec::new();
        for question in &questions {
            let steps = plan::plan(&asked, question);
            if let Some(failed) = before(&steps).await {
                run.end();
                return Ok(failed);
            }
            let mut tokens = Tokens::new(steps)
                .stopped(&asked.stops())
                .limited(asked.limit());
            if asked.flag("echo") {
                tokens = tokens.after(&question.text);
            }
            choices.extend(std::iter::repeat_n(tokens, asked.choices()));
        }
        let reply = Reply::new(&asked, &self.config.model, unix_now(), choices);
        let delay = self.config.token_delay;
        if asked.flag("stream") {
            let (sender, body) = channel(8);
            let stream = Stream {
                reply,
                sender,
                delay,
                counts: Counts::of(&asked),
            };
            tokio::spawn(async move {
                if stream.run().await.is_ok() {
                    run.end();
                }
            });
            return Ok(event_stream(body));
        }
        let answer = whole(&reply, delay).await;
        run.end();
        Ok(answer)
    }
}

/// What a script wants before there is an answer.
async fn before(steps: &[Step]) -> Option<Response<Body>> {
    for step in steps {
        match step {
            Step::Delay(time) => sleep(*time).await,
            Step::Fail {
                status,
                retry_after,
                text,
            } => {
                let mut failed = if text.starts_with('<') {
                    page(*status, text)
                } else {
                    bounds::refusal(*status, text)
                };
                if let Some(after) = retry_after
                    && let Ok(after) = HeaderValue::from_str(after)
                {
                    failed.headers_mut().insert(RETRY_AFTER, after);
                }
                return Some(failed);
            }
            _ => {}
        }
    }
    None
}

async fn whole(reply: &Reply, delay: Duration) -> Response<Body> {
    for tokens in &reply.choices {
        for act in &tokens.acts {
            match act {
                Act::Wait(time) => sleep(*time).await,
                Act::Break(status, text) => return bounds::refusal(*status, text),
                // A body that is dropped before it ends.
                Act::Cut => return event_stream(channel(1).1),
                Act::End => break,
                _ => sleep(delay).await,
            }
        }
    }
    ok(&reply.whole())
}

fn event_stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn page(status: u16, html: &str) -> Response<Body> {
    let mut response = Response::new(full(html.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

fn ok(value: &Value) -> Response<Body> {
    json(StatusCode::OK, value.to_string().into_bytes())
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
