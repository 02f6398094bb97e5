//! The response object: its items, its counts, its identifiers.

use serde::Serialize;
use serde_json::{Value, json};

use super::echo::Echo;
use super::tools::Tools;
use crate::members::Members;
use crate::{ApiError, Moment, Settings, chat};

/// How the answer of one request is written.
pub(super) struct Shape {
    moment: Moment,
    /// The seed in hexadecimal.
    seed: String,
    pub(super) echo: Echo,
    pub(super) tools: Tools,
    pub(super) wants: Wants,
}

/// What the application wants to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// Reasoning as a summary, not as its text.
    pub(super) summary: bool,
    /// Reasoning as a blob too.
    pub(super) encrypted: bool,
    /// Log probabilities of the text.
    pub(super) logprobs: bool,
    /// Reasoning is to be split from the content.
    pub(super) split_think: bool,
}

impl Wants {
    /// Reads `include` and `reasoning`.
    ///
    /// # Errors
    /// A 400 for a member of a wrong type.
    pub(super) fn read(request: &Members, settings: &Settings) -> Result<Self, ApiError> {
        let include: Vec<Value> = request.read("include", "a list")?.unwrap_or_default();
        let reasoning: Members = request.read("reasoning", "an object")?.unwrap_or_default();
        let summary = reasoning
            .text("summary")
            .or_else(|| reasoning.text("generate_summary"));
        Ok(Self {
            summary: summary.is_some_and(|summary| summary != "none"),
            encrypted: include.contains(&json!("reasoning.encrypted_content")),
            // Which tokens belong to the text is not known where reasoning is split from it.
            logprobs: !settings.split_think
                && include.contains(&json!("message.output_text.logprobs")),
            split_think: settings.split_think,
        })
    }
}

impl Shape {
    pub(super) fn new(moment: Moment, echo: Echo, tools: Tools, wants: Wants) -> Self {
        Self {
            moment,
            seed: moment.seed.iter().map(|b| format!("{b:02x}")).collect(),
            echo,
            tools,
            wants,
        }
    }

    /// An identifier of an item or a call: the kind, the answer's seed, and a number within the answer.
    pub(super) fn id(&self, kind: &str, number: usize) -> String {
        format!("{kind}_{}{number:04x}", self.seed)
    }

    /// The response object.
    pub(super) fn response<'a>(&'a self, state: State<'a>) -> Response<'a> {
        let State {
            status,
            output,
            usage,
            incomplete,
            error,
        } = state;
        Response {
            id: format!("resp_{}", self.seed),
            object: "response",
            created_at: self.moment.unix,
            // There is no clock here, and a time before the answer would be worse than its beginning.
            completed_at: (status == Status::Completed).then_some(self.moment.unix),
            status,
            error,
            incomplete_details: incomplete.map(|reason| IncompleteDetails { reason }),
            echo: &self.echo,
            output,
            usage: usage.map(Usage::from),
        }
    }
}

/// What changes of a response while it comes.
#[derive(Default)]
pub(super) struct State<'a> {
    pub(super) status: Status,
    pub(super) output: &'a [Item],
    pub(super) usage: Option<chat::Usage>,
    /// Why it is incomplete.
    pub(super) incomplete: Option<&'static str>,
    /// Why it failed.
    pub(super) error: Option<Failure>,
}

/// A response object.
#[derive(Serialize)]
pub(super) struct Response<'a> {
    id: String,
    object: &'static str,
    created_at: u64,
    completed_at: Option<u64>,
    status: Status,
    error: Option<Failure>,
    incomplete_details: Option<IncompleteDetails>,
    #[serde(flatten)]
    echo: &'a Echo,
    output: &'a [Item],
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct IncompleteDetails {
    reason: &'static str,
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
}

/// How far a response or an item is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    #[default]
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

impl Status {
    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// An item of the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Reasoning {
        id: String,
        summary: Vec<Part>,
        content: Vec<Part>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
        status: Status,
    },
    Message {
        id: String,
        status: Status,
        role: &'static str,
        content: Vec<Part>,
    },
    FunctionCall {
        id: String,
        call_id: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        arguments: String,
        status: Status,
    },
    CustomToolCall {
        id: String,
        call_id: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        input: String,
        status: Status,
    },
}

/// A part of an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    ReasoningText {
        text: String,
    },
    SummaryText {
        text: String,
    },
    OutputText {
        text: String,
        annotations: [Value; 0],
        logprobs: Vec<Value>,
    },
    Refusal {
        refusal: String,
    },
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, Serialize)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<chat::Usage> for Usage {
    fn from(usage: chat::Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: usage.prompt_tokens_details.cached_tokens,
                cache_write_tokens: 0,
            },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputDetails {
                reasoning_tokens: usage.completion_tokens_details.reasoning_tokens,
            },
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
        }
    }
}
