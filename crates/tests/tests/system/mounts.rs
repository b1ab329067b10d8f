//! Binds, volumes, tmpfs, images.

use system_tests::Place;

#[test]
fn binds_read_and_write() {
    let place = Place::new();
    let dir = place.path("shared");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("f"), "host").unwrap();
    let source = dir.to_string_lossy().into_owned();
    assert_eq!(place.shell(&["-v", &format!("{source}:/m")], "cat /m/f; echo new > /m/g").ok(), "host");
    assert_eq!(std::fs::read_to_string(dir.join("g")).unwrap(), "new\n");
    let out = place.shell(&["-v", &format!("{source}:/m:ro")], "touch /m/h");
    assert!(out.err.contains("Read-only file system"), "{out:?}");
    let out = place.shell(&["--mount", &format!("type=bind,src={source},dst=/m,readonly")], "touch /m/h");
    assert!(out.err.contains("Read-only file system"), "{out:?}");
    place.shell(&["-v", "/nosuch/dir:/m"], "true").fails(125, &["statfs", "/nosuch/dir"]);
    place.shell(&["-v", &format!("{source}:/m:nosuch")], "true").fails(125, &["nosuch"]);
    place.shell(&["-v", &format!("{source}:/proc")], "true").fails(125, &["/proc"]);
    place.shell(&["-v", &format!("{source}:/a"), "-v", &format!("{source}:/a/")], "true").fails(125, &["duplicate mount destination"]);
}

#[test]
fn volumes_outlive_containers_and_are_filled() {
    let place = Place::new();
    assert_eq!(place.shell(&["-v", "vol:/data"], "cat /data/seed; echo mine > /data/own").ok(), "from the image");
    assert_eq!(place.shell(&["-v", "vol:/elsewhere"], "cat /elsewhere/own").ok(), "mine");
    assert_eq!(place.shell(&["-v", "fresh:/data:nocopy"], "ls /data").ok(), "");
    assert_eq!(place.run(&["volume", "ls", "-q"]).ok(), "fresh\nvol");
    place.run(&["create", "--name", "user", "-v", "vol:/data", "box", "true"]).ok();
    place.run(&["volume", "rm", "vol"]).fails(2, &["being used", "user"]);
    place.run(&["rm", "user"]).ok();
    assert_eq!(place.run(&["volume", "rm", "vol"]).ok(), "vol");
    place.run(&["volume", "rm", "vol"]).fails(1, &["no such volume"]);
    place.run(&["volume", "create", "fresh"]).fails(125, &["already exists"]);
    place.run(&["volume", "create", "--ignore", "fresh"]).ok();
    for bad in ["..", "a/b", "."] {
        assert_eq!(place.run(&["volume", "create", bad]).code, 125, "{bad}");
    }
}

#[test]
fn tmpfs_and_image_mounts() {
    let place = Place::new();
    let out = place
        .shell(&["--tmpfs", "/t:size=1m", "--mount", "type=tmpfs,dst=/u,tmpfs-mode=1770"], "grep ' /[tu] ' /proc/mounts; stat -c %a /u")
        .ok();
    assert!(out.contains("size=1024k") && out.contains("noexec") && out.ends_with("1770"), "{out}");
    assert_eq!(
        place.shell(&["--mount", "type=image,src=box,dst=/i"], "cat /i/data/seed; touch /i/x 2>/dev/null || echo ro").ok(),
        "from the image\nro"
    );
    assert_eq!(place.shell(&["--tmpfs", "/data"], "cat /data/seed").ok(), "from the image");
}

#[test]
fn volumes_of_another_container_are_taken_over() {
    let place = Place::new();
    place.run(&["run", "--name", "first", "--network", "none", "-v", "/data", "box", "sh", "-c", "echo more > /data/more"]).ok();
    assert_eq!(place.shell(&["--volumes-from", "first"], "cat /data/more").ok(), "more");
    place.run(&["rm", "-v", "first"]).ok();
    assert_eq!(place.run(&["volume", "ls", "-q"]).ok(), "");
}
