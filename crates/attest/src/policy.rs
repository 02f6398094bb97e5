//! The policy: what a user takes for proof (`spec/evidence.md` section 4, which documents every key).

use serde::Deserialize;

use crate::encoding::{array_from_hex, from_base64url};
use crate::evidence::TeeKind;
use crate::report::Measurements;
use crate::roots::{RootError, Roots};

/// Most bytes of a policy.
pub(crate) const MAX_POLICY: usize = 1 << 20;

/// Whether GPUs must prove themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GpuRequirement {
    /// At least one GPU, and all that are there must pass.
    Required,
    /// All that are there must pass.
    IfPresent,
    /// Shown, not judged.
    Ignore,
}

/// A way in which a GPU proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GpuWay {
    /// Its own signed report, verified here.
    Spdm,
    /// A token that NVIDIA's attestation service signed.
    Token,
}

/// A named set of measurements. What is not given is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The name that reports show.
    pub name: String,
    /// TDX: MRTD.
    pub mrtd: Option<[u8; 48]>,
    /// TDX: RTMR0 to RTMR3.
    pub rtmr: [Option<[u8; 48]>; 4],
    /// TDX: MRCONFIGID.
    pub mrconfigid: Option<[u8; 48]>,
    /// TDX: MRSEAM.
    pub mrseam: Option<[u8; 48]>,
    /// SEV-SNP: the launch measurement.
    pub measurement: Option<[u8; 48]>,
    /// SEV-SNP: HOST_DATA.
    pub host_data: Option<[u8; 32]>,
}

impl Measured {
    fn tee(&self) -> TeeKind {
        if self.measurement.is_some() || self.host_data.is_some() {
            TeeKind::SevSnp
        } else {
            TeeKind::Tdx
        }
    }

    /// The fields that are given and differ.
    pub(crate) fn differs(&self, got: &Measurements) -> Vec<&'static str> {
        fn field<const N: usize>(
            name: &'static str,
            listed: Option<&[u8; N]>,
            got: &[u8; N],
        ) -> Option<&'static str> {
            listed.filter(|listed| *listed != got).map(|_| name)
        }
        match got {
            Measurements::Tdx {
                mrseam,
                mrtd,
                mrconfigid,
                rtmr,
                ..
            } if self.tee() == TeeKind::Tdx => {
                const RTMR: [&str; 4] = ["rtmr0", "rtmr1", "rtmr2", "rtmr3"];
                let fixed = [
                    field("mrtd", self.mrtd.as_ref(), mrtd),
                    field("mrconfigid", self.mrconfigid.as_ref(), mrconfigid),
                    field("mrseam", self.mrseam.as_ref(), mrseam),
                ];
                let registers = RTMR
                    .iter()
                    .zip(self.rtmr.iter().zip(rtmr))
                    .map(|(name, (listed, got))| field(name, listed.as_ref(), got));
                fixed.into_iter().chain(registers).flatten().collect()
            }
            Measurements::Snp {
                measurement,
                host_data,
                ..
            } if self.tee() == TeeKind::SevSnp => [
                field("measurement", self.measurement.as_ref(), measurement),
                field("host_data", self.host_data.as_ref(), host_data),
            ]
            .into_iter()
            .flatten()
            .collect(),
            _ => vec!["tee"],
        }
    }
}

/// The least firmware versions of an AMD chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnpTcb {
    /// The boot loader.
    #[serde(default)]
    pub(crate) bootloader: u8,
    /// The secure processor's operating system.
    #[serde(default)]
    pub(crate) tee: u8,
    /// The SNP firmware.
    #[serde(default)]
    pub(crate) snp: u8,
    /// The microcode.
    #[serde(default)]
    pub(crate) microcode: u8,
    /// The FMC firmware, on Turin.
    #[serde(default)]
    pub(crate) fmc: u8,
}

/// A policy, parsed and checked.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) tee: Vec<TeeKind>,
    pub(crate) measurements: Vec<Measured>,
    pub(crate) any_measurement: bool,
    pub(crate) tcb: Vec<String>,
    pub(crate) min_snp_tcb: SnpTcb,
    pub(crate) allow_debug: bool,
    pub(crate) gpu: GpuRequirement,
    pub(crate) gpu_ways: Vec<GpuWay>,
    pub(crate) max_evidence_age: u64,
    pub(crate) allow_stapled: bool,
    pub(crate) allow_remote_upstream: bool,
    pub(crate) pins: Vec<[u8; 32]>,
    pub(crate) roots: Roots,
}

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Too long.
    #[error("the policy is longer than {MAX_POLICY} bytes")]
    TooLong,
    /// Not TOML, an unknown key, or a value of another type.
    #[error("the policy cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// It lists nothing.
    #[error(
        "the policy lists no measurements, so it would take any software; add [[measurements]] (`sealwire attest policy-from-evidence` writes them), or say any_measurement = true"
    )]
    NoMeasurements,
    /// It lists measurements and takes any.
    #[error(
        "the policy says any_measurement = true and lists [[measurements]]; remove one of the two"
    )]
    BothMeasurements,
    /// A list of measurements is wrong.
    #[error("[[measurements]] `{name}`: {what}")]
    Measurements {
        /// The list's name.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A value is out of range.
    #[error("`{key}` must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A TCB status that does not exist, or can never be accepted.
    #[error("[tdx] tcb: `{0}` is no status that can be accepted; there are {known}", known = TCB_STATUSES.join(", "))]
    TcbStatus(String),
    /// A root.
    #[error(transparent)]
    Root(#[from] RootError),
}

/// Intel's statuses, but `Revoked`, which is never accepted.
const TCB_STATUSES: [&str; 8] = [
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
    "TDRelaunchAdvised",
    "TDRelaunchAdvisedConfigurationNeeded",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyToml {
    #[serde(default = "both")]
    tee: Vec<TeeKind>,
    #[serde(default)]
    any_measurement: bool,
    #[serde(default)]
    allow_debug: bool,
    #[serde(default = "required")]
    gpu: GpuRequirement,
    #[serde(default = "both_ways")]
    gpu_ways: Vec<GpuWay>,
    #[serde(default = "an_hour")]
    max_evidence_age: u64,
    #[serde(default)]
    allow_stapled: bool,
    #[serde(default)]
    allow_remote_upstream: bool,
    #[serde(default)]
    identity_pins: Vec<String>,
    #[serde(default)]
    tdx: TdxToml,
    #[serde(default)]
    snp: SnpToml,
    #[serde(default)]
    roots: RootsToml,
    #[serde(default)]
    measurements: Vec<MeasuredToml>,
}

fn both() -> Vec<TeeKind> {
    vec![TeeKind::Tdx, TeeKind::SevSnp]
}

fn required() -> GpuRequirement {
    GpuRequirement::Required
}

fn both_ways() -> Vec<GpuWay> {
    vec![GpuWay::Spdm, GpuWay::Token]
}

fn an_hour() -> u64 {
    3600
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TdxToml {
    tcb: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnpToml {
    #[serde(default)]
    min_tcb: SnpTcb,
}

/// Roots of test rigs. Each replaces the vendor's own.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootsToml {
    pub(crate) intel: Option<RootToml>,
    pub(crate) nvidia: Option<RootToml>,
    pub(crate) amd: Option<RootToml>,
}

/// A root in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootToml {
    pub(crate) name: String,
    pub(crate) file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasuredToml {
    name: String,
    mrtd: Option<String>,
    rtmr0: Option<String>,
    rtmr1: Option<String>,
    rtmr2: Option<String>,
    rtmr3: Option<String>,
    mrconfigid: Option<String>,
    mrseam: Option<String>,
    measurement: Option<String>,
    host_data: Option<String>,
}

impl MeasuredToml {
    fn parse(self) -> Result<Measured, PolicyError> {
        let wrong = |what| PolicyError::Measurements {
            name: self.name.clone(),
            what,
        };
        fn hex<const N: usize>(text: Option<&String>) -> Result<Option<[u8; N]>, ()> {
            text.map(|text| array_from_hex(text).ok_or(())).transpose()
        }
        let register = |text: &Option<String>| {
            hex::<48>(text.as_ref()).map_err(|()| wrong("a measurement must be 96 hex digits"))
        };
        let measured = Measured {
            mrtd: register(&self.mrtd)?,
            rtmr: [
                register(&self.rtmr0)?,
                register(&self.rtmr1)?,
                register(&self.rtmr2)?,
                register(&self.rtmr3)?,
            ],
            mrconfigid: register(&self.mrconfigid)?,
            mrseam: register(&self.mrseam)?,
            measurement: register(&self.measurement)?,
            host_data: hex(self.host_data.as_ref())
                .map_err(|()| wrong("host_data must be 64 hex digits"))?,
            name: self.name.clone(),
        };
        let tdx = measured.mrtd.is_some()
            || measured.rtmr.iter().any(Option::is_some)
            || measured.mrconfigid.is_some()
            || measured.mrseam.is_some();
        let snp = measured.measurement.is_some() || measured.host_data.is_some();
        match (tdx, snp) {
            (false, false) => Err(wrong("it lists nothing")),
            (true, true) => Err(wrong("it mixes fields of TDX and SEV-SNP")),
            _ => Ok(measured),
        }
    }
}

impl Policy {
    /// Parses a policy that names no files.
    ///
    /// # Errors
    /// [`PolicyError`]; [`RootError::NotRead`] if it names a file.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        Self::from_toml_with(text, |_| Err("this caller reads no files".to_owned()))
    }

    /// Parses a policy; `load` reads the files that it names (roots of test rigs).
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn from_toml_with(
        text: &str,
        load: impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY {
            return Err(PolicyError::TooLong);
        }
        let policy: PolicyToml = toml::from_str(text)?;
        let pins = policy
            .identity_pins
            .iter()
            .map(|pin| {
                from_base64url(pin)
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or(PolicyError::Value {
                        key: "identity_pins",
                        expected: "a list of identities, each 32 bytes as base64url",
                    })
            })
            .collect::<Result<Vec<[u8; 32]>, _>>()?;
        let measurements = policy
            .measurements
            .into_iter()
            .map(MeasuredToml::parse)
            .collect::<Result<Vec<_>, _>>()?;
        // A policy of pins alone is for places without an enclave.
        if measurements.is_empty() && !policy.any_measurement && pins.is_empty() {
            return Err(PolicyError::NoMeasurements);
        }
        if !measurements.is_empty() && policy.any_measurement {
            return Err(PolicyError::BothMeasurements);
        }
        if policy.tee.is_empty() || policy.tee.contains(&TeeKind::None) {
            return Err(PolicyError::Value {
                key: "tee",
                expected: "a list of `tdx` and `sev-snp` (without an enclave there are only identity_pins)",
            });
        }
        if policy.gpu != GpuRequirement::Ignore && policy.gpu_ways.is_empty() {
            return Err(PolicyError::Value {
                key: "gpu_ways",
                expected: "a list of `spdm` and `token`, unless gpu = \"ignore\"",
            });
        }
        if policy.max_evidence_age == 0 {
            return Err(PolicyError::Value {
                key: "max_evidence_age",
                expected: "a number of seconds, at least 1",
            });
        }
        let tcb = policy
            .tdx
            .tcb
            .unwrap_or_else(|| vec!["UpToDate".to_owned()]);
        if let Some(unknown) = tcb
            .iter()
            .find(|status| !TCB_STATUSES.contains(&status.as_str()))
        {
            return Err(PolicyError::TcbStatus(unknown.clone()));
        }
        Ok(Self {
            tee: policy.tee,
            measurements,
            any_measurement: policy.any_measurement,
            tcb,
            min_snp_tcb: policy.snp.min_tcb,
            allow_debug: policy.allow_debug,
            gpu: policy.gpu,
            gpu_ways: policy.gpu_ways,
            max_evidence_age: policy.max_evidence_age,
            allow_stapled: policy.allow_stapled,
            allow_remote_upstream: policy.allow_remote_upstream,
            pins,
            roots: Roots::new(policy.roots, load)?,
        })
    }

    /// The pinned identities.
    #[must_use]
    pub fn pins(&self) -> &[[u8; 32]] {
        &self.pins
    }

    /// Whether it takes evidence that answers no nonce of this verifier.
    #[must_use]
    pub const fn allows_stapled(&self) -> bool {
        self.allow_stapled
    }

    /// The greatest age of evidence, seconds.
    #[must_use]
    pub const fn max_evidence_age(&self) -> u64 {
        self.max_evidence_age
    }

    /// What it wants of GPUs.
    #[must_use]
    pub const fn gpu(&self) -> GpuRequirement {
        self.gpu
    }

    /// Whether a token of NVIDIA's attestation service is a way for a GPU to prove itself.
    #[must_use]
    pub fn takes_gpu_tokens(&self) -> bool {
        self.gpu_ways.contains(&GpuWay::Token)
    }
}
