//! Embeddings: numbers that depend on the text and on nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::text;

/// Numbers of an embedding unless another count is asked for.
const DIMENSIONS: usize = 8;
const MAX_DIMENSIONS: usize = 4_096;

/// The body of `POST /v1/embeddings`.
pub(super) fn answer(model: &str, body: &Value) -> Value {
    let inputs: Vec<String> = match body.get("input") {
        // A list of tokens is one text.
        Some(Value::Array(items)) if !items.iter().all(Value::is_number) => {
            items.iter().map(|item| text::of(Some(item))).collect()
        }
        other => vec![text::of(other)],
    };
    let dimensions = body
        .get("dimensions")
        .and_then(Value::as_u64)
        .and_then(|dimensions| usize::try_from(dimensions).ok())
        .map_or(DIMENSIONS, |dimensions| dimensions.clamp(1, MAX_DIMENSIONS));
    let packed = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let tokens: usize = inputs.iter().map(|input| text::tokens(input).len()).sum();
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let numbers = numbers(input, dimensions);
            let embedding = if packed {
                let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
                Value::from(STANDARD.encode(bytes))
            } else {
                json!(numbers)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    json!({
        "object": "list",
        "model": model,
        "data": data,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

/// 32-bit numbers, since that is what base64 carries.
fn numbers(text: &str, dimensions: usize) -> Vec<f32> {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (0..dimensions)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // 16 bits are exact in an f32.
            let sample = u16::try_from(state >> 48).unwrap_or(0);
            f32::from(sample) / 32_768.0 - 1.0
        })
        .collect()
}
