//! Where the settings of a proxy come from: the command line, the environment, a file, defaults, in this order.
//!
//! ```text
//! arguments --look--> what is said, and by whom --the file's values for the rest--> parse
//! ```
//!
//! A value of the file becomes an argument that nobody gave, so all three are read by the same parser. Of arguments that exclude each other, what a higher
//! place says silences the lower ones.

mod file;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};

pub use self::file::{FileError, FileSettings, FileTables, ModelTable};
use crate::proxy::ProxyArgs;

/// The argument that names the file.
const CONFIG: &str = "config";
/// Subcommands with these settings.
const SUBCOMMANDS: [&str; 2] = ["proxy", "doctor"];
/// Arguments that exclude each other.
const CHOICES: [&[&str]; 4] = [
    &["policy", "pins", "insecure_trust_relay"],
    &["collateral", "pccs"],
    &["app_key", "app_key_from"],
    &["relay_key", "relay_key_from", "forward_key"],
];
/// Those that go with a policy only.
const WITH_POLICY: [&str; 2] = ["collateral", "pccs"];

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The command line or the environment. It may also be a question for help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    File,
    Environment,
    Arguments,
}

/// Parses the arguments of a program, with the settings of the file where the subcommand has them.
///
/// # Errors
///
/// [`SettingsError`].
pub fn parse(
    command: Command,
    arguments: Vec<OsString>,
) -> Result<(ArgMatches, FileTables), SettingsError> {
    let command = SUBCOMMANDS.into_iter().fold(command, |command, name| {
        if command.find_subcommand(name).is_none() {
            return command;
        }
        command.mut_subcommand(name, |subcommand| subcommand.mut_args(prepare))
    });
    let looked = command
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(&arguments)?;
    let (name, given) = match looked.subcommand() {
        Some((name, given)) if SUBCOMMANDS.contains(&name) => (name, given),
        _ => {
            return Ok((
                command.try_get_matches_from(arguments)?,
                FileTables::default(),
            ));
        }
    };
    let file = file::load(given.get_one::<PathBuf>(CONFIG).map(PathBuf::as_path))?;
    let (values, tables) = file.map_or_else(Default::default, |file| (file.values, file.tables));
    let off = turned_off(given);
    let spoken = spoken(given, &values);
    let silenced = silenced(&spoken, &off);
    let said = |id: &str| spoken.get(id).copied();

    let mut all = arguments.iter().take(2).cloned().collect::<Vec<_>>();
    let mut from_file = Vec::new();
    for value in &values {
        if said(&value.id) != Some(Place::File) || silenced.contains(&value.id.as_str()) {
            continue;
        }
        all.extend(value.arguments.iter().map(OsString::from));
        from_file.push(value);
    }
    // A switch that is off is as one that nobody has named: it excludes nothing.
    let is_off = |argument: &OsString| off.iter().any(|(_, given)| argument == given.as_str());
    let rest = arguments.iter().skip(2);
    all.extend(rest.filter(|argument| !is_off(argument)).cloned());
    let without_silenced = |arg: Arg| {
        let id = arg.get_id().as_str();
        let is_off = off.iter().any(|(off, _)| off == id);
        let of_environment = said(id) == Some(Place::Environment);
        if is_off || (of_environment && silenced.contains(&id)) {
            arg.env(Resettable::Reset)
        } else {
            arg
        }
    };
    let command = command.mut_subcommand(name, |subcommand| subcommand.mut_args(without_silenced));
    match command.try_get_matches_from(all) {
        Ok(matches) => Ok((matches, tables)),
        Err(error) => Err(
            match from_file.iter().find(|value| value.is_named_by(&error)) {
                Some(value) => value.refused(&error).into(),
                None => error.into(),
            },
        ),
    }
}

/// The settings of the file alone, for those who run no proxy.
///
/// # Errors
///
/// [`FileError`].
pub fn load(path: Option<&std::path::Path>) -> Result<Option<FileSettings>, FileError> {
    file::load(path)
}

/// Variables that look like settings and are none.
pub(crate) fn strange_variables() -> Vec<String> {
    let settings = arguments();
    let known = |name: &str| {
        let mut variables = settings.get_arguments().filter_map(Arg::get_env);
        variables.any(|variable| variable == name)
    };
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("SEALWIRE_") && !known(name))
        .collect()
}

/// The arguments that are settings.
pub(crate) fn arguments() -> Command {
    ProxyArgs::augment_args(Command::new("proxy"))
}

/// Arguments that are on or off can be told so, such that the command line can turn off what the file turns on. Values of the environment are not shown: some
/// are secrets. Empty ones count as none, as containers pass them on.
fn prepare(arg: Arg) -> Arg {
    let is_setting = arg.get_env().is_some();
    let is_empty = arg
        .get_env()
        .and_then(std::env::var_os)
        .is_some_and(|value| value.is_empty());
    let arg = if is_empty {
        arg.env(Resettable::Reset)
    } else {
        arg.hide_env_values(true)
    };
    if !is_setting || !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .value_parser(clap::value_parser!(bool))
        .value_name("true|false")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// Switches that the command line or the environment turns off: the id of each, and how the command line does.
fn turned_off(given: &ArgMatches) -> Vec<(String, String)> {
    let settings = arguments();
    let switches = settings
        .get_arguments()
        .filter(|arg| matches!(arg.get_action(), ArgAction::SetTrue));
    let named = switches.filter_map(|arg| Some((arg.get_id().to_string(), arg.get_long()?)));
    named
        .filter(|(id, _)| {
            let is_explicit = matches!(
                given.value_source(id),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            );
            is_explicit && given.get_one::<bool>(id) == Some(&false)
        })
        .map(|(id, long)| (id, format!("--{long}=false")))
        .collect()
}

/// What is said, and by whom.
fn spoken(given: &ArgMatches, values: &[file::FileValue]) -> BTreeMap<String, Place> {
    let mut spoken: BTreeMap<String, Place> = values
        .iter()
        .map(|value| (value.id.clone(), Place::File))
        .collect();
    for id in given.ids() {
        let place = match given.value_source(id.as_str()) {
            Some(ValueSource::CommandLine) => Place::Arguments,
            Some(ValueSource::EnvVariable) => Place::Environment,
            _ => continue,
        };
        spoken.insert(id.to_string(), place);
    }
    spoken
}

/// What does not count, since a higher place has chosen something else.
fn silenced<'a>(spoken: &'a BTreeMap<String, Place>, off: &[(String, String)]) -> Vec<&'a str> {
    let mut silenced = Vec::new();
    for choice in CHOICES {
        let of_choice: Vec<(&'a str, Place)> = spoken
            .iter()
            .filter(|(id, _)| choice.contains(&id.as_str()))
            .filter(|(id, _)| !off.iter().any(|(off, _)| off == *id))
            .map(|(id, place)| (id.as_str(), *place))
            .collect();
        let highest = of_choice.iter().map(|(_, place)| *place).max();
        let lower = of_choice.iter().filter(|(_, place)| Some(*place) < highest);
        let lower: Vec<&str> = lower.map(|(id, _)| *id).collect();
        if lower.contains(&"policy") {
            let with_it = spoken.iter().filter(|(id, place)| {
                WITH_POLICY.contains(&id.as_str()) && Some(**place) < highest
            });
            silenced.extend(with_it.map(|(id, _)| id.as_str()));
        }
        silenced.extend(lower);
    }
    silenced
}
