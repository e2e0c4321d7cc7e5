//! The reference of all keys, written from the tables of fields.

use super::{
    fields::ROOT,
    shape::{AnyField, Section, Shape},
    value::{grouped, size_text, time_text},
};

/// Every key with its default, bounds and meaning, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut sections = vec![INTRODUCTION.to_owned()];
    sections.extend(ROOT.all().into_iter().map(section));
    sections.join("\n")
}

const INTRODUCTION: &str = "\
## The config file

TOML. Unknown keys are errors. Durations are a whole number with `ms`, `s`, `m`, `h` or `d`; sizes one with `B`,
`KB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`. Relative paths start at the file's folder. Bounds are inclusive; what is
beyond them is refused.
";

fn section(section: &'static Section) -> String {
    let header = match (section.header, section.header.starts_with('[')) {
        ("", _) => "The file as a whole".to_owned(),
        (header, true) => format!("`{header}`"),
        (header, false) => capitalised(header),
    };
    let mut text = format!(
        "### {header}\n\n{}\n\n| key | default | bounds | |\n| --- | --- | --- | --- |\n",
        section.doc
    );
    for field in section.fields {
        text.push_str(&line(*field));
    }
    if !section.one_of.is_empty() {
        let keys = quoted(section.one_of);
        text.extend([
            "
Exactly one of ",
            &keys.join(", "),
            " must be there.
",
        ]);
    }
    if !section.any_of.is_empty() {
        let keys = quoted(section.any_of);
        text.extend(["\nAt least one of ", &keys.join(", "), " must be there.\n"]);
    }
    for (one, other) in section.not_both {
        text.extend(["\n`", one, "` and `", other, "` exclude each other.\n"]);
    }
    text
}

fn line(field: &dyn AnyField) -> String {
    let default = match (field.default(), field.absent()) {
        (Some(default), _) => format!("`{default}`"),
        (None, Some(absent)) => absent.to_owned(),
        (None, None) => "required".to_owned(),
    };
    format!(
        "| `{}` | {} | {} | {} |\n",
        field.name(),
        cell(&default),
        cell(&bounds(field.shape())),
        cell(field.doc())
    )
}

fn bounds(shape: Shape) -> String {
    let or_off = |off: bool| if off { ", or `\"off\"`" } else { "" };
    match shape {
        Shape::Count { min, max } => format!("{} to {}", grouped(min), grouped(max)),
        Shape::Share { min, max } => format!("{min} to {max}"),
        Shape::Time { min, max, off } => {
            format!(
                "`\"{}\"` to `\"{}\"`{}",
                time_text(min),
                time_text(max),
                or_off(off)
            )
        }
        Shape::Size { min, max, off } => {
            format!(
                "`\"{}\"` to `\"{}\"`{}",
                size_text(min),
                size_text(max),
                or_off(off)
            )
        }
        Shape::Word { words } => each(words),
        Shape::Code { words, .. } => format!("{}, or 1 to {}", each(words), words.len()),
        Shape::List { of, max, .. } => {
            format!("a list of at most {}: {}", grouped(max as u64), bounds(*of))
        }
        Shape::Pairs { key, of, max } => {
            format!(
                "a table of at most {}: {key} = {}",
                grouped(max as u64),
                bounds(*of)
            )
        }
        Shape::Table(of) => format!("a table: {}", name(of)),
        Shape::TableOrTrue(of) => format!("`true`, or a table: {}", name(of)),
        Shape::Tables { of, max, .. } => {
            format!(
                "a list of at most {} tables: {}",
                grouped(max as u64),
                name(of)
            )
        }
        Shape::Named { of, max } => format!("at most {} tables: {}", grouped(max as u64), name(of)),
        Shape::Flag | Shape::Text(_) | Shape::TextOrTrue(_) | Shape::Statuses => shape.phrase(),
    }
}

fn name(section: &Section) -> String {
    if section.header.starts_with('[') {
        format!("`{}`", section.header)
    } else {
        section.header.to_owned()
    }
}

fn quoted(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("`{word}`")).collect()
}

/// Words as they would be written, one after the other.
fn each(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
    words.join(", ")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
