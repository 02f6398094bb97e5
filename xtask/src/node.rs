//! Node and npm: the TypeScript package, and packages for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::env::{find_program, root};
use crate::report::{Outcome, Report};
use crate::run::{Output, command, read, status, watch};

const TYPESCRIPT: &str = "clients/typescript";
const OLDEST_NODE: u32 = 20;

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask typescript");
    if prepare(&mut report) {
        tests(&mut report);
    }
    report.finish()
}

/// The TypeScript package, built; whether it is.
pub(crate) fn prepare(report: &mut Report) -> bool {
    let mut ready = false;
    report.step("TypeScript packages", || {
        let outcome = packages(TYPESCRIPT);
        ready = matches!(outcome, Outcome::Passed(_));
        outcome
    });
    if ready {
        report.step("TypeScript build", || {
            let outcome = script("build");
            ready = matches!(outcome, Outcome::Passed(_));
            outcome
        });
    }
    ready
}

pub(crate) fn tests(report: &mut Report) {
    report.step("TypeScript tests", || script("test"));
}

fn script(name: &str) -> Outcome {
    match npm(&root().join(TYPESCRIPT), &["run", name]) {
        Ok(command) => status(command),
        Err(missing) => missing,
    }
}

/// `npm ci` in a folder, if its lock file is not what was installed last.
pub(crate) fn packages(folder: &str) -> Outcome {
    if !root().join(folder).join("package.json").is_file() {
        return Outcome::Missing(format!("{folder}/package.json"));
    }
    packages_in(&root().join(folder))
}

/// The same in a folder that may be elsewhere.
pub(crate) fn packages_in(folder: &Path) -> Outcome {
    let lock = folder.join("package-lock.json");
    let wanted = match fs::read_to_string(&lock) {
        Ok(wanted) => wanted,
        Err(error) => return Outcome::Failed(format!("{}: {error}", lock.display())),
    };
    // Goes with the packages if somebody removes them.
    let stamp = folder.join("node_modules/.installed-package-lock.json");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Outcome::Passed("already installed".to_owned());
    }
    match install(folder) {
        Outcome::Passed(_) => match fs::write(&stamp, wanted) {
            Ok(()) => Outcome::passed(),
            Err(error) => Outcome::Failed(format!("{}: {error}", stamp.display())),
        },
        other => other,
    }
}

/// `npm ci`, and once more if it lost files on the way: a download that breaks off and is tried again leaves holes, which npm tells as a warning only.
fn install(folder: &Path) -> Outcome {
    const TRIES: u32 = 2;
    for _ in 0..TRIES {
        let install = match npm(folder, &["ci", "--no-audit", "--no-fund"]) {
            Ok(command) => command,
            Err(missing) => return missing,
        };
        let mut lost = false;
        let outcome = watch(install, Output::Stderr, |line| {
            lost |= line.contains("TAR_ENTRY_ERROR");
        });
        if !lost {
            return outcome;
        }
    }
    Outcome::Failed("npm ci lost files of packages (TAR_ENTRY_ERROR); try again".to_owned())
}

/// `npm ARGS` in a folder; or what is missing for it.
fn npm(folder: &Path, args: &[&str]) -> Result<Command, Outcome> {
    node()?;
    let program = find_program("npm").ok_or_else(|| Outcome::Missing("npm".to_owned()))?;
    let mut npm = command(program);
    npm.current_dir(folder).args(args);
    Ok(npm)
}

/// The program `node`, if it is there and new enough.
pub(crate) fn node() -> Result<PathBuf, Outcome> {
    let wanted = || format!("node {OLDEST_NODE} or later");
    let program = find_program("node").ok_or_else(|| Outcome::Missing(wanted()))?;
    let mut ask = command(&program);
    ask.arg("--version");
    let version = read(ask).map_err(Outcome::Failed)?;
    match major(&version) {
        Some(major) if major >= OLDEST_NODE => Ok(program),
        _ => Err(Outcome::Missing(format!(
            "{} (found {})",
            wanted(),
            version.trim()
        ))),
    }
}

/// 20 of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions() {
        assert_eq!(major("v20.11.1\n"), Some(20));
        assert_eq!(major("v8.0.0"), Some(8));
        assert_eq!(major("20"), None);
        assert_eq!(major(""), None);
    }
}
