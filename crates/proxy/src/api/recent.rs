//! The last requests, as sizes and times only, for the status page.

use std::collections::VecDeque;
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
    running: Mutex<u64>,
}

impl Recent {
    /// Begins to follow a request.
    pub(super) fn follow(self: &Arc<Self>, api: &'static str, bytes_in: usize) -> Follow {
        *lock(&self.running) += 1;
        Follow {
            recent: Arc::clone(self),
            api,
            model: String::new(),
            at: unix_now(),
            start: Instant::now(),
            first: None,
            bytes_in,
            bytes_out: 0,
            status: 0,
            code: None,
        }
    }

    /// `{"running":n,"requests":[..]}`, the last request first.
    pub(super) fn to_json(&self) -> Value {
        let requests: Vec<Value> = lock(&self.ended).iter().rev().cloned().collect();
        json!({"running": *lock(&self.running), "requests": requests})
    }
}

/// Follows one request; it is remembered when this is dropped.
pub(super) struct Follow {
    recent: Arc<Recent>,
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
            self.first = Some(self.milliseconds());
        }
        self.bytes_out = self.bytes_out.saturating_add(bytes);
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let mut running = lock(&self.recent.running);
        *running = running.saturating_sub(1);
        drop(running);
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
            "total_ms": self.milliseconds(),
        });
        let mut ended = lock(&self.recent.ended);
        if ended.len() >= KEPT {
            ended.pop_front();
        }
        ended.push_back(entry);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held; if it did, the value would still be sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
