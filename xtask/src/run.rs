//! Runs programs.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::env::{in_ci, root};
use crate::report::Outcome;

/// A command in the root of the repository, without the variables that `cargo run` left for xtask itself.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let own = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        if own.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command
}

/// `cargo ARGS` with the toolchain that runs xtask.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// `cargo SUBCOMMAND ARGS`, with a lock file that may not change in CI.
pub(crate) fn cargo_locked(subcommand: &str, args: &[&str]) -> Command {
    let mut command = cargo(&[subcommand]);
    if in_ci() {
        command.arg("--locked");
    }
    command.args(args);
    command
}

/// Prints the command as one would type it.
fn announce(command: &Command) {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            line.push_str(&format!(
                "{}={:?} ",
                name.to_string_lossy(),
                value.to_string_lossy()
            ));
        }
    }
    let program = std::path::Path::new(command.get_program());
    line.push_str(
        &program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy(),
    );
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    println!("$ {line}");
}

/// Runs a command with its output passed through.
pub(crate) fn status(mut command: Command) -> Outcome {
    announce(&command);
    match command.status() {
        Ok(status) if status.success() => Outcome::passed(),
        Ok(status) => Outcome::Failed(status.to_string()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Runs commands until one does not pass.
pub(crate) fn all(commands: impl IntoIterator<Item = Command>) -> Outcome {
    for command in commands {
        match status(command) {
            Outcome::Passed(_) => {}
            other => return other,
        }
    }
    Outcome::passed()
}

/// Which of a command's outputs to watch; the other one is passed through untouched.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    /// What it prints.
    Stdout,
    /// What it complains of.
    Stderr,
}

/// Runs a command, passes its output through line by line and hands each line of the watched one to `see`.
pub(crate) fn watch(mut command: Command, output: Output, mut see: impl FnMut(&str)) -> Outcome {
    announce(&command);
    match output {
        Output::Stdout => command.stdout(Stdio::piped()),
        Output::Stderr => command.stderr(Stdio::piped()),
    };
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    match output {
        Output::Stdout => {
            let lines = child.stdout.take();
            pass_lines(lines, |line| print!("{line}"), &mut see);
        }
        Output::Stderr => {
            let lines = child.stderr.take();
            pass_lines(lines, |line| eprint!("{line}"), &mut see);
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Outcome::passed(),
        Ok(status) => Outcome::Failed(status.to_string()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn pass_lines(from: Option<impl Read>, pass: impl Fn(&str), see: &mut impl FnMut(&str)) {
    let Some(from) = from else { return };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&line);
        pass(&text);
        see(text.trim_end());
        line.clear();
    }
}

/// Runs a command that must end by itself within a time.
pub(crate) fn within(limit: Duration, mut command: Command) -> Outcome {
    announce(&command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Outcome::passed(),
            Ok(Some(status)) => return Outcome::Failed(status.to_string()),
            Ok(None) if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Outcome::Failed(format!("still running after {} s", limit.as_secs()));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => return Outcome::Failed(error.to_string()),
        }
    }
}

/// The standard output of a command that must succeed.
pub(crate) fn read(mut command: Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "{name}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
