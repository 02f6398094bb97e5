//! Secret bytes: erased on drop, neither printed nor cloned, compared in constant time.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// `N` secret bytes.
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes secret bytes. The caller erases its own copy.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// All zero, to be written into.
    pub(crate) const fn zero() -> Self {
        Self([0; N])
    }

    /// The bytes, for a crypto backend.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, to be written by a crypto backend.
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// Compares in constant time.
    pub(crate) fn ct_eq(&self, other: &[u8; N]) -> bool {
        self.0.as_slice().ct_eq(other.as_slice()).into()
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
