//! Reading the members of a case. A case that lacks one is a fault of the case, never a panic.

use sealwire::Error;
use serde_json::{Map, Value};

/// Why a run ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The code of a failure that the specification knows.
    Code(String),
    /// The case or the runner is at fault.
    Fault(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Code(error.code().to_owned())
    }
}

/// A failure with this code.
pub(crate) fn code(code: &str) -> Stop {
    Stop::Code(code.to_owned())
}

pub(crate) fn fault(why: impl Into<String>) -> Stop {
    Stop::Fault(why.into())
}

/// A JSON object whose members are read by name.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a>(pub(crate) &'a Value);

impl<'a> Input<'a> {
    pub(crate) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn need(self, name: &str) -> Result<&'a Value, Stop> {
        self.get(name)
            .ok_or_else(|| fault(format!("the case has no {name}")))
    }

    pub(crate) fn object(self, name: &str) -> Result<Self, Stop> {
        self.need(name).map(Self)
    }

    pub(crate) fn text(self, name: &str) -> Result<&'a str, Stop> {
        self.need(name)?
            .as_str()
            .ok_or_else(|| fault(format!("{name} is no text")))
    }

    pub(crate) fn list(self, name: &str) -> Result<&'a [Value], Stop> {
        self.need(name)?
            .as_array()
            .map(Vec::as_slice)
            .ok_or_else(|| fault(format!("{name} is no list")))
    }

    pub(crate) fn number(self, name: &str) -> Result<u64, Stop> {
        self.need(name)?
            .as_u64()
            .ok_or_else(|| fault(format!("{name} is no integer")))
    }

    pub(crate) fn small<T: TryFrom<u64>>(self, name: &str) -> Result<T, Stop> {
        T::try_from(self.number(name)?).map_err(|_| fault(format!("{name} is too large")))
    }

    pub(crate) fn flag(self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(crate) fn hex(self, name: &str) -> Result<Vec<u8>, Stop> {
        unhex(self.need(name)?).ok_or_else(|| fault(format!("{name} is no hex")))
    }

    pub(crate) fn array<const N: usize>(self, name: &str) -> Result<[u8; N], Stop> {
        self.hex(name)?
            .try_into()
            .map_err(|_| fault(format!("{name} is not {N} bytes")))
    }
}

/// The bytes of a hex string.
pub(crate) fn unhex(value: &Value) -> Option<Vec<u8>> {
    let digits = value.as_str()?.as_bytes();
    if digits.len() % 2 != 0 {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(nibble(*high)? * 16 + nibble(*low)?).ok(),
            _ => None,
        })
        .collect()
}

/// Bytes as a JSON string.
pub(crate) fn hex(bytes: &[u8]) -> Value {
    hex_text(bytes).into()
}

pub(crate) fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON object from pairs.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
