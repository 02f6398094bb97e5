//! Where an instance's evidence comes from, on the command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use sealwire_instance::evidence::{
    CONFIGFS_ROOT, ConfigfsTsm, EvidenceConfig, EvidenceLimits, GpuCommand, QuoteCommand,
    QuoteSource,
};

use crate::vm_certificate::{self, CertificateError};

/// Where evidence for the identity key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// Nowhere: clients must pin the identity.
    None,
    /// The kernel, below this folder.
    Configfs(PathBuf),
    Command(Command),
    File(PathBuf),
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Command {
    path: PathBuf,
    arguments: Vec<String>,
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let path = words.next().ok_or("command= needs the path of a program")?;
        Ok(Self {
            path: path.into(),
            arguments: words.collect(),
        })
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = match text.split_once('=') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("none", None) => Ok(Self::None),
            ("configfs-tsm", None) => Ok(Self::Configfs(CONFIGFS_ROOT.into())),
            ("configfs-tsm", Some(root)) if !root.is_empty() => Ok(Self::Configfs(root.into())),
            ("command", Some(command)) => command.parse().map(Self::Command),
            ("file", Some(path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(
                "expected configfs-tsm[=FOLDER], command=PROGRAM [ARGUMENTS], file=PATH or none"
                    .to_owned(),
            ),
        }
    }
}

fn gpu_command(text: &str) -> Result<Command, String> {
    text.strip_prefix("command=")
        .ok_or("expected command=PROGRAM [ARGUMENTS]")?
        .parse()
}

/// Arguments about evidence.
#[derive(Args, Debug, Clone)]
pub struct EvidenceArgs {
    /// What vouches for the identity key: `configfs-tsm` (the kernel of a TDX or SEV-SNP guest), `command=PROGRAM [ARGUMENTS]` (gets the report data in
    /// hexadecimal as its last argument and in SEALWIRE_REPORT_DATA, writes JSON), `file=PATH` (made by something else, served as stapled evidence
    /// only), or `none`, which must be asked for by name: clients then pin the identity
    #[arg(long, value_name = "SOURCE")]
    evidence: Option<Source>,
    /// Evidence of the GPUs beside it: `command=PROGRAM [ARGUMENTS]` (gets the nonce in hexadecimal as its last argument and in SEALWIRE_GPU_NONCE,
    /// writes JSON)
    #[arg(long, value_name = "SOURCE", value_parser = gpu_command)]
    gpu_evidence: Option<Command>,
    /// A file with the TEE maker's collateral, to hand out with the evidence; it is read again every hour
    #[arg(long, value_name = "FILE")]
    collateral: Option<PathBuf>,
    /// The certificate (DER or PEM) that chutes-v1 evidence is bound to [default: a fresh one]
    #[arg(long, value_name = "FILE")]
    vm_certificate: Option<PathBuf>,
}

/// Why there are no settings for evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceArgsError {
    /// Nobody said where evidence comes from.
    #[error(
        "say where evidence for the identity comes from with --evidence: configfs-tsm in a TDX or SEV-SNP guest, command=.. or file=..; to run without, say --evidence none, and pin the identity at the clients"
    )]
    Unsaid,
    /// Something that goes with evidence only.
    #[error("{0} needs evidence; with --evidence none there is nothing that it could go with")]
    WithoutEvidence(&'static str),
    /// A file of evidence holds that of the GPUs too.
    #[error("--gpu-evidence and --evidence file=.. do not go together: put the GPUs into the file")]
    GpuBesideFile,
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl EvidenceArgs {
    pub(crate) const fn has_certificate(&self) -> bool {
        self.vm_certificate.is_some()
    }

    /// The settings; `None` if the instance is to run without evidence. For `chutes` there is a certificate among them.
    ///
    /// # Errors
    ///
    /// [`EvidenceArgsError`].
    pub fn read(&self, chutes: bool) -> Result<Option<EvidenceConfig>, EvidenceArgsError> {
        let time = EvidenceLimits::default().time;
        let quotes = match self.evidence.clone().ok_or(EvidenceArgsError::Unsaid)? {
            Source::None => {
                let given = [
                    ("--gpu-evidence", self.gpu_evidence.is_some()),
                    ("--collateral", self.collateral.is_some()),
                    ("--vm-certificate", self.vm_certificate.is_some()),
                ];
                return match given.iter().find(|(_, given)| *given) {
                    Some((name, _)) => Err(EvidenceArgsError::WithoutEvidence(name)),
                    None => Ok(None),
                };
            }
            Source::Configfs(root) => QuoteSource::Provider(Arc::new(ConfigfsTsm::new(root))),
            Source::Command(Command { path, arguments }) => {
                QuoteSource::Provider(Arc::new(QuoteCommand::new(path, arguments, time)))
            }
            Source::File(_) if self.gpu_evidence.is_some() => {
                return Err(EvidenceArgsError::GpuBesideFile);
            }
            Source::File(path) => QuoteSource::File(path),
        };
        let mut config = EvidenceConfig::new(quotes);
        if let Some(Command { path, arguments }) = self.gpu_evidence.clone() {
            config.gpu = Some(Arc::new(GpuCommand::new(path, arguments, time)));
        }
        config.collateral.clone_from(&self.collateral);
        config.certificate = match &self.vm_certificate {
            Some(path) => Some(vm_certificate::load(path)?),
            None if chutes => Some(vm_certificate::fresh()?),
            None => None,
        };
        Ok(Some(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_others_refused() {
        let command = |text: &str| Source::Command(text.parse().expect("a program"));
        for (text, source) in [
            ("none", Source::None),
            ("configfs-tsm", Source::Configfs(CONFIGFS_ROOT.into())),
            ("configfs-tsm=a/b", Source::Configfs("a/b".into())),
            ("command=quote --x=1  y", command("quote --x=1 y")),
            ("file=a=b.json", Source::File("a=b.json".into())),
        ] {
            assert_eq!(text.parse(), Ok(source), "{text}");
        }
        for bad in [
            "",
            "None",
            "none=",
            "configfs-tsm=",
            "command",
            "command= ",
            "file=",
            "tdx",
        ] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
        assert!(gpu_command("command=gpu").is_ok());
        assert!(gpu_command("file=gpu").is_err());
    }
}
