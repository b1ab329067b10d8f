//! Which namespaces are made and which are joined.

use super::Facts;
use crate::container::ContainerRecord;
use oci::runtime::{Namespace, NamespaceKind};
use spec::container::{IpcMode, NamespaceMode};

/// Plans the namespaces. Joined ones were looked up before and stand in [`Facts::joined`].
pub fn plan(record: &ContainerRecord, facts: &Facts) -> Vec<Namespace> {
    let spec = &record.spec;
    let mut namespaces = vec![Namespace { kind: NamespaceKind::Mount, path: None }];
    let mut add = |kind: NamespaceKind, is_host: bool| {
        if let Some(path) = facts.joined.get(&kind) {
            namespaces.push(Namespace { kind, path: Some(path.clone()) });
        } else if !is_host {
            namespaces.push(Namespace { kind, path: None });
        }
    };
    let host = |mode: &NamespaceMode| matches!(mode, NamespaceMode::Host);
    add(NamespaceKind::User, record.id_maps.is_none());
    add(NamespaceKind::Pid, host(&spec.pid_namespace));
    add(NamespaceKind::Ipc, matches!(spec.ipc_namespace, IpcMode::Host));
    add(NamespaceKind::Uts, host(&spec.uts_namespace));
    add(NamespaceKind::Network, facts.host_network);
    add(NamespaceKind::Cgroup, host(&spec.cgroup_namespace));
    namespaces
}
