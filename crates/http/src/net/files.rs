//! The limit of open files. Each connection is one, and the usual soft limit of 1,024 is soon reached.

use super::process::warn;

/// Files that a server holds open beside its connections: listener, libraries, standard streams, room.
const OTHERS: u64 = 64;

/// Raises the soft limit of open files to the hard one, and warns if so many connections may not fit. `lower` names the argument that asks for fewer.
pub fn provide_files(connections: usize, lower: &str) {
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHERS);
    // What cannot be raised or read shows when it is reached.
    if let Ok(limit) = rlimit::increase_nofile_limit(u64::MAX)
        && let Some(warning) = too_low(limit, needed, lower)
    {
        warn(&warning);
    }
}

fn too_low(limit: u64, needed: u64, lower: &str) -> Option<String> {
    (limit < needed).then(|| {
        format!(
            "warning: {limit} files may be open at a time, and {lower} may need {needed}: raise the hard limit \
             (`ulimit -Hn`, LimitNOFILE= of systemd) or lower {lower}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named() {
        assert_eq!(too_low(8_256, 8_256, "--max-streams"), None);
        let warning = too_low(1_024, 8_256, "--max-streams").expect("too low");
        for named in ["1024", "8256", "--max-streams", "ulimit -Hn", "LimitNOFILE"] {
            assert!(warning.contains(named), "{warning}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        provide_files(1, "--max-streams");
        let (soft, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).expect("a limit");
        // Some systems allow less than the hard limit says.
        assert!(soft == hard || soft >= 10_240, "{soft} of {hard}");
    }
}
