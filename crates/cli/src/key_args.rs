//! Where a key comes from: the argument itself, a file, or a program such as the tool of a keyring.

use std::process::{Command, Stdio};
use std::str::FromStr;

use sealwire_http::net::{SecretArgument, SecretError};

/// A program that prints a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCommand {
    program: String,
    arguments: Vec<String>,
}

impl FromStr for KeyCommand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let command = text.strip_prefix("command=").ok_or(
            "expected command=PROGRAM [ARGUMENTS]; a keyring is read by its own tool, such as `command=secret-tool lookup service sealwire` or, on macOS, `command=security find-generic-password -s sealwire -w`",
        )?;
        let mut words = command.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or("command= needs a program")?;
        Ok(Self {
            program,
            arguments: words.collect(),
        })
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The argument or its file.
    #[error(transparent)]
    Argument(#[from] SecretError),
    /// The program does not run.
    #[error("cannot run {0} for a key: {1}")]
    Run(String, std::io::Error),
    /// The program failed.
    #[error("{0} gives no key: {1}")]
    Failed(String, std::process::ExitStatus),
    /// The program printed something else.
    #[error("{0} printed no key: a key is one line of printable ASCII without blanks")]
    Content(String),
}

/// The key, if there is one.
///
/// # Errors
///
/// [`KeyError`], without the key.
pub fn read(
    argument: Option<&SecretArgument>,
    command: Option<&KeyCommand>,
) -> Result<Option<String>, KeyError> {
    match (argument, command) {
        (Some(argument), _) => Ok(Some(argument.read()?)),
        (None, Some(command)) => command.run().map(Some),
        (None, None) => Ok(None),
    }
}

impl KeyCommand {
    /// It may ask its user for something, on the terminal: nothing bounds its time.
    fn run(&self) -> Result<String, KeyError> {
        let output = Command::new(&self.program)
            .args(&self.arguments)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| KeyError::Run(self.program.clone(), error))?;
        if !output.status.success() {
            return Err(KeyError::Failed(self.program.clone(), output.status));
        }
        let key = String::from_utf8(output.stdout).unwrap_or_default();
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Content(self.program.clone()));
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_by_command_and_others_are_explained() {
        assert_eq!(
            "command=pass show  sealwire".parse(),
            Ok(KeyCommand {
                program: "pass".to_owned(),
                arguments: vec!["show".to_owned(), "sealwire".to_owned()],
            })
        );
        for bad in ["keyring", "command=", "pass show sealwire"] {
            let error = bad.parse::<KeyCommand>().expect_err("no program");
            assert!(error.contains("command="), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_gives_no_key_is_named_and_what_it_printed_is_not() {
        let run = |text: &str| text.parse::<KeyCommand>().expect("a program").run();
        assert_eq!(run("command=echo sk-1").expect("a key"), "sk-1");
        let error = run("command=echo two words")
            .expect_err("no key")
            .to_string();
        assert!(error.contains("echo") && !error.contains("two"), "{error}");
        assert!(matches!(run("command=false"), Err(KeyError::Failed(..))));
        assert!(matches!(run("command=true"), Err(KeyError::Content(_))));
        assert!(matches!(
            run("command=no-such-program-of-this-test"),
            Err(KeyError::Run(..))
        ));
    }
}
