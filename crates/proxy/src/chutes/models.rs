//! The relay's models and aliases: which deployment a name stands for, and whether it is confidential.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwire_http::chutes::{ALIASES_PATH, parse_id};
use sealwire_http::net::lock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Api, User};
use super::error::Fault;

const MODELS_PATH: &str = "/v1/models";
/// How long a list is good.
const KEPT: Duration = Duration::from_secs(300);
/// How old a list must be before a name that is not on it makes it be fetched again.
const RETRY: Duration = Duration::from_secs(5);
/// Largest list.
const MAX_LIST: usize = 8 * 1_024 * 1_024;
/// Users that lists are kept for.
const MAX_USERS: usize = 256;

/// One model of the relay.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    id: String,
    chute: String,
    confidential: bool,
    /// As the relay lists it.
    entry: Value,
}

/// What a user's names stand for.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Catalog {
    models: Vec<Model>,
    aliases: HashMap<String, Vec<String>>,
}

/// A deployment that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The name that the model server knows.
    pub(super) model: String,
    pub(super) chute: String,
    /// The user gave confidentiality up for it, and the relay claims none.
    pub(super) waived: bool,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Value>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    chute_id: String,
    #[serde(default)]
    confidential_compute: Value,
}

#[derive(Deserialize)]
struct Alias {
    alias: String,
    chute_ids: Vec<String>,
}

impl Catalog {
    fn new(list: List, aliases: Vec<Value>) -> Self {
        let models = list
            .data
            .into_iter()
            .filter_map(|entry| {
                let listed: Listed = serde_json::from_value(entry.clone()).ok()?;
                Some(Model {
                    chute: uuid(&listed.chute_id)?,
                    id: listed.id,
                    // Anything but a plain true is a no.
                    confidential: listed.confidential_compute == Value::Bool(true),
                    entry,
                })
            })
            .collect();
        let aliases = aliases
            .into_iter()
            .filter_map(|entry| serde_json::from_value::<Alias>(entry).ok())
            .map(|alias| (alias.alias, alias.chute_ids))
            .collect();
        Self { models, aliases }
    }

    /// Finds the deployment of a name: a chute's id, a model's, or an alias, in this order. A waiver is for the name that is asked for: what else
    /// that name stands for is the relay's word, which could make any name that of a model that was waived.
    pub(super) fn resolve(&self, name: &str, waived: &[String]) -> Result<Resolved, Fault> {
        let unknown = || Fault::UnknownModel(name.to_owned());
        let chute = match (uuid(name), self.by_id(name), self.aliases.get(name)) {
            (Some(chute), _, _) => chute,
            (None, Some(model), _) => model.chute.clone(),
            (None, None, Some(targets)) => match targets.as_slice() {
                [only] => uuid(only).ok_or_else(unknown)?,
                [] => return Err(unknown()),
                many => {
                    return Err(Fault::AmbiguousAlias {
                        alias: name.to_owned(),
                        targets: many.len(),
                    });
                }
            },
            (None, None, None) => return Err(unknown()),
        };
        let model = self
            .by_id(name)
            .or_else(|| self.models.iter().find(|model| model.chute == chute));
        let confidential = model.is_some_and(|model| model.confidential);
        if !confidential && !is_waived(name, waived) {
            return Err(Fault::NotConfidential(name.to_owned()));
        }
        Ok(Resolved {
            model: model.map_or_else(|| name.to_owned(), |model| model.id.clone()),
            chute,
            waived: !confidential,
        })
    }

    /// A confidential deployment goes before another of the same name.
    fn by_id(&self, name: &str) -> Option<&Model> {
        let mut named = self.models.iter().filter(|model| model.id == name);
        let first = named.next()?;
        if first.confidential {
            return Some(first);
        }
        named.find(|model| model.confidential).or(Some(first))
    }

    /// The list for applications: what can be used end to end.
    pub(super) fn usable(&self, waived: &[String]) -> Value {
        let data: Vec<Value> = self
            .models
            .iter()
            .filter_map(|model| {
                let mut entry = model.entry.clone();
                if !model.confidential {
                    if !is_waived(&model.id, waived) {
                        return None;
                    }
                    entry
                        .as_object_mut()?
                        .insert("sealwire_waived".to_owned(), Value::Bool(true));
                }
                Some(entry)
            })
            .collect();
        json!({"object": "list", "data": data})
    }
}

/// Whether the user named exactly this name; of an id it does not matter how it is written.
fn is_waived(name: &str, waived: &[String]) -> bool {
    let id = uuid(name);
    waived
        .iter()
        .any(|waived| waived == name || (id.is_some() && uuid(waived) == id))
}

/// The id of a deployment in its one form.
fn uuid(text: &str) -> Option<String> {
    parse_id(text).map(|id| id.to_string())
}

#[derive(Default)]
struct Kept {
    catalog: Arc<Catalog>,
    fetched: Option<Instant>,
    /// When and why the last question failed.
    failed: Option<(Instant, Fault)>,
}

impl Kept {
    fn is_younger(&self, age: Duration, now: Instant) -> bool {
        self.fetched
            .is_some_and(|fetched| now.saturating_duration_since(fetched) < age)
    }
}

/// The catalogs of all users, each fetched when it is needed.
pub(super) struct Models {
    api: Arc<Api>,
    kept: Mutex<HashMap<User, Arc<tokio::sync::Mutex<Kept>>>>,
}

impl Models {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self {
            api,
            kept: Mutex::new(HashMap::new()),
        }
    }

    /// A user's catalog.
    pub(super) async fn catalog(
        &self,
        user: User,
        key: Option<&str>,
    ) -> Result<Arc<Catalog>, Fault> {
        self.younger_than(KEPT, user, key).await
    }

    /// Finds a name; one that is not known makes the list be fetched again.
    pub(super) async fn resolve(
        &self,
        user: User,
        key: Option<&str>,
        name: &str,
        waived: &[String],
    ) -> Result<Resolved, Fault> {
        let catalog = self.younger_than(KEPT, user, key).await?;
        match catalog.resolve(name, waived) {
            Err(Fault::UnknownModel(_) | Fault::NotConfidential(_)) => self
                .younger_than(RETRY, user, key)
                .await?
                .resolve(name, waived),
            result => result,
        }
    }

    async fn younger_than(
        &self,
        age: Duration,
        user: User,
        key: Option<&str>,
    ) -> Result<Arc<Catalog>, Fault> {
        let slot = {
            let mut kept = lock(&self.kept);
            if kept.len() >= MAX_USERS && !kept.contains_key(&user) {
                kept.clear();
            }
            Arc::clone(kept.entry(user).or_default())
        };
        let came = Instant::now();
        // Held while it is fetched: others wait for the same list.
        let mut kept = slot.lock().await;
        if kept.is_younger(age, Instant::now()) {
            return Ok(Arc::clone(&kept.catalog));
        }
        // Who waited while it failed fails with it.
        if let Some((at, fault)) = &kept.failed
            && *at >= came
        {
            return Err(fault.clone());
        }
        match self.fetch(key).await {
            Ok(catalog) => {
                kept.catalog = Arc::new(catalog);
                kept.fetched = Some(Instant::now());
                Ok(Arc::clone(&kept.catalog))
            }
            Err(fault) => {
                kept.failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    async fn fetch(&self, key: Option<&str>) -> Result<Catalog, Fault> {
        let list: List = self
            .api
            .get(&self.api.api_base, MODELS_PATH, key, MAX_LIST)
            .await?;
        // A relay without aliases is no broken one.
        let aliases = self
            .api
            .get(&self.api.e2e_base, ALIASES_PATH, key, MAX_LIST)
            .await
            .unwrap_or_default();
        Ok(Catalog::new(list, aliases))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111-1111-1111-1111-111111111111";
    const TWO: &str = "22222222-2222-2222-2222-22222222222a";
    const OPEN: &str = "33333333-3333-3333-3333-333333333333";
    const UNLISTED: &str = "44444444-4444-4444-4444-444444444444";

    fn catalog() -> Catalog {
        let list = json!({"data": [
            {"id": "org/one", "chute_id": ONE, "root": "org/base", "confidential_compute": true, "x": 1},
            {"id": "org/twice", "chute_id": OPEN, "confidential_compute": false},
            {"id": "org/twice", "chute_id": TWO.to_ascii_uppercase(), "confidential_compute": true},
            {"id": "org/open", "chute_id": OPEN, "confidential_compute": false},
            {"id": "org/says", "chute_id": OPEN, "confidential_compute": "true"},
            {"id": "org/silent", "chute_id": OPEN},
            {"id": "org/no-chute"},
            {"id": "org/bad-chute", "chute_id": "../x", "confidential_compute": true},
            7,
        ]});
        let aliases = vec![
            json!({"alias": "single", "chute_ids": [ONE]}),
            json!({"alias": "several", "chute_ids": [ONE, TWO]}),
            json!({"alias": "empty", "chute_ids": []}),
            json!({"alias": "open", "chute_ids": [OPEN]}),
            json!({"alias": "org/one", "chute_ids": [OPEN]}),
            json!("nonsense"),
        ];
        Catalog::new(serde_json::from_value(list).expect("a list"), aliases)
    }

    fn resolve(name: &str, waived: &[&str]) -> Result<(String, String, bool), Fault> {
        let waived: Vec<String> = waived.iter().map(|name| (*name).to_owned()).collect();
        catalog()
            .resolve(name, &waived)
            .map(|resolved| (resolved.model, resolved.chute, resolved.waived))
    }

    fn ok(model: &str, chute: &str, waived: bool) -> Result<(String, String, bool), Fault> {
        Ok((model.to_owned(), chute.to_owned(), waived))
    }

    #[test]
    fn names_ids_and_single_aliases_are_resolved() {
        assert_eq!(resolve("org/one", &[]), ok("org/one", ONE, false));
        assert_eq!(resolve(ONE, &[]), ok("org/one", ONE, false));
        assert_eq!(
            resolve(&TWO.to_ascii_uppercase(), &[]),
            ok("org/twice", TWO, false)
        );
        assert_eq!(resolve("single", &[]), ok("org/one", ONE, false));
        assert_eq!(resolve("org/twice", &[]), ok("org/twice", TWO, false));
        assert_eq!(
            resolve("several", &[]),
            Err(Fault::AmbiguousAlias {
                alias: "several".to_owned(),
                targets: 2
            })
        );
        for unknown in ["empty", "org/none", "org/no-chute", "org/bad-chute", ""] {
            assert_eq!(
                resolve(unknown, &[]),
                Err(Fault::UnknownModel(unknown.to_owned()))
            );
        }
    }

    #[test]
    fn what_is_not_confidential_needs_its_name_on_the_list() {
        for name in ["org/open", "org/says", "org/silent", "open", OPEN, UNLISTED] {
            let refused = Err(Fault::NotConfidential(name.to_owned()));
            assert_eq!(resolve(name, &[]), refused);
            assert_eq!(resolve(name, &["*", "org/*", "org/one"]), refused);
        }
        assert_eq!(
            resolve("org/open", &["org/open"]),
            ok("org/open", OPEN, true)
        );
        assert_eq!(resolve("open", &["open"]), ok("org/twice", OPEN, true));
        assert_eq!(resolve(OPEN, &[OPEN]), ok("org/twice", OPEN, true));
        assert_eq!(resolve(UNLISTED, &[UNLISTED]), ok(UNLISTED, UNLISTED, true));
        // A waiver gives nothing up where the relay lists the model as confidential.
        assert_eq!(resolve("org/one", &["org/one"]), ok("org/one", ONE, false));
    }

    #[test]
    fn a_waiver_is_not_carried_over_by_what_the_relay_says_of_a_name() {
        // Each of these names stands for the deployment that was waived, by the relay's word alone.
        for (name, waived) in [
            ("org/says", OPEN),
            ("org/says", "org/open"),
            ("open", "org/open"),
            ("open", OPEN),
            (OPEN, "org/twice"),
            (OPEN, "open"),
        ] {
            assert_eq!(
                resolve(name, &[waived]),
                Err(Fault::NotConfidential(name.to_owned())),
                "{waived}"
            );
        }
    }

    #[test]
    fn the_list_holds_what_is_usable_and_marks_what_is_waived() {
        let list = catalog().usable(&["org/open".to_owned()]);
        let shown: Vec<(&str, bool)> = list["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| {
                (
                    entry["id"].as_str().unwrap_or_default(),
                    entry.get("sealwire_waived").is_some(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [("org/one", false), ("org/twice", false), ("org/open", true)]
        );
        assert_eq!(list["data"][0]["x"], 1);
    }

    #[test]
    fn a_list_is_good_for_five_minutes() {
        let now = Instant::now();
        let kept = Kept {
            fetched: Some(now),
            ..Kept::default()
        };
        assert!(kept.is_younger(KEPT, now + KEPT - Duration::from_secs(1)));
        assert!(!kept.is_younger(KEPT, now + KEPT));
        assert!(!Kept::default().is_younger(KEPT, now));
    }
}
