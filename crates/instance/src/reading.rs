//! The model server's answer as it comes, in pieces, to an end that is proper or named.

use std::time::Duration;

use bytes::Bytes;
use sealwire::StreamErrorCode;
use sealwire_http::net::{Incoming, ReadError, next_data_by};
use sealwire_http::openai::ApiError;
use sealwire_http::sse::EventTooLarge;
use sealwire_http::usage::TokenUsage;
use tokio::time::Instant;

use crate::upstream::Answered;
use crate::usage::{Improper, UsageReader};

/// What went wrong within an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the model server was silent for {} s within its answer", .0.as_secs())]
    Silent(Duration),
    #[error("the model server broke off within its answer")]
    Broken,
    #[error("the model server's answer ended without a proper end")]
    Improper,
    #[error(transparent)]
    Event(#[from] EventTooLarge),
    /// Only where an answer must be held whole.
    #[error("the model server's answer has more than {0} bytes")]
    TooLarge(usize),
}

impl Fault {
    pub(crate) const fn stream_code(self) -> StreamErrorCode {
        match self {
            Self::Silent(_) => StreamErrorCode::UpstreamTimeout,
            _ => StreamErrorCode::Upstream,
        }
    }

    /// As an error of the API, for answers that carry no other kind.
    pub(crate) fn to_api_error(self) -> ApiError {
        let (status, code) = match self {
            Self::Silent(_) => (504, "upstream_timeout"),
            _ => (502, "upstream"),
        };
        ApiError::server_error(status, code, self.to_string())
    }
}

/// How far an answer is.
#[derive(Debug)]
pub(crate) enum Step {
    More,
    End {
        /// The last bytes for the client.
        rest: Bytes,
        usage: Option<TokenUsage>,
    },
}

/// Reads one answer.
pub(crate) struct Reading {
    body: Incoming,
    usage: UsageReader,
    idle: Duration,
    idle_by: Instant,
    delimited: bool,
}

impl Reading {
    /// `strip_usage` leaves out the event that holds usage and no choices.
    pub(crate) fn new(answered: Answered, strip_usage: bool, idle: Duration) -> Self {
        Self {
            usage: UsageReader::new(answered.content_type(), strip_usage),
            body: answered.body,
            idle,
            idle_by: Instant::now() + idle,
            delimited: answered.delimited,
        }
    }

    /// The reader was not listening: silence counts from now.
    pub(crate) fn forgive_silence(&mut self) {
        self.idle_by = Instant::now() + self.idle;
    }

    /// Usage so far, if the model server has said any.
    pub(crate) const fn usage(&self) -> Option<TokenUsage> {
        self.usage.so_far()
    }

    /// Waits for more and appends it, one entry for each event of a stream. What came before a fault is appended too. Giving up waiting loses nothing.
    pub(crate) async fn next(&mut self, out: &mut Vec<Bytes>) -> Result<Step, Fault> {
        let data = next_data_by(&mut self.body, self.idle_by, self.idle).await;
        self.forgive_silence();
        match data {
            Ok(Some(data)) => {
                self.usage.push(data, out)?;
                Ok(Step::More)
            }
            Ok(None) => match self.usage.finish(self.delimited) {
                Ok((rest, usage)) => Ok(Step::End { rest, usage }),
                Err(Improper) => Err(Fault::Improper),
            },
            Err(ReadError::Idle(time)) => Err(Fault::Silent(time)),
            Err(_) => Err(Fault::Broken),
        }
    }
}
