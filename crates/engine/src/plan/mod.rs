//! From a record to an OCI configuration: pure functions that return plain data.
//!
//! The one way from wish to kernel: [`config`] reads a [`ContainerRecord`] and the [`Facts`] that were looked
//! up before, and writes the whole `config.json`. Nothing here touches the host. The defaults are Podman's,
//! with the stricter choices of the threat list.

pub mod capabilities;
pub mod devices;
pub mod environment;
pub mod mounts;
pub mod namespaces;
pub mod process;
pub mod resources;
pub mod security;

use crate::container::ContainerRecord;
use crate::error::Result;
use oci::runtime::{Config, Linux, NamespaceKind, Root};
use spec::container::{CgroupsMode, NamespaceMode};
use std::collections::BTreeMap;

/// What was looked up on the host and in the root file system before planning.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The caller is an ordinary user: we are root only in the engine namespace.
    pub rootless: bool,
    /// Who the program runs as.
    pub user: ResolvedUser,
    /// Namespaces joined instead of made: `/proc/…/ns/…` or a path the user named.
    pub joined: BTreeMap<NamespaceKind, String>,
    /// The network namespace is the host's.
    pub host_network: bool,
    /// Files of ours that are mounted over `/etc/hosts`, `/etc/resolv.conf`, `/etc/hostname`, …
    pub host_files: Vec<HostFile>,
    /// Directory of each named volume.
    pub volumes: BTreeMap<String, String>,
    /// Host name to set; empty with the host's UTS namespace.
    pub hostname: String,
    /// Proxy variables of the host.
    pub proxies: Vec<(String, String)>,
    /// Device nodes of the host that `--privileged` and `--device DIR` bring in.
    pub devices: Vec<oci::runtime::Device>,
    /// Hard limits of our own process: `(soft, hard)` by name.
    pub own_rlimits: BTreeMap<String, (u64, u64)>,
    /// The control group the container will be in.
    pub cgroups_path: Option<String>,
    /// Group 5 (tty) is in the map, so devpts can give terminals to it.
    pub has_tty_group: bool,
    /// Capabilities of our own bounding set.
    pub own_capabilities: Vec<String>,
    /// oom_score_adj of our own process: an ordinary user cannot go below it.
    pub own_oom_score_adj: i32,
    /// Path of the init program put in front with `--init`.
    pub init_program: Option<String>,
    /// The host has AppArmor and our profile is loaded.
    pub apparmor_profile: Option<String>,
    /// pids limit by default, where the controller exists.
    pub default_pids_limit: Option<i64>,
    /// `default_capabilities` of containers.conf, when given.
    pub default_capabilities: Option<Vec<String>>,
}

/// A user, resolved against the container's own passwd and group files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Supplementary groups inside.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
}

/// A file of ours that appears in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// On the host.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Read-only.
    pub read_only: bool,
    /// It is executed there.
    pub program: bool,
}

/// Version of the runtime specification our configurations follow.
pub const OCI_VERSION: &str = "1.2.0";

/// Plans the whole configuration of a container.
pub fn config(record: &ContainerRecord, facts: &Facts) -> Result<Config> {
    let spec = &record.spec;
    let capabilities = capabilities::plan(&spec.security, facts)?;
    let namespaces = namespaces::plan(record, facts);
    let mounts = mounts::plan(record, facts)?;
    let resources = resources::plan(spec, facts)?;
    let (masked_paths, readonly_paths) = security::paths(spec, facts);
    let private_uts = !matches!(spec.uts_namespace, NamespaceMode::Host | NamespaceMode::Container(_) | NamespaceMode::Path(_));
    let map = |maps: &[spec::container::IdMap]| {
        maps.iter().map(|m| oci::runtime::IdMapping { container_id: m.container, host_id: m.host, size: m.size }).collect::<Vec<_>>()
    };
    let (uid_mappings, gid_mappings) = match &record.id_maps {
        Some(maps) if !facts.joined.contains_key(&NamespaceKind::User) => (map(&maps.uid), map(&maps.gid)),
        _ => (Vec::new(), Vec::new()),
    };
    let mut sysctl = BTreeMap::new();
    let own_network = !facts.host_network && !facts.joined.contains_key(&NamespaceKind::Network);
    if own_network {
        sysctl.insert("net.ipv4.ping_group_range".to_owned(), "0 0".to_owned());
    }
    for (key, value) in &spec.sysctls {
        security::check_sysctl(key, spec, own_network)?;
        sysctl.insert(key.clone(), value.clone());
    }
    Ok(Config {
        oci_version: OCI_VERSION.to_owned(),
        process: Some(process::plan(record, facts, capabilities)?),
        root: Some(Root { path: "rootfs".to_owned(), readonly: spec.security.read_only }),
        hostname: if private_uts { facts.hostname.clone() } else { String::new() },
        mounts,
        annotations: spec.annotations.clone(),
        linux: Some(Linux {
            uid_mappings,
            gid_mappings,
            sysctl,
            resources: (spec.cgroups != CgroupsMode::Disabled).then_some(resources),
            cgroups_path: facts.cgroups_path.clone(),
            namespaces,
            devices: devices::plan(spec, facts),
            masked_paths,
            readonly_paths,
            rootfs_propagation: mounts::root_propagation(spec),
            mount_label: record.mount_label.clone(),
            personality: security::personality(spec)?,
            ..Linux::default()
        }),
        ..Config::default()
    })
}
