//! Runs the embedded cases against this library and prints a line for each: verdict, id, sign, classes and the reason, with tabs between.

use std::error::Error;

use sealwire_vectors::case::Suite;
use sealwire_vectors::own;
use sealwire_vectors::report::plain;
use sealwire_vectors::verify::{Verdict, check};

fn main() -> Result<(), Box<dyn Error>> {
    let suite = Suite::embedded()?;
    let mut library = own::rustcrypto();
    for case in &suite.cases {
        let (verdict, why) = match check(&mut library, case).verdict {
            Verdict::Passed => ("passed", String::new()),
            Verdict::Failed(why) => ("failed", why),
            Verdict::Skipped(why) => ("skipped", why),
        };
        let sign = if case.error().is_some() {
            "negative"
        } else {
            "positive"
        };
        let flags = case.flags.join(" ");
        println!("{verdict}\t{}\t{sign}\t{flags}\t{}", case.id, plain(&why));
    }
    Ok(())
}
