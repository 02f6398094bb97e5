//! The APIs that applications speak, over the one that model servers share: Chat Completions. No I/O, no clock, no randomness.
//!
//! ```text
//! application's body --responses::translate / messages::translate--> Translated { body, .. } --> model server (Chat Completions)
//! application        <--Answer::whole, or Stream--------------------------------------------- its answer
//! ```
//!
//! A request becomes a [`Translated`]: the Chat body to send, and the [`Answer`] that knows how to write what comes back. A streamed answer is a [`Stream`]:
//! each event of the model server goes in, bytes for the application come out. Errors are [`ApiError`]s until [`Dialect`] writes them as the application
//! expects them. Fields that are not known are ignored; nothing in a conversation's history makes a request fail.

pub mod chat;
pub mod clamp;
mod count;
pub mod dialect;
pub mod estimate;
mod members;
pub mod messages;
pub mod responses;
mod think;
pub mod upstream;

pub use sealwire_http::openai::ApiError;

pub use self::count::Count;
pub use self::dialect::Dialect;

/// What a translation must know of the model and of this installation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// What becomes of system messages behind the first turn.
    pub inline_system: InlineSystem,
    /// Most tokens of prompt and answer together, if the model list says so.
    pub max_model_len: Option<u64>,
    /// Separates this installation's prefix cache at the model server from those of others.
    pub cache_salt: Option<String>,
    /// The model server leaves `<think>..</think>` in the content: it becomes reasoning.
    pub split_think: bool,
    /// The model for requests that name none.
    pub default_model: Option<String>,
}

/// What becomes of system messages that stand between turns: many chat templates accept one at the start only, and hoisting them there would change the
/// beginning of the prompt with every turn, and so lose the model server's prefix cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InlineSystem {
    /// They become user messages, marked as not coming from the user.
    #[default]
    User,
    /// They stay where they are, as `system`.
    Keep,
    /// They are moved into the first system message.
    Hoist,
}

impl InlineSystem {
    /// A system message as text of a user's: marked as models know it from agents, once.
    pub(crate) fn marked(text: &str) -> String {
        if text.trim_start().starts_with("<system-reminder>") {
            text.to_owned()
        } else {
            format!("<system-reminder>\n{text}\n</system-reminder>")
        }
    }
}

/// What makes identifiers and times: the caller's clock and randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Unix time in seconds.
    pub unix: u64,
    /// Random; identifiers of this answer derive from it.
    pub seed: [u8; 16],
}

/// A request in Chat Completions, and what writes its answer.
pub struct Translated {
    /// The body of `POST /v1/chat/completions`.
    pub body: Vec<u8>,
    /// Its model.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Writes the answer.
    pub answer: Box<dyn Answer>,
    /// What was left out of the request and may be missed, for one warning each: names of tools and fields, nothing of the conversation.
    pub dropped: Vec<String>,
}

/// A request for a model server that speaks the application's API itself.
pub struct Native {
    /// The body to send, on the path that the application chose.
    pub body: Vec<u8>,
    /// Its model.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// As in [`Translated`].
    pub dropped: Vec<String>,
}

/// Writes the answer of one request in its API.
pub trait Answer: Send + Sync {
    /// The application's body for a whole Chat completion, which had a status of 2xx.
    ///
    /// # Errors
    /// [`ApiError`] if it is no Chat completion.
    fn whole(&self, chat: &[u8]) -> Result<Vec<u8>, ApiError>;

    /// The writer of a streamed answer.
    fn stream(&self) -> Box<dyn Stream>;
}

/// Writes one streamed answer. Bytes for the application are appended to `out`; they are whole events.
///
/// ```text
/// begin (event | keep_alive)* (end | fail)
/// ```
pub trait Stream: Send {
    /// What the application may see before the model server has answered.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// The data of one event of the model server, other than `[DONE]`.
    ///
    /// # Errors
    /// What the model server reports inside its stream, or that the event is none of a Chat completion; the caller tells the application by [`Stream::fail`].
    fn event(&mut self, data: &str, out: &mut Vec<u8>) -> Result<(), ApiError>;

    /// Shows that the connection lives, in a way that this API's clients honour. Allowed at any time after `begin`.
    fn keep_alive(&mut self, out: &mut Vec<u8>);

    /// The model server's stream is over and known to be whole. One that never said why the model stopped ends as an error.
    fn end(&mut self, out: &mut Vec<u8>);

    /// The answer is broken; what has been sent stays, and this is the last that the application gets.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>);
}
