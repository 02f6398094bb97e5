//! `sealwire doctor`: what is wrong with a proxy's settings and with its way to an instance, and what to do. The examination is in
//! [`sealwire_proxy::doctor`]; this reads the settings and prints.

use std::path::Path;

use clap::Args;
use sealwire_http::net::say;
use sealwire_proxy::doctor::{Check, Options, Outcome, examine, examine_chutes};
use serde_json::json;

use crate::provider::{codec, provider};
use crate::proxy::{ProxyArgs, ProxyError, Purpose, Ready};
use crate::settings;

/// Arguments of an examination: those of the proxy that is examined, and what to look at.
#[derive(Args, Clone)]
pub struct DoctorArgs {
    /// Prints JSON
    #[arg(long)]
    json: bool,
    /// Asks a model for one token, sealed; it is billed as any request
    #[arg(long)]
    live: bool,
    /// The model to look at [default: that of --default-model, else the first that the relay lists]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// Something is wrong; what, has been printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwell;

/// Examines, and prints `[PASS|WARN|FAIL] name: detail` for each check.
///
/// # Errors
///
/// [`Unwell`] if a check failed.
pub async fn run(args: DoctorArgs) -> Result<(), Unwell> {
    let DoctorArgs {
        json,
        live,
        model,
        proxy,
    } = args;
    let from = match &proxy.tables.path {
        Some(path) => format!("{}, command line and environment", path.display()),
        None => "command line and environment, there is no file of settings".to_owned(),
    };
    let mut checks = vec![Check::pass("config", from)];
    checks.extend(doubts(&proxy));
    match examined(proxy, &Options { model, live }).await {
        Ok(found) => checks.extend(found),
        Err(error) => checks = vec![refused(&error.to_string())],
    }
    print(&checks, json)
}

/// The report where the settings themselves cannot be read.
///
/// # Errors
///
/// Always [`Unwell`].
pub fn without_settings(why: &str, json: bool) -> Result<(), Unwell> {
    print(&[refused(why)], json)
}

/// What works and should not stay as it is.
fn doubts(proxy: &ProxyArgs) -> Vec<Check> {
    let mut doubts = Vec::new();
    if let (Some(path), true) = (&proxy.tables.path, proxy.tables.is_exposed) {
        doubts.push(exposed(path));
    }
    let strange = settings::strange_variables();
    if !strange.is_empty() {
        let detail = format!("no setting is named {}", strange.join(", "));
        let advice = "`sealwire proxy --help` has the name of each variable";
        doubts.push(Check::warn("environment", detail, advice));
    }
    doubts
}

fn exposed(path: &Path) -> Check {
    let path = path.display();
    Check::warn(
        "config",
        format!("a key stands in {path}, which others can read"),
        format!("run: chmod 600 {path}; or name a file of its own: relay_key = \"@FILE\""),
    )
}

async fn examined(proxy: ProxyArgs, options: &Options) -> Result<Vec<Check>, ProxyError> {
    Ok(match proxy.prepare(Purpose::Examine)? {
        Ready::Native(ready) => examine(ready.config, provider(), ready.client, options).await?,
        Ready::Chutes(ready) => {
            examine_chutes(ready.config, codec(), ready.client, ready.gate, options).await?
        }
    })
}

fn refused(why: &str) -> Check {
    let advice = "`sealwire proxy --help` lists every setting, docs/proxy.md explains them";
    Check::fail("config", why, Some(advice.to_owned()))
}

fn print(checks: &[Check], as_json: bool) -> Result<(), Unwell> {
    let failed = checks.iter().any(|check| check.outcome == Outcome::Fail);
    if as_json {
        let checks: Vec<_> = checks.iter().map(Check::to_json).collect();
        say(&json!({"ok": !failed, "checks": checks}).to_string());
    } else {
        for check in checks {
            let word = match check.outcome {
                Outcome::Pass => "PASS",
                Outcome::Warn => "WARN",
                Outcome::Fail => "FAIL",
            };
            say(&format!(
                "[{word}] {}: {}",
                check.name,
                plain(&check.detail)
            ));
            if let Some(advice) = &check.advice {
                say(&format!("       {advice}"));
            }
        }
    }
    if failed { Err(Unwell) } else { Ok(()) }
}

/// One line, and nothing that a terminal would act on: the relay has its words in it.
fn plain(text: &str) -> String {
    text.split(char::is_whitespace)
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .replace(char::is_control, "?")
}
