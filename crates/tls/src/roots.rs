//! Which certificate authorities are trusted.
//!
//! The machine's own come from `rustls-native-certs`: the same verifier then runs on every system, `--ca` means the same everywhere, and the dependency is small. What is
//! given up against `rustls-platform-verifier` is the operating system's revocation checking on macOS and Windows.

use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::SettingsError;

/// The machine's authorities, as many as can be read, and all of the given files.
pub(crate) fn load(files: &[PathBuf]) -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    // A machine without any is no error: its user may need plain http or --ca only.
    let (_added, _ignored) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for file in files {
        let fault = |why: String| SettingsError::Authority {
            file: file.display().to_string(),
            why,
        };
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| fault(error.to_string()))?;
        if certificates.is_empty() {
            return Err(fault("it holds no certificate".to_owned()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| fault(error.to_string()))?;
        }
    }
    Ok(roots)
}
