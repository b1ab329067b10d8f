//! Mounts, volumes, tmpfs, secrets (`-v`, `--mount`, `--tmpfs`, `--volumes-from`, `--secret`).

use crate::Name;
use serde::{Deserialize, Serialize};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// What is mounted.
    pub source: MountSource,
    /// Where: absolute, in the container.
    pub target: String,
    /// How.
    #[serde(default)]
    pub options: MountOptions,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountSource {
    /// A path of the host, absolute (the command line makes it so).
    Bind {
        /// The path.
        path: String,
        /// Made as a directory when missing, as `-v` in Docker does and Podman does not.
        create: bool,
    },
    /// A named volume, made when missing.
    Volume(Name),
    /// A volume without a name.
    AnonymousVolume,
    /// A tmpfs.
    Tmpfs,
    /// An image, read-only unless `rw`.
    Image(String),
    /// A new devpts.
    Devpts,
    /// A ramfs.
    Ramfs,
    /// A glob of host paths (`--mount type=glob`).
    Glob(String),
}

/// How something is mounted. `None` is the default of its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOptions {
    /// Read-only.
    pub read_only: Option<bool>,
    /// SELinux: shared (`z`) or private (`Z`) label.
    pub relabel: Option<Relabel>,
    /// Owner changed to the container's user (`U`).
    pub chown: bool,
    /// Id-mapped: `idmap` alone is the container's map.
    pub idmap: Option<String>,
    /// `private`, `rprivate`, `shared`…
    pub propagation: Option<String>,
    /// `bind` alone: not recursive.
    pub non_recursive: bool,
    /// Path inside the volume or image.
    pub subpath: Option<String>,
    /// Volumes: `nocopy` switches copy-up off. tmpfs: `tmpcopyup`, `notmpcopyup`.
    pub copy: Option<bool>,
    /// tmpfs: size in bytes.
    pub tmpfs_size: Option<u64>,
    /// tmpfs: mode.
    pub tmpfs_mode: Option<u32>,
    /// `noexec`, `nodev`, `nosuid`, `exec`, `dev`, `suid`, `noatime`… as given, in order.
    pub flags: Vec<String>,
    /// `O`: an overlay whose changes are thrown away; with `upperdir` and `workdir` kept.
    pub overlay: Option<OverlayMount>,
    /// devpts: uid, gid, mode, max, as `key=value`.
    pub extra: Vec<String>,
    /// Volume labels and driver options of `--mount type=volume,…`.
    pub volume_options: Vec<String>,
}

/// SELinux relabelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relabel {
    /// `z`
    Shared,
    /// `Z`
    Private,
}

/// The `O` option.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayMount {
    /// Directory that keeps the changes.
    pub upper: Option<String>,
    /// Its work directory.
    pub work: Option<String>,
}

/// `--tmpfs PATH[:options]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsSpec {
    /// Where.
    pub target: String,
    /// Options as given.
    pub options: Vec<String>,
}

/// `--volumes-from CONTAINER[:options]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumesFrom {
    /// Container.
    pub container: String,
    /// `ro`, `rw`, `z`.
    pub options: Vec<String>,
}

/// `--image-volume`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnonymousVolumes {
    /// An anonymous volume each.
    #[default]
    Anonymous,
    /// A tmpfs each.
    Tmpfs,
    /// Nothing.
    Ignore,
}

/// `--secret NAME[,type=mount|env,target=…,uid=,gid=,mode=]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRequest {
    /// The secret.
    pub name: String,
    /// As an environment variable instead of a file.
    pub as_env: bool,
    /// File or variable name.
    pub target: Option<String>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode.
    pub mode: u32,
}
