//! Documents say what is so: links lead somewhere, commands exist, and no file knows one machine.

use std::path::{Path, PathBuf};

use crate::{none, tree};

#[test]
fn links_of_documents_lead_somewhere() {
    let complaints: Vec<String> = documents()
        .into_iter()
        .flat_map(|path| {
            let folder = path.parent().expect("a file has a folder").to_owned();
            let text = tree::text(&path).expect("Markdown is UTF-8");
            dead_links(&text, |link| tree::root().join(&folder).join(link).exists())
                .into_iter()
                .map(move |link| format!("{}: `{link}` leads nowhere", path.display()))
        })
        .collect();
    none(&complaints);
}

#[test]
fn commands_of_the_readme_exist() {
    let text = tree::text(Path::new("README.md")).expect("the README is UTF-8");
    let commands = commands(&text);
    assert!(commands.contains(&"cargo run --release -- demo".to_owned()));
    assert!(commands.contains(&"cargo test".to_owned()));
    none(
        &commands
            .iter()
            .filter_map(|command| missing(command))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let complaints: Vec<String> = tree::files("")
        .iter()
        .filter(|path| !path.ends_with("Cargo.lock"))
        .filter_map(|path| Some((path, tree::text(path)?)))
        .flat_map(|(path, text)| named_places(path, &text))
        .collect();
    none(&complaints);
}

fn documents() -> Vec<PathBuf> {
    let mut all = tree::files("");
    all.retain(|path| path.extension().is_some_and(|e| e == "md"));
    all
}

/// Relative links of a document that `exists` does not know.
fn dead_links(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    text.match_indices("](")
        .filter_map(|(at, _)| text[at + 2..].split(')').next())
        .filter(|link| {
            !link.contains("://") && !link.starts_with('#') && !link.contains(char::is_whitespace)
        })
        .map(|link| link.split('#').next().unwrap_or(link))
        .filter(|link| !link.contains("::") && !exists(link))
        .map(str::to_owned)
        .collect()
}

/// The lines of a document's shell blocks, comments cut off.
fn commands(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            let command = line.split(" #").next().unwrap_or(line).trim_end();
            if !command.is_empty() && !command.starts_with('#') {
                found.push(command.to_owned());
            }
        }
    }
    found
}

/// What of a command is not in the clone.
fn missing(command: &str) -> Option<String> {
    let mut words = command.split_whitespace();
    let program = words.next()?;
    let known = match program {
        "cargo" => words
            .next()
            .is_some_and(|verb| ["build", "run", "test"].contains(&verb)),
        "curl" | "cp" | "kill" | "tidegate" | "target/release/tidegate" => true,
        path if path.contains('/') => tree::root().join(path).is_file(),
        _ => false,
    };
    if !known {
        return Some(format!(
            "README.md: `{command}`: nobody knows `{program}` here"
        ));
    }
    words
        .filter(|word| word.starts_with("config/") || word.starts_with("tests/"))
        .find(|word| !tree::root().join(word).exists())
        .map(|word| format!("README.md: `{command}`: no file `{word}`"))
}

/// Lines that name a folder of one machine, or the host of a package registry.
fn named_places(path: &Path, text: &str) -> Vec<String> {
    let places = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("index.cra", "tes.io"),
        concat!("static.cra", "tes.io"),
        concat!("registry.np", "mjs.org"),
        concat!("py", "pi.org"),
        concat!("pythonho", "sted.org"),
        concat!("deb.deb", "ian.org"),
    ];
    text.lines()
        .enumerate()
        .filter(|(_, line)| places.iter().any(|place| line.contains(place)))
        .map(|(index, _)| {
            format!(
                "{}:{}: names one machine or a registry's host",
                path.display(),
                index + 1
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_link_is_found_and_a_web_address_is_not_followed() {
        let text =
            "[a](there.md) [b](gone.md#part) [c](https://example.com/x) [d](#here) [`e`](crate::e)";
        assert_eq!(dead_links(text, |link| link == "there.md"), ["gone.md"]);
    }

    #[test]
    fn commands_are_read_from_shell_blocks_without_their_comments() {
        let text = "cargo no\n  ```sh\n  cargo test   # all of them\n\n# nothing\ntests/real/run\n```\n```toml\nx = 1\n```\n";
        assert_eq!(commands(text), ["cargo test", "tests/real/run"]);
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        assert_eq!(missing("cargo test"), None);
        assert!(missing("cargo frobnicate").is_some());
        assert!(missing("tests/unreal/run").is_some());
        assert!(missing("sudo reboot").is_some());
        assert!(missing("tidegate check config/none.toml").is_some());
    }

    #[test]
    fn a_home_folder_is_found() {
        let text = format!("fine\ncp {}me/x .\n", concat!("/ho", "me/"));
        assert_eq!(named_places(Path::new("a.sh"), &text).len(), 1);
        assert_eq!(named_places(Path::new("a.sh"), "/etc/tidegate\n"), [""; 0]);
    }
}
