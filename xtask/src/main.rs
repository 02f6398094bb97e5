//! Runs everything: tests, house rules, fuzzing, checks of other targets.
//!
//! `cargo xtask` prints what there is.

mod bench;
mod browser;
mod clients;
mod deny;
mod env;
mod examples;
mod fuzz;
mod mutants;
mod mutation;
mod node;
mod openssl;
mod python;
mod report;
mod rules;
mod run;
mod targets;
mod test;
mod vectors;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test [--long]       everything that passes or fails: formatting, lints, builds, docs, tests,
                      house rules, examples, the clients in Python and TypeScript, interoperability, a browser,
                      packages that others wrote;
                      ends with a table
  vectors [--long]    the vectors alone: every implementation, accumulated digests, regeneration;
                      with --long all 100,000 rounds everywhere
  proof               the mutation proof alone: each check off, and the vectors that notice
  rules               the house rules alone
  examples            runs every example
  python              the Python client test and the Python package alone
  typescript          the TypeScript package alone: packages, build, tests; needs node 20 and npm
  interop             every implementation as client and as instance, against every other
  browser             the browser test alone; needs node 20, npm and chromium
  clients             the proxy against packages of PyPI and npm, their own suites, the Codex CLI and curl;
                      docs/clients.md has the table
  fuzz [--seconds N] [TARGET ..]
                      runs each fuzz target for N seconds (default 60); needs cargo-fuzz
  deny                licenses, bans and sources of the dependencies; needs cargo-deny
  targets             checks the core and the HTTP carriage for macOS, Windows, wasm32 and a
                      bare-metal target; needs Debian's rustc-web, cargo-web and rust-web-src
  mutants [ARGS ..]   cargo-mutants on the core, for hours; needs cargo-mutants; what survives and
                      why is in tests/mutants.md
  bench core [ARGS ..]
                      benches of the core; ARGS go to criterion
  bench crypto | protocol | peers [--seconds N] [--quick]
                      in one process of benches/peers: AEADs and KEMs; handshakes, frames and bodies;
                      sealwire beside other libraries with the goals, whose count is the last line
  bench counts [--bless]
                      instructions of handshakes and frames beside benches/peers/counts.json;
                      needs valgrind
  bench chutes        the profile chutes-v1 beside its published client
  bench python        the Python package beside that client, whole transports
  bench proxy [--quick] [--part NAME ..] [--api chat|messages]
                      proxy, relay and instance beside the upstream called directly, and the proxy
                      beside LiteLLM; PART is times, crowd, memory or requests; see docs/performance.md
                      each but core writes its figures to target/bench as JSON and draws them as SVG

A tool that is not there is named and its step skipped; where the variable CI is set, that is a failure.
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next();
    let rest: Vec<String> = args.collect();
    let takes_arguments = matches!(command.as_deref(), Some("fuzz" | "bench" | "mutants"));
    let long = matches!(command.as_deref(), Some("test" | "vectors")) && rest == ["--long"];
    if !takes_arguments && !long && !rest.is_empty() {
        eprintln!("xtask: unexpected arguments: {}\n\n{HELP}", rest.join(" "));
        return ExitCode::from(2);
    }
    match command.as_deref() {
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Some("test") => test::run(long),
        Some("vectors") => vectors::run(long),
        Some("proof") => mutation::run(),
        Some("mutants") => mutants::run(&rest),
        Some("rules") => rules::run(),
        Some("examples") => examples::run(),
        Some("python") => python::run(),
        Some("typescript") => node::run(),
        Some("interop") => python::run_interop(),
        Some("browser") => browser::run(),
        Some("clients") => clients::run(),
        Some("fuzz") => fuzz::run(&rest),
        Some("deny") => deny::run(),
        Some("targets") => targets::run(),
        Some("bench") => bench::run(&rest),
        Some(other) => {
            eprintln!("xtask: there is no command {other:?}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}
