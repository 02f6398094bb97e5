//! The certificate that chutes-v1 evidence is bound to. Nothing is ever signed or encrypted with its key here: it fills the place that the format has
//! for it.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Largest certificate that is read.
const MAX_CERTIFICATE: usize = 64 * 1_024;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read the certificate {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// It holds something else.
    #[error("{0} holds no certificate in DER or PEM")]
    Content(PathBuf),
    /// A fresh one cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// A fresh self-signed certificate, DER. Its key is forgotten.
///
/// # Errors
///
/// [`CertificateError::Make`].
pub fn fresh() -> Result<Vec<u8>, CertificateError> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(Vec::new())?.self_signed(&key)?;
    Ok(certificate.der().to_vec())
}

/// The first certificate of a file, DER.
///
/// # Errors
///
/// [`CertificateError`].
pub fn load(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let bytes =
        std::fs::read(path).map_err(|error| CertificateError::File(path.to_owned(), error))?;
    let content = || CertificateError::Content(path.to_owned());
    if bytes.len() > MAX_CERTIFICATE {
        return Err(content());
    }
    if bytes.starts_with(b"0") {
        // DER; whether it is a certificate, the instance says when it parses it.
        return Ok(bytes);
    }
    CertificateDer::from_pem_slice(&bytes)
        .map(|certificate| certificate.to_vec())
        .map_err(|_| content())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("../tests/data/certificate.pem");

    #[test]
    fn der_and_pem_are_taken_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("certificate");
        std::fs::write(&path, format!("a comment\n{PEM}")).expect("a file");
        let der = load(&path).expect("PEM");
        assert_eq!(der.len(), 374);
        std::fs::write(&path, &der).expect("a file");
        assert_eq!(load(&path).expect("DER"), der);
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n***\n").expect("a file");
        assert!(matches!(load(&path), Err(CertificateError::Content(_))));
        std::fs::write(&path, vec![b'0'; MAX_CERTIFICATE + 1]).expect("a file");
        assert!(matches!(load(&path), Err(CertificateError::Content(_))));
    }
}
