//! The salt that keeps this installation's prompts out of the prefix cache that a model server shares between users: random, made once, kept in a file.

use std::fs::{self, DirBuilder};
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

use sealwire::CryptoError;
use sealwire::crypto::SecureRandom;
use sealwire_http::carriage::to_base64url;

use crate::{file, places};

/// Random bytes of a salt.
const BYTES: usize = 32;
/// Largest file that is read.
const MAX_FILE: u64 = 256;

/// The salt of this installation, and, where it could not be kept, why: it is then good for this run only.
///
/// # Errors
///
/// That there are no random bytes.
pub(crate) fn load_or_make(
    random: &dyn SecureRandom,
) -> Result<(String, Option<String>), CryptoError> {
    let mut bytes = [0; BYTES];
    random.fill(&mut bytes)?;
    let fresh = to_base64url(&bytes);
    let Some(path) = places::state("cache_salt") else {
        return Ok((
            fresh,
            Some("neither XDG_STATE_HOME nor HOME is set".to_owned()),
        ));
    };
    Ok(match keep(&path, &fresh) {
        Ok(salt) => (salt, None),
        Err(error) => (fresh, Some(format!("{}: {error}", path.display()))),
    })
}

/// What the file holds; `fresh` if there was none, and now it holds that.
fn keep(path: &Path, fresh: &str) -> Result<String, Error> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        kept => return kept,
    }
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    make_folder(&folder)?;
    // Whole or not at all, and never over another's: two proxies may start at once. Such a file is its owner's alone.
    let mut made = tempfile::NamedTempFile::new_in(&folder)?;
    writeln!(made, "{fresh}")?;
    made.as_file().sync_all()?;
    match made.persist_noclobber(path) {
        Ok(_) => Ok(fresh.to_owned()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(error.error),
    }
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn read(path: &Path) -> Result<String, Error> {
    let text = file::read_text(path, MAX_FILE)?;
    let salt = text.trim();
    check_mode(path)?;
    // A salt that others could guess is none.
    if salt.len() < BYTES || !salt.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::new(
            ErrorKind::InvalidData,
            format!("it holds no salt of {BYTES} characters or more; remove it to get another"),
        ));
    }
    Ok(salt.to_owned())
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            "it is open to others; run: chmod 600 on it",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: &str = "0123456789abcdef0123456789abcdef0123456789a";
    const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98765";

    #[test]
    fn a_salt_is_made_once_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a").join("cache_salt");
        assert_eq!(keep(&path, FRESH).expect("made"), FRESH);
        assert_eq!(keep(&path, OTHER).expect("kept"), FRESH);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode();
            assert_eq!(mode(&path) & 0o777, 0o600);
            assert_eq!(mode(path.parent().expect("a folder")) & 0o777, 0o700);
        }
    }

    #[test]
    fn what_is_no_salt_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache_salt");
        for bad in ["", "short", &"a b".repeat(20), &"x".repeat(300)] {
            let mut made = tempfile::NamedTempFile::new_in(&folder).expect("a file");
            made.write_all(bad.as_bytes()).expect("a file");
            made.persist(&path).expect("a file");
            assert!(keep(&path, FRESH).is_err(), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_salt_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache_salt");
        keep(&path, FRESH).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("own");
        let error = keep(&path, OTHER).expect_err("open to others");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
