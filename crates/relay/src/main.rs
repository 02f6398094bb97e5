//! A relay of its own: the same as `sealwire relay`, in a binary that links neither KEM nor AEAD.

use std::process::ExitCode;

use clap::Parser;
use sealwire_http::net::stop_signal;
use sealwire_relay::args::{RelayArgs, run};

#[derive(Parser)]
#[command(
    name = "sealwire-relay",
    version,
    about = "Routes and meters sealed requests that it cannot read"
)]
struct Cli {
    #[command(flatten)]
    relay: RelayArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().relay, stop_signal()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sealwire-relay: {error}");
            ExitCode::FAILURE
        }
    }
}
