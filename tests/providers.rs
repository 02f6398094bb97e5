//! What every provider must do at the level of its own traits.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::providers;
use sealwire::crypto::Secret;
use sealwire::{CryptoError, Suite};

#[test]
fn keys_and_ciphertexts_of_another_length_are_refused() {
    for provider in providers() {
        for suite in Suite::ALL {
            let kem = provider.kem(suite).unwrap();
            let pair = kem.generate().unwrap();
            assert_eq!(pair.public_key.len(), suite.public_key_len());
            let (ciphertext, shared) = kem.encapsulate(&pair.public_key).unwrap();
            assert_eq!(ciphertext.len(), suite.ciphertext_len());
            assert_eq!(
                pair.secret_key.decapsulate(&ciphertext).unwrap().expose(),
                shared.expose()
            );
            for len in [0, 1, suite.public_key_len() - 1] {
                let short = &pair.public_key[..len];
                assert_eq!(kem.check_public_key(short), Err(CryptoError::Invalid));
                assert_eq!(kem.encapsulate(short).err(), Some(CryptoError::Invalid));
            }
            let long = [&pair.public_key[..], &[0]].concat();
            assert_eq!(kem.check_public_key(&long), Err(CryptoError::Invalid));
            for len in [0, suite.ciphertext_len() - 1] {
                assert_eq!(
                    pair.secret_key.decapsulate(&ciphertext[..len]).err(),
                    Some(CryptoError::Invalid)
                );
            }
            let long = [&ciphertext[..], &[0]].concat();
            assert_eq!(
                pair.secret_key.decapsulate(&long).err(),
                Some(CryptoError::Invalid)
            );
        }
    }
}

#[test]
fn scattered_and_in_place_sealing_agree() {
    for provider in providers() {
        let key = provider.aead.key(&Secret::new([7; 32]));
        let (nonce, aad) = ([3; 12], b"header");
        for len in [0, 1, 63, 64, 200, 5_000] {
            let content = vec![0xA5; len];
            let mut in_place = [&content[..], b"tail"].concat();
            let tag = key.seal_in_place(&nonce, aad, &mut in_place).unwrap();
            let mut scattered = vec![0; len + 4];
            let other = key
                .seal_scatter(&nonce, aad, &content, b"tail", &mut scattered)
                .unwrap();
            assert_eq!((tag, &in_place), (other, &scattered));
            assert!(
                key.seal_scatter(&nonce, aad, &content, b"tail", &mut vec![0; len + 3])
                    .is_err()
            );
            key.open_in_place(&nonce, aad, &mut in_place, &tag).unwrap();
            assert_eq!(in_place, [&content[..], b"tail"].concat());
            assert_eq!(
                key.open_in_place(&nonce, b"other", &mut scattered, &tag),
                Err(CryptoError::Invalid)
            );
        }
    }
}
