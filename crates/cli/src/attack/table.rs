//! The table: attacks down, contenders across.

use sealwire::compat::chutes::GUARANTEES;
use sealwire_http::net::say;

use super::answer::Verdict;
use super::list::Attack;
use super::stage::Contender;

const NAME: usize = 32;
const CELL: usize = 34;

fn line(name: &str, cells: impl Iterator<Item = String>) {
    let mut line = format!("{name:<NAME$}");
    for cell in cells {
        line.push_str(&format!("{cell:<CELL$} "));
    }
    say(line.trim_end());
}

pub(super) fn head() {
    let names = |part: fn(Contender) -> &'static str| Contender::ALL.map(part).map(str::to_owned);
    line("", names(Contender::name).into_iter());
    line("", names(Contender::peer).into_iter());
    line(
        &"-".repeat(NAME - 1),
        Contender::ALL.iter().map(|_| "-".repeat(CELL - 1)),
    );
}

fn cell(verdict: &Verdict) -> String {
    let text = match verdict {
        Verdict::Accepted(what) => format!("ACCEPTED: {what}"),
        Verdict::Refused(code) => format!("refused: {code}"),
        Verdict::NoEffect => "no effect".to_owned(),
        Verdict::NotRun => "not run".to_owned(),
    };
    if text.chars().count() < CELL {
        return text;
    }
    text.chars().take(CELL - 2).chain(['.']).collect()
}

pub(super) fn row(attack: Attack, verdicts: &[Verdict]) {
    line(attack.name(), verdicts.iter().map(cell));
}

/// What our client of chutes-v1 accepted, with the guarantee that says so.
pub(super) fn legend(rows: &[(Attack, Vec<Verdict>)]) {
    for (attack, row) in rows {
        let accepted = Contender::ALL.iter().zip(row).any(|(contender, verdict)| {
            contender.is_our_chutes() && matches!(verdict, Verdict::Accepted(_))
        });
        let guarantee = GUARANTEES
            .iter()
            .find(|guarantee| guarantee.name == attack.guarantee());
        if accepted && let Some(guarantee) = guarantee {
            say(&format!(
                "{}: the wire format's limit `{}`: {}",
                attack.name(),
                guarantee.name,
                guarantee.meaning
            ));
        }
    }
}

/// The last line.
pub(super) fn summary(rows: &[(Attack, Vec<Verdict>)]) {
    let counts: Vec<String> = Contender::ALL
        .iter()
        .enumerate()
        .map(|(column, contender)| {
            let verdicts: Vec<&Verdict> =
                rows.iter().filter_map(|(_, row)| row.get(column)).collect();
            if verdicts.iter().all(|verdict| **verdict == Verdict::NotRun) {
                return format!("{}: not run", contender.name());
            }
            let accepted = verdicts
                .iter()
                .filter(|verdict| matches!(verdict, Verdict::Accepted(_)))
                .count();
            format!("{} ({}): {accepted}", contender.name(), contender.peer())
        })
        .collect();
    say(&format!(
        "summary: {} attacks; accepted by {}",
        rows.len(),
        counts.join(", ")
    ));
}
