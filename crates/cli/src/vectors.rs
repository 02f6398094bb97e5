//! `sealwire vectors`: the test vectors, against this library or any adapter.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use sealwire_vectors::adapter::{Adapter, AdapterError};
use sealwire_vectors::case::{Case, LoadError, Suite};
use sealwire_vectors::explain::explain;
use sealwire_vectors::implementation::Implementation;
use sealwire_vectors::own::{self, Own};
use sealwire_vectors::report::{Accumulated, Report, plain};
use sealwire_vectors::verify::Verdict;
use sealwire_vectors::{serve, verify};

/// Arguments of `sealwire vectors`.
#[derive(Args, Debug)]
pub struct VectorsArgs {
    #[command(subcommand)]
    command: VectorsCommand,
}

#[derive(Subcommand, Debug)]
enum VectorsCommand {
    /// Shows the cases, one line each
    List {
        #[command(flatten)]
        cases: CasesArgs,
        /// One JSON object a line instead: the whole case
        #[arg(long)]
        json: bool,
    },
    /// Tells a case in words, with the section of the specification that decides it
    Explain {
        /// The case
        id: String,
        /// Read *.json of this folder instead of the embedded files
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Runs the cases; exit code 1 if any fails
    Verify(VerifyArgs),
    /// Is an adapter for this library: one JSON line in, one out (spec/conformance.md section 3)
    Adapter,
}

/// Which cases.
#[derive(Args, Debug)]
struct CasesArgs {
    /// Read *.json of this folder instead of the embedded files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only this kind (may be repeated)
    #[arg(long)]
    kind: Vec<String>,
    /// Only this class of fault (may be repeated)
    #[arg(long)]
    flag: Vec<String>,
    /// Only ids that begin so (may be repeated)
    #[arg(long)]
    id: Vec<String>,
}

/// Arguments of `sealwire vectors verify`.
#[derive(Args, Debug)]
struct VerifyArgs {
    #[command(flatten)]
    cases: CasesArgs,
    /// Run this program as the implementation, for example 'node clients/typescript/dist/adapter.js'
    #[arg(long, value_name = "CMD")]
    adapter: Option<String>,
    /// Compare the accumulated digests too, up to so many rounds (100, 1000, 10000 or 100000)
    #[arg(long, value_name = "ROUNDS")]
    accumulate: Option<u32>,
    /// Fail if a case is skipped that is not of a profile beside sealwire/1
    #[arg(long)]
    no_skips: bool,
    /// Seconds that an adapter has for a case
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Why the command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorsError {
    /// The vectors.
    #[error("the vectors cannot be read: {0}")]
    Load(#[from] LoadError),
    /// The adapter.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// Nothing fits the filters.
    #[error("no case fits; `sealwire vectors list` shows all")]
    NoCase,
    /// An id that does not exist.
    #[error("no case {0}; `sealwire vectors list` shows all")]
    UnknownCase(String),
    /// A file, or the standard streams.
    #[error("{what}: {source}")]
    Io {
        /// Which one.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Cases failed; the table says which.
    #[error("the vectors do not hold")]
    Failed,
}

/// Runs the command.
///
/// # Errors
///
/// [`VectorsError`]; [`VectorsError::Failed`] if a case does not hold.
pub fn run(args: VectorsArgs) -> Result<(), VectorsError> {
    match args.command {
        VectorsCommand::List { cases, json } => list(&cases, json),
        VectorsCommand::Explain { id, dir } => {
            let suite = load(dir.as_ref())?;
            let case = suite.case(&id).ok_or(VectorsError::UnknownCase(id))?;
            print(&explain(case))
        }
        VectorsCommand::Verify(args) => verify_all(&args),
        VectorsCommand::Adapter => serve::serve(
            &mut own::rustcrypto(),
            io::stdin().lock(),
            io::stdout().lock(),
        )
        .or_else(closed),
    }
}

fn load(dir: Option<&PathBuf>) -> Result<Suite, VectorsError> {
    Ok(match dir {
        Some(dir) => Suite::from_dir(dir)?,
        None => Suite::embedded()?,
    })
}

impl CasesArgs {
    fn select<'a>(&self, suite: &'a Suite) -> Result<Vec<&'a Case>, VectorsError> {
        let wanted = |case: &&Case| {
            let kind = self.kind.is_empty() || self.kind.contains(&case.kind);
            let flag =
                self.flag.is_empty() || case.flags.iter().any(|flag| self.flag.contains(flag));
            let id = self.id.is_empty() || self.id.iter().any(|id| case.id.starts_with(id));
            kind && flag && id
        };
        let cases: Vec<&Case> = suite.cases.iter().filter(wanted).collect();
        if cases.is_empty() {
            return Err(VectorsError::NoCase);
        }
        Ok(cases)
    }
}

fn list(args: &CasesArgs, json: bool) -> Result<(), VectorsError> {
    let suite = load(args.dir.as_ref())?;
    let cases = args.select(&suite)?;
    let mut text = String::new();
    for case in &cases {
        if json {
            text.push_str(&case.json.to_string());
        } else {
            let expects = case.error().unwrap_or("ok");
            text.push_str(&format!(
                "{:<44} {:<16} {:<6} {:<20} {}",
                plain(&case.id),
                plain(&case.kind),
                plain(&case.spec),
                plain(expects),
                plain(&case.comment)
            ));
        }
        text.push('\n');
    }
    if !json {
        let negative = cases.iter().filter(|case| case.error().is_some()).count();
        text.push_str(&format!("{} cases, {negative} negative\n", cases.len()));
    }
    print(&text)
}

/// This library with every provider of this binary, or the adapter.
fn implementations(args: &VerifyArgs) -> Result<Vec<Box<dyn Implementation>>, VectorsError> {
    if let Some(command) = &args.adapter {
        let timeout = Duration::from_secs(args.timeout);
        return Ok(vec![Box::new(Adapter::start(command, timeout)?)]);
    }
    let provider = crate::provider::provider();
    let own: [Own; 3] = [
        own::rustcrypto(),
        Own::without_coins("aws-lc-rs", provider),
        Own::with_coins("aws-lc-rs with the KEMs of rustcrypto", provider),
    ];
    Ok(own
        .into_iter()
        .map(|own| -> Box<dyn Implementation> { Box::new(own) })
        .collect())
}

fn verify_all(args: &VerifyArgs) -> Result<(), VectorsError> {
    let suite = load(args.cases.dir.as_ref())?;
    let cases = args.cases.select(&suite)?;
    let (mut json, mut junit, mut success) = (Vec::new(), Vec::new(), true);
    for mut implementation in implementations(args)? {
        let checked: Vec<_> = cases
            .iter()
            .map(|case| verify::check(&mut *implementation, case))
            .collect();
        let accumulated = args
            .accumulate
            .map(|rounds| accumulate(&mut *implementation, &suite, rounds));
        let skipped = accumulated == Some(Accumulated::NotOffered);
        let report = Report::new(implementation.about(), &checked, accumulated);
        print(&report.to_text())?;
        let skipped = skipped
            || checked.iter().any(|checked| match &checked.verdict {
                Verdict::Skipped(capability) => !verify::is_profile(capability),
                _ => false,
            });
        success &= report.is_success() && !(args.no_skips && skipped);
        json.push(report.to_json());
        junit.push(report.to_junit());
    }
    if let Some(path) = &args.json {
        let whole = serde_json::Value::from(json).to_string() + "\n";
        write(path, &whole)?;
    }
    if let Some(path) = &args.junit {
        write(path, &junit_of(&junit))?;
    }
    if success {
        Ok(())
    } else {
        Err(VectorsError::Failed)
    }
}

/// Asks for no more rounds than the implementation wants.
fn accumulate(implementation: &mut dyn Implementation, suite: &Suite, rounds: u32) -> Accumulated {
    let Some(most) = implementation.about().accumulate else {
        return Accumulated::NotOffered;
    };
    let rounds = rounds.min(most);
    match verify::accumulated(implementation, suite, rounds) {
        Ok(milestones) => Accumulated::Agreed { rounds, milestones },
        Err(why) => Accumulated::Failed(why),
    }
}

/// One document from several.
fn junit_of(reports: &[String]) -> String {
    let mut whole = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        for line in report.lines() {
            let outer = ["<?xml", "<testsuites", "</testsuites"];
            if !outer.iter().any(|start| line.starts_with(start)) {
                whole.push_str(line);
                whole.push('\n');
            }
        }
    }
    whole.push_str("</testsuites>\n");
    whole
}

fn write(path: &PathBuf, text: &str) -> Result<(), VectorsError> {
    fs::write(path, text).map_err(|source| VectorsError::Io {
        what: path.display().to_string(),
        source,
    })
}

fn print(text: &str) -> Result<(), VectorsError> {
    io::stdout().write_all(text.as_bytes()).or_else(closed)
}

/// A reader that has seen enough, such as `head`, is no error.
fn closed(error: io::Error) -> Result<(), VectorsError> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(VectorsError::Io {
        what: "standard output".to_owned(),
        source: error,
    })
}
