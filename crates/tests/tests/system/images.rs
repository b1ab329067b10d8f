//! Images: in, named, listed, out.

use system_tests::Place;

#[test]
fn images_have_names_and_go_with_the_last() {
    let place = Place::new();
    assert_eq!(place.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok(), "localhost/box:latest");
    place.run(&["tag", "box", "other:1"]).ok();
    assert_eq!(place.run(&["images", "-n"]).ok().lines().count(), 2);
    assert_eq!(place.run(&["images", "-q"]).ok().lines().count(), 1);
    assert!(place.run(&["rmi", "other:1"]).ok().contains("Untagged: localhost/other:1"));
    place.run(&["create", "--name", "c", "box", "true"]).ok();
    place.run(&["rmi", "box"]).fails(2, &["in use"]);
    place.run(&["rm", "c"]).ok();
    assert!(place.run(&["rmi", "box"]).ok().contains("Deleted: "));
    place.run(&["rmi", "box"]).fails(1, &["image not known"]);
    assert_eq!(place.run(&["image", "exists", "box"]).code, 1);
    let left: Vec<_> = std::fs::read_dir(place.path("root/layers")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_archive_is_loaded_from_a_pipe_too() {
    let place = Place::new();
    // A layout in a tar is an oci-archive.
    let layout = place.path("layout");
    let tar = std::process::Command::new("tar").args(["cf", "-", "-C"]).arg(&layout).arg(".").output().unwrap();
    place.run(&["rmi", "box"]).ok();
    assert!(place.run_with(&["load"], &tar.stdout).ok().contains("Loaded image: localhost/box:latest"));
    assert_eq!(place.shell(&[], "cat /data/seed").ok(), "from the image");
    place.run_with(&["load"], b"nonsense").fails(125, &[]);
}

#[test]
fn inspect_and_history_tell() {
    let place = Place::new();
    assert_eq!(place.run(&["image", "inspect", "-f", "{{.Os}} {{index .Config.Cmd 0}}", "box"]).ok(), "linux sh");
    assert_eq!(place.run(&["inspect", "--type", "image", "-f", "{{index .RepoTags 0}}", "box"]).ok(), "localhost/box:latest");
    place.run(&["history", "box"]).ok();
    place.run(&["inspect", "nosuch"]).fails(125, &["no such object"]);
    assert!(place.run(&["system", "df"]).ok().contains("Images"));
}

#[test]
fn a_layer_of_another_digest_is_refused() {
    let place = Place::new();
    place.run(&["rmi", "box"]).ok();
    let blobs = place.path("layout/blobs/sha256");
    let largest = std::fs::read_dir(&blobs).unwrap().flatten().max_by_key(|entry| entry.metadata().unwrap().len()).unwrap().path();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
    let source = format!("oci:{}:localhost/box:latest", place.path("layout").display());
    place.run(&["pull", "-q", &source]).fails(125, &["digest"]);
    assert_eq!(place.run(&["images", "-q"]).ok(), "");
    let left: Vec<_> = std::fs::read_dir(place.path("root/layers")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
