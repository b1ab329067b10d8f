//! User namespaces and id maps (`--userns`, `--uidmap`, `--gidmap`, `--subuidname`).

use serde::{Deserialize, Serialize};

/// The user namespace wished for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserNamespace {
    /// The mode.
    pub mode: UserNamespaceMode,
    /// Explicit user id ranges (`--uidmap`).
    pub uid_map: Vec<IdMap>,
    /// Explicit group id ranges (`--gidmap`).
    pub gid_map: Vec<IdMap>,
    /// User whose sub-uids are used (`--subuidname`).
    pub subuid_name: Option<String>,
    /// Group whose sub-gids are used (`--subgidname`).
    pub subgid_name: Option<String>,
}

/// `--userns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserNamespaceMode {
    /// As the configuration says: the engine's own.
    #[default]
    Default,
    /// The engine's own: rootless, the user is root inside.
    Host,
    /// Rootless: the user keeps its id, or the one given.
    KeepId {
        /// User id inside.
        uid: Option<u32>,
        /// Group id inside.
        gid: Option<u32>,
        /// Number of ids.
        size: Option<u32>,
    },
    /// A range of its own.
    Auto {
        /// Number of ids; from the image when absent.
        size: Option<u32>,
        /// Extra user id ranges.
        uid_map: Vec<IdMap>,
        /// Extra group id ranges.
        gid_map: Vec<IdMap>,
    },
    /// Rootless: the user is not in the map at all.
    NoMap,
    /// Another container's.
    Container(String),
    /// The namespace at a path.
    Path(String),
    /// Explicit maps (`--uidmap`).
    Private,
}

/// One range of an id map, `container:host:size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdMap {
    /// First id inside.
    pub container: u32,
    /// First id outside: in the engine's namespace, or on the host with `host_absolute`.
    pub host: u32,
    /// How many.
    pub size: u32,
    /// `@` was written before the outer id: it is a host id.
    #[serde(default)]
    pub host_absolute: bool,
    /// `+` was written before the inner id: it is added to the default map.
    #[serde(default)]
    pub extend: bool,
}
