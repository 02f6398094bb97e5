//! Runs everything: tests, checks, fuzzing.
fn main() {}
