//! The mutation proof: every class of negative vectors is caught by the check it is named after, and by nothing less.
//!
//! A copy of the library is made in which each check of the table can be switched off by an environment variable, built once, and run over all
//! vectors once for each check. With everything on no case may fail; with one check off, negative cases of its classes must. The sources
//! themselves hold no switch: the table names the text of a check, and a text that has changed is an error here.

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::env::{root, target_dir};
use crate::report::{Outcome, Report};
use crate::run::{cargo_locked, read, status};

use self::table::{CHECKS, Check};

/// What of the repository the copy needs.
const COPIED: [&str; 6] = [
    "Cargo.lock",
    "README.md",
    "crates/http",
    "spec",
    "src",
    "vectors",
];
/// The switch that the copy's core gets as a module.
const SWITCH: &str = include_str!("switch.rs");

pub(crate) fn run() -> ExitCode {
    let mut report = Report::new("cargo xtask proof");
    steps(&mut report);
    report.finish()
}

pub(crate) fn steps(report: &mut Report) {
    let mut ready = false;
    report.step("switchable copy of the library", || {
        let outcome = prepare().map_or_else(Outcome::Failed, build);
        ready = matches!(outcome, Outcome::Passed(_));
        outcome
    });
    if ready {
        report.step("mutation proof", || match prove() {
            Ok(proof) => Outcome::Passed(proof),
            Err(complaints) => Outcome::from_complaints(&complaints),
        });
    }
}

fn copy_root() -> PathBuf {
    target_dir().join("mutation")
}

/// Makes the copy and puts the switches in. Returns the path of its manifest.
fn prepare() -> Result<PathBuf, String> {
    let to = copy_root();
    for name in COPIED {
        mirror(&root().join(name), &to.join(name))?;
    }
    let manifest = text(&root().join("Cargo.toml"))?;
    let members = manifest
        .lines()
        .find(|line| line.starts_with("members = "))
        .ok_or("Cargo.toml has no line of members")?;
    let mut own = manifest.replace(
        members,
        "members = [\".\", \"crates/http\", \"vectors/tool\"]",
    );
    // The copy runs no tests of its own, and one check has to be rebuilt from the curve's parts.
    own = without_targets(&own);
    own = own.replace(
        "[dependencies]\n",
        "[dependencies]\ncurve25519-dalek = { version = \"5\", default-features = false }\n",
    );
    // Built once and run for seconds: less optimised dependencies are sooner there.
    own = own.replace("opt-level = 3", "opt-level = 1");
    put(&to.join("Cargo.toml"), &own)?;
    for member in ["crates/http", "vectors/tool"] {
        let manifest = to.join(member).join("Cargo.toml");
        put(&manifest, &without_targets(&text(&manifest)?))?;
    }
    let lib = text(&to.join("src/lib.rs"))?;
    put(
        &to.join("src/lib.rs"),
        &lib.replace("mod codec;", "mod codec;\n#[doc(hidden)]\npub mod switch;"),
    )?;
    put(&to.join("src/switch.rs"), SWITCH)?;
    for check in CHECKS {
        switch(&to, check)?;
    }
    Ok(to.join("Cargo.toml"))
}

/// The manifest without examples, benches and dev-dependencies.
fn without_targets(manifest: &str) -> String {
    let mut keep = true;
    let mut kept = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            let dropped = ["[[example]]", "[[bench]]", "[dev-dependencies]"];
            keep = !dropped.contains(&line);
        }
        if keep {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Puts the switch of one check into the copy.
fn switch(copy: &Path, check: &Check) -> Result<(), String> {
    let path = copy.join(check.file);
    let source = text(&path)?;
    let found = source.matches(check.find).count();
    if found != 1 {
        return Err(format!(
            "{}: the text of the check {} stands {found} times, not once; mend xtask/src/mutation/table.rs",
            check.file, check.name
        ));
    }
    let path_to_switch = if check.file.starts_with("src/") {
        "crate"
    } else {
        "sealwire"
    };
    let off = format!("{path_to_switch}::switch::off({:?})", check.name);
    put(
        &path,
        &source.replace(check.find, &check.replace.replace("OFF", &off)),
    )
}

fn build(manifest: PathBuf) -> Outcome {
    let mut command = cargo_locked(
        "build",
        &["--package", "sealwire-vectors", "--example", "own"],
    );
    // The lock file is the repository's, less what the copy does not have.
    if let Some(position) = command.get_args().position(|arg| arg == "--locked") {
        let mut without = crate::run::cargo(&["build", "--offline"]);
        without.args(command.get_args().skip(position + 1));
        command = without;
    }
    command
        .arg("--manifest-path")
        .arg(manifest)
        .env("CARGO_TARGET_DIR", copy_root().join("target"))
        .env("RUSTFLAGS", "-Awarnings");
    status(command)
}

/// A case that failed: its id and its classes; positive cases have none that count.
struct Failure {
    id: String,
    negative: bool,
    flags: BTreeSet<String>,
}

struct Run {
    failures: Vec<Failure>,
    /// Classes of all negative cases.
    classes: BTreeSet<String>,
    cases: usize,
}

/// Runs all vectors with a check off.
fn vectors_with_off(off: &str) -> Result<Run, String> {
    let example = format!("own{}", std::env::consts::EXE_SUFFIX);
    let mut command = crate::run::command(copy_root().join("target/debug/examples").join(example));
    command.env("SEALWIRE_CHECK_OFF", off);
    let mut run = Run {
        failures: Vec::new(),
        classes: BTreeSet::new(),
        cases: 0,
    };
    for line in read(command)?.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [verdict, id, sign, flags, ..] = fields[..] else {
            return Err(format!("an unknown line: {line}"));
        };
        let flags: BTreeSet<String> = flags.split_whitespace().map(str::to_owned).collect();
        let negative = sign == "negative";
        run.cases += 1;
        if negative {
            run.classes.extend(flags.iter().cloned());
        }
        if verdict == "failed" {
            run.failures.push(Failure {
                id: id.to_owned(),
                negative,
                flags,
            });
        }
    }
    Ok(run)
}

fn prove() -> Result<String, Vec<String>> {
    let mut complaints = Vec::new();
    let mut proven = BTreeSet::new();
    let whole = vectors_with_off("").map_err(|why| vec![why])?;
    for failure in &whole.failures {
        complaints.push(format!("{} fails with every check on", failure.id));
    }
    for check in CHECKS {
        let run = match vectors_with_off(check.name) {
            Ok(run) => run,
            Err(why) => {
                complaints.push(format!("{}: {why}", check.name));
                continue;
            }
        };
        let caught = |class: &str| {
            let negative = run.failures.iter().filter(|failure| failure.negative);
            let mut of_class = negative.filter(|failure| failure.flags.contains(class));
            of_class.next().map(|failure| failure.id.clone())
        };
        let mut examples = Vec::new();
        for class in check.classes {
            match caught(class) {
                Some(id) => {
                    proven.insert((*class).to_owned());
                    examples.push(id);
                }
                None => complaints.push(format!(
                    "with the check {} off no case of the class {class} fails",
                    check.name
                )),
            }
        }
        println!(
            "  {:<24} off: {:>3} cases fail, such as {}",
            check.name,
            run.failures.len(),
            examples.join(", ")
        );
    }
    for class in whole.classes.difference(&proven) {
        complaints.push(format!("no check proves the class {class}"));
    }
    if complaints.is_empty() {
        Ok(format!(
            "{} checks switched off, {} classes of negative cases caught, {} cases each",
            CHECKS.len(),
            proven.len(),
            whole.cases
        ))
    } else {
        Err(complaints)
    }
}

/// Copies a file or folder; files that are the same stay as they are, so that a build can be reused.
fn mirror(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    if !from.is_dir() {
        return put_bytes(to, &fs::read(from).map_err(|error| failed(from, error))?);
    }
    fs::create_dir_all(to).map_err(|error| failed(to, error))?;
    let entries = |path: &Path| -> Result<Vec<std::ffi::OsString>, String> {
        let listed = fs::read_dir(path).map_err(|error| failed(path, error))?;
        Ok(listed.flatten().map(|entry| entry.file_name()).collect())
    };
    let wanted = entries(from)?;
    for name in entries(to)? {
        if !wanted.contains(&name) {
            let gone = to.join(&name);
            let removed = if gone.is_dir() {
                fs::remove_dir_all(&gone)
            } else {
                fs::remove_file(&gone)
            };
            removed.map_err(|error| failed(&gone, error))?;
        }
    }
    for name in wanted {
        let skipped = ["__pycache__", "node_modules", "target"];
        if !skipped.iter().any(|skipped| name == *skipped) {
            mirror(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn put(path: &Path, content: &str) -> Result<(), String> {
    put_bytes(path, content.as_bytes())
}

fn put_bytes(path: &Path, content: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|have| have == content) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(path))
        .and_then(|()| fs::write(path, content))
        .map_err(|error| format!("{}: {error}", path.display()))
}
