//! Two implementations of the AEAD, each for the messages that it is faster with.

use std::sync::OnceLock;

use sealwire::CryptoError;
use sealwire::crypto::{Aead, AeadKey, Secret};

/// ChaCha20-Poly1305 by two implementations. They give the same, so which of them sealed or opens a message shows in its time only, and that
/// depends on its length.
#[derive(Clone, Copy)]
pub struct ByLength {
    /// For messages below `from`.
    pub short: &'static dyn Aead,
    /// For the others. Its key is prepared with the first of them, so that a stream of short ones pays nothing for it.
    pub long: &'static dyn Aead,
    /// Bytes of the first length that is long.
    pub from: usize,
}

impl Aead for ByLength {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(PreparedKey {
            short: self.short.key(key),
            long: OnceLock::new(),
            choice: *self,
            secret: Secret::new(*key.expose()),
        })
    }
}

struct PreparedKey {
    short: Box<dyn AeadKey>,
    long: OnceLock<Box<dyn AeadKey>>,
    choice: ByLength,
    secret: Secret<32>,
}

impl PreparedKey {
    fn of(&self, len: usize) -> &dyn AeadKey {
        if len < self.choice.from {
            return &*self.short;
        }
        let long = || self.choice.long.key(&self.secret);
        &**self.long.get_or_init(long)
    }
}

impl AeadKey for PreparedKey {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        self.of(buffer.len()).seal_in_place(nonce, aad, buffer)
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        self.of(buffer.len()).open_in_place(nonce, aad, buffer, tag)
    }

    fn seal_scatter(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        suffix: &[u8],
        out: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        self.of(out.len())
            .seal_scatter(nonce, aad, plaintext, suffix, out)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sealwire::rustcrypto;

    use super::*;

    /// The default AEAD, with a log of what it is asked for.
    struct Logged(&'static str);

    static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static AEAD: ByLength = ByLength {
        short: &Logged("short"),
        long: &Logged("long"),
        from: 100,
    };

    fn log(line: String) {
        LOG.lock().unwrap().push(line);
    }

    impl Aead for Logged {
        fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
            log(format!("{} key", self.0));
            Box::new(LoggedKey(self.0, rustcrypto::provider().aead.key(key)))
        }
    }

    struct LoggedKey(&'static str, Box<dyn AeadKey>);

    impl AeadKey for LoggedKey {
        fn seal_in_place(
            &self,
            nonce: &[u8; 12],
            aad: &[u8],
            buffer: &mut [u8],
        ) -> Result<[u8; 16], CryptoError> {
            log(format!("{} seal {}", self.0, buffer.len()));
            self.1.seal_in_place(nonce, aad, buffer)
        }

        fn open_in_place(
            &self,
            nonce: &[u8; 12],
            aad: &[u8],
            buffer: &mut [u8],
            tag: &[u8; 16],
        ) -> Result<(), CryptoError> {
            log(format!("{} open {}", self.0, buffer.len()));
            self.1.open_in_place(nonce, aad, buffer, tag)
        }
    }

    #[test]
    fn the_length_decides_and_the_long_key_waits_for_its_first_message() {
        let key = AEAD.key(&Secret::new([7; 32]));
        let mut buffer = [0; 100];
        let tag = key.seal_in_place(&[0; 12], b"", &mut buffer[..99]).unwrap();
        key.open_in_place(&[0; 12], b"", &mut buffer[..99], &tag)
            .unwrap();
        let tag = key.seal_in_place(&[0; 12], b"", &mut buffer).unwrap();
        key.open_in_place(&[0; 12], b"", &mut buffer, &tag).unwrap();
        // Text and suffix count together, as they do when they are opened.
        let mut out = [0; 100];
        key.seal_scatter(&[0; 12], b"", &[0; 98], &[0; 2], &mut out)
            .unwrap();
        key.seal_scatter(&[0; 12], b"", &[0; 97], &[0; 2], &mut out[..99])
            .unwrap();
        let expected = [
            "short key",
            "short seal 99",
            "short open 99",
            "long key",
            "long seal 100",
            "long open 100",
            "long seal 100",
            "short seal 99",
        ];
        assert_eq!(*LOG.lock().unwrap(), expected);
    }
}
