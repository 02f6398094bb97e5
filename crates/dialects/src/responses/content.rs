//! Parts of a message's content.

use serde_json::{Value, json};

use super::unsupported;
use crate::ApiError;

/// Content in Chat's parts.
#[derive(Debug, Default)]
pub(super) struct Content {
    parts: Vec<Value>,
}

impl Content {
    /// Reads a string or a list of parts of the input. `at` is the path of the content in the request, for errors.
    ///
    /// # Errors
    /// A 400 for parts that refer to files, which are not kept here.
    pub(super) fn read(content: Option<&Value>, at: &str) -> Result<Self, ApiError> {
        let mut read = Self::default();
        match content {
            Some(Value::String(text)) => read.push_text(text),
            Some(Value::Array(parts)) => {
                for (index, part) in parts.iter().enumerate() {
                    read.push(part, &|| format!("{at}[{index}]"))?;
                }
            }
            _ => {}
        }
        Ok(read)
    }

    /// The output of a tool: a string, a list of parts, or any other JSON, which stays JSON. What cannot be shown to a model is named in its place:
    /// the past does not fail a request.
    pub(super) fn of_output(output: Option<&Value>) -> Self {
        let mut read = Self::default();
        match output {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => read.push_text(text),
            Some(Value::Array(parts)) if parts.iter().all(is_part) => {
                for part in parts {
                    if read.push(part, &String::new).is_err() {
                        read.push_text("[a file that is not available here]");
                    }
                }
            }
            Some(other) => read.push_text(&other.to_string()),
        }
        read
    }

    /// The text alone, parts on lines of their own.
    pub(super) fn text(&self) -> String {
        let texts: Vec<&str> = self.parts.iter().filter_map(text_of).collect();
        texts.join("\n")
    }

    /// The parts that are no text.
    pub(super) fn into_media(self) -> Vec<Value> {
        let mut parts = self.parts;
        parts.retain(|part| text_of(part).is_none());
        parts
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The content of a user's message: a plain string for one text, which is all that old templates know.
    pub(super) fn into_value(mut self) -> Value {
        match self.parts.as_slice() {
            [] => json!(""),
            [part] if text_of(part).is_some() => {
                let mut part = self.parts.swap_remove(0);
                part.get_mut("text").map(Value::take).unwrap_or_default()
            }
            _ => Value::Array(self.parts),
        }
    }

    fn push_text(&mut self, text: &str) {
        self.parts.push(json!({"type": "text", "text": text}));
    }

    fn push(&mut self, part: &Value, at: &dyn Fn() -> String) -> Result<(), ApiError> {
        let text = |name: &str| part.get(name).and_then(Value::as_str);
        match text("type").unwrap_or("text") {
            "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
                if let Some(text) = text("text") {
                    self.push_text(text);
                }
            }
            "refusal" => {
                if let Some(text) = text("refusal") {
                    self.push_text(text);
                }
            }
            "input_image" | "image_url" => self.push_image(part, at)?,
            "input_audio" => {
                if let Some(audio) = part.get("input_audio").filter(|audio| audio.is_object()) {
                    self.parts
                        .push(json!({"type": "input_audio", "input_audio": audio}));
                }
            }
            "input_file" | "file" => {
                let member = ["file_id", "file_url", "file_data"]
                    .into_iter()
                    .find(|name| part.get(*name).is_some_and(|value| !value.is_null()))
                    .unwrap_or("type");
                return Err(unsupported(
                    &format!("{}.{member}", at()),
                    "files are not served here; put their text into an `input_text` or their pages into `input_image`s",
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn push_image(&mut self, part: &Value, at: &dyn Fn() -> String) -> Result<(), ApiError> {
        // Chat Completions has an object here, and so have some applications.
        let url = part
            .get("image_url")
            .map(|url| url.get("url").unwrap_or(url));
        let Some(url) = url.and_then(Value::as_str) else {
            return Err(unsupported(
                &format!("{}.file_id", at()),
                "images by `file_id` are not served here; send `image_url`, which may be a data URL",
            ));
        };
        let mut image = json!({"url": url});
        // `original` is of this API alone.
        if let Some(detail @ ("low" | "high" | "auto")) = part.get("detail").and_then(Value::as_str)
        {
            image["detail"] = json!(detail);
        }
        self.parts
            .push(json!({"type": "image_url", "image_url": image}));
        Ok(())
    }
}

fn text_of(part: &Value) -> Option<&str> {
    part.get("text").and_then(Value::as_str)
}

/// Whether an entry of a tool's output is a part of content, not JSON of the tool's own.
fn is_part(entry: &Value) -> bool {
    matches!(
        entry.get("type").and_then(Value::as_str),
        Some("input_text" | "output_text" | "text" | "input_image" | "input_file" | "input_audio")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &Value) -> Result<Value, ApiError> {
        Content::read(Some(content), "input[0].content").map(Content::into_value)
    }

    #[test]
    fn one_text_is_a_plain_string() {
        for content in [
            json!("hello"),
            json!([{"type":"input_text","text":"hello"}]),
            json!([{"type":"unknown","x":1},{"type":"output_text","text":"hello","annotations":[]}]),
            json!([{"type":"refusal","refusal":"hello"}]),
        ] {
            assert_eq!(read(&content), Ok(json!("hello")), "{content}");
        }
        assert_eq!(read(&json!([])), Ok(json!("")));
        assert_eq!(read(&json!(7)), Ok(json!("")));
    }

    #[test]
    fn images_and_audio_become_parts() {
        let content = json!([
            {"type":"input_text","text":"what is this?"},
            {"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"high"},
            {"type":"input_image","image_url":"https://example.org/a.png","detail":"original"},
            {"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},
        ]);
        assert_eq!(
            read(&content),
            Ok(json!([
                {"type":"text","text":"what is this?"},
                {"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"high"}},
                {"type":"image_url","image_url":{"url":"https://example.org/a.png"}},
                {"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},
            ]))
        );
    }

    #[test]
    fn files_are_refused_by_name() {
        for (part, param) in [
            (
                json!({"type":"input_image","file_id":"file-1"}),
                "input[0].content[0].file_id",
            ),
            (
                json!({"type":"input_file","file_data":"AA==","filename":"a.pdf"}),
                "input[0].content[0].file_data",
            ),
            (
                json!({"type":"input_file","file_url":"https://example.org/a.pdf"}),
                "input[0].content[0].file_url",
            ),
        ] {
            let error = read(&json!([part])).expect_err("a file");
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)));
        }
    }

    #[test]
    fn outputs_of_tools_never_fail() {
        for (output, text, media) in [
            (json!("done"), "done", 0),
            (json!(null), "", 0),
            (json!({"exit": 1}), r#"{"exit":1}"#, 0),
            (json!([{"stdout":"x"}]), r#"[{"stdout":"x"}]"#, 0),
            (
                json!([{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:,"},{"type":"input_text","text":"b"}]),
                "a\nb",
                1,
            ),
            (
                json!([{"type":"input_image","file_id":"file-1"}]),
                "[a file that is not available here]",
                0,
            ),
        ] {
            let content = Content::of_output(Some(&output));
            assert_eq!(content.text(), text, "{output}");
            assert_eq!(content.into_media().len(), media, "{output}");
        }
    }
}
