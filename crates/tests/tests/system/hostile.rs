//! Layers made to harm (threats A): nothing outside changes, and what cannot be taken is refused whole.

use archive::{EntryKind, TarWriter};
use serde_json::json;
use system_tests::{Place, entry, write_layout};

fn layer(entries: &[(&str, EntryKind, &str, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (path, kind, link, content) in entries {
        tar.append(&entry(path, *kind, 0o755, content.len() as u64, link), *content).unwrap();
    }
    tar.finish().unwrap()
}

#[test]
fn layers_cannot_reach_out() {
    use EntryKind::{Directory, File, HardLink, Symlink};
    let place = Place::empty();
    let canary = place.path("canary");
    std::fs::create_dir(&canary).unwrap();
    std::fs::write(canary.join("kept"), "safe").unwrap();
    let target = canary.to_string_lossy().into_owned();
    let up = format!("../../../../../../../../../..{target}");
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("dots", vec![layer(&[("../../x", File, "", b"x")])]),
        ("dots inside", vec![layer(&[("a/../../x", File, "", b"x")])]),
        ("absolute link, then a file below it", vec![layer(&[("d", Symlink, &target, b""), ("d/kept", File, "", b"evil")])]),
        ("climbing link, then a file below it", vec![layer(&[("d", Symlink, &up, b""), ("d/kept", File, "", b"evil")])]),
        ("link in one layer, file in the next", vec![layer(&[("d", Symlink, &target, b"")]), layer(&[("d/kept", File, "", b"evil")])]),
        ("hard link outside", vec![layer(&[("h", HardLink, &format!("{target}/kept"), b""), ("h", File, "", b"evil")])]),
        ("hard link through a link", vec![layer(&[("d", Symlink, &target, b""), ("h", HardLink, "d/kept", b"")])]),
        ("link, then a directory of its name", vec![layer(&[("d", Symlink, &target, b""), ("d", Directory, "", b"")])]),
        ("the root as a link", vec![layer(&[("./", Symlink, &target, b"")])]),
        ("a whiteout of dots", vec![layer(&[("..wh.", File, "", b""), (".wh...", File, "", b"")])]),
        ("a loop of links", vec![layer(&[("a", Symlink, "b", b""), ("b", Symlink, "a", b""), ("a/x", File, "", b"x")])]),
    ];
    for (name, layers) in cases {
        let dir = place.path("attack");
        let _ = std::fs::remove_dir_all(&dir);
        write_layout(&dir, "localhost/attack:latest", &layers, json!({}));
        let outcome = place.run(&["pull", "-q", &format!("oci:{}:localhost/attack:latest", dir.display())]);
        assert!(matches!(outcome.code, 0 | 125), "{name}: {outcome:?}");
        assert!(!outcome.err.contains("panicked"), "{name}: {outcome:?}");
        assert_eq!(std::fs::read_to_string(canary.join("kept")).unwrap(), "safe", "{name}");
        assert_eq!(std::fs::read_dir(&canary).unwrap().count(), 1, "{name}");
        let _ = place.run(&["rmi", "-f", "-a"]);
        assert_eq!(place.run(&["images", "-q"]).ok(), "", "{name}");
    }
}

#[test]
fn roots_cannot_mislead_the_runtime() {
    use EntryKind::{Directory, File, Symlink};
    let place = Place::empty();
    let target = place.path("canary");
    std::fs::create_dir(&target).unwrap();
    let out = target.to_string_lossy().into_owned();
    let busybox = std::fs::read("/bin/busybox").unwrap();
    let base = |extra: &[(&str, EntryKind, &str, &[u8])]| {
        let mut entries: Vec<(&str, EntryKind, &str, &[u8])> = vec![
            ("bin/", Directory, "", b""),
            ("bin/busybox", File, "", &busybox),
            ("bin/sh", Symlink, "busybox", b""),
            ("bin/true", Symlink, "busybox", b""),
        ];
        entries.extend_from_slice(extra);
        layer(&entries)
    };
    let cases: [(&str, Vec<u8>); 5] = [
        ("/proc is a link", base(&[("proc", Symlink, &out, b"")])),
        ("/sys is a link", base(&[("sys", Symlink, &out, b"")])),
        ("/dev is a link", base(&[("dev", Symlink, &out, b"")])),
        ("/etc is a link", base(&[("etc", Symlink, &out, b"")])),
        ("/etc/passwd is a link", base(&[("etc/", Directory, "", b""), ("etc/passwd", Symlink, "/proc/self/environ", b"")])),
    ];
    for (name, tar) in cases {
        let dir = place.path("attack");
        let _ = std::fs::remove_dir_all(&dir);
        write_layout(&dir, "localhost/attack:latest", &[tar], json!({"Env": ["PATH=/bin"]}));
        place.run(&["pull", "-q", &format!("oci:{}:localhost/attack:latest", dir.display())]).ok();
        let outcome = place.run(&["run", "--rm", "--network", "none", "attack", "true"]);
        assert!(matches!(outcome.code, 0 | 125), "{name}: {outcome:?}");
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0, "{name}");
        place.run(&["rmi", "-f", "-a"]).ok();
    }
}
