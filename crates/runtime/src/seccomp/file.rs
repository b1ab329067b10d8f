//! Profile files, as Docker and Podman write them.

use oci::runtime::{Seccomp, SyscallArgument, SyscallRule};
use serde::Deserialize;

/// Why a profile file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is not JSON of the right shape.
    #[error("it is not a seccomp profile")]
    Json(#[source] serde_json::Error),
    /// Both lists of architectures.
    #[error("'architectures' and 'archMap' cannot both be given")]
    TwoArchitectureLists,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileFile {
    default_action: String,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchitectureEntry>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    #[serde(default)]
    syscalls: Option<Vec<FileRule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchitectureEntry {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileRule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<SyscallArgument>>,
    #[serde(default)]
    includes: Option<Scope>,
    #[serde(default)]
    excludes: Option<Scope>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Scope {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default)]
    min_kernel: Option<String>,
}

/// Reads a profile; rules for other capabilities, architectures or kernels are left out.
pub fn parse_profile(text: &str, capabilities: &[String]) -> Result<Seccomp, ProfileError> {
    let file: ProfileFile = serde_json::from_str(text).map_err(ProfileError::Json)?;
    let native = &super::native_architectures()[0];
    let architectures = match (file.architectures, file.arch_map) {
        (Some(list), Some(map)) if !list.is_empty() && !map.is_empty() => return Err(ProfileError::TwoArchitectureLists),
        (_, Some(map)) => map
            .into_iter()
            .find(|entry| entry.architecture == *native)
            .map(|entry| std::iter::once(entry.architecture).chain(entry.sub_architectures.unwrap_or_default()).collect())
            .unwrap_or_else(|| vec![native.clone()]),
        (Some(list), None) => list,
        (None, None) => Vec::new(),
    };
    let syscalls = file
        .syscalls
        .unwrap_or_default()
        .into_iter()
        .filter(|rule| {
            rule.includes.as_ref().is_none_or(|scope| includes(scope, capabilities))
                && !rule.excludes.as_ref().is_some_and(|scope| excludes(scope, capabilities))
        })
        .map(|rule| SyscallRule {
            names: rule.names.unwrap_or_default().into_iter().chain(rule.name).collect(),
            action: rule.action,
            errno_ret: rule.errno_ret,
            args: rule.args.unwrap_or_default(),
        })
        .collect();
    Ok(Seccomp {
        default_action: file.default_action,
        default_errno_ret: file.default_errno_ret,
        architectures,
        flags: file.flags.unwrap_or_default(),
        syscalls,
        ..Seccomp::default()
    })
}

const ARCHITECTURE_NAMES: &[&str] = if cfg!(target_arch = "x86_64") { &["amd64", "x86", "x32"] } else { &["arm64", "arm"] };

/// All that is named must hold.
fn includes(scope: &Scope, capabilities: &[String]) -> bool {
    let caps = scope.caps.as_ref().is_none_or(|caps| caps.iter().all(|cap| capabilities.contains(cap)));
    let arches =
        scope.arches.as_ref().is_none_or(|list| list.is_empty() || list.iter().any(|arch| ARCHITECTURE_NAMES.contains(&arch.as_str())));
    caps && arches && scope.min_kernel.as_deref().is_none_or(kernel_is_at_least)
}

/// Any that is named is enough.
fn excludes(scope: &Scope, capabilities: &[String]) -> bool {
    let caps = scope.caps.as_ref().is_some_and(|caps| caps.iter().any(|cap| capabilities.contains(cap)));
    let arches = scope.arches.as_ref().is_some_and(|list| list.iter().any(|arch| ARCHITECTURE_NAMES.contains(&arch.as_str())));
    caps || arches || scope.min_kernel.as_deref().is_some_and(kernel_is_at_least)
}

fn kernel_is_at_least(wanted: &str) -> bool {
    let numbers = |text: &str| {
        let mut parts = text.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    numbers(&rustix::system::uname().release().to_string_lossy()) >= numbers(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_choose_the_rules() {
        let text = r#"{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
            "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"},
                        {"names":["bpf"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_BPF"]}},
                        {"name":"chroot","action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_BPF"]}},
                        {"names":["x"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}},
                        {"names":["y"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.0"}}]}"#;
        let names = |caps: &[String]| -> Vec<String> {
            parse_profile(text, caps).unwrap().syscalls.into_iter().flat_map(|rule| rule.names).collect()
        };
        assert_eq!(names(&[]), ["read", "chroot"]);
        assert_eq!(names(&["CAP_BPF".to_owned()]), ["read", "bpf"]);
        assert!(parse_profile("{", &[]).is_err());
        assert!(parse_profile("{}", &[]).is_err());
    }
}
