//! The program: environment, user, terminal, limits.

use super::lines_of;
use crate::args::{Flag, Kind, Parsed, flag};
use crate::failure::Failure;
use spec::ContainerSpec;

pub(super) const FLAGS: &[Flag] = &[
    flag("entrypoint", ' ', Kind::Value, "PROGRAM", "Replace the entry point of the image"),
    flag("env", 'e', Kind::List, "KEY[=VALUE]", "Set a variable; without a value, the host's"),
    flag("env-file", ' ', Kind::List, "FILE", "Read variables from a file of lines"),
    flag("env-host", ' ', Kind::Switch, "", "Pass all variables of the host"),
    flag("env-merge", ' ', Kind::List, "KEY=VALUE", "Set a variable with ${NAME} of the image's in it"),
    flag("unsetenv", ' ', Kind::List, "KEY", "Take a variable of the image away"),
    flag("unsetenv-all", ' ', Kind::Switch, "", "Take all variables away that were not asked for"),
    flag("http-proxy", ' ', Kind::Switch, "", "Pass the proxy variables of the host (default true)"),
    flag("workdir", 'w', Kind::Value, "DIR", "Working directory"),
    flag("user", 'u', Kind::Value, "USER[:GROUP]", "User, by name or number"),
    flag("group-add", ' ', Kind::Words, "GROUP", "Add a group; keep-groups keeps the caller's"),
    flag("tty", 't', Kind::Switch, "", "Give it a terminal"),
    flag("interactive", 'i', Kind::Switch, "", "Keep standard input open"),
    flag("umask", ' ', Kind::Value, "MASK", "File mode mask, in octal (default 0022)"),
    flag("tz", ' ', Kind::Value, "ZONE", "Time zone: a name, or local"),
    flag("ulimit", ' ', Kind::Words, "NAME=SOFT[:HARD]", "Set a resource limit"),
    flag("oom-score-adj", ' ', Kind::Value, "N", "Weight when memory runs out, -1000 to 1000"),
    flag("preserve-fds", ' ', Kind::Value, "N", "Pass so many descriptors from 3 on"),
    flag("preserve-fd", ' ', Kind::Words, "FD", "Pass these descriptors"),
    flag("passwd", ' ', Kind::Switch, "", "Add the user to /etc/passwd (default true)"),
    flag("passwd-entry", ' ', Kind::Value, "LINE", "Line added to /etc/passwd"),
    flag("personality", ' ', Kind::Value, "DOMAIN", "Execution domain: LINUX or LINUX32"),
];

pub(super) fn apply(parsed: &Parsed, spec: &mut ContainerSpec) -> Result<(), Failure> {
    let process = &mut spec.process;
    process.entrypoint = parsed.value("entrypoint").map(entrypoint).transpose()?;
    process.env = env_entries(parsed)?;
    process.env_merge = super::pairs(parsed.all("env-merge")).collect();
    process.unset_env = parsed.all("unsetenv").to_vec();
    process.unset_env_all = parsed.on("unsetenv-all");
    process.http_proxy = parsed.given("http-proxy");
    if parsed.on("env-host") {
        process.host_env =
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect();
    }
    process.workdir = parsed.value("workdir").map(str::to_owned);
    process.user = parsed.value("user").map(str::to_owned);
    process.groups = parsed.all("group-add").to_vec();
    if process.groups.iter().any(|group| group == "keep-groups") {
        return Err(Failure::usage("--group-add keep-groups is not supported by coracle yet"));
    }
    process.terminal = parsed.on("tty");
    process.interactive = parsed.on("interactive");
    process.umask = parsed
        .value("umask")
        .map(|text| {
            u32::from_str_radix(text, 8)
                .ok()
                .filter(|mask| *mask <= 0o777)
                .ok_or_else(|| Failure::usage(format!("invalid umask {text:?}: it is up to four octal digits")))
        })
        .transpose()?;
    process.timezone = parsed.value("tz").map(str::to_owned);
    if let Some(zone) = &process.timezone {
        check_zone(zone)?;
    }
    process.ulimits = parsed.all_parsed("ulimit")?;
    process.oom_score_adj = parsed
        .number::<i32>("oom-score-adj")?
        .map(|score| if (-1000..=1000).contains(&score) { Ok(score) } else { Err(Failure::usage("--oom-score-adj is from -1000 to 1000")) })
        .transpose()?;
    process.preserve_fds = parsed.number("preserve-fds")?.unwrap_or(0);
    process.preserve_fd = parsed
        .all("preserve-fd")
        .iter()
        .map(|fd| fd.parse().map_err(|_| Failure::usage(format!("invalid descriptor {fd:?}"))))
        .collect::<Result<_, _>>()?;
    spec.passwd = parsed.given("passwd");
    spec.passwd_entry = parsed.value("passwd-entry").map(str::to_owned);
    spec.personality = parsed.value("personality").map(str::to_owned);
    Ok(())
}

/// A JSON list, or one program.
fn entrypoint(text: &str) -> Result<Vec<String>, Failure> {
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|e| Failure::usage(format!("invalid entrypoint {text:?}: {e}")));
    }
    Ok(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] })
}

fn check_zone(zone: &str) -> Result<(), Failure> {
    let is_name = !zone.is_empty() && !zone.starts_with('/') && !zone.split('/').any(|part| part == "..");
    if zone == "local" || is_name && std::path::Path::new("/usr/share/zoneinfo").join(zone).is_file() {
        return Ok(());
    }
    Err(Failure::usage(format!("finding timezone for container: {zone:?} is not in /usr/share/zoneinfo")))
}

/// `-e` and `--env-file`: a key alone takes the host's value, `KEY*` all that begin so. Only what the user typed or
/// wrote is read so; never an image's entry.
pub(crate) fn env_entries(parsed: &Parsed) -> Result<Vec<(String, String)>, Failure> {
    let mut entries = Vec::new();
    let mut lines = Vec::new();
    for file in parsed.all("env-file") {
        lines.extend(lines_of(file)?);
    }
    lines.extend(parsed.all("env").iter().cloned());
    for line in lines {
        if line.contains('\0') {
            return Err(Failure::usage("an environment variable has a NUL in it"));
        }
        match line.split_once('=') {
            Some(("", _)) => return Err(Failure::usage(format!("invalid variable: {line:?}"))),
            Some((key, value)) => entries.push((key.to_owned(), value.to_owned())),
            None => match line.strip_suffix('*') {
                Some(prefix) => entries.extend(std::env::vars().filter(|(key, _)| key.starts_with(prefix))),
                None => entries.extend(std::env::var(&line).ok().map(|value| (line.clone(), value))),
            },
        }
    }
    Ok(entries)
}
