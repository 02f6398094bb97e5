//! What has been used, by key, billing handle and label; each stream counts once.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use sealwire::receipt::Receipt;
use sealwire_http::net::lock;
use sealwire_http::usage::TokenUsage;
use serde::Serialize;
use serde_json::Value;

/// Accounts kept; further ones are summed up in one.
const MAX_ACCOUNTS: usize = 10_000;
/// Streams remembered so that none is billed twice.
const MAX_BILLED: usize = 65_536;
/// The account of all that found no place.
const OVERFLOW: &str = "(others)";

/// Whose use it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Account {
    /// First bytes of the key's hash, empty without keys.
    pub(crate) key: String,
    /// The billing handle of the context, as text if it is text.
    pub(crate) billing: String,
    pub(crate) label: String,
}

/// Sums of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Totals {
    /// Streams that the instance accepted.
    pub(crate) requests: u64,
    pub(crate) tokens_in: u64,
    pub(crate) tokens_out: u64,
    pub(crate) tokens_cached: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    /// Receipts that were verified.
    pub(crate) receipts: u64,
    /// Receipts that were not acceptable, and not billed.
    pub(crate) receipts_refused: u64,
    /// Streams whose last receipt said that usage is not known.
    pub(crate) usage_unknown: u64,
    /// Streams without an acceptable receipt.
    pub(crate) without_receipt: u64,
    /// Streams of chutes-v1, billed by numbers that nothing signs.
    pub(crate) unsigned: u64,
}

/// What a stream is billed by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Bill {
    /// Nothing acceptable came.
    #[default]
    NoReceipt,
    /// The verified receipt of the highest index.
    Receipt(Receipt),
    /// What the instance said beside the ciphertext, last.
    Unsigned(Option<TokenUsage>),
}

/// What one stream has come to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamTotals {
    pub(crate) th2: Option<[u8; 32]>,
    pub(crate) bill: Bill,
    pub(crate) receipts: u64,
    pub(crate) receipts_refused: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

#[derive(Debug, Default)]
struct Book {
    accounts: BTreeMap<Account, Totals>,
    billed: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

/// The relay's book, in memory.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

impl Ledger {
    /// Enters a stream that is over.
    pub(crate) fn enter(&self, account: &Account, stream: &StreamTotals) {
        let mut book = self.lock();
        let first_time = stream.th2.is_none_or(|th2| book.first_time(th2));
        let totals = book.totals(account);
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut totals.bytes_up, stream.bytes_up);
        add(&mut totals.bytes_down, stream.bytes_down);
        add(&mut totals.receipts, stream.receipts);
        add(&mut totals.receipts_refused, stream.receipts_refused);
        if !first_time {
            return;
        }
        add(&mut totals.requests, 1);
        match stream.bill {
            Bill::Receipt(receipt) => {
                add(&mut totals.tokens_in, receipt.usage.tokens_in);
                add(&mut totals.tokens_out, receipt.usage.tokens_out);
                add(&mut totals.tokens_cached, receipt.usage.tokens_cached);
                add(&mut totals.usage_unknown, u64::from(!receipt.usage_known));
            }
            Bill::NoReceipt => add(&mut totals.without_receipt, 1),
            Bill::Unsigned(usage) => {
                let known = usage.unwrap_or_default();
                add(&mut totals.tokens_in, known.input);
                add(&mut totals.tokens_out, known.output);
                add(&mut totals.tokens_cached, known.cached);
                add(&mut totals.usage_unknown, u64::from(usage.is_none()));
                add(&mut totals.unsigned, 1);
            }
        }
    }

    /// The book as JSON; with a key's name only that key's part.
    pub(crate) fn to_json(&self, key: &str) -> Value {
        let book = self.lock();
        let rows: Vec<Value> = book
            .accounts
            .iter()
            .filter(|(account, _)| key.is_empty() || account.key == key)
            .map(|(account, totals)| {
                let mut row = serde_json::to_value(account).unwrap_or_default();
                if let (Some(row), Ok(Value::Object(totals))) =
                    (row.as_object_mut(), serde_json::to_value(totals))
                {
                    row.extend(totals);
                }
                row
            })
            .collect();
        serde_json::json!({ "usage": rows })
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Only sums; they are sound after any interruption.
        lock(&self.0)
    }
}

impl Book {
    fn first_time(&mut self, th2: [u8; 32]) -> bool {
        if !self.billed.insert(th2) {
            return false;
        }
        self.order.push_back(th2);
        if self.order.len() > MAX_BILLED
            && let Some(oldest) = self.order.pop_front()
        {
            self.billed.remove(&oldest);
        }
        true
    }

    fn totals(&mut self, account: &Account) -> &mut Totals {
        let account = if self.accounts.len() < MAX_ACCOUNTS || self.accounts.contains_key(account) {
            account.clone()
        } else {
            Account {
                key: account.key.clone(),
                billing: OVERFLOW.to_owned(),
                label: OVERFLOW.to_owned(),
            }
        };
        self.accounts.entry(account).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(label: &str) -> Account {
        Account {
            key: String::new(),
            billing: String::new(),
            label: label.to_owned(),
        }
    }

    fn stream(th2: u8) -> StreamTotals {
        StreamTotals {
            th2: Some([th2; 32]),
            bytes_up: 10,
            ..StreamTotals::default()
        }
    }

    #[test]
    fn a_stream_counts_once() {
        let ledger = Ledger::default();
        ledger.enter(&account("m"), &stream(1));
        ledger.enter(&account("m"), &stream(1));
        ledger.enter(&account("m"), &stream(2));
        let json = ledger.to_json("");
        assert_eq!(json["usage"][0]["requests"], 2);
        assert_eq!(json["usage"][0]["without_receipt"], 2);
        assert_eq!(json["usage"][0]["bytes_up"], 30);
    }

    #[test]
    fn memory_is_bounded() {
        let ledger = Ledger::default();
        for number in 0..MAX_ACCOUNTS + 5 {
            ledger.enter(&account(&number.to_string()), &StreamTotals::default());
        }
        assert_eq!(ledger.lock().accounts.len(), MAX_ACCOUNTS + 1);
        assert_eq!(ledger.lock().totals(&account("new")).requests, 5);
    }
}
