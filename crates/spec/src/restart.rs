//! What happens when the program ends (`--restart`).

use serde::{Deserialize, Serialize};

/// `--restart`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It stays ended.
    #[default]
    No,
    /// It starts again after a failure, at most so many times.
    OnFailure {
        /// Unlimited when absent.
        max_retries: Option<u32>,
    },
    /// It always starts again.
    Always,
    /// It always starts again unless a user stopped it.
    UnlessStopped,
}

impl std::str::FromStr for RestartPolicy {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: &str| crate::ParseError::new("restart policy", text, why);
        let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
        match (name, count) {
            ("" | "no" | "never", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", None) => Ok(Self::OnFailure { max_retries: None }),
            ("on-failure", Some(count)) => Ok(Self::OnFailure {
                max_retries: Some(crate::quantity::digits(count).ok_or_else(|| invalid("the number of retries is not a number"))?),
            }),
            _ => Err(invalid("it is no, on-failure[:N], always or unless-stopped")),
        }
    }
}
