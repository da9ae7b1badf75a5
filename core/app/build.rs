//! Lists the shipped mapping files and their fixtures, so that the binary brings them along for the demo.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let variable = |name: &str| std::env::var(name).map_err(std::io::Error::other);
    let folder = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../mappings");
    let mut open = vec![folder.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(path) = open.pop() {
        println!("cargo::rerun-if-changed={}", path.display());
        // What the checker refuses is for the tests and for people, not for the binary.
        if path.file_name().is_some_and(|name| name == "refused") {
            continue;
        }
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&folder).map_err(std::io::Error::other)?;
        // Writing to a String cannot fail.
        let _ = writeln!(
            list,
            "    ({:?}, include_str!({:?})),",
            name.display().to_string(),
            file.display().to_string()
        );
    }
    list.push(']');
    std::fs::write(Path::new(&variable("OUT_DIR")?).join("mappings.rs"), list)
}
