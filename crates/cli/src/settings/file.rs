//! The file of settings (TOML). Its keys are the names of the proxy's arguments with `_` for `-`, and two tables: `aliases`, and `models` by name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction};
use sealwire_http::inner::PaddingWish;
use sealwire_proxy::apps::ModelSettings;
use serde::Deserialize;
use toml::{Table, Value};

use crate::apps_args::{ApiModeArg, InlineSystemArg};
use crate::{file, places};

/// Its name in the user's folder of settings.
const NAME: &str = "proxy.toml";
/// Largest file that is read.
const MAX_FILE: u64 = 1_024 * 1_024;
/// Keys that are tables.
const ALIASES: &str = "aliases";
const MODELS: &str = "models";
/// The argument that `aliases` stands for.
const ALIAS: &str = "alias";
/// Keys that name files; a relative name is one beside the file of settings.
const PATHS: [&str; 3] = ["policy", "collateral", "ca"];
/// Keys with secrets; after `@` there is the name of a file.
const SECRETS: [&str; 2] = ["app_key", "relay_key"];

/// The settings of a file.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// Where it is.
    pub path: PathBuf,
    /// Its keys.
    pub(crate) values: Vec<FileValue>,
    /// Its tables.
    pub tables: FileTables,
}

/// Tables of a file.
#[derive(Debug, Clone, Default)]
pub struct FileTables {
    /// The file, if there was one.
    pub(crate) path: Option<PathBuf>,
    /// A key stands in it, and others can read it.
    pub(crate) is_exposed: bool,
    /// Names that stand for models.
    pub aliases: BTreeMap<String, String>,
    /// Settings by the model's name at the relay.
    pub models: BTreeMap<String, ModelTable>,
}

/// Settings of one model; what is not set is as for all models.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    #[serde(default, deserialize_with = "api_mode")]
    pub(crate) api_mode: Option<ApiModeArg>,
    #[serde(default, deserialize_with = "inline_system")]
    pub(crate) inline_system: Option<InlineSystemArg>,
    pub(crate) split_think: Option<bool>,
    pub(crate) max_model_len: Option<u64>,
    #[serde(default, deserialize_with = "padding")]
    pub(crate) padding: Option<PaddingWish>,
}

impl ModelTable {
    /// The settings of the model.
    pub(crate) fn over(&self, any: &ModelSettings) -> ModelSettings {
        ModelSettings {
            api_mode: self.api_mode.map_or(any.api_mode, Into::into),
            inline_system: self.inline_system.map_or(any.inline_system, Into::into),
            split_think: self.split_think.unwrap_or(any.split_think),
            max_model_len: self.max_model_len.or(any.max_model_len),
            padding: self.padding.or(any.padding),
        }
    }

    /// Most tokens of prompt and answer, where that is said.
    #[must_use]
    pub fn max_model_len(&self) -> Option<u64> {
        self.max_model_len
    }
}

/// One key, as arguments.
#[derive(Clone)]
pub(crate) struct FileValue {
    /// The argument's id.
    pub(crate) id: String,
    /// As they would stand on the command line.
    pub(crate) arguments: Vec<OsString>,
    /// Without the argument's name, where it is one value.
    pub(crate) text: Option<String>,
    key: String,
    long: String,
    file: PathBuf,
}

impl std::fmt::Debug for FileValue {
    // It may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key)
    }
}

/// Why a file of settings cannot be used. None of its values is shown but those that an argument refuses, and never a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the settings {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// It is no TOML.
    #[error("the settings {file} are no TOML: line {line}: {why}")]
    Toml {
        /// The file.
        file: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// A key that there is not.
    #[error("the settings {file} have an unknown key `{key}`{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// One that there is.
        near: Option<String>,
    },
    /// A value that cannot be used.
    #[error("the settings {file}, key `{key}`: {why}")]
    Value {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// Why.
        why: String,
    },
}

/// Reads the named file, or the user's own if there is one.
pub(super) fn load(path: Option<&Path>) -> Result<Option<FileSettings>, FileError> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => match places::config(NAME).filter(|path| path.exists()) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let text =
        file::read_text(&path, MAX_FILE).map_err(|error| FileError::Read(path.clone(), error))?;
    parse(path, &text).map(Some)
}

fn parse(path: PathBuf, text: &str) -> Result<FileSettings, FileError> {
    let table: Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        FileError::Toml {
            file: path.clone(),
            line: before.map_or(0, |before| before.matches('\n').count()) + 1,
            // Without the lines around it: a key may stand there.
            why: error.message().to_owned(),
        }
    })?;
    let known: BTreeMap<String, Arg> = super::arguments()
        .get_arguments()
        .filter(|arg| arg.get_env().is_some() && arg.get_id() != super::CONFIG)
        .filter_map(|arg| Some((arg.get_long()?.replace('-', "_"), arg.clone())))
        .filter(|(key, _)| key != ALIAS)
        .collect();
    let mut settings = FileSettings {
        values: Vec::new(),
        tables: FileTables {
            path: Some(path.clone()),
            ..FileTables::default()
        },
        path,
    };
    for (key, value) in table {
        let file = settings.path.clone();
        match (key.as_str(), known.get(&key)) {
            (ALIASES, _) => settings.tables.aliases = aliases(&file, value)?,
            (MODELS, _) => settings.tables.models = models(&file, value)?,
            (_, Some(arg)) => {
                let is_key = SECRETS.contains(&key.as_str())
                    && value.as_str().is_some_and(|key| !key.starts_with('@'));
                settings.tables.is_exposed |= is_key && is_open(&file);
                let one = one(&file, &key, arg, &value)?;
                // Off is what a switch is without the file.
                if value != Value::Boolean(false) {
                    settings.values.push(one);
                }
            }
            (_, None) => {
                let near = known.keys().find(|known| near(known, &key)).cloned();
                return Err(FileError::Unknown { file, key, near });
            }
        }
    }
    Ok(settings)
}

/// A key as arguments.
fn one(file: &Path, key: &str, arg: &Arg, value: &Value) -> Result<FileValue, FileError> {
    let wrong = |expected: &str| FileError::Value {
        file: file.to_owned(),
        key: key.to_owned(),
        why: format!("it is {}, expected {expected}", value.type_str()),
    };
    let long = arg.get_long().unwrap_or_default();
    let texts: Vec<String> = match (arg.get_action(), value) {
        (ArgAction::SetTrue, Value::Boolean(on)) => vec![on.to_string()],
        (ArgAction::SetTrue, _) => return Err(wrong("true or false")),
        (ArgAction::Append, Value::Array(values)) => values
            .iter()
            .map(scalar)
            .collect::<Option<_>>()
            .ok_or_else(|| wrong("a list of strings"))?,
        (ArgAction::Append, _) => vec![scalar(value).ok_or_else(|| wrong("a list of strings"))?],
        _ => vec![scalar(value).ok_or_else(|| wrong("one value"))?],
    };
    let texts: Vec<String> = texts
        .into_iter()
        .map(|text| beside(file, key, text))
        .collect();
    let arguments = texts.iter().map(|text| format!("--{long}={text}").into());
    Ok(FileValue {
        id: arg.get_id().to_string(),
        arguments: arguments.collect(),
        text: texts.first().filter(|_| texts.len() == 1).cloned(),
        key: key.to_owned(),
        long: format!("--{long}"),
        file: file.to_owned(),
    })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether others than its owner can read it.
#[cfg(unix)]
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

/// Names of files are relative to the file that names them.
fn beside(file: &Path, key: &str, text: String) -> String {
    let folder = file.parent().unwrap_or(Path::new("."));
    let joined = |name: &str| folder.join(name).to_string_lossy().into_owned();
    if PATHS.contains(&key) {
        return joined(&text);
    }
    match text.strip_prefix('@') {
        Some(name) if SECRETS.contains(&key) => format!("@{}", joined(name)),
        _ => text,
    }
}

impl FileValue {
    /// Whether the parser's complaint is about this one.
    pub(super) fn is_named_by(&self, error: &clap::Error) -> bool {
        match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(name)) => {
                name.split([' ', '[', '=']).next() == Some(self.long.as_str())
            }
            _ => false,
        }
    }

    pub(super) fn refused(&self, error: &clap::Error) -> FileError {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        FileError::Value {
            file: self.file.clone(),
            key: self.key.clone(),
            why: first.trim_start_matches("error: ").to_owned(),
        }
    }
}

fn aliases(file: &Path, value: Value) -> Result<BTreeMap<String, String>, FileError> {
    value.try_into().map_err(|_| FileError::Value {
        file: file.to_owned(),
        key: ALIASES.to_owned(),
        why: "expected a table of names, each with the name of a model".to_owned(),
    })
}

fn models(file: &Path, value: Value) -> Result<BTreeMap<String, ModelTable>, FileError> {
    let wrong = |key: String, why: String| FileError::Value {
        file: file.to_owned(),
        key,
        why,
    };
    let Value::Table(tables) = value else {
        return Err(wrong(MODELS.to_owned(), "expected a table".to_owned()));
    };
    tables
        .into_iter()
        .map(|(name, table)| {
            let table: ModelTable = table.try_into().map_err(|error: toml::de::Error| {
                wrong(format!("models.{name:?}"), error.message().to_owned())
            })?;
            Ok((name, table))
        })
        .collect()
}

fn api_mode<'a, D: serde::Deserializer<'a>>(from: D) -> Result<Option<ApiModeArg>, D::Error> {
    named(from)
}

fn inline_system<'a, D: serde::Deserializer<'a>>(
    from: D,
) -> Result<Option<InlineSystemArg>, D::Error> {
    named(from)
}

/// One of the names that the argument takes.
fn named<'a, T: clap::ValueEnum, D: serde::Deserializer<'a>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    T::from_str(&text, false).map(Some).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|variant| Some(variant.to_possible_value()?.get_name().to_owned()))
            .collect();
        serde::de::Error::custom(format!("{text:?} is none of {}", names.join(", ")))
    })
}

fn padding<'a, D: serde::Deserializer<'a>>(from: D) -> Result<Option<PaddingWish>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Whether one is the other with a slip: hyphens, a letter too much, too few or wrong.
fn near(known: &str, key: &str) -> bool {
    let key = key.replace('-', "_");
    if known == key {
        return true;
    }
    let (a, b) = (known.as_bytes(), key.as_bytes());
    let same_start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let same_end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    a.len().abs_diff(b.len()) <= 1 && same_start + same_end + 1 >= a.len().max(b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FileSettings, FileError> {
        parse("a/proxy.toml".into(), text)
    }

    #[test]
    fn keys_become_arguments_and_files_stand_beside_the_file() {
        let settings = read(
            "listen = \"127.0.0.1:1\"\nforward_key = true\nsuite = [1, 2]\npolicy = \"p.toml\"\nca = [\"/x.pem\", \"y.pem\"]\n\
             relay_key = \"@k\"\nkeep_alive = 3\n[aliases]\nhaiku = \"small\"\n[models.\"a/b\"]\napi_mode = \"auto\"\nmax_model_len = 9\n",
        )
        .expect("sound");
        let mut arguments: Vec<String> = settings
            .values
            .iter()
            .flat_map(|value| &value.arguments)
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        arguments.sort();
        assert_eq!(
            arguments,
            [
                "--ca=/x.pem",
                "--ca=a/y.pem",
                "--forward-key=true",
                "--keep-alive=3",
                "--listen=127.0.0.1:1",
                "--policy=a/p.toml",
                "--relay-key=@a/k",
                "--suite=1",
                "--suite=2",
            ]
        );
        assert_eq!(settings.tables.aliases["haiku"], "small");
        let model = &settings.tables.models["a/b"];
        assert_eq!(
            (model.api_mode, model.max_model_len),
            (Some(ApiModeArg::Auto), Some(9))
        );
        assert!(!format!("{settings:?}").contains("@a/k"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("listne = 1", "unknown key `listne`"),
            ("relay-key = \"k\"", "did you mean `relay_key`?"),
            ("alias = [\"a=b\"]", "unknown key `alias`"),
            ("config = \"x\"", "unknown key `config`"),
            ("forward_key = \"yes\"", "key `forward_key`: it is string"),
            ("listen = [1]", "key `listen`: it is array"),
            ("ca = [[1]]", "expected a list of strings"),
            ("\nx", "line 2"),
            ("aliases = 1", "key `aliases`"),
            ("[aliases]\na = 1", "key `aliases`"),
            ("models = 1", "key `models`"),
            ("[models.m]\nx = 1", "unknown field `x`"),
            ("[models.m]\napi_mode = \"x\"", "translate, native, auto"),
            ("[models.m]\ninline_system = \"x\"", "user, keep, hoist"),
            ("[models.m]\npadding = \"x\"", "padding is one of"),
            ("[models.m]\nmax_model_len = -1", "key `models.\"m\"`"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.contains("a/proxy.toml"), "{text}: {error}");
        }
    }

    #[test]
    fn a_broken_file_shows_none_of_its_lines() {
        let error = read("relay_key = \"sk-secret\nx = 1").expect_err("no TOML");
        assert!(!error.to_string().contains("sk-secret"), "{error}");
    }

    #[test]
    fn every_argument_has_a_variable_of_its_name() {
        for arg in super::super::arguments().get_arguments() {
            let long = arg.get_long().expect("a long name");
            let expected = format!("SEALWIRE_{}", long.replace('-', "_").to_uppercase());
            let env = arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            assert_eq!(env, Some(expected), "{long}");
        }
    }

    #[test]
    fn every_setting_is_in_the_documentation() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(folder.join("../../docs/proxy.md")).expect("the file");
        for arg in super::super::arguments().get_arguments() {
            let key = arg.get_long().expect("a long name").replace('-', "_");
            let is_named = [format!("`{key}`"), format!("`--{key}"), format!("--{key} ")]
                .iter()
                .any(|name| text.contains(name));
            assert!(is_named, "{key}");
        }
    }
}
