//! The profiles that servers and clients speak. They are siblings: neither is negotiated into or out of the other.

use std::fmt;
use std::str::FromStr;

/// A profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// sealwire/1 (spec/protocol.md).
    Native,
    /// What is deployed as chutes E2EE, version 1 (spec/compat-chutes.md).
    ChutesV1,
}

/// The text is no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a profile is one of native, chutes-v1")]
pub struct UnknownProfile;

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 2] = [Self::Native, Self::ChutesV1];

    /// The profile's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::ChutesV1 => "chutes-v1",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or(UnknownProfile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back_and_others_are_refused() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        for bad in ["", "Native", "chutes", "chutes-v2"] {
            assert_eq!(bad.parse::<Profile>(), Err(UnknownProfile), "{bad}");
        }
    }
}
