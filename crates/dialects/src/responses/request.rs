//! Members of a request become members of a Chat request.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::content::Content;
use super::echo::Echo;
use super::items::Conversation;
use super::object::Wants;
use super::options::{self, Options};
use super::tools::Tools;
use super::{invalid, unsupported};
use crate::members::{Members, raw, value};
use crate::{ApiError, Settings, clamp, estimate};

/// A request that was read.
pub(super) struct Request {
    /// The Chat request's body.
    pub(super) chat: Vec<u8>,
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) echo: Echo,
    pub(super) tools: Tools,
    pub(super) wants: Wants,
    pub(super) dropped: Vec<String>,
}

/// A Chat request.
#[derive(Serialize)]
struct Chat {
    model: String,
    messages: Vec<Value>,
    #[serde(flatten)]
    options: Options,
}

/// Reads a request.
///
/// # Errors
/// [`ApiError`] that names the member which cannot be served.
pub(super) fn read(body: &[u8], settings: &Settings) -> Result<Request, ApiError> {
    let request = members(body)?;
    refuse_stateful(&request)?;
    let model = model(&request, settings)?;
    let stream = request.read("stream", "a boolean")?.unwrap_or(false);
    let echo = Echo::read(&request, &model)?;
    let wants = Wants::read(&request, settings)?;
    let input = input(&request)?;
    let Prompt {
        messages,
        tools,
        mut dropped,
    } = prompt(&request, &input, settings)?;
    for name in ["max_tool_calls", "text.verbosity"] {
        if present(&request, name) {
            dropped.push(name.to_owned());
        }
    }
    if messages.is_empty() {
        return Err(invalid("input", "`input` has nothing to answer in it"));
    }
    let mut chat = Chat {
        model: model.clone(),
        messages,
        options: options::read(&request, &tools, &wants, settings, stream)?,
    };
    clamp(&mut chat, settings);
    let chat = raw(&chat);
    Ok(Request {
        chat: chat.get().as_bytes().to_vec(),
        model,
        stream,
        echo,
        tools,
        wants,
        dropped,
    })
}

/// What the model reads of a request.
pub(super) struct Prompt {
    pub(super) messages: Vec<Value>,
    pub(super) tools: Tools,
    /// Names of what was left out.
    pub(super) dropped: Vec<String>,
}

/// Makes the prompt of a request with this input.
///
/// # Errors
/// A 400 for what the model cannot be shown.
pub(super) fn prompt(
    request: &Members,
    input: &Input,
    settings: &Settings,
) -> Result<Prompt, ApiError> {
    let (mut tools, mut dropped) = (Tools::default(), Vec::new());
    if let Some(list) = request.get("tools") {
        tools.read(list, "tools", &mut dropped)?;
    }
    if let Input::Items(items) = input {
        lift_tools(items, &mut tools, &mut dropped);
    }
    let mut conversation = Conversation::new(&tools, settings.inline_system);
    if let Some(instructions) = request.text("instructions") {
        conversation.instructions(instructions);
    }
    match input {
        Input::Text(text) => conversation.user(Content::read(Some(text), "input")?),
        Input::Items(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(item) = value(item) {
                    conversation.item(&item, &format!("input[{index}]"))?;
                }
            }
        }
    }
    let messages = conversation.finish();
    Ok(Prompt {
        messages,
        tools,
        dropped,
    })
}

/// The members of a body.
///
/// # Errors
/// A 400 if it is no JSON object.
pub(super) fn members(body: &[u8]) -> Result<Members, ApiError> {
    serde_json::from_slice(body).map_err(|_| {
        ApiError::invalid_request(400, "invalid_json", "the body must be a JSON object")
    })
}

/// Refuses what needs a store.
///
/// # Errors
/// A 404 for a response that is not here, a 400 for what could not be kept.
pub(super) fn refuse_stateful(request: &Members) -> Result<(), ApiError> {
    if request.get("previous_response_id").is_some() {
        return Err(ApiError::invalid_request(
            404,
            "previous_response_not_found",
            "responses are not stored here; send the whole conversation in `input`",
        )
        .with_param("previous_response_id"));
    }
    if request.read("background", "a boolean")? == Some(true) {
        return Err(unsupported(
            "background",
            "responses are not stored here; leave `background` out and use `stream` for long answers",
        ));
    }
    for (name, instead) in [
        ("conversation", "the whole conversation in `input`"),
        ("prompt", "its text in `instructions` and `input`"),
    ] {
        if request.get(name).is_some() {
            return Err(unsupported(
                name,
                format!("`{name}` refers to what is stored elsewhere; send {instead}"),
            ));
        }
    }
    Ok(())
}

/// The model that is asked.
///
/// # Errors
/// A 400 if neither the request nor the settings name one.
pub(super) fn model(request: &Members, settings: &Settings) -> Result<String, ApiError> {
    let named: Option<String> = request.read("model", "a string")?;
    named
        .filter(|model| !model.is_empty())
        .or_else(|| settings.default_model.clone())
        .ok_or_else(|| invalid("model", "`model` must name a model; there is no default"))
}

/// What was said so far.
pub(super) enum Input {
    /// A user's text.
    Text(Value),
    /// Items.
    Items(Vec<Box<RawValue>>),
}

/// The input of a request.
///
/// # Errors
/// A 400 if it is neither text nor a list.
pub(super) fn input(request: &Members) -> Result<Input, ApiError> {
    let wrong = || invalid("input", "`input` must be a string or a list of items");
    let input = request.get("input").ok_or_else(wrong)?;
    match input.get().as_bytes().first() {
        Some(b'"') => value(input).map(Input::Text).ok_or_else(wrong),
        Some(b'[') => serde_json::from_str(input.get())
            .map(Input::Items)
            .map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// Tools that stand between the items.
fn lift_tools(items: &[Box<RawValue>], tools: &mut Tools, dropped: &mut Vec<String>) {
    for (index, item) in items.iter().enumerate() {
        if !item.get().contains("additional_tools") {
            continue;
        }
        let item: Members = serde_json::from_str(item.get()).unwrap_or_default();
        if let (Some("additional_tools"), Some(list)) =
            (item.text("type").as_deref(), item.get("tools"))
        {
            // The past does not fail a request.
            let _ = tools.read(list, &format!("input[{index}].tools"), dropped);
        }
    }
}

fn present(request: &Members, path: &str) -> bool {
    match path.split_once('.') {
        None => request.get(path).is_some(),
        Some((outer, inner)) => request
            .get(outer)
            .and_then(|outer| serde_json::from_str::<Members>(outer.get()).ok())
            .is_some_and(|outer| outer.get(inner).is_some()),
    }
}

/// Asks for no more tokens than the model has left.
fn clamp(chat: &mut Chat, settings: &Settings) {
    if let (Some(asked), Some(_)) = (chat.options.max_tokens, settings.max_model_len) {
        let whole: Value = serde_json::to_value(&*chat).unwrap_or_default();
        let most = clamp::clamp(settings, asked, estimate::prompt_tokens(&whole));
        chat.options.max_tokens = Some(most);
        chat.options.max_completion_tokens = Some(most);
    }
}
