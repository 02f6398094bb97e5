//! Files that people name: read whole, within a bound that holds for devices and pipes too.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// The content of a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut file = File::open(path)?.take(limit.saturating_add(1));
    let length = u64::try_from(file.read_to_end(&mut content)?).unwrap_or(u64::MAX);
    if length > limit {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(content)
}

/// The same, as text.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}
