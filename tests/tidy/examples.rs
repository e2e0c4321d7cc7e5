//! Every example loads, and the schema agrees with the reader about it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{none, tree};

#[test]
fn every_example_loads() {
    let found = examples("config");
    assert!(found.len() >= 6, "config/ has too few examples: {found:?}");
    let complaints: Vec<String> = found
        .iter()
        .filter_map(|path| tidegate::config::read(&tree::root().join(path)).err())
        .map(|wrong| wrong.to_string())
        .collect();
    none(&complaints);
}

#[test]
fn every_config_of_a_deployment_loads() {
    let found = examples("deploy");
    assert!(found.len() >= 3, "deploy/ has too few configs: {found:?}");
    let complaints: Vec<String> = found
        .iter()
        .filter_map(|path| deployed(path).err())
        .collect();
    none(&complaints);
}

#[test]
fn every_example_and_every_config_of_a_deployment_fits_the_schema() {
    let schema = tidegate::config::schema();
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    let mut complaints = Vec::new();
    for path in examples("config").into_iter().chain(examples("deploy")) {
        let text = tree::text(&path).expect("TOML is UTF-8");
        let value: serde_json::Value = toml::from_str(&text).expect("TOML");
        complaints.extend(
            validator
                .iter_errors(&value)
                .map(|wrong| format!("{}: {}: {wrong}", path.display(), wrong.instance_path())),
        );
    }
    none(&complaints);
}

#[test]
fn the_smallest_example_has_six_lines() {
    let text = tree::text(Path::new("config/minimal.toml")).expect("TOML is UTF-8");
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    assert!(lines.count() <= 6, "{text}");
}

fn examples(folder: &str) -> Vec<PathBuf> {
    let mut found = tree::files(folder);
    found.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    found
}

/// Loads a config whose token is a file of another machine: one of ours takes its place.
fn deployed(path: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "a-token-that-is-long-enough-for-anybody\n").expect("a file");
    let text = tree::text(path).expect("TOML is UTF-8");
    let text: String = text
        .lines()
        .map(|line| {
            if line.starts_with("token_file") {
                format!("token_file = {:?}\n", token.display().to_string())
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    tidegate::config::parse(&text, path)
        .map(drop)
        .map_err(|wrong| wrong.to_string())
}
