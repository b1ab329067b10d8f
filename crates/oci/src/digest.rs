//! Content digests (image-spec descriptor.md#digests).

use serde::{Deserialize, Serialize};
use std::fmt;

/// A `sha256:` digest whose grammar has been checked: exactly 64 lower-case hexadecimal digits.
///
/// sha512 and other registered algorithms are refused by name: nothing in the field writes them, and a
/// digest we cannot verify must not become a path or a URL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    hex: String,
}

/// Why a string is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No `algorithm:` in front.
    #[error("digest {text:?} has no algorithm")]
    NoAlgorithm {
        /// What was given.
        text: String,
    },
    /// An algorithm other than sha256.
    #[error("digest algorithm {algorithm:?} is not supported (only sha256 is)")]
    UnsupportedAlgorithm {
        /// The part before the colon.
        algorithm: String,
    },
    /// Not 64 lower-case hexadecimal digits.
    #[error("digest {text:?} is not 64 lower-case hexadecimal digits")]
    BadHex {
        /// What was given.
        text: String,
    },
}

impl Digest {
    /// Parses `sha256:<64 hex digits>`.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or_else(|| DigestError::NoAlgorithm { text: clip(text) })?;
        if algorithm != "sha256" {
            return Err(DigestError::UnsupportedAlgorithm { algorithm: clip(algorithm) });
        }
        Self::from_hex(hex)
    }

    /// Takes the 64 hexadecimal digits alone.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self { hex: hex.to_owned() })
        } else {
            Err(DigestError::BadHex { text: clip(hex) })
        }
    }

    /// Takes the 32 bytes of a finished SHA-256.
    pub fn from_sha256(bytes: &[u8; 32]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(64);
        for byte in bytes {
            hex.push(HEX[usize::from(byte >> 4)] as char);
            hex.push(HEX[usize::from(byte & 15)] as char);
        }
        Self { hex }
    }

    /// Returns the 64 hexadecimal digits, fit for a file name.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Returns the first twelve digits, as tables show them.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }
}

fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl std::str::FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_grammar_is_a_digest() {
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(Digest::parse(&good).unwrap().to_string(), good);
        for bad in [
            "",
            "sha256:",
            "sha256:../../x",
            "0a0a",
            "sha512:00",
            &format!("sha256:{}", "0A".repeat(32)),
            &format!("sha256:{}", "0a".repeat(33)),
            &format!("SHA256:{}", "0a".repeat(32)),
        ] {
            assert!(Digest::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_become_hex() {
        assert_eq!(Digest::from_sha256(&[0xab; 32]).hex(), "ab".repeat(32));
    }
}
