//! Name, labels, host name, user namespace.

use super::{lines_of, pairs};
use crate::args::{Flag, Kind, Parsed, flag};
use crate::failure::Failure;
use spec::{ContainerSpec, Name};

pub(super) const FLAGS: &[Flag] = &[
    flag("name", ' ', Kind::Value, "NAME", "Name of the container"),
    flag("label", 'l', Kind::List, "KEY=VALUE", "Label of the container"),
    flag("label-file", ' ', Kind::List, "FILE", "Read labels from a file of lines"),
    flag("annotation", ' ', Kind::List, "KEY=VALUE", "Annotation of the OCI configuration"),
    flag("hostname", 'h', Kind::Value, "NAME", "Host name of the container"),
    flag("userns", ' ', Kind::Value, "MODE", "User namespace: host, keep-id, auto, nomap, container:NAME, ns:PATH"),
    flag("uidmap", ' ', Kind::Words, "CONTAINER:HOST:SIZE", "Map user ids"),
    flag("gidmap", ' ', Kind::Words, "CONTAINER:HOST:SIZE", "Map group ids"),
    flag("subuidname", ' ', Kind::Value, "USER", "Use the sub-uids of this user"),
    flag("subgidname", ' ', Kind::Value, "GROUP", "Use the sub-gids of this group"),
    flag("pid", ' ', Kind::Value, "MODE", "PID namespace: private, host, container:NAME, ns:PATH"),
    flag("ipc", ' ', Kind::Value, "MODE", "IPC namespace: private, shareable, none, host, container:NAME, ns:PATH"),
    flag("uts", ' ', Kind::Value, "MODE", "UTS namespace: private, host, container:NAME, ns:PATH"),
    flag("cgroupns", ' ', Kind::Value, "MODE", "Cgroup namespace: private, host, container:NAME, ns:PATH"),
];

pub(super) fn apply(parsed: &Parsed, spec: &mut ContainerSpec) -> Result<(), Failure> {
    spec.name = parsed.value("name").map(Name::parse).transpose()?;
    for file in parsed.all("label-file") {
        spec.labels.extend(pairs(&lines_of(file)?));
    }
    spec.labels.extend(pairs(parsed.all("label")));
    spec.annotations.extend(pairs(parsed.all("annotation")));
    spec.hostname = parsed.value("hostname").map(str::to_owned);
    spec.user_namespace.mode = parsed.parsed("userns")?.unwrap_or_default();
    spec.user_namespace.uid_map = parsed.all_parsed("uidmap")?;
    spec.user_namespace.gid_map = parsed.all_parsed("gidmap")?;
    spec.user_namespace.subuid_name = parsed.value("subuidname").map(str::to_owned);
    spec.user_namespace.subgid_name = parsed.value("subgidname").map(str::to_owned);
    spec.pid_namespace = parsed.parsed("pid")?.unwrap_or_default();
    spec.ipc_namespace = parsed.parsed("ipc")?.unwrap_or_default();
    spec.uts_namespace = parsed.parsed("uts")?.unwrap_or_default();
    spec.cgroup_namespace = parsed.parsed("cgroupns")?.unwrap_or_default();
    Ok(())
}
