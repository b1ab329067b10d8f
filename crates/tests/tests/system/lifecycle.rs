//! What happens to containers over time: start, stop, restart, wait, logs, names, lists.

use system_tests::Place;

#[test]
fn a_container_lives_and_goes() {
    let place = Place::new();
    let id = place.run(&["run", "-d", "--name", "c", "--network", "none", "box", "sh", "-c", "echo begun; exec sleep 1000"]).ok();
    assert_eq!(id.len(), 64);
    assert_eq!(place.run(&["ps", "--format", "{{.Names}} {{.State}}"]).ok(), "c running");
    assert_eq!(place.run(&["inspect", "-f", "{{.Name}} {{.State.Running}}", &id[..5]]).ok(), "c true");
    place.until("the log", || place.run(&["logs", "c"]).out == "begun\n");
    place.run(&["rm", "c"]).fails(125, &["cannot remove container", "hint: "]);
    assert_eq!(place.run(&["stop", "-t", "0", "c"]).ok(), "c");
    assert_eq!(place.run(&["ps", "-q"]).ok(), "");
    assert_eq!(place.run(&["ps", "-a", "--format", "{{.Names}} {{.ExitCode}}"]).ok(), "c 137");
    assert_eq!(place.run(&["start", "c"]).ok(), "c");
    assert_eq!(place.run(&["kill", "-s", "KILL", "c"]).ok(), "c");
    assert_eq!(place.run(&["wait", "c"]).ok(), "137");
    assert_eq!(place.run(&["rm", "c"]).ok(), "c");
    place.run(&["rm", "c"]).fails(1, &["no such container"]);
    place.run(&["rm", "-f", "c"]).ok();
    assert_eq!(place.processes(), Vec::<i32>::new());
}

#[test]
fn nothing_is_left_after_rm() {
    let place = Place::new();
    place.shell(&[], "echo x > /file").ok();
    place.shell(&["-v", "/var"], "echo x > /var/file").ok();
    assert_eq!(place.run(&["ps", "-aq"]).ok(), "");
    assert_eq!(place.run(&["volume", "ls", "-q"]).ok(), "");
    for dir in ["root/containers", "root/container-names", "root/staging", "run/containers"] {
        let left: Vec<_> = std::fs::read_dir(place.path(dir)).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert!(left.is_empty(), "{dir}: {left:?}");
    }
    place.until("all processes to be gone", || place.processes().is_empty());
}

#[test]
fn policies_restart_and_stop_ends_them() {
    let place = Place::new();
    place.run(&["run", "-d", "--name", "f", "--network", "none", "--restart", "on-failure:2", "box", "false"]).ok();
    place
        .until("the retries to end", || place.run(&["inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "f"]).out.trim() == "exited 2");
    place.run(&["run", "-d", "--name", "a", "--network", "none", "--restart", "always", "box", "sh", "-c", "sleep 0.05"]).ok();
    place.until("a restart", || place.run(&["inspect", "-f", "{{.RestartCount}}", "a"]).out.trim().parse::<u32>().is_ok_and(|n| n >= 1));
    place.run(&["stop", "-t", "1", "a"]).ok();
    assert_eq!(place.run(&["inspect", "-f", "{{.State.Status}}", "a"]).ok(), "exited");
    place.until("all processes to be gone", || place.processes().is_empty());
}

#[test]
fn names_belong_to_one() {
    let place = Place::new();
    let id = place.run(&["create", "--name", "n", "--network", "none", "box", "true"]).ok();
    place.run(&["create", "--name", "n", "box", "true"]).fails(125, &["already in use by", &id, "hint: "]);
    place.run(&["rename", "n", "m"]).ok();
    place.run(&["create", "--name", "n", "box", "true"]).ok();
    place.run(&["rename", "n", "m"]).fails(125, &["already in use"]);
    place.run(&["create", "--name", "a/b", "box", "true"]).fails(125, &["invalid name"]);
    assert_eq!(place.run(&["container", "exists", "m"]).code, 0);
    assert_eq!(place.run(&["container", "exists", "x"]).code, 1);
    place.run(&["run", "--rm", "--replace", "--name", "m", "--network", "none", "box", "true"]).ok();
}

#[test]
fn of_many_who_want_a_name_one_gets_it() {
    let place = Place::new();
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..12).map(|_| scope.spawn(|| place.run(&["create", "--name", "one", "--network", "none", "box", "true"]).code)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| *code == 0 || *code == 125), "{codes:?}");
    assert_eq!(place.run(&["ps", "-aq"]).ok().lines().count(), 1);
}

#[test]
fn logs_are_kept_and_followed() {
    let place = Place::new();
    place.run(&["run", "--name", "l", "--network", "none", "box", "sh", "-c", "seq 1 50; echo bad >&2; printf end"]).ok();
    let all = place.run(&["logs", "l"]);
    assert_eq!(all.out.lines().count(), 51, "{}", all.out);
    assert_eq!(all.err, "bad\n");
    assert_eq!(place.run(&["logs", "--tail", "2", "l"]).out.lines().next_back(), Some("end"));
    place.run(&["run", "-d", "--name", "f", "--network", "none", "box", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"]).ok();
    assert_eq!(place.run(&["logs", "-f", "f"]).ok(), "1\n2\n3");
    place.run(&["run", "--name", "none", "--network", "none", "--log-driver", "none", "box", "echo", "x"]).ok();
    place.run(&["logs", "none"]).fails(125, &["cannot read logs"]);
    place
        .run(&[
            "run",
            "--name",
            "small",
            "--network",
            "none",
            "--log-opt",
            "max-size=10k",
            "--log-opt",
            "max-file=2",
            "box",
            "seq",
            "1",
            "5000",
        ])
        .ok();
    let kept = place.run(&["logs", "small"]).ok();
    assert!(kept.ends_with("5000") && kept.lines().count() < 5000);
}

#[test]
fn many_at_once_all_succeed() {
    let place = Place::new();
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..24)
            .map(|n| {
                let place = &place;
                scope.spawn(move || place.shell(&[], &format!("exit {}", n % 5)).code - n % 5)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(codes.iter().all(|code| *code == 0), "{codes:?}");
    assert_eq!(place.run(&["ps", "-aq"]).ok(), "");
}

#[test]
fn lists_filter_and_format() {
    let place = Place::new();
    place.run(&["create", "--name", "one", "--label", "app=web", "--network", "none", "box", "true"]).ok();
    place.run(&["create", "--name", "two", "--label", "app=db", "--network", "none", "box", "true"]).ok();
    let names = |filter: &str| place.run(&["ps", "-a", "--filter", filter, "--format", "{{.Names}}"]).ok();
    assert_eq!(names("label=app=web"), "one");
    assert_eq!(names("name=^tw"), "two");
    assert_eq!(names("status=created").lines().count(), 2);
    assert_eq!(names("ancestor=box").lines().count(), 2);
    place.run(&["ps", "--filter", "nosuch=1"]).fails(125, &["nosuch"]);
    let json: serde_json::Value = serde_json::from_str(&place.run(&["ps", "-a", "--format", "json"]).ok()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert!(place.run(&["ps", "-a"]).ok().starts_with("CONTAINER ID  IMAGE"));
    place.run(&["ps", "--format", "{{.Nope}}"]).ok();
    place.run(&["ps", "-a", "--format", "{{.Nope}}"]).fails(125, &["Nope"]);
}

#[test]
fn top_tells_who_is_who() {
    let place = Place::new();
    place.run(&["run", "-d", "--name", "t", "--network", "none", "--user", "web", "box", "sleep", "1000"]).ok();
    let table = place.run(&["top", "t", "user,pid,comm,seccomp"]).ok();
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_ascii_whitespace().collect();
    assert_eq!(row, ["web", "1", "sleep", "filter"]);
    place.run(&["top", "t", "nosuch"]).fails(125, &["unknown descriptor"]);
}

#[test]
fn changes_are_listed() {
    let place = Place::new();
    place.run(&["run", "--name", "d", "--network", "none", "box", "sh", "-c", "echo x > /new; echo y > /etc/group; rm /data/seed"]).ok();
    assert_eq!(place.run(&["diff", "d"]).ok(), "C /data\nD /data/seed\nC /etc\nC /etc/group\nA /new");
}
