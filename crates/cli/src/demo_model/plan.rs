//! From a request to what is answered.

use serde_json::{Value, json};

use super::asked::{Asked, Dialect, Question, role, tools};
use super::script::{self, Step, Style};
use super::{schema, text};

/// The steps of the answer to one question.
pub(super) fn plan(asked: &Asked, question: &Question) -> Vec<Step> {
    if let Some(said) = tool_results(asked) {
        return vec![Step::Say(said)];
    }
    // Some clients put words of their own before the user's.
    let last_line = question.script.lines().next_back().unwrap_or_default();
    let steps = script::parse(&question.script).or_else(|| script::parse(last_line));
    if let Some(steps) = steps {
        return steps.into_iter().map(|step| settled(asked, step)).collect();
    }
    let mut steps = Vec::new();
    if asked.dialect == Dialect::Chat && asked.thinks() {
        let thought = "The question is short, so the answer may be too.".to_owned();
        steps.push(Step::Think(Style::Content, thought));
    }
    steps.push(match forced_call(asked) {
        Some(call) => call,
        None => Step::Say(said(asked, question)),
    });
    steps
}

/// A script's step as it can be done here.
fn settled(asked: &Asked, step: Step) -> Step {
    match step {
        Step::Call { name, .. } if asked.dialect == Dialect::Completion => {
            Step::Say(format!("Completions cannot call {name}."))
        }
        Step::Call { name, .. } if choice(asked) == "none" => {
            Step::Say(format!("I was told to call no tool, not even {name}."))
        }
        Step::Call { name, .. } if !tools(&asked.body).iter().any(|(tool, _)| *tool == name) => {
            Step::Say(format!("I was offered no tool {name}."))
        }
        Step::Show(pointer) => Step::Say(asked.shown(&pointer).to_string()),
        other => other,
    }
}

/// What the tools said, if that came last, and what the model had thought when it called them, if that came back.
fn tool_results(asked: &Asked) -> Option<String> {
    let messages = asked.messages();
    let results: Vec<String> = messages
        .iter()
        .rev()
        .take_while(|message| role(message) == "tool")
        .map(|message| text::of(message.get("content")))
        .collect();
    if results.is_empty() {
        return None;
    }
    let said: Vec<String> = results.into_iter().rev().collect();
    let mut said = format!("The tool said: {}", said.join(" | "));
    let turn = messages.iter().rev().find(|m| role(m) == "assistant");
    let thought = turn.and_then(|turn| turn.get("reasoning_content").or(turn.get("reasoning")));
    if let Some(thought) = thought.and_then(Value::as_str) {
        said.push_str(" (I had thought: ");
        said.push_str(thought);
        said.push(')');
    }
    Some(said)
}

fn choice(asked: &Asked) -> &str {
    let choice = asked.body.get("tool_choice");
    choice.and_then(Value::as_str).unwrap_or("")
}

/// The call that `tool_choice` wants whatever the question is.
fn forced_call(asked: &Asked) -> Option<Step> {
    let offered = tools(&asked.body);
    let named = asked.body.pointer("/tool_choice/function/name");
    let (name, schema) = match named.and_then(Value::as_str) {
        Some(named) => offered.iter().find(|(name, _)| *name == named)?,
        None if choice(asked) == "required" => offered.first()?,
        None => return None,
    };
    Some(Step::Call {
        id: None,
        name: (*name).to_owned(),
        arguments: schema::smallest(schema).to_string(),
    })
}

fn said(asked: &Asked, question: &Question) -> String {
    let format = asked.body.get("response_format");
    let format = |pointer: &str| format.and_then(|format| format.pointer(pointer));
    match format("/type").and_then(Value::as_str) {
        Some("json_schema") => {
            let schema = format("/json_schema/schema").unwrap_or(&Value::Null);
            return schema::smallest(schema).to_string();
        }
        Some("json_object") => return json!({"answer": text::answer(&question.text)}).to_string(),
        _ => {}
    }
    if !question.parts.is_empty() {
        return format!("I was shown {}.", question.parts.join(", "));
    }
    text::answer(&question.text)
}
