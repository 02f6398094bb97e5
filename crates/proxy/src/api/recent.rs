//! The last requests, as sizes and times only, for the status page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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
    requests: BTreeMap<u64, Begun>,
}

/// What is known of a request at its begin.
struct Begun {
    api: &'static str,
    model: String,
    at: u64,
    start: Instant,
    first: Option<u64>,
    bytes_in: usize,
    bytes_out: usize,
}

impl Begun {
    fn to_json(&self) -> Value {
        json!({
            "at": self.at,
            "api": self.api,
            "model": self.model,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "first_byte_ms": self.first,
            "total_ms": milliseconds(self.start),
        })
    }
}

impl Recent {
    /// Begins to follow a request.
    pub(super) fn follow(self: &Arc<Self>, api: &'static str, bytes_in: usize) -> Follow {
        let (at, start) = (unix_now(), Instant::now());
        let mut running = lock(&self.running);
        let number = running.next;
        running.next = number.wrapping_add(1);
        let begun = Begun {
            api,
            model: String::new(),
            at,
            start,
            first: None,
            bytes_in,
            bytes_out: 0,
        };
        running.requests.insert(number, begun);
        drop(running);
        Follow {
            recent: Arc::clone(self),
            number,
            api,
            model: String::new(),
            at,
            start,
            first: None,
            bytes_in,
            bytes_out: 0,
            status: 0,
            code: None,
        }
    }

    /// `{"running":n,"in_flight":[..],"requests":[..]}`, the last request first.
    pub(super) fn to_json(&self) -> Value {
        let requests: Vec<Value> = lock(&self.ended).iter().rev().cloned().collect();
        let running = lock(&self.running);
        let in_flight = running.requests.values().rev().take(KEPT);
        let in_flight: Vec<Value> = in_flight.map(Begun::to_json).collect();
        json!({"running": running.requests.len(), "in_flight": in_flight, "requests": requests})
    }
}

/// Follows one request; it is remembered when this is dropped.
pub(super) struct Follow {
    recent: Arc<Recent>,
    number: u64,
    api: &'static str,
    model: String,
    at: u64,
    start: Instant,
    first: Option<u64>,
    bytes_in: usize,
    bytes_out: usize,
    status: u16,
    code: Option<String>,
}

impl Follow {
    pub(super) fn model(&mut self, model: &str) {
        self.model = model.chars().take(MAX_NAME).collect();
        let mut running = lock(&self.recent.running);
        if let Some(begun) = running.requests.get_mut(&self.number) {
            begun.model.clone_from(&self.model);
        }
    }

    pub(super) fn status(&mut self, status: u16) {
        self.status = status;
    }

    /// The stable code of what went wrong.
    pub(super) fn failed(&mut self, code: &str) {
        self.code = Some(code.to_owned());
    }

    /// Bytes of content for the application.
    pub(super) fn sent(&mut self, bytes: usize) {
        if bytes > 0 && self.first.is_none() {
            self.first = Some(milliseconds(self.start));
        }
        self.bytes_out = self.bytes_out.saturating_add(bytes);
        let mut running = lock(&self.recent.running);
        if let Some(begun) = running.requests.get_mut(&self.number) {
            (begun.first, begun.bytes_out) = (self.first, self.bytes_out);
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        lock(&self.recent.running).requests.remove(&self.number);
        let entry = json!({
            "at": self.at,
            "api": self.api,
            "model": self.model,
            // 0: the application went away before there was one.
            "status": self.status,
            "error": self.code,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "first_byte_ms": self.first,
            "total_ms": milliseconds(self.start),
        });
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held; if it did, the value would still be sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_while_it_runs_and_after_it() {
        let recent = Arc::new(Recent::default());
        let mut follow = recent.follow("chat", 7);
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
