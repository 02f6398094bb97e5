//! The `sealwire` binary.

use std::error::Error;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use sealwire_cli::{
    attack, attest, demo, demo_model, doctor, env_command, healthcheck, instance, proxy, settings,
    vectors,
};
use sealwire_http::net::stop_signal;
use sealwire_relay::args as relay;
use tokio::runtime::{Builder, Runtime};

#[derive(Parser)]
#[command(
    name = "sealwire",
    version,
    about = "End-to-end sealed streaming for confidential AI inference"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Beside the model server: opens sealed requests and seals the answers
    Instance(Box<instance::InstanceArgs>),
    /// In between: routes and meters what it cannot read
    Relay(relay::RelayArgs),
    /// On your machine: an OpenAI-compatible server that seals what it forwards
    Proxy(Box<proxy::ProxyArgs>),
    /// Settings of applications that use a proxy, ready to paste
    Env(env_command::EnvArgs),
    /// What is wrong with a proxy's settings and its way to an instance, and what to do
    Doctor(Box<doctor::DoctorArgs>),
    /// Whether a proxy, relay or instance runs, by its exit code
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Evidence of enclaves and GPUs: verify, show, make a policy
    Attest(attest::AttestArgs),
    /// A relay without any key attacks the clients: a table of what each of them accepts
    Attack(attack::AttackArgs),
    /// All three on loopback and one question: what the application sees beside what the relay sees
    Demo(demo::DemoArgs),
    /// A small OpenAI-compatible server with canned answers
    DemoModel(demo_model::DemoModelArgs),
    /// The test vectors: list, explain, verify this library or another implementation
    Vectors(vectors::VectorsArgs),
}

fn main() -> ExitCode {
    let command = match arguments() {
        Ok(command) => command,
        Err(error) => return refused(error),
    };
    match runtime(&command) {
        Ok(runtime) => runtime.block_on(run(command)),
        Err(error) => {
            eprintln!("sealwire: no threads to run on: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Threads for the command. A proxy shares its machine with the applications: it takes half of the processors, which also wake each other less often
/// (docs/performance.md). What takes long runs on threads of its own. `TOKIO_WORKER_THREADS` says otherwise.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if matches!(command, Command::Proxy(_)) && std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(available_parallelism().map_or(1, |all| all.get().div_ceil(2)));
    }
    builder.enable_all().build()
}

async fn run(command: Command) -> ExitCode {
    let result: Result<(), Box<dyn Error>> = match command {
        Command::Instance(args) => instance::run(*args, stop_signal())
            .await
            .map_err(Into::into),
        Command::Relay(args) => relay::run(args, stop_signal()).await.map_err(Into::into),
        Command::Proxy(args) => proxy::run(*args, stop_signal()).await.map_err(Into::into),
        Command::Env(args) => env_command::run(args).await.map_err(Into::into),
        Command::Doctor(args) => return exit(doctor::run(*args).await),
        Command::Healthcheck(args) => healthcheck::run(args).await.map_err(Into::into),
        Command::Attest(args) => attest::run(args).map_err(Into::into),
        Command::Attack(args) => attack::run(args).await.map_err(Into::into),
        Command::Demo(args) => demo::run(args).await.map_err(Into::into),
        Command::DemoModel(args) => demo_model::run(args, stop_signal())
            .await
            .map_err(Into::into),
        Command::Vectors(args) => vectors::run(args).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sealwire: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command line, and for a proxy what the environment and its file of settings add to it.
fn arguments() -> Result<Command, settings::SettingsError> {
    let (matches, tables) = settings::parse(Cli::command(), std::env::args_os().collect())?;
    let mut command = Cli::from_arg_matches(&matches)?.command;
    match &mut command {
        Command::Proxy(args) => args.tables = tables,
        Command::Doctor(args) => args.proxy.tables = tables,
        _ => {}
    }
    Ok(command)
}

/// Says what is wrong with the arguments; to who asked for an examination, as its result.
fn refused(error: settings::SettingsError) -> ExitCode {
    let mut given = std::env::args().skip(1);
    let is_examined = given.next().as_deref() == Some("doctor");
    let why = match error {
        // Help, and the version.
        settings::SettingsError::Arguments(error) if !is_examined || !error.use_stderr() => {
            error.exit()
        }
        settings::SettingsError::Arguments(error) => {
            let text = error.to_string();
            let text = text.split("\n\nUsage").next().unwrap_or_default();
            text.trim_start_matches("error: ").to_owned()
        }
        error => error.to_string(),
    };
    if is_examined {
        let json = given.any(|argument| argument == "--json");
        return exit(doctor::without_settings(&why, json));
    }
    eprintln!("sealwire: {why}");
    ExitCode::FAILURE
}

fn exit(result: Result<(), doctor::Unwell>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(doctor::Unwell) => ExitCode::FAILURE,
    }
}
