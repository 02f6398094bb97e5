//! libdeflate as compressor of the profile `chutes-v1`: faster than zlib-rs, at a better ratio (`cargo xtask bench chutes`).
//!
//! It is C, built with the C compiler that the binary needs for AWS-LC anyway; the library's default stays pure Rust (spec/adr/0012).

use libdeflater::{CompressionLvl, Compressor};
use sealwire::compat::chutes::Compress;

/// libdeflate at a fixed level.
#[derive(Clone, Copy, Debug)]
pub struct Libdeflate {
    level: i32,
}

impl Libdeflate {
    /// Level 3.
    pub const DEFAULT: Self = Self { level: 3 };
}

impl Compress for Libdeflate {
    fn deflate(&self, plain: &[u8], out: &mut Vec<u8>) {
        let level = CompressionLvl::new(self.level).unwrap_or_default();
        let mut compressor = Compressor::new(level);
        let start = out.len();
        let room = compressor.deflate_compress_bound(plain.len());
        out.resize(start.saturating_add(room), 0);
        let space = out.get_mut(start..).unwrap_or_default();
        // The bound is enough for any content, which is all that can fail.
        let written = compressor.deflate_compress(plain, space).unwrap_or(0);
        out.truncate(start.saturating_add(written));
    }
}

#[cfg(test)]
mod tests {
    use sealwire::compat::chutes::{Codec, Head, KeyRing, KeyRingConfig};
    use sealwire::compat::chutes::{InstanceKey, open_request, seal_request};
    use sealwire::rustcrypto;

    use super::*;

    #[test]
    fn what_it_packs_is_unpacked() {
        let provider = rustcrypto::provider();
        let codec = Codec {
            compress: &Libdeflate::DEFAULT,
            ..Codec::new(&provider)
        };
        for size in [0, 1, 100, 70_000, 1_000_000] {
            let mut ring = KeyRing::new(&provider, KeyRingConfig::default()).expect("a ring");
            let key = ring.public_key(0).expect("a key");
            let key = InstanceKey::from_base64(&provider, &key).expect("sound");
            // Text that repeats little.
            let text: String = (0..size)
                .map(|n: u32| {
                    char::from(b'a' + u8::try_from(n.wrapping_mul(n) % 23).expect("small"))
                })
                .collect();
            let body = format!("{{\"x\":\"{text}\"}}");
            let (blob, waiting) =
                seal_request(&codec, &key, "/v1/x", body.as_bytes()).expect("sealed");
            let request = open_request(&codec, &ring.candidates(0), &blob, "/v1/x", 1 << 21)
                .and_then(|opened| opened.admit(&mut ring, 0))
                .expect("opened");
            assert_eq!(request.body, body.as_bytes());
            let head = Head::new(200, "text/plain").expect("sound");
            let answer = request
                .responder
                .seal(&head, text.as_bytes())
                .expect("sealed");
            let reply = waiting.open(&answer, 1 << 21).expect("opened");
            assert_eq!(reply.body, text.as_bytes());
        }
    }
}
