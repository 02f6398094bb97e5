//! The random generator. No test tells a good one from a bad one; these tell one that does nothing.

use std::collections::HashSet;

use crate::Subject;
use crate::report::Tally;

pub(super) fn fill(subject: &Subject<'_>, tally: &mut Tally) {
    let random = subject.provider.random;
    let mut seen = HashSet::new();
    for draw in 0..64 {
        let mut out = [0; 32];
        let filled = random.fill(&mut out).is_ok();
        tally.case(
            format_args!("draw {draw}"),
            filled && out != [0; 32] && seen.insert(out),
        );
    }
    tally.case("nothing", random.fill(&mut []).is_ok());
    let mut long = vec![0; 100_000];
    let filled = random.fill(&mut long).is_ok();
    // Of 32 random bytes in a row all are zero once in 2^256 times.
    tally.case(
        "100,000 bytes",
        filled && long.chunks_exact(32).all(|chunk| chunk != [0; 32]),
    );
}
