//! The parts of the `sealwire` binary, each a subcommand: [`instance`], [`proxy`], [`env_command`], [`doctor`], [`healthcheck`], [`attest`], [`attack`], [`demo_model`],
//! [`demo`], [`vectors`]. The relay's command line is in its own crate.
//!
//! All of them take the one crypto provider that [`provider`] chooses.

pub mod apps_args;
pub mod attack;
pub mod attest;
mod cache_salt;
pub mod chutes_args;
pub mod chutes_proxy;
pub mod client_settings;
pub mod demo;
pub mod demo_model;
pub mod doctor;
pub mod env_command;
pub mod evidence_args;
mod file;
pub mod healthcheck;
pub mod identity_file;
pub mod instance;
pub mod key_args;
mod places;
pub mod provider;
pub mod proxy;
pub mod settings;
pub mod suites;
pub mod trust_args;
pub mod vectors;
pub mod vm_certificate;
