//! The sealed side of an answer: pacing, padding, receipts, and the end.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sealwire::receipt::{ReceiptClaim, ReceiptIssuer};
use sealwire::{Error, Sealer, Session, StreamErrorCode};
use sealwire_http::inner::PaddingWish;
use sealwire_http::message::{ResponseHead, encode_content, encode_end};
use sealwire_http::net::{BodySender, TokioTimer};
use sealwire_http::pacing::{CONSTANT_BYTES, Emit, Pacer, Timer, frame_padding};
use sealwire_http::usage::TokenUsage;
use tokio::time::timeout;

use crate::keys::Keys;
use crate::unix_now;

/// The answer cannot go on: the peer is gone or takes nothing any more, or the sealer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl From<Error> for Gone {
    fn from(_: Error) -> Self {
        Self
    }
}

/// Seals one answer and sends it.
pub(crate) struct Answer {
    sealer: Sealer,
    sender: BodySender,
    session: Session,
    keys: Arc<Keys>,
    issuer: ReceiptIssuer,
    pacer: Pacer,
    policy: PaddingWish,
    timer: TokioTimer,
    receipt_interval: Duration,
    next_receipt: Duration,
    send_idle: Duration,
    frames: Vec<u8>,
    /// The request's FINAL has been verified.
    pub(crate) request_complete: bool,
    status: u16,
}

impl Answer {
    pub(crate) fn new(
        sealer: Sealer,
        session: Session,
        sender: BodySender,
        keys: Arc<Keys>,
        receipt_interval: Duration,
        send_idle: Duration,
    ) -> Self {
        Self {
            sealer,
            sender,
            session,
            keys,
            issuer: ReceiptIssuer::new(),
            pacer: Pacer::new(PaddingWish::None),
            policy: PaddingWish::None,
            timer: TokioTimer::start(),
            receipt_interval,
            next_receipt: receipt_interval,
            send_idle,
            frames: Vec::new(),
            request_complete: false,
            status: 0,
        }
    }

    pub(crate) fn label(&self) -> &str {
        self.session.context().label()
    }

    /// Sets the policy; before anything was pushed.
    pub(crate) fn set_policy(&mut self, policy: PaddingWish) {
        self.policy = policy;
        self.pacer = Pacer::new(policy);
        self.sealer.set_padding(frame_padding(policy));
    }

    /// Sends bytes that are not frames of the answer: H2.
    pub(crate) async fn send_raw(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        send(&self.sender, bytes, self.send_idle).await
    }

    pub(crate) async fn head(&mut self, head: &ResponseHead) -> Result<(), Gone> {
        self.status = head.status;
        let mut bytes = Vec::new();
        head.encode(&mut bytes).map_err(|_| Gone)?;
        self.push(&bytes).await
    }

    pub(crate) async fn content(&mut self, piece: &[u8]) -> Result<(), Gone> {
        let mut bytes = Vec::with_capacity(piece.len() + 8);
        encode_content(piece, &mut bytes);
        self.push(&bytes).await
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.pacer.push(self.timer.now(), bytes);
        self.send_due().await
    }

    /// Whether the source should wait: at a constant rate it can be faster than the frames.
    pub(crate) fn is_full(&self) -> bool {
        self.pacer.len() >= 64 * CONSTANT_BYTES
    }

    /// Completes when [`Answer::on_wake`] has something to do, or the peer is gone.
    pub(crate) async fn wake(&self) -> Result<(), Gone> {
        let receipt = (self.policy != PaddingWish::Constant).then_some(self.next_receipt);
        let deadline = match (self.pacer.deadline(), receipt) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let wait = async {
            match deadline {
                Some(deadline) => self.timer.sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = wait => Ok(()),
            () = self.sender.closed() => Err(Gone),
        }
    }

    /// Sends what is due: held pieces, padding at a constant rate, an interim receipt.
    pub(crate) async fn on_wake(&mut self, usage: Option<TokenUsage>) -> Result<(), Gone> {
        self.send_due().await?;
        let now = self.timer.now();
        if self.policy != PaddingWish::Constant && now >= self.next_receipt {
            self.next_receipt = self.next_receipt.saturating_add(self.receipt_interval);
            let claim = self.claim(usage);
            let receipt = self
                .issuer
                .interim(&self.session, self.keys.identity(), &claim);
            self.sealer.public(&receipt, &mut self.frames)?;
            self.flush().await?;
        }
        Ok(())
    }

    async fn send_due(&mut self) -> Result<(), Gone> {
        loop {
            match self.pacer.poll(self.timer.now()) {
                Emit::Nothing => break,
                Emit::Data(bytes) => self.sealer.seal_vec(&bytes, &mut self.frames)?,
                Emit::Padding => self.sealer.pad(CONSTANT_BYTES, &mut self.frames)?,
            }
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let frames = std::mem::take(&mut self.frames);
        send(&self.sender, frames, self.send_idle).await
    }

    /// Ends the message: the final receipt, then FINAL.
    pub(crate) async fn finish(mut self, usage: Option<TokenUsage>) -> Result<(), Gone> {
        let mut end = Vec::new();
        encode_end(&mut end);
        self.pacer.push(self.timer.now(), &end);
        self.pacer.close();
        loop {
            self.send_due().await?;
            if self.pacer.is_empty() {
                break;
            }
            self.wake().await?;
        }
        self.end(usage, |sealer, frames| sealer.finish(&[], frames))
            .await
    }

    /// Ends the message as broken: what was held back, the final receipt, then ERROR.
    pub(crate) async fn fail(
        mut self,
        code: StreamErrorCode,
        message: &str,
        usage: Option<TokenUsage>,
    ) -> Result<(), Gone> {
        self.pacer.close();
        self.send_due().await?;
        self.end(usage, |sealer, frames| sealer.fail(code, message, frames))
            .await
    }

    /// The final receipt, and directly behind it what ends the half.
    async fn end(
        mut self,
        usage: Option<TokenUsage>,
        seal: impl FnOnce(Sealer, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Gone> {
        let claim = self.claim(usage);
        let receipt = self
            .issuer
            .last(&self.session, self.keys.identity(), &claim);
        let mut frames = self.frames;
        self.sealer.public(&receipt, &mut frames)?;
        seal(self.sealer, &mut frames)?;
        send(&self.sender, frames, self.send_idle).await?;
        self.sender.finish().await.map_err(|_| Gone)
    }

    fn claim(&self, usage: Option<TokenUsage>) -> ReceiptClaim {
        ReceiptClaim {
            request_complete: self.request_complete,
            status: self.status,
            usage: usage.map(|usage| sealwire::receipt::Usage {
                tokens_in: usage.input,
                tokens_out: usage.output,
                tokens_cached: usage.cached,
            }),
            time: unix_now(),
        }
    }
}

async fn send(sender: &BodySender, bytes: Vec<u8>, idle: Duration) -> Result<(), Gone> {
    match timeout(idle, sender.send(bytes)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}
