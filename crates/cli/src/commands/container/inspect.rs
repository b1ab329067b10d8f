//! `inspect`, `container inspect`, `port`

use super::Command;
use crate::app::App;
use crate::args::{Kind, Parsed, flag};
use crate::failure::Failure;
use engine::Engine;
use engine::container::{ContainerRecord, Status, find, inspect, status, stop};
use output::{Format, human, template};
use serde_json::{Value, json};
use spec::mount::MountSource;
use spec::restart::RestartPolicy;

pub(crate) const INSPECT: Command = Command {
    paths: &["inspect", "container inspect"],
    about: "Show all facts of containers, images or volumes",
    description: "Shows objects as JSON, or by a template.",
    usage: "[options] NAME [NAME...]",
    examples: &["inspect web", "inspect --format \"{{.State.Status}}\" web", "inspect --type image nginx"],
    flags: &[&[
        flag("format", 'f', Kind::Value, "FORMAT", "json, or a Go template"),
        flag("latest", 'l', Kind::Switch, "", "The container made last"),
        flag("size", 's', Kind::Switch, "", "Show sizes too"),
        flag("type", 't', Kind::Value, "TYPE", "Look for a container, image or volume only"),
    ]],
    options_first: false,
    arguments: (0, None),
    run: main,
};

fn main(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let kind = parsed.value("type").unwrap_or("all");
    if !["all", "container", "image", "volume"].contains(&kind) {
        return Err(Failure::usage(format!("invalid type {kind:?}: it is container, image or volume")));
    }
    let mut documents = Vec::new();
    let mut missing = Vec::new();
    if parsed.on("latest") {
        documents.push(document(&engine, &find::latest(&engine)?, parsed.on("size"))?);
    } else if parsed.positionals.is_empty() {
        return Err(Failure::usage("no containers or images specified"));
    }
    for typed in &parsed.positionals {
        match one(&engine, typed, kind, parsed.on("size"))? {
            Some(document) => documents.push(document),
            None => missing.push(typed),
        }
    }
    if !documents.is_empty() || missing.is_empty() || parsed.value("format").is_none() {
        print_documents(&documents, parsed.value("format"))?;
    }
    if missing.is_empty() {
        return Ok(0);
    }
    for typed in missing {
        let what = if kind == "all" { "object" } else { kind };
        eprintln!("Error: no such {what}: {:?}", output::printable(typed));
    }
    Err(Failure::Code(125))
}

fn one(engine: &Engine, typed: &str, kind: &str, size: bool) -> Result<Option<Value>, Failure> {
    if matches!(kind, "all" | "container") {
        match find::find(engine, typed) {
            Ok(record) => return document(engine, &record, size).map(Some),
            Err(error) if error.kind() == engine::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    if matches!(kind, "all" | "image")
        && let Some(image) = engine.store().find_image(typed).map_err(|e| Failure::usage(e.to_string()))?
    {
        return crate::commands::image::inspect(engine, &image).map(Some);
    }
    if matches!(kind, "all" | "volume")
        && let Ok(name) = spec::Name::parse(typed)
        && let Some(volume) = engine.store().volume(&name).map_err(|e| Failure::usage(e.to_string()))?
    {
        return Ok(Some(crate::commands::volume::document(engine, &volume)));
    }
    Ok(None)
}

/// Prints documents as one list, or each by a template.
pub(crate) fn print_documents(documents: &[Value], format: Option<&str>) -> Result<i32, Failure> {
    match format.map(Format::parse) {
        None | Some(Format::Json) => print!("{}", template::to_json(&Value::Array(documents.to_vec()))),
        Some(format) => {
            for document in documents {
                print!("{}", template::render_one(&format, document)?);
            }
        }
    }
    Ok(0)
}

/// The document of a container, as Podman writes it.
pub(crate) fn document(engine: &Engine, record: &ContainerRecord, with_size: bool) -> Result<Value, Failure> {
    let look = status::look(engine, &record.id)?;
    let spec = &record.spec;
    let run_dir = engine.paths.container_run(&record.id);
    let config: Value =
        std::fs::read(run_dir.join("config.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
    let process = &config["process"];
    let image = record.image.as_ref();
    let args: Vec<String> = process["args"]
        .as_array()
        .map(|args| args.iter().filter_map(|arg| arg.as_str().map(str::to_owned)).collect())
        .unwrap_or_else(|| {
            let entrypoint = spec.process.entrypoint.clone().or(image.map(|image| image.config.entrypoint.clone())).unwrap_or_default();
            let command = inspect::command(record);
            if entrypoint == command { command } else { entrypoint.into_iter().chain(command).collect() }
        });
    let env: Vec<Value> = process["env"].as_array().cloned().unwrap_or_else(|| {
        let of_image = image.map(|image| image.config.env.clone()).unwrap_or_default();
        of_image.into_iter().chain(spec.process.env.iter().map(|(key, value)| format!("{key}={value}"))).map(Value::from).collect()
    });
    let started = look.run.as_ref().map(|run| run.started).or(look.exit.as_ref().map(|exit| exit.started)).unwrap_or(0);
    let exit = look.exit.clone().unwrap_or_default();
    let pid = look.run.as_ref().map_or(0, |run| run.init_pid);
    let caps = |name: &str| process["capabilities"][name].as_array().cloned().unwrap_or_default();
    let mut document = json!({
        "Id": record.id.as_str(), "Created": human::rfc3339(record.created), "Path": args.first().cloned().unwrap_or_default(), "Args": args.iter().skip(1).collect::<Vec<_>>(),
        "State": {
            "OciVersion": engine::plan::OCI_VERSION, "Status": look.status.as_str(), "Running": matches!(look.status, Status::Running | Status::Stopping), "Paused": look.status == Status::Paused,
            "Restarting": look.run.as_ref().is_some_and(|run| run.waiting), "OOMKilled": exit.oom_killed, "Dead": false, "Pid": pid, "ConmonPid": look.run.as_ref().map_or(0, |run| run.monitor_pid),
            "ExitCode": if look.run.is_some() { 0 } else { exit.code }, "Error": exit.error, "StartedAt": human::rfc3339(started),
            "FinishedAt": human::rfc3339(exit.finished), "CgroupPath": look.run.as_ref().and_then(|run| run.cgroup.clone()).unwrap_or_default(), "StoppedByUser": exit.stopped_by_user,
        },
        "Image": image.map(|image| image.id.hex()).unwrap_or_default(), "ImageDigest": image.and_then(|image| image.digest.as_ref()).map(ToString::to_string).unwrap_or_default(),
        "ImageName": image.map_or(spec.image.as_str(), |image| image.name.as_str()), "Rootfs": if spec.rootfs { spec.image.as_str() } else { "" }, "Pod": record.pod.clone().unwrap_or_default(),
        "ResolvConfPath": run_dir.join("resolv.conf"), "HostnamePath": run_dir.join("hostname"), "HostsPath": run_dir.join("hosts"), "StaticDir": engine.paths.container(&record.id),
        "OCIConfigPath": run_dir.join("config.json"), "OCIRuntime": spec.runtime.clone().unwrap_or_else(|| "coracle".to_owned()), "ConmonPidFile": spec.monitor_pidfile.clone().unwrap_or_default(),
        "PidFile": spec.pidfile.clone().unwrap_or_default(), "Name": record.name.as_str(),
        "RestartCount": look.run.as_ref().map_or(exit.restarts, |run| run.restarts), "Driver": "overlay", "MountLabel": record.mount_label.clone().unwrap_or_default(), "ProcessLabel": record.process_label.clone().unwrap_or_default(),
        "AppArmorProfile": spec.security.apparmor.clone().unwrap_or_default(), "EffectiveCaps": caps("effective"), "BoundingCaps": caps("bounding"), "ExecIDs": [],
        "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": engine.paths.container(&record.id).join("upper"), "WorkDir": engine.paths.container(&record.id).join("work")}},
        "Mounts": mounts(engine, record), "Dependencies": [], "Namespace": "", "IsInfra": false, "IsService": false,
        "NetworkSettings": network(record, pid), "Config": config_part(record, &args, env), "HostConfig": host_part(record), "lockNumber": 0,
    });
    if with_size {
        let own = engine::container::size::changes(engine, record);
        document["SizeRw"] = own.into();
        document["SizeRootFs"] = (own + engine::container::size::image(engine, record)).into();
    }
    Ok(document)
}

fn mounts(engine: &Engine, record: &ContainerRecord) -> Value {
    let mut list = Vec::new();
    for wish in &record.spec.mounts {
        let writable = wish.options.read_only != Some(true);
        let propagation = wish.options.propagation.clone().unwrap_or_else(|| "rprivate".to_owned());
        match &wish.source {
            MountSource::Bind { path, .. } => list.push(json!({"Type": "bind", "Source": path, "Destination": wish.target, "Driver": "", "Mode": "", "Options": ["rbind"], "RW": writable, "Propagation": propagation})),
            MountSource::Image(image) => list.push(json!({"Type": "image", "Source": image, "Destination": wish.target, "Driver": "", "Mode": "", "Options": [], "RW": !writable, "Propagation": propagation})),
            _ => {}
        }
    }
    for volume in &record.volumes {
        let read_only = record.spec.mounts.iter().any(|wish| wish.target == volume.target && wish.options.read_only == Some(true));
        list.push(json!({"Type": "volume", "Name": volume.name.as_str(), "Source": engine.store().volume_data(&volume.name), "Destination": volume.target, "Driver": "local", "Mode": "", "Options": ["nosuid", "nodev", "rbind"], "RW": !read_only, "Propagation": "rprivate"}));
    }
    Value::Array(list)
}

fn ports(record: &ContainerRecord) -> Value {
    let mut map = serde_json::Map::new();
    for port in &record.ports {
        for offset in 0..port.count {
            let key = format!("{}/{}", port.container_port + offset, port.protocol.as_str());
            let ip = port.host_ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
            let entry = json!({"HostIp": ip, "HostPort": (port.host_port.unwrap_or(0) + offset).to_string()});
            match map.entry(key).or_insert_with(|| json!([])) {
                Value::Array(list) => list.push(entry),
                _ => unreachable!("only lists are put in"),
            }
        }
    }
    Value::Object(map)
}

fn network(record: &ContainerRecord, pid: i32) -> Value {
    let sandbox = if pid > 0 { format!("/proc/{pid}/ns/net") } else { String::new() };
    json!({"EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": "", "Bridge": "", "SandboxID": "",
        "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0, "Ports": ports(record), "SandboxKey": sandbox, "Networks": {}})
}

fn config_part(record: &ContainerRecord, args: &[String], env: Vec<Value>) -> Value {
    let spec = &record.spec;
    let image = record.image.as_ref();
    json!({
        "Hostname": spec.hostname.clone().unwrap_or_else(|| record.id.short().to_owned()), "Domainname": "",
        "User": spec.process.user.clone().or(image.map(|image| image.config.user.clone())).unwrap_or_default(),
        "AttachStdin": spec.process.interactive, "AttachStdout": true, "AttachStderr": true, "Tty": spec.process.terminal, "OpenStdin": spec.process.interactive, "StdinOnce": false,
        "Env": env, "Cmd": if args.is_empty() { inspect::command(record) } else { inspect::command(record) }, "Image": image.map_or(spec.image.as_str(), |image| image.name.as_str()),
        "Volumes": Value::Null, "WorkingDir": spec.process.workdir.clone().or(image.map(|image| image.config.working_dir.clone())).filter(|dir| !dir.is_empty()).unwrap_or_else(|| "/".to_owned()),
        "Entrypoint": spec.process.entrypoint.clone().or(image.map(|image| image.config.entrypoint.clone())).unwrap_or_default(),
        "OnBuild": Value::Null, "Labels": inspect::labels(record), "Annotations": spec.annotations,
        "StopSignal": signal_name(stop::stop_signal(record)), "HealthcheckOnFailureAction": "none",
        "CreateCommand": spec.create_command, "Umask": format!("{:04o}", spec.process.umask.unwrap_or(0o022)), "Timeout": spec.timeout, "StopTimeout": spec.stop_timeout.unwrap_or(stop::DEFAULT_TIMEOUT),
        "Passwd": spec.passwd != Some(false), "sdNotifyMode": "container",
        "ExposedPorts": image.map(|image| image.config.exposed_ports.clone()),
    })
}

fn signal_name(number: i32) -> String {
    match number {
        15 => "SIGTERM".to_owned(),
        9 => "SIGKILL".to_owned(),
        2 => "SIGINT".to_owned(),
        3 => "SIGQUIT".to_owned(),
        1 => "SIGHUP".to_owned(),
        10 => "SIGUSR1".to_owned(),
        12 => "SIGUSR2".to_owned(),
        28 => "SIGWINCH".to_owned(),
        other => other.to_string(),
    }
}

fn host_part(record: &ContainerRecord) -> Value {
    let spec = &record.spec;
    let resources = &spec.resources;
    let security = &spec.security;
    let retries = match spec.restart {
        RestartPolicy::OnFailure { max_retries } => max_retries.unwrap_or(0),
        _ => 0,
    };
    let binds: Vec<String> = spec
        .mounts
        .iter()
        .filter_map(|wish| match &wish.source {
            MountSource::Bind { path, .. } => Some(format!(
                "{path}:{}:{}",
                wish.target,
                if wish.options.read_only == Some(true) { "ro,rprivate,rbind" } else { "rw,rprivate,rbind" }
            )),
            MountSource::Volume(name) => {
                Some(format!("{name}:{}:{}", wish.target, if wish.options.read_only == Some(true) { "ro" } else { "rw" }))
            }
            _ => None,
        })
        .collect();
    let word = |mode: &spec::container::NamespaceMode| match mode {
        spec::container::NamespaceMode::Host => "host".to_owned(),
        spec::container::NamespaceMode::Container(id) => format!("container:{id}"),
        spec::container::NamespaceMode::Path(path) => format!("ns:{path}"),
        _ => "private".to_owned(),
    };
    json!({
        "Binds": binds, "CgroupManager": "cgroupfs", "CgroupMode": word(&spec.cgroup_namespace), "ContainerIDFile": spec.cidfile.clone().unwrap_or_default(),
        "LogConfig": {"Type": spec.log.driver.map_or("k8s-file", spec::log::LogDriver::as_str), "Config": Value::Null, "Path": record.log_path.clone().unwrap_or_default(), "Tag": spec.log.tag.clone().unwrap_or_default(), "Size": spec.log.max_size.map_or("16MiB".to_owned(), |size| size.to_string())},
        "NetworkMode": inspect::network_mode(record), "PortBindings": ports(record), "RestartPolicy": {"Name": inspect::restart_policy(record), "MaximumRetryCount": retries}, "AutoRemove": spec.remove,
        "VolumeDriver": "", "VolumesFrom": spec.volumes_from.iter().map(|from| from.container.clone()).collect::<Vec<_>>(),
        "CapAdd": security.cap_add, "CapDrop": security.cap_drop, "Dns": spec.network.dns, "DnsOptions": spec.network.dns_options, "DnsSearch": spec.network.dns_search, "ExtraHosts": spec.network.add_hosts,
        "GroupAdd": spec.process.groups, "IpcMode": format!("{:?}", spec.ipc_namespace).to_lowercase().replace("default", "shareable"), "Cgroup": "", "Cgroups": "default", "Links": Value::Null,
        "OomScoreAdj": spec.process.oom_score_adj.unwrap_or(0), "PidMode": word(&spec.pid_namespace), "Privileged": security.privileged, "PublishAllPorts": spec.network.publish_all, "ReadonlyRootfs": security.read_only,
        "SecurityOpt": security_options(record), "Tmpfs": spec.tmpfs.iter().map(|tmpfs| (tmpfs.target.clone(), tmpfs.options.join(","))).collect::<std::collections::BTreeMap<_, _>>(), "UTSMode": word(&spec.uts_namespace), "UsernsMode": if record.id_maps.is_some() { "private" } else { "" },
        "ShmSize": spec.shm_size.unwrap_or(64 << 20), "Runtime": "oci", "ConsoleSize": [0, 0], "Isolation": "", "CpuShares": resources.cpu_shares.unwrap_or(0), "Memory": resources.memory.unwrap_or(0),
        "NanoCpus": resources.cpus.map_or(0, |cpus| (cpus * 1e9) as i64), "CgroupParent": spec.cgroup_parent.clone().unwrap_or_default(), "BlkioWeight": resources.blkio_weight.unwrap_or(0), "CpuPeriod": resources.cpu_period.unwrap_or(0),
        "CpuQuota": resources.cpu_quota.unwrap_or(0), "CpusetCpus": resources.cpuset_cpus.clone().unwrap_or_default(), "CpusetMems": resources.cpuset_mems.clone().unwrap_or_default(),
        "Devices": spec.devices.iter().map(|device| json!({"PathOnHost": device.host, "PathInContainer": device.container, "CgroupPermissions": device.access})).collect::<Vec<_>>(),
        "MemoryReservation": resources.memory_reservation.unwrap_or(0), "MemorySwap": resources.memory_swap.unwrap_or(0), "MemorySwappiness": resources.memory_swappiness.unwrap_or(0), "OomKillDisable": resources.oom_kill_disable,
        "Init": spec.init, "PidsLimit": resources.pids_limit.unwrap_or(0), "Ulimits": spec.process.ulimits.iter().map(|limit| json!({"Name": format!("RLIMIT_{}", limit.name.to_uppercase()), "Soft": limit.soft, "Hard": limit.hard})).collect::<Vec<_>>(),
    })
}

fn security_options(record: &ContainerRecord) -> Vec<String> {
    let security = &record.spec.security;
    let mut options = Vec::new();
    if security.no_new_privileges {
        options.push("no-new-privileges".to_owned());
    }
    match &security.seccomp {
        spec::security::SeccompChoice::Unconfined => options.push("seccomp=unconfined".to_owned()),
        spec::security::SeccompChoice::Profile { path, .. } => options.push(format!("seccomp={path}")),
        spec::security::SeccompChoice::Default => {}
    }
    options.extend(security.apparmor.iter().map(|profile| format!("apparmor={profile}")));
    options.extend(security.label.iter().map(|label| format!("label={label}")));
    if !security.unmask.is_empty() {
        options.push(format!("unmask={}", security.unmask.join(":")));
    }
    options
}

pub(crate) const PORT: Command = Command {
    paths: &["port", "container port"],
    about: "Show the published ports of containers",
    description: "Shows which ports of the host lead to which ports of a container.",
    usage: "[options] [CONTAINER [PORT[/PROTOCOL]]]",
    examples: &["port web", "port web 80/tcp", "port --all"],
    flags: &[&[flag("all", 'a', Kind::Switch, "", "All containers"), flag("latest", 'l', Kind::Switch, "", "The container made last")]],
    options_first: false,
    arguments: (0, Some(2)),
    run: port,
};

fn port(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let all = parsed.on("all");
    let records = if all { find::all(&engine)? } else { vec![super::one(&engine, &parsed)?] };
    let wanted = parsed.positionals.get(usize::from(!parsed.on("latest")));
    let wanted = wanted.map(|text| if text.contains('/') { text.clone() } else { format!("{text}/tcp") });
    let mut found = false;
    for record in &records {
        for port in &record.ports {
            for offset in 0..port.count {
                let inside = format!("{}/{}", port.container_port + offset, port.protocol.as_str());
                let outside = format!(
                    "{}:{}",
                    port.host_ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string()),
                    port.host_port.unwrap_or(0) + offset
                );
                match &wanted {
                    Some(wanted) if *wanted != inside => continue,
                    Some(_) => println!("{outside}"),
                    None if all => println!("{}\t{inside} -> {outside}", record.id.short()),
                    None => println!("{inside} -> {outside}"),
                }
                found = true;
            }
        }
    }
    match wanted {
        Some(wanted) if !found => Err(Failure::usage(format!("failed to find published port {wanted:?}"))),
        _ => Ok(0),
    }
}
