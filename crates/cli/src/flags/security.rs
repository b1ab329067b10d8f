//! Capabilities, seccomp, labels, masks, privileges.

use crate::args::{Flag, Kind, Parsed, flag};
use crate::failure::Failure;
use spec::ContainerSpec;
use spec::security::parse_capability;

pub(super) const FLAGS: &[Flag] = &[
    flag("cap-add", ' ', Kind::Words, "CAPABILITY", "Add a capability"),
    flag("cap-drop", ' ', Kind::Words, "CAPABILITY", "Drop a capability"),
    flag("privileged", ' ', Kind::Switch, "", "Give it all that we have ourselves"),
    flag("security-opt", ' ', Kind::List, "OPTION", "seccomp=, apparmor=, label=, mask=, unmask=, proc-opts=, no-new-privileges"),
    flag("read-only", ' ', Kind::Switch, "", "Make the root file system read-only"),
    flag("read-only-tmpfs", ' ', Kind::Switch, "", "With --read-only, keep /run, /tmp and /var/tmp writable (default true)"),
    flag("sysctl", ' ', Kind::Words, "NAME=VALUE", "Set a kernel parameter"),
];

pub(super) fn apply(parsed: &Parsed, spec: &mut ContainerSpec) -> Result<(), Failure> {
    let security = &mut spec.security;
    security.cap_add = parsed.all("cap-add").iter().map(|cap| parse_capability(cap)).collect::<Result<_, _>>()?;
    security.cap_drop = parsed.all("cap-drop").iter().map(|cap| parse_capability(cap)).collect::<Result<_, _>>()?;
    security.privileged = parsed.on("privileged");
    for option in parsed.all("security-opt") {
        security.apply(option, |path| std::fs::read_to_string(path).map_err(|e| format!("opening seccomp profile failed: {e}")))?;
    }
    security.read_only = parsed.on("read-only");
    security.read_only_tmpfs = parsed.given("read-only-tmpfs");
    for entry in parsed.all("sysctl") {
        let (key, value) =
            entry.split_once('=').ok_or_else(|| Failure::usage(format!("invalid sysctl value: {entry:?}: it is written NAME=VALUE")))?;
        spec.sysctls.insert(key.to_owned(), value.to_owned());
    }
    Ok(())
}
