//! Model lists, in one object that OpenAI's and Anthropic's clients both read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwire_http::net::lock;
use sealwire_http::openai::ApiError;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::backend::Backend;

/// How long a list serves for names and lengths.
const KEPT: Duration = Duration::from_secs(300);
/// Models that the status page shows.
const MAX_SHOWN: usize = 500;
/// Keys that lists are kept for.
const MAX_KEYS: usize = 64;
/// Members of the relay's entries that say how long a prompt may be.
const LENGTHS: [&str; 4] = [
    "max_model_len",
    "context_length",
    "max_input_tokens",
    "context_window",
];

/// Models by name, as the relay lists them.
#[derive(Debug, Default)]
pub(super) struct Catalog(BTreeMap<String, Option<u64>>);

impl Catalog {
    fn new(list: &Value) -> Self {
        let models = entries(list).filter_map(|entry| {
            let id = entry.get("id")?.as_str()?.to_owned();
            Some((id, length(entry)))
        });
        Self(models.collect())
    }

    /// Most tokens of a model's prompt and answer.
    pub(super) fn length(&self, model: &str) -> Option<u64> {
        self.0.get(model).copied().flatten()
    }

    /// The models, for the status page.
    fn to_json(&self) -> Value {
        let models = self.0.iter().take(MAX_SHOWN);
        models
            .map(|(id, length)| json!({"id": id, "max_model_len": length}))
            .collect()
    }
}

/// By the key that the relay was asked with.
type Kept = HashMap<Option<String>, (Instant, Arc<Catalog>)>;

/// The lists of each key, kept for a while.
#[derive(Default)]
pub(super) struct Catalogs {
    kept: Mutex<Kept>,
}

impl Catalogs {
    /// The catalog for a key: a kept one, else a fresh one; an empty one where there is none, since what it is for can do without.
    pub(super) async fn get(&self, backend: &impl Backend, key: Option<&str>) -> Arc<Catalog> {
        let owner = key.map(str::to_owned);
        let kept = self.lock().get(&owner).cloned();
        if let Some((at, catalog)) = kept
            && at.elapsed() < KEPT
        {
            return catalog;
        }
        match backend.models(key).await {
            Ok(list) => self.keep(key, &list),
            Err(_) => Arc::default(),
        }
    }

    /// Keeps a list that was fetched for the application.
    pub(super) fn keep(&self, key: Option<&str>, list: &Value) -> Arc<Catalog> {
        let catalog = Arc::new(Catalog::new(list));
        let mut kept = self.lock();
        if kept.len() >= MAX_KEYS {
            kept.clear();
        }
        kept.insert(
            key.map(str::to_owned),
            (Instant::now(), Arc::clone(&catalog)),
        );
        catalog
    }

    /// The models of the list that came last, whoever asked; null before the first.
    pub(super) fn last(&self) -> Value {
        let kept = self.lock();
        let last = kept.values().max_by_key(|(at, _)| *at);
        last.map_or(Value::Null, |(_, catalog)| catalog.to_json())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Nothing panics while it is held; if it did, the map would still be sound.
        lock(&self.kept)
    }
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.get("data")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn length(entry: &Value) -> Option<u64> {
    LENGTHS
        .iter()
        .find_map(|name| entry.get(name).and_then(Value::as_u64))
        .filter(|length| *length > 0)
}

/// The answer to `GET /v1/models`.
pub(super) fn merged(list: &Value) -> Value {
    let data: Vec<Value> = entries(list).filter_map(model).collect();
    let id = |entry: Option<&Value>| entry.and_then(|entry| entry.get("id")).cloned();
    let (first, last) = (id(data.first()), id(data.last()));
    json!({"object": "list", "data": data, "has_more": false, "first_id": first, "last_id": last})
}

/// The answer to `GET /v1/models/ID`.
///
/// # Errors
/// That there is no such model.
pub(super) fn one(list: &Value, id: &str) -> Result<Value, ApiError> {
    entries(list)
        .find(|entry| entry.get("id").and_then(Value::as_str) == Some(id))
        .and_then(model)
        .ok_or_else(|| {
            ApiError::invalid_request(
                404,
                "model_not_found",
                format!("the relay lists no model {id:?}"),
            )
            .with_param("model")
        })
}

/// An entry with the members that both kinds of clients need; what the relay says beside them stays.
fn model(entry: &Value) -> Option<Value> {
    let Value::Object(entry) = entry else {
        return None;
    };
    let id = entry.get("id")?.as_str()?;
    let created = entry.get("created").and_then(Value::as_u64).unwrap_or(0);
    let mut model = Map::new();
    model.insert("id".to_owned(), id.into());
    model.insert("object".to_owned(), "model".into());
    model.insert("created".to_owned(), created.into());
    model.insert("owned_by".to_owned(), "sealwire".into());
    for (name, value) in entry {
        model.insert(name.clone(), value.clone());
    }
    // Anthropic's members last: no relay may make a client misread the list.
    model.insert("type".to_owned(), "model".into());
    model.entry("display_name").or_insert_with(|| id.into());
    model.insert("created_at".to_owned(), rfc3339(created).into());
    model.insert("lifecycle".to_owned(), "active".into());
    if let Some(length) = length(&Value::Object(entry.clone())) {
        model
            .entry("max_input_tokens")
            .or_insert_with(|| length.into());
    }
    Some(model.into())
}

/// Unix seconds as RFC 3339 writes them, in UTC.
fn rfc3339(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400, unix % 86_400);
    // Days since 0000-03-01 in the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days.saturating_add(719_468);
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
        }
    }

    #[test]
    fn an_entry_serves_both_kinds_of_clients() {
        let list = json!({"object":"list","data":[
            {"id":"a/b","created":1_800_000_000,"context_length":4096,"x":1},
            {"no":"id"},
            {"id":"c","type":"evil"}]});
        let merged = merged(&list);
        assert_eq!(merged["data"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            (&merged["first_id"], &merged["last_id"]),
            (&json!("a/b"), &json!("c"))
        );
        let first = &merged["data"][0];
        assert_eq!(first["object"], "model");
        assert_eq!(first["display_name"], "a/b");
        assert_eq!(first["created_at"], "2027-01-15T08:00:00Z");
        assert_eq!(first["lifecycle"], "active");
        assert_eq!(first["max_input_tokens"], 4096);
        assert_eq!(first["x"], 1);
        assert_eq!(merged["data"][1]["type"], "model");
        assert!(one(&list, "c").is_ok());
        assert_eq!(one(&list, "d").expect_err("unknown").status, 404);
        let catalog = Catalog::new(&list);
        assert_eq!(
            (catalog.length("a/b"), catalog.length("c")),
            (Some(4096), None)
        );
    }
}
