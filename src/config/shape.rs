//! The form of a config file as a value: sections, their fields, and what a field may hold.
//!
//! One table of fields per section (in `fields`) drives the reader, the schema and the reference. Bounds,
//! defaults and sentences stand there and nowhere else.

use std::time::Duration;

use serde_json::Value as Json;

use super::value::{Shown, Typed};

/// A table of the file and the keys it knows.
pub(crate) struct Section {
    /// Its key in the schema's definitions.
    pub(crate) name: &'static str,
    /// How it is written: `[upstreams.NAME.health]`.
    pub(crate) header: &'static str,
    /// What it is for.
    pub(crate) doc: &'static str,
    /// Every key, in the order of the reference.
    pub(crate) fields: &'static [&'static dyn AnyField],
    /// Keys of which exactly one must be there; empty: no such rule.
    pub(crate) one_of: &'static [&'static str],
    /// Keys of which at least one must be there; empty: no such rule.
    pub(crate) any_of: &'static [&'static str],
    /// Pairs of keys of which at most one may be there.
    pub(crate) not_both: &'static [(&'static str, &'static str)],
}

/// What a value may be. Its bounds are inclusive.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Count { min: u64, max: u64 },
    /// A number.
    Share { min: f64, max: f64 },
    /// A duration, or `"off"` where that is allowed.
    Time {
        min: Duration,
        max: Duration,
        off: bool,
    },
    /// A size in bytes, or `"off"` where that is allowed.
    Size { min: u64, max: u64, off: bool },
    /// One of a closed set.
    Word { words: &'static [&'static str] },
    /// One of a closed set, by its name or its number, which is its place in the set, from 1.
    Code {
        what: &'static str,
        words: &'static [&'static str],
    },
    /// Text of some form, told in a phrase.
    Text(&'static str),
    /// Text of some form, or `true`.
    TextOrTrue(&'static str),
    /// A status, or a range of them as text.
    Statuses,
    /// A list of values.
    List {
        of: &'static Shape,
        min: usize,
        max: usize,
    },
    /// A table of keys that the operator chooses.
    Pairs {
        key: &'static str,
        of: &'static Shape,
        max: usize,
    },
    /// One table.
    Table(&'static Section),
    /// One table, or `true` for one without keys.
    TableOrTrue(&'static Section),
    /// A list of tables.
    Tables {
        of: &'static Section,
        min: usize,
        max: usize,
    },
    /// Tables by a name that the operator chooses.
    Named { of: &'static Section, max: usize },
}

/// A key whose value is read as a `T`.
pub(crate) struct Field<T: Typed> {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What holds where it is left out; `None`: it must be there.
    pub(crate) absent: Option<&'static str>,
    pub(crate) doc: &'static str,
    pub(crate) typed: std::marker::PhantomData<fn() -> T>,
}

/// A key with a default.
pub(crate) struct Preset<T: Typed> {
    pub(crate) field: Field<T>,
    pub(crate) default: T,
}

/// A key whose value is a table or several.
pub(crate) struct Nested {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) absent: Option<&'static str>,
    pub(crate) doc: &'static str,
}

/// A key, whatever its value.
pub(crate) trait AnyField: Sync {
    fn name(&self) -> &'static str;
    fn shape(&self) -> Shape;
    fn doc(&self) -> &'static str;
    /// The default, as it would be written.
    fn default(&self) -> Option<Json> {
        None
    }
    /// What holds where it is left out, for keys without a default; `None`: it must be there.
    fn absent(&self) -> Option<&'static str>;
}

// === impl Section ===

impl Section {
    /// A section without rules between its keys.
    pub(crate) const fn of(
        name: &'static str,
        header: &'static str,
        doc: &'static str,
        fields: &'static [&'static dyn AnyField],
    ) -> Self {
        Self {
            name,
            header,
            doc,
            fields,
            one_of: &[],
            any_of: &[],
            not_both: &[],
        }
    }

    /// The field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static dyn AnyField> {
        self.fields
            .iter()
            .copied()
            .find(|field| field.name() == name)
    }

    /// All names of keys that work.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name())
    }

    /// This section and all below it, each once, outer ones first.
    pub(crate) fn all(&'static self) -> Vec<&'static Section> {
        let mut found: Vec<&'static Section> = Vec::new();
        let mut open = vec![self];
        while !open.is_empty() {
            let mut below = Vec::new();
            for section in open {
                if found.iter().any(|known| known.name == section.name) {
                    continue;
                }
                found.push(section);
                below.extend(section.fields.iter().filter_map(|f| f.shape().section()));
            }
            open = below;
        }
        found
    }
}

// === impl Shape ===

impl Shape {
    /// The section of the tables within, where there are any.
    pub(crate) fn section(self) -> Option<&'static Section> {
        match self {
            Self::Table(of)
            | Self::TableOrTrue(of)
            | Self::Tables { of, .. }
            | Self::Named { of, .. } => Some(of),
            _ => None,
        }
    }

    /// What is expected, as a phrase with an article.
    pub(crate) fn phrase(self) -> String {
        match self {
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Count { .. } => "a whole number".to_owned(),
            Self::Share { .. } => "a number".to_owned(),
            Self::Time { off: false, .. } => "a duration like \"250ms\" or \"5s\"".to_owned(),
            Self::Time { off: true, .. } => "a duration like \"5s\", or \"off\"".to_owned(),
            Self::Size { off: false, .. } => "a size like \"64KiB\" or \"1MiB\"".to_owned(),
            Self::Size { off: true, .. } => "a size like \"64KiB\", or \"off\"".to_owned(),
            Self::Word { words } => format!("one of: {}", words.join(", ")),
            Self::Code { what, .. } => format!("{what}, or its number"),
            Self::Text(what) => what.to_owned(),
            Self::TextOrTrue(what) => format!("{what}, or `true`"),
            Self::Statuses => "a status like 200, or a range like \"200-299\"".to_owned(),
            Self::List { .. } => "a list".to_owned(),
            Self::Pairs { .. } | Self::Table(_) => "a table".to_owned(),
            Self::TableOrTrue(_) => "a table, or `true`".to_owned(),
            Self::Tables { .. } => "a list of tables".to_owned(),
            Self::Named { .. } => "tables by name".to_owned(),
        }
    }
}

// === impl Field ===

impl<T: Typed> Field<T> {
    /// A key that may be left out.
    pub(crate) const fn optional(
        name: &'static str,
        shape: Shape,
        absent: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            shape,
            absent: Some(absent),
            doc,
            typed: std::marker::PhantomData,
        }
    }

    /// A key that must be there.
    pub(crate) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self {
            name,
            shape,
            absent: None,
            doc,
            typed: std::marker::PhantomData,
        }
    }
}

impl<T: Typed> AnyField for Field<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn shape(&self) -> Shape {
        self.shape
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn absent(&self) -> Option<&'static str> {
        self.absent
    }
}

// === impl Preset ===

impl<T: Typed> Preset<T> {
    /// A key with a default.
    pub(crate) const fn new(
        name: &'static str,
        shape: Shape,
        default: T,
        doc: &'static str,
    ) -> Self {
        Self {
            field: Field::optional(name, shape, "", doc),
            default,
        }
    }
}

impl<T: Typed + Shown + Sync> AnyField for Preset<T> {
    fn name(&self) -> &'static str {
        self.field.name
    }
    fn shape(&self) -> Shape {
        self.field.shape
    }
    fn doc(&self) -> &'static str {
        self.field.doc
    }
    fn default(&self) -> Option<Json> {
        Some(self.default.shown())
    }
    fn absent(&self) -> Option<&'static str> {
        Some("")
    }
}

// === impl Nested ===

impl Nested {
    /// A key for a table that may be left out.
    pub(crate) const fn optional(
        name: &'static str,
        shape: Shape,
        absent: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            shape,
            absent: Some(absent),
            doc,
        }
    }

    /// A key for a table that must be there.
    pub(crate) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self {
            name,
            shape,
            absent: None,
            doc,
        }
    }
}

impl AnyField for Nested {
    fn name(&self) -> &'static str {
        self.name
    }
    fn shape(&self) -> Shape {
        self.shape
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn absent(&self) -> Option<&'static str> {
        self.absent
    }
}
