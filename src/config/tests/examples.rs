//! The files in `config/`.

use std::{fs, path::PathBuf};

use super::super::{
    fields::ROOT,
    read, schema,
    shape::{AnyField, Section},
};

fn examples() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    files
}

#[test]
fn every_example_loads_without_a_warning() {
    for file in examples() {
        match read(&file) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings[0]),
            Err(errors) => panic!("{errors}"),
        }
    }
}

#[test]
fn every_example_is_valid_by_the_schema() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for file in examples() {
        let text = fs::read_to_string(&file).unwrap();
        let value: serde_json::Value = toml::from_str(&text).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
}

#[test]
fn the_minimal_example_has_six_lines() {
    assert_eq!(super::MINIMAL.lines().count(), 6);
}

#[test]
fn the_full_example_names_every_key() {
    let text = include_str!("../../../config/tidegate.toml");
    // Commented keys count: they are there to be seen.
    let named = |key: &str| {
        text.match_indices(key).any(|(start, _)| {
            let before = text[..start].chars().next_back();
            let after = text[start + key.len()..].trim_start().chars().next();
            let apart = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
            apart && matches!(after, Some('=' | ']' | '.'))
        })
    };
    let all: Vec<&'static Section> = ROOT.all();
    for field in all.iter().flat_map(|section| section.fields.iter()) {
        assert!(named(AnyField::name(*field)), "{}", field.name());
    }
}
