//! Keys are `Send` and `Sync`, which the compiler checks, and give the same from several threads at a time.

use std::thread;

use sealwire::Suite;
use sealwire::crypto::Secret;

use super::array;
use crate::Subject;
use crate::report::Tally;

pub(super) fn shared(subject: &Subject<'_>, tally: &mut Tally) {
    let provider = subject.provider;
    let aead = provider.aead.key(&Secret::new(array("aead key")));
    let signing = provider.signing.signing_key(&Secret::new(array("seed")));
    let signature = signing.sign(b"message");
    let mut sealed = *b"content";
    let Some(tag) = tally.must("sealing", aead.seal_in_place(&[0; 12], b"", &mut sealed)) else {
        return;
    };
    let mut keys = Vec::new();
    for kem in Suite::ALL
        .into_iter()
        .filter_map(|suite| provider.kem(suite))
    {
        let made = kem
            .generate()
            .and_then(|pair| Ok((kem.encapsulate(&pair.public_key)?, pair.secret_key)));
        keys.extend(tally.must("a key", made));
    }
    let same = || {
        (0..20).all(|_| {
            let mut buffer = *b"content";
            let own = aead.seal_in_place(&[0; 12], b"", &mut buffer);
            let mut drawn = [0; 32];
            own == Ok(tag)
                && buffer == sealed
                && aead.open_in_place(&[0; 12], b"", &mut buffer, &tag).is_ok()
                && signing.sign(b"message") == signature
                && provider.random.fill(&mut drawn).is_ok()
                && keys.iter().all(|((ciphertext, shared), key)| {
                    key.decapsulate(ciphertext)
                        .is_ok_and(|own| own.expose() == shared.expose())
                })
        })
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(same)).collect();
        for (number, thread) in threads.into_iter().enumerate() {
            tally.case(
                format_args!("thread {number}"),
                thread.join().unwrap_or(false),
            );
        }
    });
}
