//! Counts of tokens: in plaintext for the relay's bill, and inside each chunk, where they betray a reordering (section 5.3).

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::error::{ChutesError, EventFault};

mod quick;

/// Choices of one answer whose counters are followed.
const MAX_CHOICES: usize = 128;

/// Tokens as the model server counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    /// `prompt_tokens`.
    pub prompt: u64,
    /// `completion_tokens`.
    pub completion: u64,
    /// `prompt_tokens_details.cached_tokens`.
    pub cached: u64,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

impl Usage {
    /// From the value of a `usage` event or member.
    ///
    /// # Errors
    /// [`EventFault::Usage`] if it is no object, or a count is none.
    pub fn from_json(json: &str) -> Result<Self, EventFault> {
        let counts: Counts = serde_json::from_str(json).map_err(|_| EventFault::Usage)?;
        // serde takes an array for a struct too.
        if !json.trim_ascii_start().starts_with('{') {
            return Err(EventFault::Usage);
        }
        Ok(Self {
            prompt: counts.prompt_tokens.unwrap_or(0),
            completion: counts.completion_tokens.unwrap_or(0),
            cached: counts
                .prompt_tokens_details
                .and_then(|details| details.cached_tokens)
                .unwrap_or(0),
        })
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
}

/// What an event counts: tokens of its first choice, or of all if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    choice: Option<u64>,
    tokens: u64,
}

fn count(data: &str) -> Option<Count> {
    let chunk: Chunk = serde_json::from_str(data).ok()?;
    Some(Count {
        choice: chunk.choices.first().map(|choice| choice.index),
        tokens: chunk.usage?.completion_tokens?,
    })
}

/// The counter `completion_tokens` of each choice, which only grows.
#[derive(Default)]
pub(super) struct Counter {
    every_token: bool,
    seen: BTreeMap<u64, u64>,
    /// The last count of all choices.
    all: u64,
}

impl Counter {
    /// `every_token`: the model server counts each token in a chunk of its own, so a step of more than one is a gap.
    pub(super) fn new(every_token: bool) -> Self {
        Self {
            every_token,
            seen: BTreeMap::new(),
            all: 0,
        }
    }

    /// Takes the data of one event of the inner stream. Events of other shapes, or without counts, say nothing.
    pub(super) fn observe(&mut self, data: &[u8]) -> Result<(), ChutesError> {
        // Text of a model server may have broken characters; its counts have none.
        let Some(Count { choice, tokens }) =
            quick::count(data).or_else(|| count(&String::from_utf8_lossy(data)))
        else {
            return Ok(());
        };
        let Some(choice) = choice else {
            return self.total(tokens);
        };
        let room = self.seen.len() < MAX_CHOICES;
        let last = match self.seen.entry(choice) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) if room => entry.insert(0),
            Entry::Vacant(_) => return Ok(()),
        };
        let step = tokens.checked_sub(*last).ok_or(ChutesError::Counter)?;
        if self.every_token && step > 1 {
            return Err(ChutesError::Counter);
        }
        *last = tokens;
        Ok(())
    }

    /// The event without choices counts all of them.
    fn total(&mut self, count: u64) -> Result<(), ChutesError> {
        let counts = self.seen.values().copied();
        let sum = counts.clone().fold(0, u64::saturating_add);
        let least = counts.fold(self.all, u64::max);
        if count < least || (self.every_token && count != sum) {
            return Err(ChutesError::Counter);
        }
        self.all = count;
        Ok(())
    }
}
