//! Reads one table of the file by its section's fields. This is the raw form: what was typed, with spans.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    fields,
    nearest::{did_you_mean, nearest},
    problem::{At, Code, Problem, Problems, Span},
    shape::{AnyField, Field, Nested, Preset, Section, Shape},
    value::{Given, Typed, kind_of},
};

/// A table of the file, read by the fields of a section. Unknown keys and keys that exclude each other were
/// noted when it was opened; each value is checked when it is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    table: Option<&'a DeTable<'a>>,
    /// Its header, or the braces of an inline table.
    pub(crate) at: Span,
    problems: &'a Problems,
}

// === impl Row ===

impl<'a> Row<'a> {
    /// The table `table`, and what is wrong with its keys.
    pub(crate) fn open(
        table: &'a DeTable<'a>,
        at: Span,
        section: &'static Section,
        problems: &'a Problems,
    ) -> Self {
        let row = Self {
            table: Some(table),
            at,
            problems,
        };
        row.check_known(section);
        row.check_choices(section);
        let there = |name: &&str| table.contains_key(*name);
        if !section.any_of.iter().any(there) && !row.meant(section, section.any_of) {
            let first = section.any_of.first().and_then(|name| section.field(name));
            if let Some(field) = first {
                row.missing(section, field);
            }
        }
        for field in section.fields {
            let there = table.contains_key(field.name()) || row.meant(section, &[field.name()]);
            if field.absent().is_none() && !there {
                row.missing(section, *field);
            }
        }
        row
    }

    /// The table where the file has none: every key is left out.
    fn absent(problems: &'a Problems) -> Self {
        Self {
            table: None,
            at: Span::default(),
            problems,
        }
    }

    /// Where all that is wrong is noted.
    pub(crate) fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The value of a key; `None` where it is left out, or wrong (which was then noted).
    pub(crate) fn get<T: Typed>(&self, field: &'static Field<T>) -> Option<At<T>> {
        let (_, value) = self.entry(field.name)?;
        let given = Given {
            key: field.name,
            value: value.get_ref(),
            at: value.span().into(),
            shape: field.shape,
            problems: self.problems,
        };
        T::read(&given).map(|it| At::new(it, given.at))
    }

    /// The value of a key, or its default.
    pub(crate) fn value<T: Typed + Clone>(&self, preset: &'static Preset<T>) -> T {
        self.get(&preset.field)
            .map_or_else(|| preset.default.clone(), |value| value.it)
    }

    /// The value of a key, or its default, and its place where it has one.
    pub(crate) fn placed<T: Typed + Clone>(&self, preset: &'static Preset<T>) -> (T, Option<Span>) {
        match self.get(&preset.field) {
            Some(value) => (value.it, Some(value.at)),
            None => (preset.default.clone(), None),
        }
    }

    /// Whether the key is there, right or wrong.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Where the key stands.
    pub(crate) fn key_at(&self, name: &str) -> Option<Span> {
        self.entry(name).map(|(key, _)| key.span().into())
    }

    /// The table of a key; `None` where it is left out or is something else.
    pub(crate) fn table(&self, nested: &'static Nested) -> Option<Row<'a>> {
        let (_, value) = self.entry(nested.name)?;
        let section = nested.shape.section()?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Row::open(
                table,
                value.span().into(),
                section,
                self.problems,
            )),
            DeValue::Boolean(true) if matches!(nested.shape, Shape::TableOrTrue(_)) => Some(Row {
                at: value.span().into(),
                ..Row::absent(self.problems)
            }),
            other => {
                self.wrong_kind(nested, other, value.span().into());
                None
            }
        }
    }

    /// The table of a key, or one without keys.
    pub(crate) fn table_or_empty(&self, nested: &'static Nested) -> Row<'a> {
        self.table(nested)
            .unwrap_or_else(|| Row::absent(self.problems))
    }

    /// The tables of a key that holds a list of them.
    pub(crate) fn tables(&self, nested: &'static Nested) -> Vec<Row<'a>> {
        let Some((_, value)) = self.entry(nested.name) else {
            return Vec::new();
        };
        let Shape::Tables { of, min, max } = nested.shape else {
            return Vec::new();
        };
        let at = value.span().into();
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_kind(nested, value.get_ref(), at);
            return Vec::new();
        };
        self.check_length(nested.name, at, items.len(), min, max);
        let mut rows = Vec::new();
        for item in items.iter().take(max) {
            match item.get_ref() {
                DeValue::Table(table) => {
                    rows.push(Row::open(table, item.span().into(), of, self.problems));
                }
                other => self.wrong_item(nested.name, other, item.span().into()),
            }
        }
        rows
    }

    /// The tables of a key that holds them by name, in the file's order.
    pub(crate) fn named(&self, nested: &'static Nested) -> Vec<(At<&'a str>, Row<'a>)> {
        let Some((key, value)) = self.entry(nested.name) else {
            return Vec::new();
        };
        let Shape::Named { of, max } = nested.shape else {
            return Vec::new();
        };
        let DeValue::Table(tables) = value.get_ref() else {
            self.wrong_kind(nested, value.get_ref(), value.span().into());
            return Vec::new();
        };
        self.check_length(nested.name, key.span().into(), tables.len(), 0, max);
        let mut rows = Vec::new();
        for (name, item) in tables.iter().take(max) {
            let name = At::new(name.get_ref().as_ref(), name.span().into());
            match item.get_ref() {
                DeValue::Table(table) => {
                    let row = Row::open(table, item.span().into(), of, self.problems);
                    rows.push((name, row));
                }
                other => self.problems.add(Problem::error(
                    Code::WrongKind,
                    item.span().into(),
                    format!("`{}.{}` must be a table", nested.name, name.it),
                    format!("expected a table, found {}", kind_of(other)),
                )),
            }
        }
        rows.sort_by_key(|(name, _)| name.at.start);
        rows
    }

    fn entry(
        &self,
        name: &str,
    ) -> Option<(
        &'a Spanned<std::borrow::Cow<'a, str>>,
        &'a Spanned<DeValue<'a>>,
    )> {
        self.table?.get_key_value(name)
    }

    fn check_known(&self, section: &'static Section) {
        let keys = self.table.into_iter().flat_map(DeTable::keys);
        for key in keys {
            let name = key.get_ref().as_ref();
            let at = key.span().into();
            if section.field(name).is_some() {
                continue;
            }
            self.problems.add(unknown(name, at, section));
        }
    }

    fn check_choices(&self, section: &'static Section) {
        let mut there = section
            .one_of
            .iter()
            .filter_map(|name| self.key_at(name).map(|at| (*name, at)))
            .collect::<Vec<_>>();
        there.sort_by_key(|(_, at)| at.start);
        let choices = || section.one_of.join(", ");
        match there.as_slice() {
            _ if section.one_of.is_empty() => {}
            [] if self.meant(section, section.one_of) => {}
            [] => self.problems.add(Problem::error(
                Code::KeyChoice,
                self.at,
                format!("{} needs one of: {}", section.header, choices()),
                "none of them is here",
            )),
            [_] => {}
            [(first, first_at), rest @ ..] => {
                for (name, at) in rest {
                    self.exclude(name, *at, first, *first_at);
                }
            }
        }
        for (one, other) in section.not_both {
            if let (Some(one_at), Some(other_at)) = (self.key_at(one), self.key_at(other)) {
                self.exclude(other, other_at, one, one_at);
            }
        }
    }

    /// Whether one of `names` is there with a slip: told as an unknown key.
    fn meant(&self, section: &'static Section, names: &[&'static str]) -> bool {
        let keys = self.table.into_iter().flat_map(DeTable::keys);
        keys.map(|key| key.get_ref().as_ref()).any(|key| {
            let slip = || nearest(key, section.names()).is_some_and(|name| names.contains(&name));
            section.field(key).is_none() && slip()
        })
    }

    fn exclude(&self, name: &str, at: Span, first: &str, first_at: Span) {
        self.problems.add(
            Problem::error(
                Code::KeyChoice,
                at,
                format!("`{name}` and `{first}` exclude each other"),
                "keep one of the two",
            )
            .and(first_at, format!("`{first}` is here")),
        );
    }

    fn missing(&self, section: &'static Section, field: &dyn AnyField) {
        let name = field.name();
        let message = format!("{} has no `{name}`", section.header);
        let problem = if self.at.end == 0 {
            Problem::whole(
                Code::MissingKey,
                message.replacen(section.header, "the file", 1),
            )
        } else {
            let expected = format!("expected `{name}`: {}", field.shape().phrase());
            Problem::error(Code::MissingKey, self.at, message, expected)
        };
        self.problems.add(problem);
    }

    fn wrong_kind(&self, nested: &'static Nested, found: &DeValue<'_>, at: Span) {
        let name = nested.name;
        let header = nested.shape.section().map(|section| section.header);
        let help = header
            .filter(|header| header.starts_with('['))
            .map(|header| format!("write it as `{header}`"));
        self.problems.add(
            Problem::error(
                Code::WrongKind,
                at,
                format!("`{name}` must be {}", nested.shape.phrase()),
                format!(
                    "expected {}, found {}",
                    nested.shape.phrase(),
                    kind_of(found)
                ),
            )
            .maybe_help(help),
        );
    }

    fn wrong_item(&self, name: &str, found: &DeValue<'_>, at: Span) {
        self.problems.add(Problem::error(
            Code::WrongKind,
            at,
            format!("`{name}` must be a list of tables"),
            format!("expected a table, found {}", kind_of(found)),
        ));
    }

    fn check_length(&self, name: &str, at: Span, length: usize, min: usize, max: usize) {
        if let Some(problem) = wrong_length(name, at, length, min, max) {
            self.problems.add(problem);
        }
    }
}

/// What is wrong with a list of that length, if anything.
pub(crate) fn wrong_length(
    name: &str,
    at: Span,
    length: usize,
    min: usize,
    max: usize,
) -> Option<Problem> {
    if length < min {
        Some(Problem::error(
            Code::OutOfBounds,
            at,
            format!("`{name}` is empty"),
            format!("at least {min}"),
        ))
    } else if length > max {
        Some(Problem::error(
            Code::OutOfBounds,
            at,
            format!("`{name}` has {length} entries"),
            format!("at most {max}"),
        ))
    } else {
        None
    }
}

fn unknown(name: &str, at: Span, section: &'static Section) -> Problem {
    let place = if section.header.is_empty() {
        "the file".to_owned()
    } else {
        section.header.to_owned()
    };
    let help = did_you_mean(name, section.names()).or_else(|| belongs_elsewhere(name));
    let mut known: Vec<_> = section.names().collect();
    known.sort_unstable();
    Problem::error(
        Code::UnknownKey,
        at,
        format!("unknown key `{name}` in {place}"),
        format!("expected one of: {}", known.join(", ")),
    )
    .maybe_help(help)
}

/// A key that is right, in the wrong place.
fn belongs_elsewhere(name: &str) -> Option<String> {
    let homes: Vec<_> = fields::ROOT
        .all()
        .into_iter()
        .filter(|section| section.field(name).is_some())
        .map(|section| {
            if section.header.is_empty() {
                "the top of the file"
            } else {
                section.header
            }
        })
        .collect();
    if homes.is_empty() || homes.len() > 3 {
        return None;
    }
    Some(format!("`{name}` belongs to {}", homes.join(" or ")))
}
