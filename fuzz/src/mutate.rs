//! Changes to a byte string.

use arbitrary::Arbitrary;

/// One change. Positions are taken modulo the length.
#[derive(Arbitrary, Clone, Debug)]
pub enum Mutation {
    Xor {
        at: u32,
        with: u8,
    },
    /// Near the front, where the fixed fields are.
    Head {
        at: u8,
        with: u8,
    },
    /// Near the back, where the tags and signatures are.
    Tail {
        at: u8,
        with: u8,
    },
    Set {
        at: u32,
        bytes: Vec<u8>,
    },
    Truncate {
        at: u32,
    },
    Append(Vec<u8>),
    Remove {
        at: u32,
        len: u16,
    },
    Insert {
        at: u32,
        bytes: Vec<u8>,
    },
    Swap {
        at: u32,
        with: u32,
        len: u16,
    },
}

/// Applies the changes.
pub fn mutate(bytes: &mut Vec<u8>, mutations: &[Mutation]) {
    for mutation in mutations.iter().take(8) {
        apply(bytes, mutation);
    }
}

fn apply(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let len = bytes.len();
    let place = |at: u32| if len == 0 { 0 } else { at as usize % len };
    match mutation {
        Mutation::Append(more) => bytes.extend_from_slice(more),
        _ if len == 0 => {}
        Mutation::Xor { at, with } => bytes[place(*at)] ^= with,
        Mutation::Head { at, with } => bytes[usize::from(at % 32) % len] ^= with,
        Mutation::Tail { at, with } => bytes[len - 1 - usize::from(*at) % len] ^= with,
        Mutation::Set { at, bytes: new } => {
            for (byte, new) in bytes[place(*at)..].iter_mut().zip(new) {
                *byte = *new;
            }
        }
        Mutation::Truncate { at } => bytes.truncate(place(*at)),
        Mutation::Remove { at, len } => {
            let start = place(*at);
            let end = (start + usize::from(*len)).min(bytes.len());
            bytes.drain(start..end);
        }
        Mutation::Insert { at, bytes: new } => {
            let at = place(*at);
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Swap { at, with, len } => {
            for offset in 0..usize::from(*len) {
                let (a, b) = (place(*at) + offset, place(*with) + offset);
                if a.max(b) < bytes.len() {
                    bytes.swap(a, b);
                }
            }
        }
    }
}
