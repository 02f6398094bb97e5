//! Keys that a server asks its clients for.

use std::collections::HashMap;

use http::header::{AUTHORIZATION, HeaderMap};
use sealwire::crypto::Verification;

/// The keys of a server, as hashes: comparing them says nothing about a key through time.
pub struct Access {
    verification: Verification,
    accepted: HashMap<[u8; 32], String>,
}

/// No key came, or more than one, or one that is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is asked for: Authorization: Bearer KEY")]
pub struct Denied;

impl Access {
    /// Asks for one of these keys; for none if there are none.
    #[must_use]
    pub fn new<'a>(verification: Verification, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let accepted = keys
            .into_iter()
            .map(|key| {
                let hash = verification.hash.sha256(&[key.as_bytes()]);
                let name = hash.iter().take(4).map(|byte| format!("{byte:02x}"));
                (hash, name.collect())
            })
            .collect();
        Self {
            verification,
            accepted,
        }
    }

    /// The name of a request's key: the first bytes of its hash, or nothing if no key is asked for.
    ///
    /// # Errors
    ///
    /// [`Denied`].
    pub fn check(&self, headers: &HeaderMap) -> Result<String, Denied> {
        self.check_key(bearer(headers))
    }

    /// The same for a key that was found by other means.
    ///
    /// # Errors
    ///
    /// [`Denied`].
    pub fn check_key(&self, key: Option<&str>) -> Result<String, Denied> {
        if self.accepted.is_empty() {
            return Ok(String::new());
        }
        let key = key.ok_or(Denied)?;
        let hash = self.verification.hash.sha256(&[key.as_bytes()]);
        self.accepted.get(&hash).cloned().ok_or(Denied)
    }
}

/// The key of the only `Authorization: Bearer KEY`; the scheme is compared without case.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_asked_for_only_if_there_are_any() {
        let mut headers = HeaderMap::new();
        let verification = sealwire::rustcrypto::verification();
        assert_eq!(
            Access::new(verification, []).check(&headers),
            Ok(String::new())
        );
        let access = Access::new(verification, ["one", "two"]);
        assert_eq!(access.check(&headers), Err(Denied));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer three"));
        assert_eq!(access.check(&headers), Err(Denied));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer two"));
        let name = access.check(&headers).expect("accepted");
        assert_eq!(name.len(), 8);
        assert!(!name.contains("two"));
        for same in ["bearer two", "BEARER  two"] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(same));
            assert!(access.check(&headers).is_ok(), "{same}");
        }
        for bad in ["two", "Basic two", "Bearertwo"] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(bad));
            assert_eq!(access.check(&headers), Err(Denied), "{bad}");
        }
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer two"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer two"));
        assert_eq!(access.check(&headers), Err(Denied));
    }
}
