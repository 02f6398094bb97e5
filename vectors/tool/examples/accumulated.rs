//! The accumulated digests of this library, compared with the stored ones: `cargo run --release --example accumulated -- 10000`.

use std::error::Error;
use std::time::Instant;

use sealwire_vectors::accumulated;
use sealwire_vectors::case::Suite;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: u32 = std::env::args().nth(1).map_or(Ok(100), |n| n.parse())?;
    let suite = Suite::embedded()?;
    let started = Instant::now();
    let step = (rounds / 10).max(1_000);
    let digests = accumulated::run(&sealwire::testing::COINS_PROVIDER, rounds, |round| {
        if round % step == 0 {
            eprintln!("{round} rounds, {:.0} s", started.elapsed().as_secs_f64());
        }
    })?;
    for (rounds, digest) in &digests {
        let stored = suite.milestones.get(rounds);
        if stored != Some(digest) {
            return Err(format!("after {rounds} rounds {digest}, stored is {stored:?}").into());
        }
        println!("{rounds} rounds: {digest}, as stored");
    }
    if digests.is_empty() {
        return Err("no milestone: ask for 100 rounds or more".into());
    }
    Ok(())
}
