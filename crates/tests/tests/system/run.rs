//! `run` and `exec`: exit codes, input and output, environment, users, terminals.

use system_tests::Place;

#[test]
fn exit_codes_are_the_programs_or_ours() {
    let place = Place::new();
    assert_eq!(place.shell(&[], "exit 7").code, 7);
    assert_eq!(place.shell(&[], "sh -c 'kill -9 $$'; exit $?").code, 137);
    place.run(&["run", "--rm", "--network", "none", "box", "nosuch"]).fails(127, &["nosuch", "not found in $PATH"]);
    place.run(&["run", "--rm", "--network", "none", "box", "/etc"]).fails(126, &["/etc", "permission denied"]);
    place.run(&["run", "--rm", "--nosuch", "box"]).fails(125, &["unknown flag: --nosuch"]);
    place.run(&["run", "--rm", "--pull", "never", "absent", "true"]).fails(125, &["absent: image not known", "hint: "]);
}

#[test]
fn input_and_output_pass_unchanged() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n * 7 % 251) as u8).collect();
    let out =
        place.command(&["run", "--rm", "-i", "--network", "none", "box", "wc", "-c"]).stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "0");
    let counted = place.run_with(&["run", "--rm", "-i", "--network", "none", "box", "wc", "-c"], &bytes).ok();
    assert_eq!(counted, "200000");
    let both = place.shell(&[], "echo out; echo err >&2");
    assert_eq!((both.out.as_str(), both.err.as_str()), ("out\n", "err\n"));
    let many = place.shell(&[], "seq 1 100000").ok();
    assert_eq!(many.lines().count(), 100_000);
    assert_eq!(many.lines().last(), Some("100000"));
}

#[test]
fn the_environment_is_the_images_and_the_users() {
    let place = Place::new();
    let mut command = place.command(&[
        "run",
        "--rm",
        "--network",
        "none",
        "-e",
        "A=1",
        "-e",
        "PASSED",
        "-e",
        "ABSENT",
        "--env",
        "PATH=/bin:/x",
        "box",
        "env",
    ]);
    let out = command.env("PASSED", "through").env("SECRET_OF_HOST", "x").output().unwrap();
    let env = String::from_utf8_lossy(&out.stdout).into_owned();
    for wanted in ["A=1", "PASSED=through", "FROM_IMAGE=yes", "PATH=/bin:/x", "container=podman", "HOME=/root"] {
        assert!(env.lines().any(|line| line == wanted), "{wanted} is not in:\n{env}");
    }
    assert!(!env.contains("SECRET_OF_HOST") && !env.contains("ABSENT"), "{env}");
}

#[test]
fn users_are_resolved_in_the_image() {
    let place = Place::new();
    assert_eq!(place.shell(&["--user", "web"], "id -u; id -g; id -G").ok(), "101\n102\n102 33");
    assert_eq!(place.shell(&["--user", "7"], "id -u; id -g").ok(), "7\n0");
    assert_eq!(place.shell(&["-u", "web:extra", "--group-add", "77"], "id -g; id -G").ok(), "33\n33 77");
    for bad in ["nobody", "-1", "4294967296", "0x0", "1:", ":1"] {
        assert_eq!(place.shell(&[&format!("--user={bad}")], "id").code, 125, "{bad}");
    }
    assert_eq!(place.shell(&["-w", "/new/dir"], "pwd").ok(), "/new/dir");
    assert_eq!(place.shell(&["--hostname", "there"], "hostname; cat /etc/hostname").ok(), "there\nthere");
    assert_eq!(place.shell(&["--entrypoint", "echo"], "x").ok(), "sh -c x");
}

#[test]
fn exec_joins_the_container_and_nothing_more() {
    let place = Place::new();
    place.run(&["run", "-d", "--name", "c", "--network", "none", "-e", "MARK=here", "box", "sleep", "1000"]).ok();
    assert_eq!(place.run(&["exec", "c", "sh", "-c", "echo $MARK; exit 4"]).code, 4);
    assert_eq!(place.run(&["exec", "-e", "X=y", "-w", "/tmp", "c", "sh", "-c", "echo $MARK $X; pwd"]).ok(), "here y\n/tmp");
    assert_eq!(place.run_with(&["exec", "-i", "c", "cat"], b"through").ok(), "through");
    assert_eq!(place.run(&["exec", "-u", "web", "c", "id", "-u"]).ok(), "101");
    assert!(place.run(&["exec", "-t", "c", "tty"]).ok().contains("/dev/pts/"));
    place.run(&["exec", "c", "nosuch"]).fails(127, &["nosuch"]);
    // The filter and the capabilities are the container's own (runc CVE-2022-29162).
    let facts = place.run(&["exec", "c", "grep", "-E", "^(Seccomp|CapEff|CapInh|NoNewPrivs):", "/proc/self/status"]).ok();
    let main = place.run(&["exec", "c", "grep", "-E", "^(Seccomp|CapEff|CapInh|NoNewPrivs):", "/proc/1/status"]).ok();
    assert_eq!(facts, main);
    assert!(facts.contains("Seccomp:\t2"), "{facts}");
    // Exactly three descriptors, and the one that lists them.
    assert_eq!(place.run(&["exec", "c", "sh", "-c", "echo /proc/self/fd/*"]).ok().split(' ').count(), 4);
}

#[test]
fn a_terminal_is_one() {
    let place = Place::new();
    let out = place.run(&["run", "--rm", "-t", "--network", "none", "box", "sh", "-c", "tty; ls -l /dev/console | head -c 1"]);
    assert!(out.out.contains("/dev/pts/0"), "{out:?}");
    assert!(out.out.contains('c'), "{out:?}");
}

#[test]
fn init_reaps_and_passes_signals() {
    let place = Place::new();
    assert_eq!(place.shell(&["--init"], "cat /proc/1/cmdline | head -c 16").ok(), "/run/podman-init");
    assert_eq!(place.shell(&["--init"], "exit 9").code, 9);
}
