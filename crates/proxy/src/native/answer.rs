//! The sealed answer, opened piece by piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use sealwire::crypto::Verification;
use sealwire::receipt::{ReceiptChecker, ReceiptKind};
use sealwire_http::inner::RESPONSE_FIELDS;
use sealwire_http::message::{MessageLimits, ResponseHead};
use sealwire_http::net::{Incoming, next_data};
use sealwire_http::openai::ApiError;
use sealwire_http::sealed::{SealedEvent, SealedMessage};

use super::attempt::Established;
use super::error::ProxyError;
use crate::backend::{Answered, Next, Source};

/// Reads one sealed answer and checks its receipts on the way.
pub(crate) struct Reader {
    message: SealedMessage<ResponseHead>,
    body: Incoming,
    idle: Duration,
    verification: Verification,
    receipts: ReceiptChecker,
    status: u16,
    request_sent: Arc<AtomicBool>,
    /// The final receipt says whether the instance had the whole request.
    request_complete: Option<bool>,
}

impl Reader {
    async fn event(&mut self) -> Result<SealedEvent<ResponseHead>, ProxyError> {
        loop {
            if let Some(event) = self.message.next_event().map_err(ProxyError::Sealed)? {
                return Ok(event);
            }
            match next_data(&mut self.body, self.idle).await {
                Ok(Some(data)) => self.message.push(&data),
                Ok(None) => {
                    self.message.end_of_input().map_err(ProxyError::Sealed)?;
                    return Err(ProxyError::Broken("no end".to_owned()));
                }
                Err(error) => return Err(ProxyError::Broken(error.to_string())),
            }
        }
    }

    async fn head(&mut self) -> Result<ResponseHead, ProxyError> {
        loop {
            match self.event().await? {
                SealedEvent::Head(head) => {
                    self.status = head.status;
                    return Ok(head);
                }
                SealedEvent::Public(body) => self.receipt(&body)?,
                SealedEvent::Failed { code, message } => {
                    return Err(ProxyError::Instance { code, message });
                }
                // The decoder gives the head first, and FINAL only after a whole message.
                SealedEvent::Content(_) | SealedEvent::Finished => {
                    return Err(ProxyError::Broken("no head".to_owned()));
                }
            }
        }
    }

    async fn read(&mut self) -> Result<Next, ProxyError> {
        loop {
            match self.event().await? {
                SealedEvent::Content(content) => return Ok(Next::Content(content)),
                SealedEvent::Public(body) => self.receipt(&body)?,
                SealedEvent::Finished => {
                    let complete = self.request_complete.unwrap_or(true)
                        && self.request_sent.load(Ordering::Acquire);
                    if self.status < 400 && !complete {
                        return Err(ProxyError::EarlyAnswer);
                    }
                    return Ok(Next::End);
                }
                SealedEvent::Failed { code, message } => {
                    return Err(ProxyError::Instance { code, message });
                }
                SealedEvent::Head(_) => {
                    return Err(ProxyError::Broken("a second head".to_owned()));
                }
            }
        }
    }

    fn receipt(&mut self, body: &[u8]) -> Result<(), ProxyError> {
        let receipt = self
            .receipts
            .check(&self.verification, body)
            .map_err(ProxyError::Receipt)?;
        if receipt.kind == ReceiptKind::Final {
            self.request_complete = Some(receipt.request_complete);
        }
        Ok(())
    }
}

impl Source for Reader {
    async fn next(&mut self) -> Result<Next, ApiError> {
        self.read().await.map_err(|error| error.to_api())
    }
}

/// Reads up to the sealed head. Nothing reaches the application before it is open.
pub(super) async fn begin(
    established: Established,
    verification: Verification,
    idle: Duration,
) -> Result<Answered<Reader>, ProxyError> {
    let limits = MessageLimits {
        content: u64::MAX,
        ..MessageLimits::default()
    };
    let mut reader = Reader {
        receipts: ReceiptChecker::for_session(&established.connected.session),
        message: SealedMessage::new(established.connected.opener, limits),
        body: established.body,
        idle,
        verification,
        status: 0,
        request_sent: established.request_sent,
        request_complete: None,
    };
    reader.message.push(&established.rest);
    let head = reader.head().await?;
    let status = StatusCode::from_u16(head.status)
        .map_err(|_| ProxyError::Broken("a status that is none".to_owned()))?;
    Ok(Answered {
        status,
        fields: fields(&head),
        source: reader,
    })
}

fn fields(head: &ResponseHead) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in head.fields.iter() {
        if !RESPONSE_FIELDS.contains(&name) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            fields.append(name, value);
        }
    }
    fields
}
