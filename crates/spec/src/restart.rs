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
