//! Stands before the relay and keeps a copy of what it gets and gives: the relay's view, byte for byte.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::{Method, Request, Response, StatusCode};
use sealwire::frame::{FrameHeader, FrameType, HEADER_LEN};
use sealwire::handshake::{ParsedRequest, RequestProgress, h2_len};
use sealwire::{Context, Suite};
use sealwire_http::carriage::{REQUESTS_PATH, context_bytes};
use sealwire_http::net::{
    BaseUrl, Body, Handler, HttpClient, Incoming, channel, full, lock, next_data, read_all, text,
};

const IDLE: Duration = Duration::from_secs(60);

/// What the relay saw of the last sealed exchange.
pub(super) struct Seen(Mutex<View>);

#[derive(Default)]
struct View {
    context: Vec<u8>,
    up: Vec<u8>,
    down: BytesMut,
    /// Everything that came down, for the search at the end.
    all_down: Vec<u8>,
    suite: Option<Suite>,
    h2_seen: bool,
    h2: Vec<u8>,
    frames: Vec<Frame>,
}

struct Frame {
    public: bool,
    length: usize,
    /// The first bytes behind the header.
    start: Vec<u8>,
    at: Instant,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self(Mutex::new(View::default()))
    }

    pub(super) fn clear(&self) {
        *self.lock() = View::default();
    }

    /// The relay's view of the request.
    pub(super) fn request_lines(&self) -> Vec<String> {
        let view = self.lock();
        let mut lines = Vec::new();
        if let Ok(context) = Context::parse(&view.context) {
            lines.push(format!(
                "label {:?}, attempt {}, request {}..",
                context.label(),
                context.attempt(),
                hex(&context.request_id(), 4),
            ));
        }
        if let Ok(RequestProgress::Done { consumed, request }) = ParsedRequest::read(&view.up) {
            lines.push(format!(
                "H1 {consumed} B: bundle {}.. {}..",
                hex(&request.bundle_id(), 4),
                hex(view.up.get(22..).unwrap_or_default(), 4),
            ));
            let mut rest = view.up.get(consumed..).unwrap_or_default();
            while let Some(header) = rest.first_chunk::<HEADER_LEN>() {
                let Ok(header) = FrameHeader::decode(*header) else {
                    break;
                };
                lines.push(format!(
                    "SEALED {} B: {}..",
                    header.frame_len(),
                    hex(rest.get(HEADER_LEN..).unwrap_or_default(), 12),
                ));
                rest = rest.get(header.frame_len()..).unwrap_or_default();
            }
        }
        lines
    }

    /// The relay's view of H2.
    pub(super) fn h2_line(&self) -> String {
        let view = self.lock();
        format!(
            "H2 {} B: {}..",
            view.h2.len(),
            hex(view.h2.get(2..).unwrap_or_default(), 12)
        )
    }

    /// One line about the frames since the last call.
    pub(super) fn take_line(&self, start: Instant) -> String {
        let frames = std::mem::take(&mut self.lock().frames);
        let Some(last) = frames.last() else {
            return String::new();
        };
        let time = last.at.saturating_duration_since(start).as_millis();
        let sealed: Vec<&Frame> = frames.iter().filter(|frame| !frame.public).collect();
        let sizes: usize = sealed.iter().map(|frame| frame.length).sum();
        let mut line = format!("+{time:>4} ms");
        if let Some(frame) = sealed.first() {
            line.push_str(&format!(
                "  {:>2} SEALED {sizes:>5} B  {}..",
                sealed.len(),
                hex(&frame.start, 3)
            ));
        }
        if frames.iter().any(|frame| frame.public) {
            line.push_str("  receipt");
        }
        line
    }

    /// Whether a word of four letters or more of any text is in what the relay saw. The label is no secret.
    pub(super) fn find_plaintext(&self, texts: &[&str]) -> bool {
        let view = self.lock();
        texts
            .iter()
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
            .filter(|word| word.len() >= 4)
            .any(|word| {
                [&view.up, &view.all_down].iter().any(|bytes| {
                    bytes
                        .windows(word.len())
                        .any(|part| part == word.as_bytes())
                })
            })
    }

    fn up(&self, bytes: &[u8]) {
        let mut view = self.lock();
        view.up.extend_from_slice(bytes);
        if let Ok(RequestProgress::Done { request, .. }) = ParsedRequest::read(&view.up) {
            view.suite = Some(request.suite());
        }
    }

    fn down(&self, bytes: &[u8]) {
        let mut view = self.lock();
        view.all_down.extend_from_slice(bytes);
        view.down.extend_from_slice(bytes);
        if !view.h2_seen {
            let Some(suite) = view.suite else { return };
            if view.down.len() < h2_len(suite) {
                return;
            }
            let h2 = view.down.split_to(h2_len(suite));
            view.h2 = h2.to_vec();
            view.h2_seen = true;
        }
        while let Some(header) = view.down.first_chunk::<HEADER_LEN>() {
            let Ok(header) = FrameHeader::decode(*header) else {
                return;
            };
            if view.down.len() < header.frame_len() {
                return;
            }
            let frame = view.down.split_to(header.frame_len());
            view.frames.push(Frame {
                public: header.frame_type == FrameType::Public,
                length: frame.len(),
                start: frame.iter().skip(HEADER_LEN).take(8).copied().collect(),
                at: Instant::now(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        lock(&self.0)
    }
}

fn hex(bytes: &[u8], most: usize) -> String {
    bytes
        .iter()
        .take(most)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Forwards everything to the relay.
pub(super) struct Tap {
    relay: BaseUrl,
    client: HttpClient,
    seen: Arc<Seen>,
}

impl Tap {
    pub(super) const fn new(relay: BaseUrl, client: HttpClient, seen: Arc<Seen>) -> Self {
        Self {
            relay,
            client,
            seen,
        }
    }
}

impl Handler for Tap {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        self.forward(request)
            .await
            .unwrap_or_else(|why| text(StatusCode::BAD_GATEWAY, &why))
    }
}

impl Tap {
    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Body>, String> {
        let (mut parts, mut body) = request.into_parts();
        let sealed = parts.method == Method::POST && parts.uri.path() == REQUESTS_PATH;
        let path = parts
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        parts.uri = self.relay.join(path).map_err(|error| error.to_string())?;
        // The request of the demo is small and complete: no need to stream it.
        let content = read_all(&mut body, 64 * 1_024 * 1_024, IDLE)
            .await
            .map_err(|error| error.to_string())?;
        if sealed {
            self.seen.lock().context = context_bytes(&parts.headers).unwrap_or_default();
            self.seen.up(&content);
        }
        let answer = self
            .client
            .send(Request::from_parts(parts, full(content)))
            .await
            .map_err(|error| error.to_string())?;
        let (parts, mut body) = answer.into_parts();
        let (sender, answer) = channel(4);
        let seen = sealed.then(|| Arc::clone(&self.seen));
        tokio::spawn(async move {
            while let Ok(data) = next_data(&mut body, IDLE).await {
                let Some(data) = data else {
                    let _ = sender.finish().await;
                    return;
                };
                if let Some(seen) = &seen {
                    seen.down(&data);
                }
                if sender.send(data).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::from_parts(parts, answer))
    }
}
