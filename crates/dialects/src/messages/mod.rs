//! Anthropic Messages over Chat Completions.
//!
//! ```text
//! request   read, [`turns`] and their [`blocks`], [`tools`], [`thinking`]
//! answer    whole, or a [`stream`]; both from the same [`arguments`], [`ids`] and [`outcome`]
//! native    the same request for a model server that has this API itself
//! count     `POST /v1/messages/count_tokens`
//! ```
//!
//! What a conversation's history holds never makes a request fail: what cannot be shown to the model is left out of it, or named in a few words where it stood.

mod answer;
mod arguments;
mod blocks;
mod calls;
mod client_tools;
mod count;
mod documents;
mod ids;
mod native;
mod outcome;
mod request;
mod stream;
mod system;
mod thinking;
mod tools;
mod turns;

#[cfg(test)]
mod tests;

pub use self::count::{count_tokens, tokenize};
pub use self::native::native;

use crate::{ApiError, Moment, Settings, Translated};

/// Translates a request.
///
/// # Errors
/// [`ApiError`] that names the member which cannot be served.
pub fn translate(body: &[u8], settings: &Settings, moment: Moment) -> Result<Translated, ApiError> {
    let request = request::Request::parse(body)?;
    let chat = request::translate(&request, settings)?;
    let answer = answer::Shape::new(&chat, settings, moment);
    Ok(Translated {
        body: serde_json::Value::Object(chat.body)
            .to_string()
            .into_bytes(),
        model: chat.model,
        stream: chat.stream,
        answer: Box::new(answer::Writer::new(answer)),
        dropped: chat.dropped,
    })
}
