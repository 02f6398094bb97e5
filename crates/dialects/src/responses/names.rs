//! Names of tools at the model server: 64 letters, digits, `_` and `-`, and no namespaces.

/// Longest name of a function.
pub(super) const MAX: usize = 64;

/// The name for a tool. It does not depend on other tools, so that calls of the past keep theirs.
pub(super) fn flatten(namespace: Option<&str>, name: &str) -> String {
    let flat = join(namespace, name);
    if flat.len() <= MAX {
        flat
    } else {
        shorten(&flat, &flat)
    }
}

/// The name for a tool whose usual name another tool of the request has.
pub(super) fn distinct(namespace: Option<&str>, name: &str) -> String {
    let whole = format!("{}\0{name}", namespace.unwrap_or_default());
    shorten(&join(namespace, name), &whole)
}

fn join(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        None | Some("") => name.to_owned(),
        Some(namespace) => format!("{namespace}__{name}")
            .chars()
            .map(|letter| match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => letter,
                _ => '_',
            })
            .collect(),
    }
}

/// A name's beginning and a hash, together no longer than a name may be.
fn shorten(flat: &str, whole: &str) -> String {
    let hash = format!("_{:016x}", fnv1a(whole.as_bytes()));
    let mut length = flat.len().min(MAX - hash.len());
    while !flat.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}{hash}", &flat[..length])
}

/// FNV-1a: names need no more than to differ, and to stay the same over versions.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_with_two_underscores() {
        assert_eq!(flatten(None, "a.b"), "a.b");
        assert_eq!(flatten(Some(""), "a"), "a");
        assert_eq!(flatten(Some("ns"), "tool"), "ns__tool");
        assert_eq!(flatten(Some("mcp.é"), "a b"), "mcp____a_b");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = "x".repeat(64);
        assert_eq!(flatten(None, &long), long);
        let (one, other) = (flatten(Some(&long), "a"), flatten(Some(&long), "b"));
        assert_ne!(one, other);
        assert_eq!((one.len(), other.len()), (MAX, MAX));
        // The published value of the hash: a name that changed with a version would break conversations.
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        assert!(flatten(None, &"é".repeat(40)).len() <= MAX);
    }

    #[test]
    fn names_that_differ_by_their_namespace_only_stay_apart() {
        assert_ne!(distinct(Some("a"), "b__c"), distinct(Some("a__b"), "c"));
        assert_ne!(distinct(Some("a"), "b"), flatten(Some("a"), "b"));
    }
}
