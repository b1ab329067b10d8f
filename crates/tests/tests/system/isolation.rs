//! The defaults of confinement, seen from inside (threats §3).

use system_tests::Place;

#[test]
fn the_defaults_hold() {
    let place = Place::empty();
    let facts = place.probe(&[]);
    assert_eq!(facts["caps"]["effective"], "00000000800405fb");
    assert_eq!(facts["caps"]["bounding"], "00000000800405fb");
    assert_eq!(facts["caps"]["permitted"], "00000000800405fb");
    assert_eq!(facts["caps"]["inheritable"], "0000000000000000");
    assert_eq!(facts["caps"]["ambient"], "0000000000000000");
    assert_eq!((&facts["seccomp"], &facts["no_new_privs"], &facts["umask"]), (&"2".into(), &"0".into(), &"0022".into()));
    assert_eq!(facts["pid"], 1);
    assert_eq!(facts["ping_group_range"].as_str().map(|text| text.split_ascii_whitespace().collect::<Vec<_>>()), Some(vec!["0", "0"]));
    assert_eq!(facts["readable_masked"].as_array().map(Vec::len), Some(0), "{}", facts["readable_masked"]);
    let dev: Vec<&str> = facts["dev"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(
        dev,
        ["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
    );
    let fds: Vec<&str> = facts["fds"].as_array().unwrap().iter().filter_map(|fd| fd.as_str()).collect();
    assert_eq!(fds, ["0", "1", "2"]);
    for (call, outcome) in facts["syscalls"].as_object().unwrap() {
        assert_ne!(outcome, "allowed", "{call}");
    }
    assert_eq!(facts["syscalls"]["clone3"], "ENOSYS");
    let mount =
        |target: &str| facts["mounts"].as_array().unwrap().iter().rfind(|mount| mount["target"] == target).cloned().unwrap_or_default();
    for (target, words) in [
        ("/proc", "nosuid,nodev,noexec"),
        ("/sys", "ro,nosuid,nodev,noexec"),
        ("/dev/shm", "nosuid,nodev,noexec"),
        ("/proc/sys", "ro,"),
        ("/sys/fs/cgroup", "ro,"),
    ] {
        assert!(mount(target)["options"].as_str().unwrap_or_default().contains(words), "{target}: {}", mount(target));
    }
    for variable in facts["env"].as_object().unwrap().keys() {
        assert!(
            ["PATH", "HOME", "HOSTNAME", "container"].contains(&variable.as_str()) || variable.to_lowercase().ends_with("_proxy"),
            "{variable}"
        );
    }
}

#[test]
fn every_namespace_is_its_own() {
    let place = Place::empty();
    let facts = place.probe(&[]);
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "uts"] {
        let ours = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned();
        assert_ne!(facts["namespaces"][kind], ours.as_str(), "{kind}");
    }
    if !rustix::process::geteuid().is_root() {
        assert!(!facts["uid_map"].as_str().unwrap().contains("4294967295"));
    }
}

#[test]
fn users_without_root_have_nothing() {
    let place = Place::empty();
    let facts = place.probe(&["--user", "1000"]);
    for set in ["effective", "permitted", "inheritable", "ambient"] {
        assert_eq!(facts["caps"][set], "0000000000000000", "{set}");
    }
    let facts = place.probe(&["--user", "1000", "--cap-add", "net_raw"]);
    for set in ["effective", "permitted", "inheritable", "ambient"] {
        assert_eq!(facts["caps"][set], "0000000000002000", "{set}");
    }
}

#[test]
fn choices_are_obeyed() {
    let place = Place::empty();
    assert_eq!(place.probe(&["--cap-drop=ALL", "--cap-add=NET_BIND_SERVICE"])["caps"]["effective"], "0000000000000400");
    assert_eq!(place.probe(&["--security-opt", "no-new-privileges"])["no_new_privs"], "1");
    assert_eq!(place.probe(&["--security-opt", "seccomp=unconfined"])["seccomp"], "0");
    assert_eq!(place.probe(&["--umask", "0077"])["umask"], "0077");
    let privileged = place.probe(&["--privileged"]);
    assert_eq!(privileged["seccomp"], "0");
    assert_ne!(privileged["caps"]["effective"], "00000000800405fb");
    assert_eq!(place.probe(&["--ulimit", "nofile=100:200"])["nofile"], serde_json::json!([100, 200]));
    place.run(&["run", "--rm", "--cap-add", "NET_ADMN", "coracle/hello"]).fails(125, &["CAP_NET_ADMIN"]);
    place.run(&["run", "--rm", "--security-opt", "nosuch=1", "coracle/hello"]).fails(125, &["security option"]);
    place.run(&["run", "--rm", "--sysctl", "kernel.core_pattern=x", "coracle/hello"]).fails(125, &["kernel.core_pattern"]);
}

#[test]
fn a_profile_from_a_file_is_compiled() {
    let place = Place::new();
    let profile = place.path("profile.json");
    std::fs::write(
        &profile,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#,
    )
    .unwrap();
    let option = format!("seccomp={}", profile.display());
    let out = place.shell(&["--security-opt", &option], "mkdir /tmp/x; touch /tmp/y && echo fine");
    assert!(out.err.contains("Permission denied") && out.out.contains("fine"), "{out:?}");
    place.shell(&["--security-opt", "seccomp=/nosuch"], "true").fails(125, &["opening seccomp profile failed"]);
    std::fs::write(&profile, "{}").unwrap();
    place.shell(&["--security-opt", &option], "true").fails(125, &["profile.json"]);
}

#[test]
fn a_read_only_root_has_writable_places() {
    let place = Place::new();
    let out = place.shell(&["--read-only"], "touch /x; touch /tmp/a /run/b /var/tmp/c /dev/shm/d && echo fine");
    assert!(out.err.contains("Read-only file system") && out.out.contains("fine"), "{out:?}");
    let out = place.shell(&["--read-only", "--read-only-tmpfs=false"], "touch /tmp/a; touch /dev/shm/d; echo end");
    assert_eq!(out.err.matches("Read-only file system").count(), 2, "{out:?}");
}

#[test]
fn ids_are_mapped_as_asked() {
    let place = Place::new();
    if rustix::process::geteuid().is_root() {
        place.shell(&["--userns=keep-id"], "true").fails(125, &["rootless"]);
        let map = place
            .shell(
                &["--uidmap", "0:100000:5000", "--gidmap", "0:100000:5000"],
                "cat /proc/self/uid_map; stat -c %u /bin/busybox; touch /new && stat -c %u /new",
            )
            .ok();
        assert_eq!(map.split_ascii_whitespace().collect::<Vec<_>>(), ["0", "100000", "5000", "0", "0"]);
        return;
    }
    let uid = rustix::process::geteuid().as_raw();
    let out = place.shell(&["--userns=keep-id"], "id -u; stat -c %u /bin/busybox; touch /tmp/mine && stat -c %u /tmp/mine").ok();
    assert_eq!(out, format!("{uid}\n0\n{uid}"));
    assert_eq!(place.shell(&["--userns=keep-id:uid=5,gid=6"], "id -u; id -g").ok(), "5\n6");
    let map = place.shell(&["--userns=auto:size=2000"], "cat /proc/self/uid_map").ok();
    assert!(map.split_ascii_whitespace().next_back() == Some("2000"), "{map}");
    assert_eq!(place.shell(&["--userns=nomap"], "id -u").ok(), "0");
    assert_eq!(place.run(&["unshare", "cat", "/proc/self/uid_map"]).ok().split_ascii_whitespace().nth(1), Some(uid.to_string().as_str()));
}
