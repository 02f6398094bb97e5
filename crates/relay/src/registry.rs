//! The instances behind a relay: whether they are up, what they serve, and which bundle is whose.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use sealwire::rustcrypto::verification;
use sealwire::{Bundle, RelayCode};
use sealwire_http::carriage::{BUNDLES_PATH, INSTANCE_PATH, from_base64url};
use sealwire_http::chutes::{DESCRIPTION_PATH, InstanceDescription, Uuid, is_public_key};
use sealwire_http::discovery::{
    BundleQuery, InstanceInfo, MAX_BUNDLES, MAX_DISCOVERY_BYTES, bundles_from_json,
};
use sealwire_http::net::{BaseUrl, HttpClient, empty, lock, read_all, warn};
use sealwire_http::problem::Problem;
use sealwire_http::profile::Profile;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::meter::BundleFacts;
use crate::{RelayConfig, RelayLimits, unix_now};

/// Bundles remembered; the oldest go first.
const MAX_ROUTES: usize = 65_536;
/// Labels taken of one instance, and chutes.
const MAX_LABELS: usize = 64;
/// Features taken of one instance.
const MAX_FEATURES: usize = 64;
/// Longest time for an answer of discovery.
const ASK_TIME: Duration = Duration::from_secs(3);
/// How long after its end a bundle is still routed: the client's clock and the instance decide, not the relay.
const AFTER_END: u64 = 120;

/// All instances of a relay.
pub(crate) struct Registry {
    instances: Vec<Instance>,
    profiles: Vec<Profile>,
    client: HttpClient,
    limits: RelayLimits,
    routes: Mutex<Routes>,
    turn: AtomicUsize,
}

struct Instance {
    url: BaseUrl,
    view: Mutex<View>,
    look_again: Notify,
}

/// What the relay last saw of an instance.
#[derive(Default)]
struct View {
    up: bool,
    /// It has answered at least once.
    seen: bool,
    identity: Option<[u8; 32]>,
    labels: Vec<String>,
    /// Current multi-use bundles.
    bundles: Vec<Bundle>,
    /// What it says of itself in chutes-v1, if it speaks that.
    chutes: Option<Arc<InstanceDescription>>,
    /// The id that it was said to share with an instance before it.
    shared: Option<Uuid>,
}

/// An instance of chutes-v1.
#[derive(Clone)]
pub(crate) struct Described {
    pub(crate) index: usize,
    pub(crate) up: bool,
    pub(crate) description: Arc<InstanceDescription>,
}

#[derive(Default)]
struct Routes {
    by_id: HashMap<[u8; 16], Route>,
    order: VecDeque<[u8; 16]>,
}

/// Where a handshake goes, by the bundle that it names.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) instance: usize,
    pub(crate) bundle: BundleFacts,
}

/// Why an instance did not answer discovery as it should.
#[derive(Debug)]
struct Unreachable;

impl Registry {
    pub(crate) fn new(config: &RelayConfig, client: HttpClient) -> Self {
        Self {
            instances: config
                .instances
                .iter()
                .map(|url| Instance {
                    url: url.clone(),
                    view: Mutex::new(View::default()),
                    look_again: Notify::new(),
                })
                .collect(),
            profiles: config.profiles.clone(),
            client,
            limits: config.limits,
            routes: Mutex::new(Routes::default()),
            turn: AtomicUsize::new(0),
        }
    }

    /// All labels that any instance has ever served, sorted.
    pub(crate) fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = self
            .instances
            .iter()
            .flat_map(|instance| lock(&instance.view).labels.clone())
            .collect();
        labels.sort();
        labels.dedup();
        labels
    }

    /// The instances that speak chutes-v1; those that are down as they were last seen.
    pub(crate) fn described(&self) -> Vec<Described> {
        self.instances
            .iter()
            .enumerate()
            .filter_map(|(index, instance)| {
                let view = lock(&instance.view);
                Some(Described {
                    index,
                    up: view.up,
                    description: Arc::clone(view.chutes.as_ref()?),
                })
            })
            .collect()
    }

    /// The same, one for each `instance_id`: of several that give one, the first that is up, in the order of the configuration.
    pub(crate) fn distinct(&self) -> Vec<Described> {
        let mut instances = self.described();
        // Stable: within the two halves the order stays.
        instances.sort_by_key(|instance| !instance.up);
        let mut seen = HashSet::new();
        instances.retain(|instance| seen.insert(instance.description.instance_id));
        instances.sort_by_key(|instance| instance.index);
        instances
    }

    /// Lets a list begin with another entry each time.
    pub(crate) fn rotate<T>(&self, list: &mut [T]) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        list.rotate_left(turn.checked_rem(list.len()).unwrap_or(0));
    }

    /// Whether every instance has answered at least once.
    pub(crate) fn all_seen(&self) -> bool {
        self.instances
            .iter()
            .all(|instance| lock(&instance.view).seen)
    }

    /// Bundles for a query, of as many instances as are up, beginning with another one each time.
    pub(crate) async fn bundles(&self, query: &BundleQuery) -> Result<Vec<Vec<u8>>, Problem> {
        let serving = self.serving(&query.label)?;
        if query.single_use {
            for index in serving {
                match self.fetch(index, query).await {
                    Ok(bundles) if !bundles.is_empty() => {
                        return Ok(bundles
                            .iter()
                            .map(|bundle| bundle.as_bytes().to_vec())
                            .collect());
                    }
                    Ok(_) => {}
                    Err(Unreachable) => self.mark_down(index),
                }
            }
            return Err(gone(&query.label));
        }
        let mut found = Vec::new();
        for index in serving {
            let Some(instance) = self.instances.get(index) else {
                continue;
            };
            found.extend(
                lock(&instance.view)
                    .bundles
                    .iter()
                    .filter(|bundle| bundle.label() == query.label)
                    .filter(|bundle| {
                        query
                            .suite
                            .is_none_or(|suite| suite == bundle.suite().to_u16())
                    })
                    .map(|bundle| bundle.as_bytes().to_vec()),
            );
        }
        found.truncate(MAX_BUNDLES);
        Ok(found)
    }

    /// Where a bundle's handshakes go.
    pub(crate) fn route(&self, bundle_id: &[u8; 16]) -> Option<Route> {
        lock(&self.routes).by_id.get(bundle_id).cloned()
    }

    /// Which instance has an identity: `gone` if it is away now, or if it may be one that has not been reached yet.
    pub(crate) fn by_identity(&self, identity: &[u8; 32]) -> Result<usize, Problem> {
        let mut all_seen = true;
        for (index, instance) in self.instances.iter().enumerate() {
            let view = lock(&instance.view);
            all_seen &= view.seen;
            if view.identity.as_ref() == Some(identity) {
                return if view.up {
                    Ok(index)
                } else {
                    Err(Problem::new(
                        RelayCode::Gone,
                        "the instance of this identity is not reachable now",
                    ))
                };
            }
        }
        Err(if all_seen {
            Problem::new(RelayCode::KeyUnknown, "no instance has this identity")
        } else {
            Problem::new(
                RelayCode::Gone,
                "not all instances of this relay have been reached yet",
            )
        })
    }

    pub(crate) fn url(&self, index: usize) -> Option<&BaseUrl> {
        self.instances.get(index).map(|instance| &instance.url)
    }

    /// Takes an instance out until it answers again, and looks for it at once.
    pub(crate) fn mark_down(&self, index: usize) {
        if let Some(instance) = self.instances.get(index) {
            lock(&instance.view).up = false;
            instance.look_again.notify_one();
        }
    }

    /// Looks at an instance at once; it stays in until it is seen to be away.
    pub(crate) fn look_again(&self, index: usize) {
        if let Some(instance) = self.instances.get(index) {
            instance.look_again.notify_one();
        }
    }

    /// Takes a bundle that an instance sent with `key-unknown`. Another identity than the one known means that it has restarted: then it is looked at again.
    pub(crate) fn learn(&self, index: usize, bytes: &[u8]) {
        let Ok(bundle) = Bundle::parse(&verification(), bytes) else {
            return;
        };
        let Some(instance) = self.instances.get(index) else {
            return;
        };
        self.remember(index, &bundle);
        instance.look_again.notify_one();
    }

    /// Indices of the instances that are up and serve a label.
    fn serving(&self, label: &str) -> Result<Vec<usize>, Problem> {
        let (mut up, mut known, mut all_seen) = (Vec::new(), false, true);
        for (index, instance) in self.instances.iter().enumerate() {
            let view = lock(&instance.view);
            all_seen &= view.seen;
            if view.labels.iter().any(|have| have == label) {
                known = true;
                if view.up {
                    up.push(index);
                }
            }
        }
        if up.is_empty() {
            return Err(if known || !all_seen {
                gone(label)
            } else {
                Problem::new(RelayCode::KeyUnknown, "no instance serves this label")
            });
        }
        self.rotate(&mut up);
        Ok(up)
    }

    fn remember(&self, instance: usize, bundle: &Bundle) {
        let facts = BundleFacts {
            id: bundle.id(),
            hash: bundle.hash(),
            identity: bundle.identity(),
            label: bundle.label().to_owned(),
            suite: bundle.suite(),
            not_after: bundle.window().1,
        };
        let mut routes = lock(&self.routes);
        let id = facts.id;
        let route = Route {
            instance,
            bundle: facts,
        };
        if routes.by_id.insert(id, route).is_none() {
            routes.order.push_back(id);
        }
        let now = unix_now();
        while let Some(oldest) = routes.order.front().copied() {
            let ended = routes
                .by_id
                .get(&oldest)
                .is_none_or(|route| now > route.bundle.not_after.saturating_add(AFTER_END));
            if !ended && routes.order.len() <= MAX_ROUTES {
                break;
            }
            routes.order.pop_front();
            routes.by_id.remove(&oldest);
        }
    }

    /// Looks at an instance in each profile. One that lacks a profile has no fault; one that speaks none is not up.
    async fn look(&self, index: usize) -> Result<(), Unreachable> {
        let instance = self.instances.get(index).ok_or(Unreachable)?;
        let mut native = None;
        if self.profiles.contains(&Profile::Native) {
            native = self.look_native(index, instance).await?;
        }
        let mut chutes = None;
        if self.profiles.contains(&Profile::ChutesV1) {
            chutes = self.look_chutes(instance).await?;
        }
        if native.is_none() && chutes.is_none() {
            return Err(Unreachable);
        }
        let (labels, bundles) = native.unwrap_or_default();
        let id = chutes.as_ref().map(|chutes| chutes.instance_id);
        {
            let mut view = lock(&instance.view);
            view.up = true;
            view.seen = true;
            view.labels = labels;
            view.bundles = bundles;
            view.chutes = chutes.map(Arc::new);
        }
        if let Some(id) = id {
            self.warn_of_shared(id);
        }
        Ok(())
    }

    /// Says of each instance that shares an id with one before it, once for each id.
    fn warn_of_shared(&self, id: Uuid) {
        let mut sharing = self.described();
        sharing.retain(|instance| instance.description.instance_id == id);
        let mut sharing = sharing
            .iter()
            .filter_map(|described| self.instances.get(described.index));
        let Some(first) = sharing.next() else { return };
        for instance in sharing {
            if lock(&instance.view).shared.replace(id) != Some(id) {
                warn(&format!(
                    "{} has the instance_id of {}, {id}: it gets nothing while that one is up; give each instance an id of its own, and name each once",
                    instance.url, first.url
                ));
            }
        }
    }

    /// Who an instance is, what it serves, its current bundles.
    async fn look_native(
        &self,
        index: usize,
        instance: &Instance,
    ) -> Result<Option<(Vec<String>, Vec<Bundle>)>, Unreachable> {
        let Some(json) = self.ask(instance, INSTANCE_PATH).await? else {
            return Ok(None);
        };
        let info: InstanceInfo = serde_json::from_slice(&json).map_err(|_| Unreachable)?;
        let identity: [u8; 32] = from_base64url(&info.identity)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Unreachable)?;
        lock(&instance.view).identity = Some(identity);
        let mut labels = info.labels;
        labels.truncate(MAX_LABELS);
        let mut bundles = Vec::new();
        for label in &labels {
            let query = BundleQuery {
                label: label.clone(),
                ..BundleQuery::default()
            };
            bundles.extend(self.fetch(index, &query).await?);
        }
        Ok(Some((labels, bundles)))
    }

    /// What an instance says of itself in chutes-v1. A key that is none is left out: the instance then is up, but cannot be used.
    async fn look_chutes(
        &self,
        instance: &Instance,
    ) -> Result<Option<InstanceDescription>, Unreachable> {
        let Some(json) = self.ask(instance, DESCRIPTION_PATH).await? else {
            return Ok(None);
        };
        let mut description: InstanceDescription =
            serde_json::from_slice(&json).map_err(|_| Unreachable)?;
        description.chutes.truncate(MAX_LABELS);
        description.supported_features.truncate(MAX_FEATURES);
        description.e2e_pubkey = description.e2e_pubkey.filter(|key| is_public_key(key));
        Ok(Some(description))
    }

    /// Bundles straight from an instance: signed by its identity, for this label; others are dropped.
    async fn fetch(&self, index: usize, query: &BundleQuery) -> Result<Vec<Bundle>, Unreachable> {
        let instance = self.instances.get(index).ok_or(Unreachable)?;
        let path = format!("{BUNDLES_PATH}?{}", query.to_query());
        let json = self.ask(instance, &path).await?.ok_or(Unreachable)?;
        let identity = lock(&instance.view).identity;
        let bundles: Vec<Bundle> = bundles_from_json(&json)
            .ok_or(Unreachable)?
            .iter()
            .filter_map(|bytes| Bundle::parse(&verification(), bytes).ok())
            .filter(|bundle| Some(bundle.identity()) == identity && bundle.label() == query.label)
            .collect();
        for bundle in &bundles {
            self.remember(index, bundle);
        }
        Ok(bundles)
    }

    async fn ask(&self, instance: &Instance, path: &str) -> Result<Option<Bytes>, Unreachable> {
        self.ask_within(instance, path, MAX_DISCOVERY_BYTES, ASK_TIME)
            .await
    }

    /// Asks an instance for a document within bounds; `None` if it has none.
    pub(crate) async fn document(
        &self,
        index: usize,
        path: &str,
        limit: usize,
        time: Duration,
    ) -> Option<Bytes> {
        let instance = self.instances.get(index)?;
        self.ask_within(instance, path, limit, time).await.ok()?
    }

    /// `None` if the instance does not serve the path.
    async fn ask_within(
        &self,
        instance: &Instance,
        path: &str,
        limit: usize,
        time: Duration,
    ) -> Result<Option<Bytes>, Unreachable> {
        let mut request = Request::new(empty());
        *request.uri_mut() = instance.url.join(path).map_err(|_| Unreachable)?;
        let exchange = async {
            let response = self.client.send(request).await.map_err(|_| Unreachable)?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                _ => return Err(Unreachable),
            }
            let mut body = response.into_body();
            let body = read_all(&mut body, limit, time).await;
            body.map(Some).map_err(|_| Unreachable)
        };
        timeout(time, exchange).await.unwrap_or(Err(Unreachable))
    }
}

fn gone(label: &str) -> Problem {
    Problem::new(
        RelayCode::Gone,
        format!("no instance that serves {label:?} is reachable now"),
    )
}

/// Watches every instance until the set is dropped.
pub(crate) fn watch(registry: &Arc<Registry>) -> JoinSet<()> {
    let mut watchers = JoinSet::new();
    for index in 0..registry.instances.len() {
        let registry = Arc::clone(registry);
        watchers.spawn(async move {
            loop {
                let pause = match registry.look(index).await {
                    Ok(()) => registry.limits.poll_interval,
                    Err(Unreachable) => {
                        if let Some(instance) = registry.instances.get(index) {
                            lock(&instance.view).up = false;
                        }
                        registry.limits.retry_interval
                    }
                };
                let Some(instance) = registry.instances.get(index) else {
                    return;
                };
                // Woken early by a failed stream, but never more than ten times a second.
                sleep(pause.min(Duration::from_millis(100))).await;
                let _ = timeout(pause, instance.look_again.notified()).await;
            }
        });
    }
    watchers
}
