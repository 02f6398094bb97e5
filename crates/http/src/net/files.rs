//! The limit of open files. Each connection is one, and the usual soft limit of 1,024 is soon reached.

use super::process::warn;

/// Files that a server holds open beside its connections: listener, libraries, standard streams, room.
const OTHERS: u64 = 64;

/// Raises the soft limit of open files to the hard one, and warns if so many streams, each a connection that is accepted, and so many connections that
/// the server opens itself may not fit. `lower` names the argument that asks for fewer. Returns how many connections may be accepted, so that those of
/// the server's own always find a file.
#[must_use]
pub fn provide_files(streams: usize, own: usize, lower: &str) -> usize {
    let [streams, own] = [streams, own].map(|count| u64::try_from(count).unwrap_or(u64::MAX));
    // Where there is no limit to be read, it shows when it is reached.
    let Ok(limit) = rlimit::increase_nofile_limit(u64::MAX) else {
        return usize::MAX;
    };
    let needed = streams.saturating_add(own).saturating_add(OTHERS);
    if let Some(warning) = too_low(limit, needed, lower) {
        warn(&warning);
    }
    acceptable(limit, own)
}

/// Half of what there is at least, if the server's own connections could take all.
fn acceptable(limit: u64, own: u64) -> usize {
    let left = limit.saturating_sub(OTHERS);
    let accepted = left.saturating_sub(own).max(left / 2).max(1);
    usize::try_from(accepted).unwrap_or(usize::MAX)
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

    #[test]
    fn connections_of_the_servers_own_find_a_file() {
        assert_eq!(acceptable(1_024, 0), 960);
        assert_eq!(acceptable(1_024, 100), 860);
        assert_eq!(acceptable(1_024, 900), 480);
        assert_eq!(acceptable(64, 1), 1);
    }
}
