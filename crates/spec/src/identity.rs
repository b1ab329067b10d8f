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

impl std::str::FromStr for IdMap {
    type Err = crate::ParseError;

    /// `[+]CONTAINER:[@]HOST[:SIZE]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || crate::ParseError::new("id map", text, "it is written CONTAINER:HOST:SIZE, with numbers");
        let (extend, rest) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
        if rest.starts_with(['u', 'g']) {
            return Err(crate::ParseError::new("id map", text, "the flags u and g are not supported yet: give --uidmap and --gidmap"));
        }
        let mut parts = rest.split(':');
        let (container, host, size) = (parts.next().ok_or_else(invalid)?, parts.next().ok_or_else(invalid)?, parts.next().unwrap_or("1"));
        if parts.next().is_some() {
            return Err(invalid());
        }
        let (host_absolute, host) = host.strip_prefix('@').map_or((false, host), |host| (true, host));
        let number = |text: &str| crate::quantity::digits::<u32>(text).ok_or_else(invalid);
        let map = Self { container: number(container)?, host: number(host)?, size: number(size)?, host_absolute, extend };
        let fits = map.size > 0 && map.container.checked_add(map.size).is_some() && map.host.checked_add(map.size).is_some();
        if fits { Ok(map) } else { Err(invalid()) }
    }
}

impl std::str::FromStr for UserNamespaceMode {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: &str| crate::ParseError::new("user namespace", text, why);
        let (mode, rest) = text.split_once(':').unwrap_or((text, ""));
        let options = || rest.split(',').filter(|o| !o.is_empty()).map(|o| o.split_once('=').unwrap_or((o, "")));
        let number = |value: &str| crate::quantity::digits::<u32>(value).ok_or_else(|| invalid("the value of an option is not a number"));
        if !rest.is_empty() && matches!(mode, "" | "host" | "private" | "nomap") {
            return Err(invalid("this mode takes no options"));
        }
        Ok(match mode {
            "" => Self::Default,
            "host" => Self::Host,
            "private" => Self::Private,
            "nomap" => Self::NoMap,
            "keep-id" => {
                let (mut uid, mut gid, mut size) = (None, None, None);
                for (key, value) in options() {
                    match key {
                        "uid" => uid = Some(number(value)?),
                        "gid" => gid = Some(number(value)?),
                        "size" => size = Some(number(value)?),
                        _ => return Err(invalid("options of keep-id are uid=, gid= and size=")),
                    }
                }
                Self::KeepId { uid, gid, size }
            }
            "auto" => {
                let (mut size, mut uid_map, mut gid_map) = (None, Vec::new(), Vec::new());
                for (key, value) in options() {
                    match key {
                        "size" => size = Some(number(value)?),
                        "uidmapping" => uid_map.push(value.parse()?),
                        "gidmapping" => gid_map.push(value.parse()?),
                        _ => return Err(invalid("options of auto are size=, uidmapping= and gidmapping=")),
                    }
                }
                Self::Auto { size, uid_map, gid_map }
            }
            "container" if !rest.is_empty() => Self::Container(rest.to_owned()),
            "ns" if rest.starts_with('/') => Self::Path(rest.to_owned()),
            _ => return Err(invalid("it is host, keep-id, auto, nomap, private, container:NAME or ns:/PATH")),
        })
    }
}
