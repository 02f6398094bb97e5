//! Writes a streamed answer.

use std::time::Duration;

use sealwire_http::net::{BodySender, Closed};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::acts::{Act, Tokens};
use super::asked::{Asked, Dialect};
use super::reply::Reply;

/// What a streamed answer counts, as `stream_options` asks.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    /// `include_usage`: an event without choices behind the last.
    last: bool,
    /// `continuous_usage_stats`: the counts so far in every event.
    running: bool,
}

impl Counts {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            last: asked.stream_option("include_usage"),
            running: asked.stream_option("continuous_usage_stats"),
        }
    }
}

/// One stream on its way.
pub(super) struct Stream {
    pub(super) reply: Reply,
    pub(super) sender: BodySender,
    /// Pause before each token.
    pub(super) delay: Duration,
    pub(super) counts: Counts,
}

enum Over {
    /// Every choice said why it ends.
    Finished,
    /// As the script wants it.
    Ended,
    Cut,
}

impl Stream {
    /// Writes it; an error is a client that went away.
    pub(super) async fn run(self) -> Result<(), Closed> {
        let over = self.write().await?;
        if matches!(over, Over::Cut) {
            self.sender.abort().await;
            return Ok(());
        }
        if self.counts.last && matches!(over, Over::Finished) {
            let mut event = self.reply.event(json!([]));
            event["usage"] = self.reply.all_usage();
            self.send(&event).await?;
        }
        self.sender.send(&b"data: [DONE]\n\n"[..]).await?;
        self.sender.finish().await
    }

    async fn write(&self) -> Result<Over, Closed> {
        let choices = &self.reply.choices;
        if self.reply.dialect == Dialect::Chat {
            let first = |index| json!({"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": null});
            let first: Vec<Value> = (0..choices.len()).map(first).collect();
            let event = self.counted(self.reply.event(first.into()), 0);
            self.send(&event).await?;
        }
        let longest = choices.iter().map(|tokens| tokens.acts.len()).max();
        for place in 0..longest.unwrap_or(0) {
            for (index, tokens) in choices.iter().enumerate() {
                let Some(act) = tokens.acts.get(place) else {
                    continue;
                };
                if let Some(over) = self.act(index, act, place).await? {
                    return Ok(over);
                }
            }
        }
        let all = choices.iter().map(Tokens::count).sum();
        for (index, tokens) in choices.iter().enumerate() {
            let event = self.reply.event(json!([self.reply.last(index, tokens)]));
            self.send(&self.counted(event, all)).await?;
        }
        Ok(Over::Finished)
    }

    async fn act(&self, index: usize, act: &Act, place: usize) -> Result<Option<Over>, Closed> {
        match act {
            Act::Wait(time) => self.pause(*time).await?,
            Act::Break(status, text) => {
                let error = json!({"error": {"message": text, "type": "InternalServerError", "param": null, "code": status}});
                self.send(&error).await?;
                return Ok(Some(Over::Ended));
            }
            Act::Cut => return Ok(Some(Over::Cut)),
            Act::End => return Ok(Some(Over::Ended)),
            _ => self.pause(self.delay).await?,
        }
        let Some(choice) = self.reply.piece(index, act) else {
            return Ok(None);
        };
        // All choices together, as far as they are.
        let said = |tokens: &Tokens| {
            let acts = tokens.acts.iter().take(place + 1);
            acts.filter(|act| act.counts()).count()
        };
        let tokens = self.reply.choices.iter().map(said).sum();
        let event = self.counted(self.reply.event(json!([choice])), tokens);
        match act {
            Act::Bytes(_) => {
                for byte in bytes(&event) {
                    self.sender.send(vec![byte]).await?;
                }
            }
            _ => self.send(&event).await?,
        }
        Ok(None)
    }

    fn counted(&self, mut event: Value, tokens: usize) -> Value {
        if self.counts.running {
            event["usage"] = self.reply.usage(tokens, 0);
        }
        event
    }

    async fn send(&self, event: &Value) -> Result<(), Closed> {
        self.sender.send(bytes(event)).await
    }

    async fn pause(&self, time: Duration) -> Result<(), Closed> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            () = self.sender.closed() => Err(Closed),
        }
    }
}

fn bytes(event: &Value) -> Vec<u8> {
    format!("data: {event}\n\n").into_bytes()
}
