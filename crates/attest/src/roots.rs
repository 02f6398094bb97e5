//! Roots of trust: the vendors' own, embedded or pinned by hash, or those of a test rig that a policy names.

use sha2::{Digest, Sha256};

use crate::chain;
use crate::policy::{RootToml, RootsToml};

/// Intel SGX Root CA, which signs TDX platforms too.
const INTEL: &[u8] = include_bytes!("../roots/intel-sgx-root-ca.der");

/// SHA-256 of the certificate `NVIDIA Device Identity CA`, the last one of every GPU's chain.
const NVIDIA_SHA256: [u8; 32] = [
    0x10, 0x2b, 0xf6, 0x59, 0xd5, 0x41, 0x96, 0x14, 0xc9, 0xd8, 0xe6, 0xae, 0xce, 0xbc, 0x80, 0x45,
    0x4e, 0xb2, 0x6b, 0x1d, 0xf6, 0xa7, 0x69, 0xac, 0x72, 0x0b, 0x9a, 0x69, 0x0b, 0x16, 0x7b, 0x48,
];

/// A root that is no vendor's.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub(crate) vendor: &'static str,
    pub(crate) name: String,
    pub(crate) der: Vec<u8>,
}

/// The roots of one policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roots {
    intel: Option<Foreign>,
    nvidia: Option<Foreign>,
    amd: Option<Foreign>,
}

/// A root that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// The file cannot be read.
    #[error("[roots] `{name}`: cannot read `{file}`: {why}")]
    NotRead {
        /// The root's name.
        name: String,
        /// Its file.
        file: String,
        /// What the reader said.
        why: String,
    },
    /// The file is no certificate.
    #[error("[roots] `{name}`: `{file}` must hold one certificate, as PEM or DER")]
    NotACertificate {
        /// The root's name.
        name: String,
        /// Its file.
        file: String,
    },
}

impl Roots {
    pub(crate) fn new(
        toml: RootsToml,
        mut load: impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, RootError> {
        let mut read = |vendor, root: Option<RootToml>| {
            root.map(|RootToml { name, file }| {
                let bytes = load(&file).map_err(|why| RootError::NotRead {
                    name: name.clone(),
                    file: file.clone(),
                    why,
                })?;
                let der = one_certificate(&bytes).ok_or(RootError::NotACertificate {
                    name: name.clone(),
                    file,
                })?;
                Ok(Foreign { vendor, name, der })
            })
            .transpose()
        };
        Ok(Self {
            intel: read("Intel", toml.intel)?,
            nvidia: read("NVIDIA", toml.nvidia)?,
            amd: read("AMD", toml.amd)?,
        })
    }

    /// Those that are no vendor's.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Foreign> {
        [&self.intel, &self.nvidia, &self.amd].into_iter().flatten()
    }

    pub(crate) fn intel(&self) -> &[u8] {
        self.intel.as_ref().map_or(INTEL, |root| &root.der)
    }

    pub(crate) fn is_nvidia(&self, der: &[u8]) -> bool {
        match &self.nvidia {
            Some(root) => root.der == der,
            None => Sha256::digest(der).as_slice() == NVIDIA_SHA256,
        }
    }

    pub(crate) fn amd(&self) -> Option<&[u8]> {
        self.amd.as_ref().map(|root| root.der.as_slice())
    }
}

fn one_certificate(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.starts_with(b"-----BEGIN") {
        let [der] = <[Vec<u8>; 1]>::try_from(chain::from_pem(bytes)?).ok()?;
        return Some(der);
    }
    chain::Certificate::parse(bytes).map(|_| bytes.to_vec())
}
