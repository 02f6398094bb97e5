//! An identity key in a file, for places without a TEE: 32 bytes as base64url, readable by its owner only.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use sealwire::CryptoProvider;
use sealwire::crypto::Secret;
use sealwire_http::carriage::{from_base64url, to_base64url};

/// Why there is no identity key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityFileError {
    /// The file cannot be read or made.
    #[error("cannot use the identity key file {0}: {1}")]
    Io(PathBuf, std::io::Error),
    /// Others may read the file.
    #[error("the identity key file {0} is open to others; run: chmod 600 {0}")]
    Mode(PathBuf),
    /// The file holds something else.
    #[error(
        "the identity key file {0} does not hold 32 bytes as base64url; remove it to get a new key, which clients must then pin"
    )]
    Content(PathBuf),
    /// The random generator failed.
    #[error("cannot make an identity key: {0}")]
    Random(sealwire::Error),
}

/// A fresh key that is not stored.
///
/// # Errors
///
/// [`IdentityFileError::Random`].
pub fn fresh(provider: &CryptoProvider) -> Result<Secret<32>, IdentityFileError> {
    let mut seed = Secret::new([0; 32]);
    provider
        .random
        .fill(seed.expose_mut())
        .map_err(|error| IdentityFileError::Random(error.into()))?;
    Ok(seed)
}

/// The key in `path`; made, with mode 0600 where there are modes, if the file does not exist.
///
/// # Errors
///
/// [`IdentityFileError`].
pub fn load_or_make(
    path: &Path,
    provider: &CryptoProvider,
) -> Result<Secret<32>, IdentityFileError> {
    let io = |error| IdentityFileError::Io(path.to_owned(), error);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            let seed = fresh(provider)?;
            let text = format!("{}\n", to_base64url(seed.expose()));
            file.write_all(text.as_bytes()).map_err(io)?;
            file.sync_all().map_err(io)?;
            Ok(seed)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mut file = File::open(path).map_err(io)?;
            check_mode(path, &file)?;
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(io)?;
            from_base64url(text.trim())
                .and_then(|bytes| bytes.try_into().ok())
                .map(Secret::new)
                .ok_or_else(|| IdentityFileError::Content(path.to_owned()))
        }
        Err(error) => Err(io(error)),
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> Result<(), IdentityFileError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file
        .metadata()
        .map_err(|error| IdentityFileError::Io(path.to_owned(), error))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(IdentityFileError::Mode(path.to_owned()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &File) -> Result<(), IdentityFileError> {
    Ok(())
}
