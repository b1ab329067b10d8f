//! Rules about the code itself: the edges between crates, and where `unsafe` is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Crates of ours that a manifest names under `[dependencies]`.
fn edges(manifest: &str, crates: &BTreeSet<String>) -> BTreeSet<String> {
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default();
    section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| crates.contains(*name)).map(str::to_owned).collect()
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells.len() == 6 && cells[2].starts_with('`')).then(|| (cells[2].trim_matches('`').to_owned(), cells[4].to_owned()))
        })
        .collect();
    let crates: BTreeSet<String> = rows.iter().map(|(name, _)| name.clone()).collect();
    assert!(crates.len() > 15, "{crates:?}");
    for (name, allowed) in &rows {
        let manifest = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        if allowed.starts_with("all above") {
            continue;
        }
        let allowed: BTreeSet<String> = allowed.split_ascii_whitespace().map(str::to_owned).collect();
        let used = edges(&manifest, &crates);
        assert!(used.is_subset(&allowed), "{name} uses {used:?}, and the table allows {allowed:?}");
    }
}

#[test]
fn unsafe_is_in_sys_alone() {
    let mut stack = vec![root().join("crates")];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "sys" && name != "target") {
                    stack.push(path);
                }
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("structure.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let bad = text.lines().find(|line| line.trim_start().starts_with("unsafe ") || line.contains("unsafe {"));
                assert!(bad.is_none(), "{}: {bad:?}", path.display());
            }
        }
    }
}
