//! How many tokens may be asked for: clients ask for more than small models have, and model servers refuse instead of giving what there is.

use crate::Settings;

/// Tokens that are left free between the estimate of a prompt and the model's length.
const MARGIN: u64 = 256;
/// Fewest tokens that a clamp asks for: below that the model server shall say that the prompt is too long.
const FEWEST: u64 = 16;

/// What a model server's refusal says about lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Prompt and answer together are too long, but the prompt leaves room for this many tokens.
    Answer {
        /// Tokens that fit.
        room: u64,
    },
    /// The prompt alone is too long.
    Prompt {
        /// Tokens of the prompt, or of all that was asked for.
        asked: u64,
        /// Tokens that the model takes.
        most: u64,
    },
}

/// `asked` tokens for the answer, or fewer if the model's length is known and the estimated prompt leaves less.
#[must_use]
pub fn clamp(settings: &Settings, asked: u64, prompt_estimate: u64) -> u64 {
    match settings.max_model_len {
        Some(most) => {
            let room = most
                .saturating_sub(prompt_estimate)
                .saturating_sub(MARGIN.min(most / 8));
            asked.min(room.max(FEWEST))
        }
        None => asked,
    }
}

/// Reads the words of a refusal, as vLLM, SGLang, llama.cpp and OpenAI write them. `None`: it is about something else.
#[must_use]
pub fn overflow(message: &str) -> Option<Overflow> {
    let lower = message.to_ascii_lowercase();
    let numbers = numbers(&lower);
    // "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 17459 input
    // tokens (32000 > 32768 - 17459)."
    if lower.contains("is too large") && lower.contains("max_tokens") {
        return match numbers.as_slice() {
            [.., most, prompt] => room(*most, *prompt),
            _ => None,
        };
    }
    if lower.contains("maximum context length is") {
        let most = number_behind(&lower, "maximum context length is")?;
        let prompt = number_before(&lower, "in the messages")
            .or_else(|| number_before(&lower, "input tokens"))
            .or_else(|| number_before(&lower, "of text from the input"));
        let answer = number_before(&lower, "in the completion")
            .or_else(|| number_before(&lower, "output tokens"))
            .or_else(|| number_before(&lower, "for the completion"));
        let asked = number_behind(&lower, "you requested")
            .or_else(|| number_behind(&lower, "a total of"))
            .or(prompt)?;
        return match (prompt, answer) {
            (Some(prompt), Some(_)) if prompt < most => room(most, prompt),
            _ => Some(Overflow::Prompt { asked, most }),
        };
    }
    // SGLang: "The input (5000 tokens) is longer than the model's context length (4096 tokens)."
    if lower.contains("longer than the model's context length") {
        return match numbers.as_slice() {
            [asked, most, ..] => Some(Overflow::Prompt {
                asked: *asked,
                most: *most,
            }),
            _ => None,
        };
    }
    // llama.cpp: "the request exceeds the available context size (4096 tokens), try increasing it", with the prompt's tokens in other members.
    if lower.contains("exceeds the available context size") {
        return match numbers.as_slice() {
            [asked, most, ..] => Some(Overflow::Prompt {
                asked: *asked.max(most),
                most: *asked.min(most),
            }),
            [most] => Some(Overflow::Prompt {
                asked: most.saturating_add(1),
                most: *most,
            }),
            [] => None,
        };
    }
    None
}

fn room(most: u64, prompt: u64) -> Option<Overflow> {
    match most.checked_sub(prompt) {
        Some(room) if room > 0 => Some(Overflow::Answer { room }),
        _ => Some(Overflow::Prompt {
            asked: prompt,
            most,
        }),
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

fn number_behind(text: &str, words: &str) -> Option<u64> {
    let (_, behind) = text.split_once(words)?;
    numbers(behind).first().copied()
}

/// The last number before some words, at most a few words away.
fn number_before(text: &str, words: &str) -> Option<u64> {
    let (before, _) = text.split_once(words)?;
    let near: Vec<&str> = before.split_whitespace().rev().take(3).collect();
    near.into_iter()
        .find_map(|word| numbers(word).last().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_each_server_are_understood() {
        for (message, expected) in [
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 17459 input tokens (32000 > 32768 - 17459).",
                Some(Overflow::Answer { room: 15_309 }),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages.",
                Some(Overflow::Prompt {
                    asked: 5_000,
                    most: 4_096,
                }),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 4500 tokens (3000 in the messages, 1500 in the completion). Please reduce the length of the messages or completion.",
                Some(Overflow::Answer { room: 1_096 }),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 4500 tokens (4400 in the messages, 100 in the completion). Please reduce the length.",
                Some(Overflow::Prompt {
                    asked: 4_500,
                    most: 4_096,
                }),
            ),
            (
                "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
                Some(Overflow::Prompt {
                    asked: 5_000,
                    most: 4_096,
                }),
            ),
            (
                "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
                Some(Overflow::Prompt {
                    asked: 5_000,
                    most: 4_096,
                }),
            ),
            ("temperature must be at most 2", None),
            ("maximum context length is unknown", None),
        ] {
            assert_eq!(overflow(message), expected, "{message}");
        }
    }

    #[test]
    fn an_answer_is_clamped_to_what_is_left() {
        let mut settings = Settings::default();
        assert_eq!(clamp(&settings, 32_000, 10), 32_000);
        settings.max_model_len = Some(32_768);
        assert_eq!(clamp(&settings, 100, 10), 100);
        assert_eq!(clamp(&settings, 64_000, 20_000), 12_512);
        assert_eq!(clamp(&settings, 64_000, 40_000), FEWEST);
    }
}
