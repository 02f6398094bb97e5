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
    if !may_count(data) {
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

/// Whether an event must be parsed to know whether it holds counts; most need not be. Many have none but `"usage":null`, and text with escapes is common,
/// while a name with escapes has one for a letter of its own.
fn may_count(data: &str) -> bool {
    const NAME: &str = "\"usage\"";
    const ESCAPE: &str = "\\u00";
    let is_null = |behind: &str| {
        let value = behind.trim_start().strip_prefix(':');
        value.is_some_and(|value| value.trim_start().starts_with("null"))
    };
    let behind = |(at, found): (usize, &str)| data.get(at + found.len()..).unwrap_or_default();
    data.match_indices(NAME)
        .map(behind)
        .any(|behind| !is_null(behind))
        || data.match_indices(ESCAPE).map(behind).any(|digits| {
            ["61", "65", "67", "73", "75"]
                .iter()
                .any(|letter| digits.starts_with(letter))
        })
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
            (
                r#"{"choices":[],"usage":null,"usage" : {"total_tokens":3}}"#,
                Stripped::Same,
            ),
            (
                r#"{"choices":[],"\u0075\u0073\u0061\u0067\u0065":{"total_tokens":3}}"#,
                Stripped::Nothing,
            ),
            ("[DONE]", Stripped::Same),
            ("", Stripped::Same),
        ] {
            assert_eq!(strip(data), left, "{data}");
        }
    }

    #[test]
    fn only_what_may_hold_counts_is_parsed() {
        for (data, parsed) in [
            (
                r#"{"choices":[{"delta":{"content":"a\nb\t\"usage\" \u00e9\u4e2d\\"}}]}"#,
                false,
            ),
            (r#"{"choices":[],"usage":null}"#, false),
            (r#"{"choices":[],"usage" : null }"#, false),
            (r#"{"choices":[],"usage":{}}"#, true),
            (r#"{"x":{"usage":null},"usage":{}}"#, true),
            (r#"{"u\u0073age":{}}"#, true),
        ] {
            assert_eq!(may_count(data), parsed, "{data}");
        }
    }
}
