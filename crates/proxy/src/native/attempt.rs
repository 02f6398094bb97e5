//! One attempt: handshake, sealed request, and the answer up to its sealed head.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use sealwire::client::{self, AwaitResponse, ClientConfig, Connected, EarlyData, ResponseProgress};
use sealwire::{Context, CryptoProvider, Limits, Sealer, SwitchKey, VerifiedBundle};
use sealwire_http::carriage::{AnswerKind, REQUESTS_PATH, answer_kind, request_headers};
use sealwire_http::inner::PaddingWish;
use sealwire_http::net::{
    Body, BodySender, HttpClient, Incoming, channel, full, next_data, read_all,
};
use sealwire_http::pacing::frame_padding;
use sealwire_http::problem::{PROBLEM_MEDIA_TYPE, Problem};

use super::error::ProxyError;
use crate::ProxyConfig;
use crate::relay::authorize;

/// Plaintext that one step seals before it hands the frames to the transport.
const SEAL_STEP: usize = 64 * 1_024;
/// Largest problem document.
const MAX_PROBLEM: usize = 64 * 1_024;

/// A verified handshake whose request is on its way.
pub(crate) struct Established {
    pub(crate) connected: ConnectedHalf,
    /// Bytes that came behind H2.
    pub(crate) rest: BytesMut,
    pub(crate) body: Incoming,
    /// The request's FINAL has been handed to the transport.
    pub(crate) request_sent: Arc<AtomicBool>,
}

/// What is needed of the handshake to read the answer.
pub(crate) struct ConnectedHalf {
    pub(crate) opener: sealwire::Opener,
    pub(crate) session: sealwire::Session,
}

/// Makes one attempt. `message` is the whole sealed request in clear; it is sealed anew each time.
#[expect(
    clippy::too_many_arguments,
    reason = "what one attempt takes, each from another owner"
)]
pub(crate) async fn run(
    config: &ProxyConfig,
    provider: &CryptoProvider,
    client: &HttpClient,
    bundle: &VerifiedBundle,
    context: &Context,
    padding: PaddingWish,
    key: Option<&str>,
    message: &Bytes,
) -> Result<Established, ProxyError> {
    let client_config = ClientConfig {
        early_data: config.early_data,
        limits: Limits::DEFAULT,
    };
    let mut first = Vec::new();
    let (mut sealer, waiting) =
        client::start(provider, &client_config, bundle, context, &mut first)
            .map_err(ProxyError::Local)?;
    sealer.set_padding(frame_padding(padding));
    let request_sent = Arc::new(AtomicBool::new(false));

    let (body, late) = match config.early_data {
        EarlyData::Allow => {
            sealer
                .finish(message, &mut first)
                .map_err(ProxyError::Local)?;
            request_sent.store(true, Ordering::Release);
            (full(first), None)
        }
        EarlyData::Never => {
            let (sender, body) = channel(4);
            // The channel is new and has room.
            let _ = sender.send(first).await;
            (body, Some((sender, sealer)))
        }
    };
    let response = client
        .send(sealed_request(config, context, key, body)?)
        .await
        .map_err(|error| ProxyError::RelayUnreachable(error.to_string()))?;
    let body = accept_response(response).await?;
    let (connected, rest, body) = read_h2(waiting, body, config.limits.handshake_time).await?;
    let Connected {
        opener,
        switch_key,
        session,
    } = connected;
    if let Some((sender, sealer)) = late {
        tokio::spawn(send_late(
            sealer,
            switch_key,
            sender,
            message.clone(),
            Arc::clone(&request_sent),
        ));
    }
    Ok(Established {
        connected: ConnectedHalf { opener, session },
        rest,
        body,
        request_sent,
    })
}

fn sealed_request(
    config: &ProxyConfig,
    context: &Context,
    key: Option<&str>,
    body: Body,
) -> Result<Request<Body>, ProxyError> {
    let uri = config
        .relay
        .join(REQUESTS_PATH)
        .map_err(|error| ProxyError::RelayUnreachable(error.to_string()))?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = request_headers(&context.encode());
    authorize(request.headers_mut(), key);
    Ok(request)
}

/// Sorts a relay's answer into a sealed one and an error of the relay plane.
async fn accept_response(response: Response<Incoming>) -> Result<Incoming, ProxyError> {
    let status = response.status();
    let not_relay = |why: String| ProxyError::NotRelay {
        status: status.as_u16(),
        why,
    };
    match answer_kind(status, response.headers()) {
        Ok(AnswerKind::Sealed) => return Ok(response.into_body()),
        Ok(AnswerKind::Problem) => {}
        Err(error) if status == StatusCode::OK => return Err(ProxyError::NotSealed(error)),
        Err(error) => return Err(not_relay(error.to_string())),
    }
    let mut body = response.into_body();
    let document = read_all(&mut body, MAX_PROBLEM, Duration::from_secs(2))
        .await
        .map_err(|error| not_relay(error.to_string()))?;
    Err(match Problem::from_json(&document) {
        Some(problem) => ProxyError::Relay(problem),
        None => not_relay(format!("no {PROBLEM_MEDIA_TYPE} in {CONTENT_TYPE}")),
    })
}

async fn read_h2(
    mut waiting: AwaitResponse,
    mut body: Incoming,
    idle: Duration,
) -> Result<(Connected, BytesMut, Incoming), ProxyError> {
    let mut buffer = BytesMut::new();
    loop {
        let data = next_data(&mut body, idle)
            .await
            .map_err(|error| ProxyError::Broken(error.to_string()))?
            .ok_or(ProxyError::Handshake(sealwire::Error::Truncated))?;
        buffer.extend_from_slice(&data);
        match waiting.read(&buffer).map_err(ProxyError::Handshake)? {
            ResponseProgress::Done {
                consumed,
                connected,
            } => {
                let _ = buffer.split_to(consumed);
                return Ok((connected, buffer, body));
            }
            ResponseProgress::NeedInput { next, .. } => waiting = next,
            _ => return Err(ProxyError::Handshake(sealwire::Error::Truncated)),
        }
    }
}

/// Sends the request after H2: SWITCH first, then the message. Ends silently when the transport is gone; the answer's side reports it.
async fn send_late(
    mut sealer: Sealer,
    switch_key: SwitchKey,
    sender: BodySender,
    message: Bytes,
    request_sent: Arc<AtomicBool>,
) {
    let mut frames = Vec::new();
    if sealer.switch(switch_key, &mut frames).is_err() {
        return;
    }
    let mut rest = message;
    while rest.len() > SEAL_STEP {
        let step = rest.split_to(SEAL_STEP);
        if sealer.seal_vec(&step, &mut frames).is_err()
            || sender.send(std::mem::take(&mut frames)).await.is_err()
        {
            return;
        }
    }
    if sealer.finish(&rest, &mut frames).is_err() {
        return;
    }
    request_sent.store(true, Ordering::Release);
    if sender.send(frames).await.is_ok() {
        let _ = sender.finish().await;
    }
}
