//! Carries a streamed answer to the application, and shows that the connection lives while nothing comes.

use std::pin::Pin;
use std::time::Duration;

use sealwire_http::net::{BodySender, Closed};
use sealwire_http::openai::ApiError;
use tokio::time::{Instant, Sleep, sleep};

use super::prepare::Form;
use super::recent::Follow;
use super::writer::{Ending, Writer};
use crate::backend::{Next, Source};

/// Why a stream that has begun cannot take an answer.
pub(super) enum Unfit {
    /// The application is gone.
    Gone,
    /// What was sent is of another form.
    Begun(ApiError),
}

/// The application's end of one stream.
pub(super) struct Outlet {
    pub(super) writer: Writer,
    pub(super) follow: Follow,
    sender: BodySender,
    keep_alive: Duration,
    /// When something was last sent; the timer is set again only when it fires, not for each piece.
    sent: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Outlet {
    pub(super) fn new(
        writer: Writer,
        sender: BodySender,
        keep_alive: Duration,
        follow: Follow,
    ) -> Self {
        Self {
            writer,
            follow,
            sender,
            keep_alive,
            sent: Instant::now(),
            timer: Box::pin(sleep(keep_alive)),
        }
    }

    /// Sends what the application may see first.
    pub(super) async fn begin(&mut self) -> Result<(), Closed> {
        let first = self.writer.begin();
        self.sender.send(first).await
    }

    /// Goes over to the form of the answer that came, which need not be the one that was expected when the stream began.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(super) async fn adopt(&mut self, form: &Form) -> Result<(), Unfit> {
        match (self.writer.passes_on(), form) {
            // Nothing but signs of life has been written.
            (true, Form::Translated(_)) => {
                self.writer = form.writer();
                self.begin().await.map_err(|Closed| Unfit::Gone)
            }
            (false, Form::Passed { .. }) => Err(Unfit::Begun(ApiError::server_error(
                502,
                "form_changed",
                "sealwire: the answer of the default model came in another form than the one begun; name that model and try again",
            ))),
            _ => Ok(()),
        }
    }

    /// Waits for something, and shows meanwhile that the connection lives.
    ///
    /// # Errors
    /// The application is gone; what was waited for is dropped.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Closed> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = self.sender.closed() => return Err(Closed),
                () = self.timer.as_mut() => {
                    if self.sent.elapsed() >= self.keep_alive {
                        self.show_life().await?;
                    }
                    self.timer.as_mut().reset(self.sent + self.keep_alive);
                }
            }
        }
    }

    /// Shows that the connection lives.
    pub(super) async fn show_life(&mut self) -> Result<(), Closed> {
        let signs = self.writer.keep_alive();
        self.sent = Instant::now();
        self.sender.send(signs).await
    }

    /// Passes whole events on as they come, the end of the stream only when it is known to be whole. A client that is gone ends it: dropping the source
    /// gives the request up everywhere.
    pub(super) async fn carry(mut self, mut source: impl Source) {
        loop {
            let Ok(next) = self.wait(source.next()).await else {
                return;
            };
            let step = match next {
                Ok(Next::Content(content)) => self.writer.push(&content),
                Ok(Next::End) => return self.end().await,
                Err(error) => Err(error),
            };
            match step {
                Ok(events) => {
                    self.follow.sent(events.len());
                    self.sent = Instant::now();
                    if self.sender.send(events).await.is_err() {
                        return;
                    }
                }
                Err(error) => return self.fail(&error).await,
            }
        }
    }

    async fn end(self) {
        let rest = self.writer.end();
        self.follow.sent(rest.len());
        if self.sender.send(rest).await.is_ok() {
            let _ = self.sender.finish().await;
        }
    }

    /// Tells the application that the answer is broken.
    pub(super) async fn fail(self, error: &ApiError) {
        self.follow.failed(&error.code);
        let (last, ending) = self.writer.fail(error);
        if self.sender.send(last).await.is_err() {
            return;
        }
        match ending {
            Ending::Finish => {
                let _ = self.sender.finish().await;
            }
            Ending::Abort => self.sender.abort().await,
        }
    }
}
