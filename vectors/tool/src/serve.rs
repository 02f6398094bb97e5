//! The other end of the adapter protocol: answers lines with an implementation of this program.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

use crate::adapter::PROTOCOL;
use crate::case::Case;
use crate::implementation::{Answer, Implementation};

/// Answers each line of `input` with one line on `output`, until the input ends.
///
/// # Errors
/// Those of input and output. A line that is no question is answered with a `fault`.
pub fn serve(
    implementation: &mut dyn Implementation,
    input: impl BufRead,
    mut output: impl Write,
) -> io::Result<()> {
    for line in input.split(b'\n') {
        let answer = match serde_json::from_slice::<Value>(&line?) {
            Ok(question) => answer(implementation, &question),
            Err(error) => json!({"fault": format!("no JSON: {error}")}),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn answer(implementation: &mut dyn Implementation, question: &Value) -> Value {
    match question["op"].as_str() {
        Some("hello") if question["protocol"].as_u64() == Some(PROTOCOL) => {
            let about = implementation.about();
            let mut hello = json!({
                "name": about.name,
                "version": about.version,
                "kinds": about.kinds,
                "capabilities": about.capabilities,
            });
            if let Some(rounds) = about.accumulate {
                hello["accumulate"] = rounds.into();
            }
            hello
        }
        Some("hello") => json!({"fault": format!("this is version {PROTOCOL} of the protocol")}),
        Some("run") => {
            let text = |name: &str| question[name].as_str().unwrap_or_default().to_owned();
            let case = Case {
                id: text("id"),
                kind: text("kind"),
                spec: String::new(),
                comment: String::new(),
                flags: Vec::new(),
                needs: Vec::new(),
                json: question.clone(),
            };
            match implementation.run(&case) {
                Answer::Result { expect, mid } if mid.is_empty() => {
                    json!({"id": case.id, "expect": expect})
                }
                Answer::Result { expect, mid } => {
                    json!({"id": case.id, "expect": expect, "mid": mid})
                }
                Answer::Skip(capability) => json!({"id": case.id, "skip": capability}),
                Answer::Fault(why) => json!({"id": case.id, "fault": why}),
            }
        }
        Some("accumulate") => {
            let rounds = question["rounds"]
                .as_u64()
                .and_then(|n| u32::try_from(n).ok());
            match implementation.accumulate(rounds.unwrap_or(0)) {
                Ok(digests) => {
                    let digests: serde_json::Map<String, Value> = digests
                        .into_iter()
                        .map(|(rounds, digest)| (rounds.to_string(), digest.into()))
                        .collect();
                    json!({"digests": digests})
                }
                Err(why) => json!({"fault": why}),
            }
        }
        _ => json!({"fault": "unknown op"}),
    }
}
