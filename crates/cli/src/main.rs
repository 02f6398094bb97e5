//! The sealwire binary.
fn main() {}
