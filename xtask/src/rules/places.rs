//! No committed file names a package registry's host or a path of somebody's machine: both work on one machine only.

use std::fs;

use crate::env::root;
use crate::report::Outcome;
use crate::run::{command, read};

/// Hosts that serve packages or toolchains. Written in two parts, so that this file passes.
const HOSTS: [&str; 13] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("static.", "rust-lang.org"),
    concat!("sh.", "rustup.rs"),
    concat!("pypi.", "org"),
    concat!("files.", "pythonhosted.org"),
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("deb.", "debian.org"),
    concat!("security.", "debian.org"),
    concat!("proxy.", "golang.org"),
    concat!("repo1.", "maven.org"),
    concat!("index.", "docker.io"),
];

/// Settings that point a package manager at some other place.
const SETTINGS: [&str; 7] = [
    concat!("--index", "-url"),
    concat!("--extra-index", "-url"),
    concat!("--find", "-links"),
    concat!("index", "-url ="),
    concat!("replace", "-with"),
    concat!("_auth", "Token"),
    concat!("registry", "=http"),
];

/// Starts of paths that belong to one machine.
const PATHS: [&str; 7] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
    concat!("C:\\", "Users"),
    concat!("file:/", "//"),
];

/// Hosts that a file of settings may name.
const SETTINGS_HOSTS: [&str; 6] = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "github.com",
    "json-schema.org",
    "example.com",
];

/// The one source that Cargo.lock may name.
const LOCK_SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

pub(super) fn check() -> Outcome {
    if !root().join(".git").exists() {
        return Outcome::Missing("git checkout (the rule looks at tracked files)".to_owned());
    }
    let listed = match read({
        let mut git = command("git");
        git.args(["ls-files", "-z"]);
        git
    }) {
        Ok(listed) => listed,
        Err(why) => return Outcome::Failed(why),
    };
    let mut found = Vec::new();
    let mut seen = 0_usize;
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        // Not a file: deleted but not yet committed, or a link. Not text: nothing to read.
        let Ok(bytes) = fs::read(root().join(path)) else {
            continue;
        };
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        seen += 1;
        found.extend(
            complaints(path, &text)
                .into_iter()
                .map(|(line, what)| format!("{path}:{line}: {what}")),
        );
    }
    if seen == 0 {
        return Outcome::Failed("git lists no file".to_owned());
    }
    match Outcome::from_complaints(&found) {
        Outcome::Passed(_) => Outcome::Passed(format!("{seen} files")),
        other => other,
    }
}

fn complaints(path: &str, text: &str) -> Vec<(usize, String)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let cargo_lock = name == "Cargo.lock";
    let settings = is_settings(path, name);
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if cargo_lock && line == LOCK_SOURCE {
            continue;
        }
        for host in HOSTS.iter().filter(|host| line.contains(**host)) {
            found.push((number, format!("names the registry host {host}")));
        }
        for setting in SETTINGS.iter().filter(|setting| line.contains(**setting)) {
            found.push((number, format!("redirects a package manager: {setting}")));
        }
        for start in PATHS.iter().filter(|start| has_path(line, start)) {
            found.push((number, format!("names a machine's path: {start}")));
        }
        // npm copies the page where a package asks for money into its lock file; nothing is fetched from there.
        let funding = name == "package-lock.json" && line.trim_start().starts_with("\"url\":");
        if settings && !funding {
            // `.example` is reserved for documentation (RFC 2606).
            let foreign =
                |host: &&str| !SETTINGS_HOSTS.contains(host) && !host.ends_with(".example");
            for host in url_hosts(line).filter(foreign) {
                found.push((number, format!("settings name the host {host}")));
            }
        }
    }
    found
}

/// Files that tell a tool where to get something.
fn is_settings(path: &str, name: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        ".toml", ".lock", ".cfg", ".ini", ".txt", ".sh", ".yml", ".yaml", "rc",
    ];
    const NAMES: [&str; 4] = [
        "package.json",
        "package-lock.json",
        "Dockerfile",
        "Makefile",
    ];
    path.starts_with(".ci/")
        || NAMES.contains(&name)
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether the path begins here, and is not the middle of another one or of a URL.
fn has_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~}>)*".contains(c))
    })
}

/// Hosts of the web addresses in a line, without port.
fn url_hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || ".-[:]@".contains(c)))
            .unwrap_or(rest.len());
        let host = rest.get(..end).unwrap_or(rest);
        match host.find(']') {
            Some(end) => host.get(..=end).unwrap_or(host),
            None => host.split(':').next().unwrap_or(host),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        complaints(path, text).len()
    }

    #[test]
    fn hosts_settings_and_paths_are_found() {
        for host in HOSTS {
            assert_eq!(
                count("README.md", &format!("see https://{host}/x")),
                1,
                "{host}"
            );
        }
        for setting in SETTINGS {
            assert_eq!(count(".ci/run", &format!("x {setting} y")), 1, "{setting}");
        }
        for start in PATHS {
            assert_eq!(
                count("src/a.rs", &format!("let p = \"{start}x\";")),
                1,
                "{start}"
            );
        }
        assert_eq!(
            count(
                "Cargo.lock",
                "source = \"registry+https://mirror.invalid/index\""
            ),
            1
        );
        assert_eq!(
            count(
                "a/package-lock.json",
                "\"resolved\": \"http://mirror.invalid:8080/x.tgz\""
            ),
            1
        );
    }

    #[test]
    fn what_is_meant_to_be_there_passes() {
        assert_eq!(count("Cargo.lock", LOCK_SOURCE), 0);
        assert_eq!(
            count(
                "README.md",
                "https://www.rfc-editor.org/rfc/rfc9292 and <root>/x and docs/work/x"
            ),
            0
        );
        assert_eq!(
            count(
                "a.toml",
                "listen = \"http://127.0.0.1:8080\" # http://[::1]:1/"
            ),
            0
        );
    }
}
