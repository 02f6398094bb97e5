//! The handshake, both roles, both suites, every provider.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use sealwire::client::ClientConfig;
use sealwire::{Padding, Suite};

#[test]
fn request_and_response_cross_in_both_suites() {
    for provider in providers() {
        for suite in Suite::ALL {
            let mut ring = ring(&provider);
            let mut ends = handshake(&provider, &mut ring, suite, &ClientConfig::default());
            let mut c2s = Vec::new();
            ends.client_sealer.seal_vec(b"early", &mut c2s).unwrap();
            ends.client_sealer
                .switch(ends.client.switch_key, &mut c2s)
                .unwrap();
            ends.client_sealer
                .seal_vec(&[b'x'; 50_000], &mut c2s)
                .unwrap();
            ends.client_sealer.finish(b"end", &mut c2s).unwrap();
            let got = open_all(&mut ends.server.opener, &c2s, []);
            assert_eq!(got.error, None);
            assert_eq!(got.end, Some(End::Final));
            assert_eq!(got.data.len(), 5 + 50_000 + 3);
            assert!(got.data.starts_with(b"earlyxx") && got.data.ends_with(b"xend"));

            let mut s2c = Vec::new();
            ends.server.sealer.set_padding(Padding::None);
            ends.server.sealer.seal_vec(b"answer", &mut s2c).unwrap();
            ends.server.sealer.finish(b"", &mut s2c).unwrap();
            assert_eq!(s2c.len(), 24 + 6 + 24);
            let got = open_all(&mut ends.client.opener, &s2c, []);
            assert_eq!(
                (got.data.as_slice(), got.end, got.error),
                (&b"answer"[..], Some(End::Final), None)
            );
        }
    }
}
