//! Devices (`--device`).

use serde::{Deserialize, Serialize};

/// `--device HOST[:CONTAINER[:rwm]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Path on the host: a device, or a directory of devices; or a CDI name.
    pub host: String,
    /// Path in the container.
    pub container: String,
    /// Of `rwm`.
    pub access: String,
}
