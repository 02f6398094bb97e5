//! ChaCha20-Poly1305.

use std::sync::{Mutex, OnceLock, PoisonError};

use openssl::cipher::Cipher;
use openssl::cipher_ctx::{CipherCtx, CipherCtxRef};
use openssl::error::ErrorStack;
use sealwire::CryptoError;
use sealwire::crypto::{Aead, AeadKey, Secret};

const TAG_LEN: usize = 16;
/// What OpenSSL's widest ChaCha20 makes at a time. Text is sealed from buffer to buffer in multiples of it, so that what is left and the suffix
/// are one piece: a piece that ends between costs as much as a copy of a frame.
const KERNEL: usize = 1_024;

pub(crate) struct ChaCha20Poly1305;

/// The cipher, looked up once: without that OpenSSL looks it up for every key. `None` if OpenSSL is built or configured without it.
pub(crate) fn cipher() -> Option<&'static Cipher> {
    static CIPHER: OnceLock<Option<Cipher>> = OnceLock::new();
    CIPHER
        .get_or_init(|| Cipher::fetch(None, "ChaCha20-Poly1305", None).ok())
        .as_ref()
}

impl Aead for ChaCha20Poly1305 {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        let context = cipher().and_then(|cipher| {
            let mut context = CipherCtx::new().ok()?;
            context
                .encrypt_init(Some(cipher), Some(key.expose()), None)
                .ok()?;
            Some(Mutex::new(context))
        });
        Box::new(PreparedKey(context))
    }
}

/// Both directions under one key, whose schedule they share: a call sets its nonce and direction. Erased by OpenSSL when it frees it.
/// `None` fails every call, as preparing a key cannot.
struct PreparedKey(Option<Mutex<CipherCtx>>);

impl PreparedKey {
    /// What a call that failed or panicked left behind is gone with the next nonce, so poison means nothing.
    fn with<T>(
        &self,
        call: impl FnOnce(&mut CipherCtxRef) -> Result<T, ErrorStack>,
    ) -> Result<Result<T, ErrorStack>, CryptoError> {
        let context = self.0.as_ref().ok_or(CryptoError::Backend)?;
        let mut context = context.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(call(&mut context))
    }
}

/// OpenSSL counts in `int`, and the crate panics where that is exceeded.
fn fits(lengths: &[usize]) -> Result<(), CryptoError> {
    if lengths.iter().all(|len| i32::try_from(*len).is_ok()) {
        Ok(())
    } else {
        Err(CryptoError::Backend)
    }
}

fn authenticate(context: &mut CipherCtxRef, aad: &[u8]) -> Result<(), ErrorStack> {
    context.cipher_update(aad, None).map(drop)
}

fn tag(context: &mut CipherCtxRef) -> Result<[u8; TAG_LEN], ErrorStack> {
    let mut tag = [0; TAG_LEN];
    context.cipher_final(&mut [])?;
    context.tag(&mut tag)?;
    Ok(tag)
}

impl AeadKey for PreparedKey {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CryptoError> {
        fits(&[aad.len(), buffer.len()])?;
        self.with(|context| {
            context.encrypt_init(None, None, Some(nonce))?;
            authenticate(context, aad)?;
            context.cipher_update_inplace(buffer, buffer.len())?;
            tag(context)
        })?
        .map_err(|_| CryptoError::Backend)
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        fits(&[aad.len(), buffer.len()])?;
        self.with(|context| {
            context.decrypt_init(None, None, Some(nonce))?;
            context.set_tag(tag)?;
            authenticate(context, aad)?;
            context.cipher_update_inplace(buffer, buffer.len())?;
            context.cipher_final(&mut [])
        })?
        .map(drop)
        .map_err(|_| CryptoError::Invalid)
    }

    fn seal_scatter(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        suffix: &[u8],
        out: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CryptoError> {
        if out.len().checked_sub(plaintext.len()) != Some(suffix.len()) {
            return Err(CryptoError::Backend);
        }
        fits(&[aad.len(), out.len()])?;
        let (whole, rest) = plaintext.split_at(plaintext.len() - plaintext.len() % KERNEL);
        let (head, tail) = out.split_at_mut(whole.len());
        let (tail_text, tail_suffix) = tail.split_at_mut(rest.len());
        tail_text.copy_from_slice(rest);
        tail_suffix.copy_from_slice(suffix);
        self.with(|context| {
            context.encrypt_init(None, None, Some(nonce))?;
            authenticate(context, aad)?;
            context.cipher_update(whole, Some(head))?;
            context.cipher_update_inplace(tail, tail.len())?;
            tag(context)
        })?
        .map_err(|_| CryptoError::Backend)
    }
}
