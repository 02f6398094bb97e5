//! The last requests, as sizes and times only, for the status page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use sealwire_http::net::lock;
use serde_json::{Value, json};

use crate::unix_now;

/// Requests that are remembered.
const KEPT: usize = 64;
/// Characters of a model's name that are shown.
const MAX_NAME: usize = 80;

/// What is remembered.
#[derive(Default)]
pub(super) struct Recent {
    ended: Mutex<VecDeque<Value>>,
    running: Mutex<Running>,
}

/// Requests under way, by number.
#[derive(Default)]
struct Running {
    next: u64,
    requests: BTreeMap<u64, Arc<Record>>,
}

/// What is known of one request. It is written while pieces go by, so it takes no lock for that.
struct Record {
    api: &'static str,
    at: u64,
    start: Instant,
    bytes_in: usize,
    bytes_out: AtomicU64,
    /// Milliseconds to the first byte.
    first: OnceLock<u64>,
    model: OnceLock<String>,
    status: AtomicU16,
    code: OnceLock<String>,
}

impl Record {
    fn to_json(&self) -> Value {
        json!({
            "at": self.at,
            "api": self.api,
            "model": self.model.get().map_or("", String::as_str),
            // 0: there is none, or the application went away before there was one.
            "status": self.status.load(Ordering::Relaxed),
            "error": self.code.get(),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out.load(Ordering::Relaxed),
            "first_byte_ms": self.first.get(),
            "total_ms": milliseconds(self.start),
        })
    }
}

impl Recent {
    /// Begins to follow a request.
    pub(super) fn follow(self: &Arc<Self>, api: &'static str, bytes_in: usize) -> Follow {
        let record = Arc::new(Record {
            api,
            at: unix_now(),
            start: Instant::now(),
            bytes_in,
            bytes_out: AtomicU64::new(0),
            first: OnceLock::new(),
            model: OnceLock::new(),
            status: AtomicU16::new(0),
            code: OnceLock::new(),
        });
        let mut running = lock(&self.running);
        let number = running.next;
        running.next = number.wrapping_add(1);
        running.requests.insert(number, Arc::clone(&record));
        drop(running);
        Follow {
            recent: Arc::clone(self),
            number,
            record,
        }
    }

    /// `{"running":n,"in_flight":[..],"requests":[..]}`, the last request first.
    pub(super) fn to_json(&self) -> Value {
        let requests: Vec<Value> = lock(&self.ended).iter().rev().cloned().collect();
        let running = lock(&self.running);
        let in_flight = running.requests.values().rev().take(KEPT);
        let in_flight: Vec<Value> = in_flight.map(|record| record.to_json()).collect();
        json!({"running": running.requests.len(), "in_flight": in_flight, "requests": requests})
    }
}

/// Follows one request; it is remembered when this is dropped.
pub(super) struct Follow {
    recent: Arc<Recent>,
    number: u64,
    record: Arc<Record>,
}

impl Follow {
    /// The first name stays.
    pub(super) fn model(&self, model: &str) {
        let name = || model.chars().take(MAX_NAME).collect();
        self.record.model.get_or_init(name);
    }

    pub(super) fn status(&self, status: u16) {
        self.record.status.store(status, Ordering::Relaxed);
    }

    /// The stable code of what went wrong first.
    pub(super) fn failed(&self, code: &str) {
        self.record.code.get_or_init(|| code.to_owned());
    }

    /// Bytes of content for the application.
    pub(super) fn sent(&self, bytes: usize) {
        let record = &self.record;
        if bytes > 0 {
            record.first.get_or_init(|| milliseconds(record.start));
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        record.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        lock(&self.recent.running).requests.remove(&self.number);
        let entry = self.record.to_json();
        let mut ended = lock(&self.recent.ended);
        if ended.len() >= KEPT {
            ended.pop_front();
        }
        ended.push_back(entry);
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_while_it_runs_and_after_it() {
        let recent = Arc::new(Recent::default());
        let follow = recent.follow("chat", 7);
        follow.model("org/model");
        follow.sent(3);
        let shown = recent.to_json();
        assert_eq!(
            (&shown["running"], &shown["requests"]),
            (&json!(1), &json!([]))
        );
        let running = &shown["in_flight"][0];
        assert_eq!(
            (&running["model"], &running["bytes_out"]),
            (&json!("org/model"), &json!(3))
        );
        follow.sent(4);
        follow.status(200);
        drop(follow);
        let shown = recent.to_json();
        assert_eq!(
            (&shown["running"], &shown["in_flight"]),
            (&json!(0), &json!([]))
        );
        let ended = &shown["requests"][0];
        assert_eq!(
            (&ended["bytes_in"], &ended["bytes_out"]),
            (&json!(7), &json!(7))
        );
        assert_eq!(ended["status"], 200);
    }

    #[test]
    fn only_the_last_requests_are_kept() {
        let recent = Arc::new(Recent::default());
        for number in 0..KEPT + 3 {
            drop(recent.follow("chat", number));
        }
        let shown = recent.to_json();
        let requests = shown["requests"].as_array().expect("a list");
        assert_eq!(requests.len(), KEPT);
        assert_eq!(requests[0]["bytes_in"], KEPT + 2);
    }
}
