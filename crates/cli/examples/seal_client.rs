//! One sealed request, without a proxy: the body comes from standard input, the answer goes to standard output as it is opened.
//!
//! The exit code is 0 only if the answer's end is verified and its final receipt is in order; everything else is `error CODE: text` on standard
//! error and exit code 1. Without arguments it starts a model server and an instance of its own and asks them something.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use clap::{Parser, ValueEnum};
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use sealwire::client::{AwaitResponse, ClientConfig, Connected, EarlyData, ResponseProgress};
use sealwire::crypto::Secret;
use sealwire::receipt::{ReceiptChecker, ReceiptKind};
use sealwire::{
    Bundle, BundlePolicy, Context, IdentityTrust, Limits, RelayCode, Sealer, StreamErrorCode,
    Suite, SwitchKey, VerifiedBundle, client, rustcrypto,
};
use sealwire_cli::{demo_model, suites};
use sealwire_http::carriage::{
    BUNDLES_PATH, REQUESTS_PATH, RESPONSE_MEDIA_TYPE, check_media_type, request_headers,
};
use sealwire_http::discovery::{BundleQuery, MAX_DISCOVERY_BYTES, bundles_from_json};
use sealwire_http::inner::{PADDING_FIELD, TIME_FIELD};
use sealwire_http::message::{
    Fields, MessageLimits, RequestHead, ResponseHead, encode_content, encode_end,
};
use sealwire_http::net::{
    BaseUrl, Body, BodySender, HttpClient, Incoming, channel, empty, full, next_data, read_all,
};
use sealwire_http::problem::{PROBLEM_MEDIA_TYPE, Problem};
use sealwire_http::sealed::{SealedError, SealedEvent, SealedMessage};
use tokio::sync::oneshot;

const HANDSHAKE_TIME: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(180);
const DRIP_PAUSE: Duration = Duration::from_millis(20);

#[derive(Parser)]
#[command(name = "seal_client")]
struct Args {
    /// A relay, or an instance
    #[arg(long)]
    url: BaseUrl,
    /// The model
    #[arg(long)]
    label: String,
    /// 1 or 2
    #[arg(long, value_parser = suites::parse)]
    suite: Suite,
    /// The instance's identity key, hexadecimal
    #[arg(long, value_name = "HEX", value_parser = parse_hex)]
    identity: [u8; 32],
    /// Whether content leaves before the instance has answered the handshake
    #[arg(long, value_enum, default_value = "allow")]
    early: Early,
    /// The relay's key
    #[arg(long)]
    key: Option<String>,
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// Sends the content in this many pieces, 20 ms apart
    #[arg(long, value_name = "N")]
    drip: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Early {
    Allow,
    Never,
}

fn parse_hex(text: &str) -> Result<[u8; 32], String> {
    let bad = || "an identity is 64 hexadecimal digits".to_owned();
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(bad());
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * index..2 * index + 2).ok_or_else(bad)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
    }
    Ok(bytes)
}

/// Why there is no verified answer.
struct Failure {
    code: String,
    text: String,
}

impl Failure {
    fn new(code: &str, text: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            text: text.into(),
        }
    }
}

impl From<sealwire::Error> for Failure {
    fn from(error: sealwire::Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<SealedError> for Failure {
    fn from(error: SealedError) -> Self {
        match error {
            SealedError::Frames(error) => error.into(),
            other => Self::new("bad-message", other.to_string()),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(problem.code.as_str(), problem.detail)
    }
}

fn stream_code(code: StreamErrorCode) -> &'static str {
    match code {
        StreamErrorCode::Cancelled => "cancelled",
        StreamErrorCode::Upstream => "upstream",
        StreamErrorCode::UpstreamTimeout => "upstream-timeout",
        StreamErrorCode::TooLarge => "too-large",
        StreamErrorCode::Protocol => "protocol",
        StreamErrorCode::Incomplete => "incomplete",
        StreamErrorCode::ShuttingDown => "shutting-down",
        _ => "internal",
    }
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = if std::env::args().len() == 1 {
        ask_ourselves().await
    } else {
        let args = Args::parse();
        let mut content = Vec::new();
        match std::io::stdin().lock().read_to_end(&mut content) {
            Ok(_) => ask(&args, content).await,
            Err(error) => Err(Failure::new("input", error.to_string())),
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, text }) => {
            eprintln!("error {code}: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn ask_ourselves() -> Result<(), Failure> {
    let failed = |why: String| Failure::new("start", why);
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let model = demo_model::start(demo_model::DemoModelConfig {
        listen,
        model: "demo".to_owned(),
        token_delay: Duration::from_millis(20),
        max_model_len: None,
    })
    .await
    .map_err(|error| failed(error.to_string()))?;
    let url = |address: SocketAddr| -> Result<BaseUrl, Failure> {
        format!("http://{address}")
            .parse()
            .map_err(|_| failed(address.to_string()))
    };
    let instance = sealwire_instance::start(
        sealwire_instance::InstanceConfig::new(url(model.address())?, "demo"),
        rustcrypto::provider(),
        &Secret::new([7; 32]),
        HttpClient::new(&sealwire_http::net::ClientConfig::default()),
    )
    .await
    .map_err(|error| failed(error.to_string()))?;
    let args = Args {
        url: url(instance.address())?,
        label: "demo".to_owned(),
        suite: Suite::MlKem768,
        identity: instance.identity(),
        early: Early::Never,
        key: None,
        path: "/v1/chat/completions".to_owned(),
        drip: Some(3),
    };
    let question = br#"{"model":"demo","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"Why is the sky blue?"}]}"#;
    ask(&args, question.to_vec()).await
}

async fn ask(args: &Args, content: Vec<u8>) -> Result<(), Failure> {
    let http = HttpClient::new(&sealwire_http::net::ClientConfig::default());
    let provider = rustcrypto::provider();
    let bundle = discover(args, &http).await?;
    let mut request_id = [0; 16];
    provider
        .random
        .fill(&mut request_id)
        .map_err(sealwire::Error::from)?;
    let context = Context::new(&args.label, request_id, 1)?;
    let config = ClientConfig {
        early_data: match args.early {
            Early::Allow => EarlyData::Allow,
            Early::Never => EarlyData::Never,
        },
        limits: Limits::DEFAULT,
    };
    let mut h1 = Vec::new();
    let (sealer, waiting) = client::start(&provider, &config, &bundle, &context, &mut h1)?;

    let (late_key, switch_key) = oneshot::channel();
    let body = if args.early == Early::Allow && args.drip.is_none() {
        let mut whole = h1;
        let message: Vec<u8> = pieces(args, &content)?.concat();
        sealer.finish(&message, &mut whole)?;
        full(whole)
    } else {
        let (sender, body) = channel(4);
        let _ = sender.send(h1).await;
        let pieces = pieces(args, &content)?;
        tokio::spawn(send(sealer, switch_key, args.early, sender, pieces));
        body
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = join(args, REQUESTS_PATH)?;
    *request.headers_mut() = request_headers(&context.encode());
    authorize(args, request.headers_mut())?;
    let answered = tokio::time::timeout(HANDSHAKE_TIME, handshake(&http, request, waiting)).await;
    let (connected, rest, body) = answered
        .map_err(|_| Failure::new("handshake-timeout", "no answer to the handshake in time"))??;
    let receipts = ReceiptChecker::for_session(&connected.session);
    let _ = late_key.send(connected.switch_key);
    answer(connected.opener, receipts, &rest, body).await
}

/// The inner message: its head, the content in pieces, its end.
fn pieces(args: &Args, content: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let bad = |error: sealwire_http::message::MessageError| {
        Failure::new("bad-message", error.to_string())
    };
    let mut fields = Fields::new();
    let time = unix_now().to_string();
    for (name, value) in [
        ("content-type", "application/json"),
        (TIME_FIELD, &time),
        (PADDING_FIELD, "none"),
    ] {
        fields.push(name, value.as_bytes()).map_err(bad)?;
    }
    let head = RequestHead {
        method: "POST".to_owned(),
        path: args.path.clone(),
        fields,
    };
    let mut first = Vec::new();
    head.encode(&mut first).map_err(bad)?;
    let mut pieces = vec![first];
    let step = content.len().div_ceil(args.drip.unwrap_or(1).max(1)).max(1);
    for piece in content.chunks(step) {
        let mut encoded = Vec::new();
        encode_content(piece, &mut encoded);
        pieces.push(encoded);
    }
    let mut end = Vec::new();
    encode_end(&mut end);
    pieces.push(end);
    Ok(pieces)
}

/// Sends the pieces, each in frames of its own. A transport that is gone is reported by the answer's side.
async fn send(
    mut sealer: Sealer,
    mut switch_key: oneshot::Receiver<SwitchKey>,
    early: Early,
    sender: BodySender,
    pieces: Vec<Vec<u8>>,
) {
    let mut frames = Vec::new();
    let mut switched = false;
    if early == Early::Never {
        let Ok(key) = (&mut switch_key).await else {
            return;
        };
        if sealer.switch(key, &mut frames).is_err() {
            return;
        }
        switched = true;
    }
    let (last, rest) = match pieces.split_last() {
        Some(split) => split,
        None => return,
    };
    for piece in rest {
        // H2 may have come in the meantime: from then on it is the late key.
        if !switched && let Ok(key) = switch_key.try_recv() {
            if sealer.switch(key, &mut frames).is_err() {
                return;
            }
            switched = true;
        }
        if sealer.seal_vec(piece, &mut frames).is_err()
            || sender.send(std::mem::take(&mut frames)).await.is_err()
        {
            return;
        }
        tokio::time::sleep(DRIP_PAUSE).await;
    }
    if sealer.finish(last, &mut frames).is_ok() && sender.send(frames).await.is_ok() {
        let _ = sender.finish().await;
    }
}

async fn handshake(
    http: &HttpClient,
    request: Request<Body>,
    mut waiting: AwaitResponse,
) -> Result<(Connected, BytesMut, Incoming), Failure> {
    let response = http.send(request).await.map_err(unreachable)?;
    let is_sealed = check_media_type(response.headers(), RESPONSE_MEDIA_TYPE).is_ok();
    if response.status() != StatusCode::OK || !is_sealed {
        return Err(refusal(response).await);
    }
    let mut body = response.into_body();
    let mut buffer = BytesMut::new();
    loop {
        match waiting.read(&buffer)? {
            ResponseProgress::Done {
                consumed,
                connected,
            } => {
                let _ = buffer.split_to(consumed);
                return Ok((connected, buffer, body));
            }
            ResponseProgress::NeedInput { next, .. } => waiting = next,
            _ => return Err(sealwire::Error::Truncated.into()),
        }
        match next_data(&mut body, HANDSHAKE_TIME).await {
            Ok(Some(data)) => buffer.extend_from_slice(&data),
            _ => return Err(sealwire::Error::Truncated.into()),
        }
    }
}

/// Writes the answer out as it is opened; Ok only after a verified end.
async fn answer(
    opener: sealwire::Opener,
    mut receipts: ReceiptChecker,
    rest: &[u8],
    mut body: Incoming,
) -> Result<(), Failure> {
    let limits = MessageLimits {
        content: u64::MAX,
        ..MessageLimits::default()
    };
    let mut message: SealedMessage<ResponseHead> = SealedMessage::new(opener, limits);
    message.push(rest);
    let mut status = 0;
    let mut complete = None;
    let mut out = std::io::stdout().lock();
    loop {
        let Some(event) = message.next_event()? else {
            match next_data(&mut body, IDLE).await {
                Ok(Some(data)) => message.push(&data),
                Ok(None) => {
                    message.end_of_input()?;
                    return Err(sealwire::Error::Truncated.into());
                }
                Err(error) => return Err(Failure::new("truncated", error.to_string())),
            }
            continue;
        };
        match event {
            SealedEvent::Head(head) => status = head.status,
            SealedEvent::Content(content) => {
                out.write_all(&content)
                    .and_then(|()| out.flush())
                    .map_err(|error| Failure::new("output", error.to_string()))?;
            }
            SealedEvent::Public(bytes) => {
                let receipt = receipts.check(&rustcrypto::verification(), &bytes)?;
                if receipt.kind == ReceiptKind::Final {
                    complete = Some(receipt.request_complete);
                }
            }
            SealedEvent::Failed { code, message } => {
                return Err(Failure::new(stream_code(code), message));
            }
            SealedEvent::Finished => break,
        }
    }
    match complete {
        None => Err(Failure::new("no-receipt", "there is no final receipt")),
        Some(false) if status < 400 => {
            let text = "the instance answered before it had the whole request";
            Err(Failure::new("early-response", text))
        }
        Some(_) if status >= 400 => Err(Failure::new(
            &format!("status-{status}"),
            "the answer is an error of the instance or the model server",
        )),
        Some(_) => Ok(()),
    }
}

async fn discover(args: &Args, http: &HttpClient) -> Result<VerifiedBundle, Failure> {
    let query = BundleQuery {
        label: args.label.clone(),
        single_use: false,
        suite: Some(args.suite.to_u16()),
    };
    let mut request = Request::new(empty());
    *request.uri_mut() = join(args, &format!("{BUNDLES_PATH}?{}", query.to_query()))?;
    authorize(args, request.headers_mut())?;
    let response = http.send(request).await.map_err(unreachable)?;
    if response.status() != StatusCode::OK {
        return Err(refusal(response).await);
    }
    let list = body(response, MAX_DISCOVERY_BYTES).await;
    let offered = bundles_from_json(&list)
        .ok_or_else(|| Failure::new("internal", "discovery gave no list of bundles"))?;
    let provider = rustcrypto::provider();
    let policy = BundlePolicy::new(&args.label, IdentityTrust::pinned(&[args.identity]))
        .suites(&[args.suite]);
    let mut why = Failure::new("no-bundle", "discovery offers no bundle of this suite");
    for bytes in offered {
        let checked = Bundle::parse(&provider.verification, &bytes)
            .and_then(|bundle| bundle.verify(&provider, &policy, unix_now()));
        match checked {
            Ok(bundle) => return Ok(bundle),
            Err(error) => why = error.into(),
        }
    }
    Err(why)
}

fn join(args: &Args, path: &str) -> Result<http::Uri, Failure> {
    args.url
        .join(path)
        .map_err(|error| Failure::new("url", error.to_string()))
}

fn authorize(args: &Args, headers: &mut HeaderMap) -> Result<(), Failure> {
    if let Some(key) = &args.key {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| Failure::new("key", "a key is printable ASCII"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(())
}

fn unreachable(error: sealwire_http::net::ClientError) -> Failure {
    Failure::new("unreachable", error.to_string())
}

async fn body(response: Response<Incoming>, limit: usize) -> Bytes {
    read_all(&mut response.into_body(), limit, HANDSHAKE_TIME)
        .await
        .unwrap_or_default()
}

/// An error of the relay plane.
async fn refusal(response: Response<Incoming>) -> Failure {
    let is_problem = check_media_type(response.headers(), PROBLEM_MEDIA_TYPE).is_ok();
    let text = format!("{} and no problem document", response.status());
    match Problem::from_json(&body(response, MAX_DISCOVERY_BYTES).await) {
        Some(problem) if is_problem => problem.into(),
        _ => Failure::new(RelayCode::Internal.as_str(), text),
    }
}
