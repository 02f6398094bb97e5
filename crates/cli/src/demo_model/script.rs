//! Prompts that say what shall be answered, so that tests get every kind of answer from a server that holds no model.
//!
//! ```text
//! say TEXT            the text, word by word            spell TEXT          the text, each byte written alone
//! think TEXT          as reasoning_content              think-field TEXT    as reasoning, the member's newer name
//! think-tags TEXT     as <think>TEXT</think> in the content
//! call NAME JSON      a tool call                       call@ID NAME JSON   the same with an id
//! call-raw NAME TEXT  one whose arguments are no JSON   show POINTER        the member of the request (RFC 6901), or `headers`
//! wait SECONDS        silence                           delay SECONDS       silence before the answer's head
//! fail STATUS [retry-after=N] TEXT                      an error; text that begins with < is a page of HTML
//! break STATUS TEXT   an error inside the stream        cut                 the connection breaks
//! end                 the stream ends and never says why the model stopped
//! ```
//!
//! Steps are separated by ` ; `.

use std::time::Duration;

use serde_json::Value;

/// Longest silence.
const MAX_SECONDS: f64 = 60.0;

/// Where a model server puts reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `reasoning_content`.
    Content,
    /// `reasoning`.
    Field,
    /// In the content.
    Tags,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Say(String),
    Spell(String),
    Think(Style, String),
    Call {
        id: Option<String>,
        name: String,
        arguments: String,
    },
    Show(String),
    Wait(Duration),
    Delay(Duration),
    Fail {
        status: u16,
        retry_after: Option<String>,
        text: String,
    },
    Break {
        status: u16,
        text: String,
    },
    Cut,
    End,
}

/// The steps of a prompt; `None` if it is an ordinary one.
pub(super) fn parse(prompt: &str) -> Option<Vec<Step>> {
    let mut rest = prompt.trim();
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, behind) = step(rest)?;
        steps.push(step);
        rest = behind.trim();
    }
    Some(steps).filter(|steps| !steps.is_empty())
}

fn step(text: &str) -> Option<(Step, &str)> {
    let (word, argument) = text.split_once(' ').unwrap_or((text, ""));
    if word == "call" || word.starts_with("call@") {
        let id = word.strip_prefix("call@").map(str::to_owned);
        return call(id, argument);
    }
    let (argument, behind) = argument.split_once(" ; ").unwrap_or((argument, ""));
    let owned = || Some(argument.trim().to_owned()).filter(|text| !text.is_empty());
    let step = match word {
        "say" => Step::Say(owned()?),
        "spell" => Step::Spell(owned()?),
        "think" => Step::Think(Style::Content, owned()?),
        "think-field" => Step::Think(Style::Field, owned()?),
        "think-tags" => Step::Think(Style::Tags, owned()?),
        "call-raw" => {
            let (name, arguments) = argument.split_once(' ')?;
            Step::Call {
                id: None,
                name: name.to_owned(),
                arguments: arguments.to_owned(),
            }
        }
        "show" if argument == "headers" || argument.starts_with('/') => {
            Step::Show(argument.to_owned())
        }
        "wait" => Step::Wait(seconds(argument)?),
        "delay" => Step::Delay(seconds(argument)?),
        "fail" => fail(argument)?,
        "break" => {
            let (status, text) = status(argument)?;
            let text = text.to_owned();
            Step::Break { status, text }
        }
        // These take nothing, so that a sentence that begins with the word is none.
        "cut" | "end" => return bare(word, text),
        _ => return None,
    };
    Some((step, behind))
}

fn bare<'a>(word: &str, text: &'a str) -> Option<(Step, &'a str)> {
    let behind = text.strip_prefix(word)?.trim_start();
    let behind = match behind.strip_prefix(';') {
        Some(behind) => behind,
        None if behind.is_empty() => behind,
        None => return None,
    };
    let step = if word == "cut" { Step::Cut } else { Step::End };
    Some((step, behind))
}

/// JSON may hold the separator.
fn call(id: Option<String>, text: &str) -> Option<(Step, &str)> {
    let (name, json) = text.split_once(' ')?;
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
    values.next()?.ok()?;
    let (arguments, behind) = json.split_at_checked(values.byte_offset())?;
    let behind = behind.trim_start();
    let behind = match behind.strip_prefix(';') {
        Some(behind) => behind,
        None if behind.is_empty() => behind,
        None => return None,
    };
    let step = Step::Call {
        id,
        name: name.to_owned(),
        arguments: arguments.trim().to_owned(),
    };
    Some((step, behind))
}

fn fail(argument: &str) -> Option<Step> {
    let (status, text) = status(argument)?;
    let (retry_after, text) = match text.strip_prefix("retry-after=") {
        Some(rest) => {
            let (after, text) = rest.split_once(' ').unwrap_or((rest, ""));
            (Some(after.to_owned()), text)
        }
        None => (None, text),
    };
    let text = text.to_owned();
    Some(Step::Fail {
        status,
        retry_after,
        text,
    })
}

fn status(argument: &str) -> Option<(u16, &str)> {
    let (status, text) = argument.split_once(' ').unwrap_or((argument, ""));
    let status = status.parse().ok()?;
    (400..=599).contains(&status).then_some((status, text))
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (0.0..=MAX_SECONDS)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: Option<&str>, name: &str, arguments: &str) -> Step {
        Step::Call {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    #[test]
    fn steps_are_read() {
        let steps = parse(
            r#"think hm ; say one two ; call a {"x":" ; "} ; call@f.b:0 b [] ; call-raw c {oops ; wait 0.5 ; cut"#,
        );
        let expected = vec![
            Step::Think(Style::Content, "hm".to_owned()),
            Step::Say("one two".to_owned()),
            call(None, "a", r#"{"x":" ; "}"#),
            call(Some("f.b:0"), "b", "[]"),
            call(None, "c", "{oops"),
            Step::Wait(Duration::from_millis(500)),
            Step::Cut,
        ];
        assert_eq!(steps, Some(expected));
        let expected = Step::Fail {
            status: 429,
            retry_after: Some("2".to_owned()),
            text: "slow down".to_owned(),
        };
        assert_eq!(
            parse("fail 429 retry-after=2 slow down"),
            Some(vec![expected])
        );
        assert_eq!(parse("end ;"), Some(vec![Step::End]));
    }

    #[test]
    fn sentences_are_no_scripts() {
        for prompt in [
            "",
            "hello",
            "call me when it rains",
            "call a {} and b {}",
            "wait a moment",
            "wait 61",
            "show me",
            "fail me",
            "fail 200 well",
            "break a leg",
            "end it",
            "cut the answer",
            "say one ; and two",
            "say",
        ] {
            assert_eq!(parse(prompt), None, "{prompt}");
        }
    }
}
