//! Words: what a prompt holds, how it is cut into tokens, and the canned answers.

use serde_json::Value;

/// The text of a message's content, a prompt or an input: a string, or a list of strings or text parts. A number in it is a token of somebody's tokenizer.
pub(super) fn of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(part).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn part(part: &Value) -> Option<String> {
    match part {
        Value::String(text) => Some(text.clone()),
        Value::Number(token) => Some(format!("token {token}")),
        Value::Object(part) => part.get("text")?.as_str().map(str::to_owned),
        _ => None,
    }
}

/// The text part that came last: some clients put their own words before what the user wrote.
pub(super) fn last_part(content: Option<&Value>) -> String {
    match content {
        Some(Value::Array(parts)) => parts.iter().rev().find_map(part).unwrap_or_default(),
        other => of(other),
    }
}

/// Words with the blank behind them, as tokenizers like to cut.
pub(super) fn tokens(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// An answer that depends on the question's words and on nothing else.
pub(super) fn answer(question: &str) -> String {
    const TOPICS: [(&[&str], &str); 6] = [
        (
            &["sky", "blue"],
            "The sky looks blue because air scatters short wavelengths far more than long ones. Sunlight holds all colours; the blue part bounces \
             around the atmosphere and reaches your eye from every direction, while red passes nearly straight through. At sunset the light crosses \
             more air, most blue is scattered away, and reds remain.",
        ),
        (
            &["relay", "see", "sealwire", "encrypt"],
            "A relay on this path sees that somebody asked some model something, how many bytes went each way and when, and a signed count of tokens \
             for the bill. The question and this answer are sealed between your machine and the model's enclave, so the relay cannot read them, \
             change them, or cut them short without being noticed.",
        ),
        (&["capital", "france"], "The capital of France is Paris."),
        (
            &["haiku", "poem"],
            "Sealed before it leaves, / a question crosses the dark; / only one reads it.",
        ),
        (
            &["hello", "hi", "hey"],
            "Hello! I am a canned demo model, but I was reached through an encrypted path from end to end. Ask me why the sky is blue.",
        ),
        (
            &["count", "numbers"],
            "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty",
        ),
    ];
    let lower = question.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let best = TOPICS
        .iter()
        .map(|(keys, text)| (keys.iter().filter(|key| words.contains(key)).count(), text))
        .max_by_key(|(hits, _)| *hits)
        .filter(|(hits, _)| *hits > 0);
    match best {
        Some((_, text)) => (*text).to_owned(),
        None => format!(
            "You asked something of {} words. This demo model knows only a few canned answers, so it cannot help with that one; try asking why the sky \
             is blue, or what the relay can see.",
            words.len()
        ),
    }
}
