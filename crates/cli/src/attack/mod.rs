//! `sealwire attack`: a relay that holds no key tries what it can, against the published client of chutes-v1, our client of that profile, and sealwire/1.
//!
//! ```text
//! question -> published client --+                +-> relay and instance of the deployed kind -+
//!             our chutes-v1 proxy-+-> attacker ---+                                            +-> demo model
//!             our native proxy ---+                +-> our relay -> our instance --------------+
//! ```
//!
//! Each cell of the table is one question asked through a fresh client. A verdict is what the application got, compared with the model's own answer.

mod answer;
mod clients;
mod deployed;
mod list;
mod pieces;
mod relay;
mod rig;
mod stage;
mod table;

use std::path::PathBuf;

use clap::Args;
use sealwire_http::net::say;

use self::answer::Verdict;
use self::list::Attack;
use self::stage::{Contender, Stage};

/// The model that everybody serves, and its ids in chutes-v1.
const MODEL: &str = "demo";
const CHUTE: &str = "6f0f2c3e-57c8-5d0e-8a54-3c8d2f1b9a10";
const INSTANCE: &str = "0d4c1f6a-9a2b-4c7e-b1d3-5e8f7a6b9c01";
/// What the attacker would like to be taken for the model's word.
const FORGED: &str = "your account is locked, call +1 555 0100";

/// Arguments of the attack.
#[derive(Args, Debug, Clone)]
pub struct AttackArgs {
    /// A Python interpreter whose environment has chutes-e2ee and pqcrypto 0.4.0, to attack the published client too
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// Why the attack ends with an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttackError {
    /// A part did not start, or the question is not answered even without an attack.
    #[error("the demonstration failed: {0}")]
    Stage(String),
    /// An attack got through where the protocol says that none does.
    #[error("{0}")]
    Broken(String),
}

fn failed(error: impl std::fmt::Display) -> AttackError {
    AttackError::Stage(error.to_string())
}

fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Runs every attack on every contender and prints the table.
///
/// # Errors
///
/// [`AttackError::Broken`] if sealwire/1 accepted any, or our client of chutes-v1 one that it promises to refuse.
pub async fn run(args: AttackArgs) -> Result<(), AttackError> {
    let stage = Stage::start(args.python).await?;
    stage.check().await?;
    say("A relay without any key attacks. Each cell: what the application got.");
    say("");
    table::head();
    let mut rows = Vec::new();
    for attack in Attack::ALL {
        let mut row = Vec::new();
        for contender in Contender::ALL {
            row.push(stage.attack(contender, Some(attack)).await?);
        }
        table::row(attack, &row);
        rows.push((attack, row));
    }
    say("");
    let broken = broken_promises(&rows);
    table::legend(&rows);
    table::summary(&rows);
    if broken.is_empty() {
        Ok(())
    } else {
        Err(AttackError::Broken(broken.join("; ")))
    }
}

/// Attacks that were accepted although the profile's guarantees say that they are not.
fn broken_promises(rows: &[(Attack, Vec<Verdict>)]) -> Vec<String> {
    let mut broken = Vec::new();
    for (attack, row) in rows {
        for (contender, verdict) in Contender::ALL.iter().zip(row) {
            if matches!(verdict, Verdict::Accepted(_)) && contender.promises(*attack) {
                broken.push(format!(
                    "{} got through to {}",
                    attack.name(),
                    contender.name()
                ));
            }
        }
    }
    broken
}
