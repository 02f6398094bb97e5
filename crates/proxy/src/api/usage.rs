//! Counts of tokens that the application did not ask for.

use sealwire_http::json_body::JsonBody;

/// What is left of an event's data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stripped {
    /// It holds no counts.
    Same,
    /// It held counts alone.
    Nothing,
    /// The data without them.
    Rest(String),
}

/// Takes the counts out of an event. Many programs that did not ask for them cannot take an event without choices.
pub(super) fn strip(data: &str) -> Stripped {
    // Names may be written with escapes.
    if !data.contains("\"usage\"") && !data.contains('\\') {
        return Stripped::Same;
    }
    let Ok(body) = JsonBody::parse(data.as_bytes()) else {
        return Stripped::Same;
    };
    match (body.get("usage"), body.get("choices")) {
        (None | Some("null"), _) => Stripped::Same,
        (Some(_), Some(choices)) if is_empty_list(choices) => Stripped::Nothing,
        (Some(_), Some(_)) => match body.without("usage") {
            Some(rest) => Stripped::Rest(rest),
            None => Stripped::Same,
        },
        (Some(_), None) => Stripped::Same,
    }
}

fn is_empty_list(json: &str) -> bool {
    json.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inner| inner.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_alone_leave_nothing_and_counts_beside_choices_leave_those() {
        for (data, left) in [
            (
                r#"{"choices":[],"usage":{"total_tokens":3}}"#,
                Stripped::Nothing,
            ),
            (
                r#"{"choices":[ ],"us\u0061ge":{"total_tokens":3}}"#,
                Stripped::Nothing,
            ),
            (r#"{"choices":[],"usage":null}"#, Stripped::Same),
            (r#"{"choices":[]}"#, Stripped::Same),
            (
                r#"{"choices":[{"delta":{}}],"usage":{"total_tokens":3},"id":"x"}"#,
                Stripped::Rest(r#"{"choices":[{"delta":{}}],"id":"x"}"#.to_owned()),
            ),
            (r#"{"usage":{"total_tokens":3}}"#, Stripped::Same),
            (
                r#"{"choices":[{"delta":{"content":"\"usage\""}}]}"#,
                Stripped::Same,
            ),
            ("[DONE]", Stripped::Same),
            ("", Stripped::Same),
        ] {
            assert_eq!(strip(data), left, "{data}");
        }
    }
}
