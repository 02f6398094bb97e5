//! Where a user's files are: the XDG base directories, which hold on every Unix; elsewhere they can be named with the same variables.

use std::env;
use std::path::PathBuf;

/// A file of settings: `$XDG_CONFIG_HOME/sealwire/NAME`, else `~/.config/sealwire/NAME`.
pub(crate) fn config(name: &str) -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config").map(|base| base.join("sealwire").join(name))
}

/// A file that a program keeps: `$XDG_STATE_HOME/sealwire/NAME`, else `~/.local/state/sealwire/NAME`.
pub(crate) fn state(name: &str) -> Option<PathBuf> {
    base("XDG_STATE_HOME", ".local/state").map(|base| base.join("sealwire").join(name))
}

/// Relative paths in these variables are to be ignored, says the XDG specification.
fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
}
