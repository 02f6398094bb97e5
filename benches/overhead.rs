//! What frames cost beyond the AEAD: sealwire and the same AEAD crate on the same buffers, A B A B, median of the ratios.
//!
//! The rows "bare" compare with the AEAD over the content alone, without header and trailer; they have no bar.
//!
//! `cargo bench --bench overhead`, or with `-- --quick`. Fails if a ratio misses its bar.

mod common;

use std::process::ExitCode;

use common::{
    Comparison, FRAME, SMALL, compare_open, compare_seal, compare_seal_bare, only_tests, rounds,
};

fn main() -> ExitCode {
    let mut good = true;
    println!("                    sealwire     direct   speed   bar");
    for (shape, bar) in [(SMALL, 0.70), (FRAME, 0.90)] {
        for (name, compare, bar) in [
            ("seal", compare_seal as fn(_, _) -> _, Some(bar)),
            ("open", compare_open, Some(bar)),
            ("seal, bare", compare_seal_bare, None),
        ] {
            let found: Comparison = compare(shape, rounds());
            let bar_text = bar.map_or_else(String::new, |bar: f64| format!("{bar:.2}"));
            println!(
                "{name:<10} {:<6} {:>8} ns {:>7} ns   {:.3}  {bar_text}",
                shape.name,
                found.sealwire.as_nanos(),
                found.direct.as_nanos(),
                found.ratio
            );
            good &= bar.is_none_or(|bar| found.ratio >= bar);
        }
    }
    // One round says nothing about speed.
    if good || only_tests() {
        ExitCode::SUCCESS
    } else {
        println!("A ratio is below its bar.");
        ExitCode::FAILURE
    }
}
