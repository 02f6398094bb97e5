//! Who may use the relay.

use std::collections::HashMap;

use http::header::{AUTHORIZATION, HeaderMap};
use sealwire::RelayCode;
use sealwire::rustcrypto::verification;
use sealwire_http::problem::Problem;

/// The keys of a relay, as hashes: comparing them says nothing about a key through time.
pub(crate) struct Access {
    accepted: HashMap<[u8; 32], String>,
}

impl Access {
    pub(crate) fn new(keys: &[String]) -> Self {
        let accepted = keys
            .iter()
            .map(|key| {
                let hash = digest(key.as_bytes());
                let name: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
                (hash, name)
            })
            .collect();
        Self { accepted }
    }

    /// The name that a request's key is metered under: the first bytes of its hash, or nothing if no key is asked for.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<String, Problem> {
        if self.accepted.is_empty() {
            return Ok(String::new());
        }
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let key = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")),
            _ => None,
        };
        key.and_then(|key| self.accepted.get(&digest(key.trim().as_bytes())))
            .cloned()
            .ok_or_else(|| {
                Problem::new(
                    RelayCode::Auth,
                    "this relay asks for a key: Authorization: Bearer KEY",
                )
            })
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    verification().hash.sha256(&[bytes])
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_asked_for_only_if_there_are_any() {
        let mut headers = HeaderMap::new();
        assert_eq!(Access::new(&[]).check(&headers), Ok(String::new()));
        let access = Access::new(&["one".to_owned(), "two".to_owned()]);
        let code = |headers: &HeaderMap| access.check(headers).map_err(|problem| problem.code);
        assert_eq!(code(&headers), Err(RelayCode::Auth));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer three"));
        assert_eq!(code(&headers), Err(RelayCode::Auth));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer two"));
        let name = code(&headers).expect("accepted");
        assert_eq!(name.len(), 8);
        assert!(!name.contains("two"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer two"));
        assert_eq!(code(&headers), Err(RelayCode::Auth));
    }
}
