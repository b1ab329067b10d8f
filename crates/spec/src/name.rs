//! Names and ids of containers, volumes, networks, secrets.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A name that has passed the one grammar of names: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255 bytes.
///
/// It is therefore safe as a file name, a host name label list and a table cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a string is not a name (Podman's words).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid name {text:?}: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument")]
pub struct NameError {
    /// What was given, cut at 200 characters.
    pub text: String,
}

impl Name {
    /// Checks the grammar.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let good = (1..=255).contains(&bytes.len())
            && bytes[0].is_ascii_alphanumeric()
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if good { Ok(Self(text.to_owned())) } else { Err(NameError { text: text.chars().take(200).collect() }) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// A container's full id: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// Checks that a string is a full id.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { text: text.chars().take(200).collect() })
        }
    }

    /// Makes an id of 32 random bytes.
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self(oci::Digest::from_sha256(bytes).hex().to_owned())
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, as tables show them.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ContainerId {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_one_grammar() {
        for good in ["a", "web", "My_app-1.2", "0", &"a".repeat(255)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", "a\n", "é", "\u{1b}[1m", &"a".repeat(256)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
