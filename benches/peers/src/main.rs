//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealwire_peers::cli::run(std::env::args().skip(1))
}
