//! Errors say what, on which object, why, and what to do next.

use system_tests::Place;

#[test]
fn mistakes_get_the_nearest_right_word() {
    let place = Place::empty();
    place.run(&["rnu"]).fails(125, &["unrecognized command", "run"]);
    place.run(&["container", "exsts"]).fails(125, &["unrecognized command", "exists"]);
    place.run(&["run", "--privilegd", "box"]).fails(125, &["--privileged"]);
    place.run(&["run", "--gpus", "all", "box"]).fails(125, &["--gpus is not supported by coracle yet"]);
    place.run(&["stop"]).fails(125, &["at least one name"]);
    place.run(&["exec", "nosuch", "true"]).fails(125, &["no such container"]);
}

#[test]
fn a_registry_that_cannot_be_had_is_named() {
    let place = Place::empty();
    // Nobody listens on the discard port.
    place.run(&["pull", "-q", "--retry", "0", "127.0.0.1:9/x"]).fails(125, &["127.0.0.1:9"]);
    place.run(&["pull", "UPPER"]).fails(125, &["invalid reference format"]);
    place.run(&["pull", "oci:/nosuch"]).fails(125, &["/nosuch"]);
}

#[test]
fn doctor_looks_at_everything() {
    let place = Place::empty();
    let findings: serde_json::Value = serde_json::from_str(&place.run(&["doctor", "--format", "json"]).out).unwrap();
    let names: Vec<&str> = findings.as_array().unwrap().iter().filter_map(|finding| finding["check"].as_str()).collect();
    for wanted in ["kernel", "overlay", "network helper", "disk space"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
}

#[test]
fn every_command_answers_help() {
    let place = Place::empty();
    let help = place.run(&["--help"]).ok();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Available"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_ascii_whitespace().next())
        .collect();
    assert!(commands.len() > 30, "{commands:?}");
    for command in commands {
        assert!(place.run(&[command, "--help"]).ok().contains("Usage:"), "{command}");
    }
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let place = Place::new();
    for flag in [
        ["--device-cgroup-rule", "c 1:1 rwm"],
        ["--memory-swappiness", "5"],
        ["--secret", "x"],
        ["--health-cmd", "true"],
        ["--pod", "p"],
        ["--sdnotify", "ignore"],
    ] {
        place.run(&["run", "--rm", flag[0], flag[1], "box", "true"]).fails(125, &[flag[0], "not supported"]);
    }
    place.run(&["--runtime", "crun", "ps"]).fails(125, &["--runtime", "not supported"]);
    place.shell(&["--security-opt", "apparmor=some"], "true").fails(125, &["AppArmor"]);
    place.run(&["volume", "create", "-o", "type=tmpfs", "v"]).fails(125, &["--opt", "not supported"]);
}
