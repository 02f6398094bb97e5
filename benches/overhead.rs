//! What frames cost beyond the AEAD: sealwire and the same AEAD crate on the same buffers, A B A B, median of the ratios.
//!
//! `cargo bench --bench overhead`, or with `-- --quick`. Fails if a ratio misses its bar.

mod common;

use std::process::ExitCode;

use common::{FRAME, SMALL, compare_open, compare_seal, only_tests, rounds};

fn main() -> ExitCode {
    let mut good = true;
    println!("                 sealwire      direct    speed   bar");
    for (shape, bar) in [(SMALL, 0.70), (FRAME, 0.90)] {
        for (name, compare) in [
            ("seal", compare_seal as fn(_, _) -> _),
            ("open", compare_open as fn(_, _) -> _),
        ] {
            let found: common::Comparison = compare(shape, rounds());
            println!(
                "{name} {:<8} {:>10} ns {:>8} ns    {:.3}  {bar:.2}",
                shape.name,
                found.sealwire.as_nanos(),
                found.direct.as_nanos(),
                found.ratio
            );
            good &= found.ratio >= bar;
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
