//! `sealwire demo`: everything on loopback, one question, and two views of it side by side.

mod table;
mod tap;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use sealwire::{IdentityTrust, Suite};
use sealwire_http::carriage::{USAGE_PATH, to_base64url};
use sealwire_http::inner::PaddingWish;
use sealwire_http::net::{
    BaseUrl, ClientConfig, HttpClient, Server, ServerLimits, empty, full, next_data, read_all, say,
};
use sealwire_http::sse::{self, Splitter};
use sealwire_instance::InstanceConfig;
use sealwire_proxy::ProxyConfig;
use sealwire_relay::RelayConfig;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::demo_model::{self, DemoModelConfig};
use crate::provider::provider;
use crate::{identity_file, suites};
use table::Table;
use tap::{Seen, Tap};

const MODEL: &str = "demo";

/// Arguments of the demo.
#[derive(Args, Debug, Clone)]
pub struct DemoArgs {
    /// What to ask
    #[arg(default_value = "Why is the sky blue?")]
    question: String,
    /// The suite, 1 or 2
    #[arg(long, value_name = "N", value_parser = suites::parse, default_value = "1")]
    suite: Suite,
    /// Padding: none, padme, buckets, constant
    #[arg(long, value_name = "POLICY", default_value_t = PaddingWish::None)]
    padding: PaddingWish,
    /// Pause of the model before each token, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    token_delay_ms: u64,
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
#[error("the demo failed: {0}")]
pub struct DemoError(String);

fn failed(error: impl std::fmt::Display) -> DemoError {
    DemoError(error.to_string())
}

/// Everything that the demo runs; dropping it stops it.
struct Stack {
    _model: Server,
    _instance: sealwire_instance::Instance,
    _relay: sealwire_relay::Relay,
    _tap: Server,
    _proxy: Server,
    identity: String,
    relay: BaseUrl,
    proxy: BaseUrl,
    seen: Arc<Seen>,
}

/// Runs the demo and prints it.
///
/// # Errors
///
/// [`DemoError`] if a part does not start, the question is not answered, or the relay saw plaintext.
pub async fn run(args: DemoArgs) -> Result<(), DemoError> {
    let client = HttpClient::new(&ClientConfig::default());
    let stack = start(&args, &client).await?;
    say(&format!(
        "proxy     {}   the application speaks to it, plain HTTP on loopback",
        stack.proxy
    ));
    say(&format!(
        "relay     {}   routes and meters, cannot read",
        stack.relay
    ));
    say(&format!(
        "identity  {}   the proxy has pinned this instance",
        stack.identity
    ));
    say("");
    wait_for_model(&client, &stack.relay).await?;
    let answer = ask(&args, &client, &stack).await?;
    summary(&args, &client, &stack, &answer).await
}

async fn start(args: &DemoArgs, client: &HttpClient) -> Result<Stack, DemoError> {
    let provider = provider();
    let model = demo_model::start(DemoModelConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        model: MODEL.to_owned(),
        token_delay: Duration::from_millis(args.token_delay_ms),
        max_model_len: None,
    })
    .await
    .map_err(failed)?;
    let mut config = InstanceConfig::new(url(model.address())?, MODEL);
    config.suites = vec![args.suite];
    let seed = identity_file::fresh(&provider).map_err(failed)?;
    let instance = sealwire_instance::start(config, provider, &seed, client.clone())
        .await
        .map_err(failed)?;
    let relay = sealwire_relay::start(
        RelayConfig::new(vec![url(instance.address())?]),
        client.clone(),
    )
    .await
    .map_err(failed)?;
    let relay_url = url(relay.address())?;
    let seen = Arc::new(Seen::new());
    let tap = Server::start(
        ([127, 0, 0, 1], 0).into(),
        ServerLimits::default(),
        Arc::new(Tap::new(
            relay_url.clone(),
            client.clone(),
            Arc::clone(&seen),
        )),
    )
    .await
    .map_err(failed)?;
    let mut config = ProxyConfig::new(
        url(tap.address())?,
        IdentityTrust::pinned(&[instance.identity()]),
    );
    config.padding = args.padding;
    let proxy = sealwire_proxy::start(config, provider, client.clone())
        .await
        .map_err(failed)?;
    Ok(Stack {
        identity: to_base64url(&instance.identity()),
        proxy: url(proxy.address())?,
        relay: relay_url,
        seen,
        _model: model,
        _instance: instance,
        _relay: relay,
        _tap: tap,
        _proxy: proxy,
    })
}

fn url(address: std::net::SocketAddr) -> Result<BaseUrl, DemoError> {
    format!("http://{address}").parse().map_err(failed)
}

async fn get(client: &HttpClient, base: &BaseUrl, path: &str) -> Result<Value, DemoError> {
    let mut request = Request::new(empty());
    *request.uri_mut() = base.join(path).map_err(failed)?;
    let response = client.send(request).await.map_err(failed)?;
    let mut body = response.into_body();
    let body = read_all(&mut body, 1 << 20, Duration::from_secs(5))
        .await
        .map_err(failed)?;
    serde_json::from_slice(&body).map_err(failed)
}

/// The relay looks for its instances in the background.
async fn wait_for_model(client: &HttpClient, relay: &BaseUrl) -> Result<(), DemoError> {
    for _ in 0..100 {
        let models = get(client, relay, "/v1/models").await?;
        if models.pointer("/data/0").is_some() {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(failed("the relay did not find the instance"))
}

/// Asks the question as any OpenAI client would, and prints both views while the answer comes.
async fn ask(args: &DemoArgs, client: &HttpClient, stack: &Stack) -> Result<String, DemoError> {
    let question = json!({
        "model": MODEL,
        "stream": true,
        "messages": [{"role": "user", "content": args.question}],
    });
    let mut request = Request::new(full(question.to_string()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = stack.proxy.join("/v1/chat/completions").map_err(failed)?;
    request.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    stack.seen.clear();
    let start = Instant::now();
    let response = client.send(request).await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        let mut body = response.into_body();
        let body = read_all(&mut body, 1 << 16, Duration::from_secs(5))
            .await
            .unwrap_or_default();
        return Err(failed(format!(
            "{status} {}",
            String::from_utf8_lossy(&body)
        )));
    }

    let mut table = Table::new();
    table.title("the application", "the relay");
    table.both("POST /v1/chat/completions", "POST /sealwire/v1/requests");
    for line in stack.seen.request_lines() {
        table.right(&line);
    }
    table.left(&format!("model: {MODEL}"));
    table.left(&format!("user:  {}", args.question));
    table.rule();
    table.both(
        "200 text/event-stream",
        "200 application/vnd.sealwire.response",
    );
    table.right(&stack.seen.h2_line());

    let mut splitter = Splitter::new(1 << 20);
    let mut answer = String::new();
    let mut body = response.into_body();
    while let Some(data) = next_data(&mut body, Duration::from_secs(30))
        .await
        .map_err(failed)?
    {
        splitter.push(&data);
        while let Some(event) = splitter.next_event().map_err(failed)? {
            let Some(data) = sse::data(&event) else {
                continue;
            };
            if data == "[DONE]" {
                continue;
            }
            let value: Value = serde_json::from_str(&data).map_err(failed)?;
            if let Some(error) = value.get("error") {
                return Err(failed(error));
            }
            if let Some(token) = value
                .pointer("/choices/0/delta/content")
                .and_then(Value::as_str)
            {
                answer.push_str(token);
                table.flow(token, || stack.seen.take_line(start));
            }
        }
    }
    table.end_flow(|| stack.seen.take_line(start));
    table.both("[DONE]", "end of stream");
    table.rule();
    Ok(answer)
}

async fn summary(
    args: &DemoArgs,
    client: &HttpClient,
    stack: &Stack,
    answer: &str,
) -> Result<(), DemoError> {
    // The relay enters a stream when it has seen its end.
    let mut usage = Value::Null;
    for _ in 0..100 {
        usage = get(client, &stack.relay, USAGE_PATH).await?;
        if usage.pointer("/usage/0").is_some() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let row = usage.pointer("/usage/0").cloned().unwrap_or_default();
    let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
    say("");
    say(&format!(
        "receipt   {} tokens in, {} out, {} cached; {} verified against the identity, {} refused",
        number("tokens_in"),
        number("tokens_out"),
        number("tokens_cached"),
        number("receipts"),
        number("receipts_refused"),
    ));
    say(&format!(
        "bytes     {} up, {} down at the relay; {} in the answer's text",
        number("bytes_up"),
        number("bytes_down"),
        answer.len(),
    ));
    let leaks = stack.seen.find_plaintext(&[args.question.as_str(), answer]);
    if leaks {
        say("plaintext FOUND in what the relay saw");
        return Err(failed("the relay saw plaintext"));
    }
    say("plaintext no word of four letters or more of question or answer is in what the relay saw");
    Ok(())
}
