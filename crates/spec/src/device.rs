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

impl std::str::FromStr for DeviceRequest {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: &str| crate::ParseError::new("device", text, why);
        let is_access = |word: &str| !word.is_empty() && word.bytes().all(|b| b"rwm".contains(&b));
        let parts: Vec<&str> = text.split(':').collect();
        let (host, container, access) = match parts.as_slice() {
            [host] => (*host, *host, "rwm"),
            [host, access] if is_access(access) => (*host, *host, *access),
            [host, container] => (*host, *container, "rwm"),
            [host, container, access] if is_access(access) => (*host, *container, *access),
            _ => return Err(invalid("it is written HOST[:CONTAINER][:rwm]")),
        };
        if !host.starts_with('/') {
            return Err(invalid("the device on the host is an absolute path (CDI names are not supported yet)"));
        }
        if text.contains('\0') {
            return Err(invalid("a path cannot hold a NUL"));
        }
        if !container.starts_with('/') {
            return Err(invalid("the device in the container is an absolute path"));
        }
        Ok(Self { host: host.to_owned(), container: container.to_owned(), access: access.to_owned() })
    }
}
