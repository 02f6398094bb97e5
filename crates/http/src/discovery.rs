//! The JSON of discovery (spec/http.md, section 5).

use serde::{Deserialize, Serialize};

use crate::carriage::{from_base64url, to_base64url};

/// Most bundles that one discovery answer may hold; a reader ignores the rest.
pub const MAX_BUNDLES: usize = 16;
/// Largest discovery answer that a reader takes, in bytes.
pub const MAX_DISCOVERY_BYTES: usize = 64 * 1_024;

/// What a client asks discovery for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BundleQuery {
    /// The label (model or deployment).
    pub label: String,
    /// Whether the bundle must be a single-use one.
    pub single_use: bool,
    /// The suite, if only one will do.
    pub suite: Option<u16>,
}

impl BundleQuery {
    /// The query part of the target, without `?`.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut query = format!("label={}", percent_encode(&self.label));
        if self.single_use {
            query.push_str("&single_use=true");
        }
        if let Some(suite) = self.suite {
            query.push_str(&format!("&suite={suite}"));
        }
        query
    }

    /// Reads the query part of a target. Unknown parameters are ignored; a known one that is malformed or doubled, or no label, is `None`.
    #[must_use]
    pub fn from_query(query: &str) -> Option<Self> {
        let mut label = None;
        let mut single_use = None;
        let mut suite = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "label" => set_once(&mut label, percent_decode(value)?)?,
                "single_use" => set_once(
                    &mut single_use,
                    match value {
                        "true" => true,
                        "false" => false,
                        _ => return None,
                    },
                )?,
                "suite" => set_once(&mut suite, suite_number(value)?)?,
                _ => {}
            }
        }
        Some(Self {
            label: label.filter(|label: &String| !label.is_empty())?,
            single_use: single_use.unwrap_or(false),
            suite,
        })
    }
}

/// Decimal, 1 to 65535, digits only.
fn suite_number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != 0)
}

pub(crate) fn set_once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    if slot.is_some() {
        return None;
    }
    *slot = Some(value);
    Some(())
}

#[derive(Serialize)]
struct BundleListJson {
    bundles: Vec<BundleJson>,
}

#[derive(Serialize)]
struct BundleJson {
    bundle: String,
}

/// The JSON answer that lists these bundles.
#[must_use]
pub fn bundles_to_json<'a>(bundles: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let list = BundleListJson {
        bundles: bundles
            .into_iter()
            .map(|bytes| BundleJson {
                bundle: to_base64url(bytes),
            })
            .collect(),
    };
    // Strings only: serialising them cannot fail.
    serde_json::to_vec(&list).unwrap_or_default()
}

/// Reads a discovery answer: the first [`MAX_BUNDLES`] entries without those that are none; `None` if it is no list.
#[must_use]
pub fn bundles_from_json(json: &[u8]) -> Option<Vec<Vec<u8>>> {
    let list: serde_json::Value = serde_json::from_slice(json).ok()?;
    let entries = list.get("bundles")?.as_array()?;
    let bundles = entries
        .iter()
        .take(MAX_BUNDLES)
        .filter_map(|entry| from_base64url(entry.get("bundle")?.as_str()?))
        .collect();
    Some(bundles)
}

/// How an instance describes itself to a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// Its Ed25519 identity key, base64url of 32 bytes.
    pub identity: String,
    /// The labels it serves.
    pub labels: Vec<String>,
    /// The suites it offers.
    pub suites: Vec<u16>,
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Undoes percent-encoding; `None` for a bad escape or for bytes that are not UTF-8.
#[must_use]
pub fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_goes_there_and_back() {
        for query in [
            BundleQuery {
                label: "org/model:7b & more=é".into(),
                single_use: true,
                suite: Some(2),
            },
            BundleQuery {
                label: "m".into(),
                ..BundleQuery::default()
            },
        ] {
            assert_eq!(BundleQuery::from_query(&query.to_query()), Some(query));
        }
    }

    #[test]
    fn bad_queries_are_none() {
        for bad in [
            "",
            "label=",
            "single_use=true",
            "label=a&label=b",
            "label=%zz",
            "label=%ff",
            "label=a&single_use=yes",
            "label=a&suite=x",
            "label=a&suite=70000",
            "label=a&suite=+1",
            "label=a&suite=0",
            "label=a&suite=",
            "label=a&suite=1&suite=1",
            "label=a&single_use=TRUE",
        ] {
            assert_eq!(BundleQuery::from_query(bad), None, "{bad}");
        }
        assert!(BundleQuery::from_query("label=a&later=1&later=2").is_some());
        let query = BundleQuery::from_query("label=a+b&suite=65535").expect("a query");
        assert_eq!((query.label.as_str(), query.suite), ("a+b", Some(65_535)));
    }

    #[test]
    fn bundle_list_goes_there_and_back() {
        let bundles = vec![vec![1, 2, 3], vec![]];
        let json = bundles_to_json(bundles.iter().map(Vec::as_slice));
        assert_eq!(bundles_from_json(&json), Some(bundles));
        assert_eq!(bundles_from_json(b"<html>"), None);
        assert_eq!(bundles_from_json(b"{}"), None);
        // A bad entry is dropped, not the list; what stands beyond the bound is not looked at.
        let mixed = br#"{"bundles":[{"bundle":"="},{},7,{"bundle":5},{"bundle":"AQID","x":1}]}"#;
        assert_eq!(bundles_from_json(mixed), Some(vec![vec![1, 2, 3]]));
        let many = vec![vec![1]; MAX_BUNDLES + 1];
        let json = bundles_to_json(many.iter().map(Vec::as_slice));
        assert_eq!(
            bundles_from_json(&json).map(|list| list.len()),
            Some(MAX_BUNDLES)
        );
    }
}
