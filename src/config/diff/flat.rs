//! A config as keys and values, by what they belong to: read by the tables of fields, defaults filled in.

use std::{collections::BTreeMap, fmt};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::THERE;
use crate::config::{
    ConfigHash,
    fields::{ROOT, errors::TEXT, upstream::GROUP},
    shape::{AnyField, Section, Shape},
    value::normal_text,
};

/// What holds where a table is left out whose keys have their defaults then.
const DEFAULTS: &str = "its defaults";

/// Keys with dots, and their values as they would be written.
pub(super) type Keys = BTreeMap<String, String>;

/// What a key belongs to: a section of the file, and a name where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name<'a> {
    /// Where the section stands in the reference.
    order: usize,
    /// Its key in the file.
    pub(super) section: &'static str,
    /// `None` where there is only one.
    pub(super) name: Option<&'a str>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Flat(BTreeMap<(usize, &'static str, Option<String>), Keys>);

// === impl Flat ===

impl Flat {
    /// All that `tables` says, and what it leaves out and has a default.
    pub(super) fn of(tables: &DeTable<'_>) -> Self {
        let mut flat = Self(BTreeMap::new());
        for (order, field) in ROOT.fields.iter().enumerate() {
            let value = tables.get(field.name()).map(Spanned::get_ref);
            for (name, keys) in parts(*field, value) {
                flat.0.insert((order, field.name(), name), keys);
            }
        }
        flat
    }

    /// What it has keys of.
    pub(super) fn names(&self) -> impl Iterator<Item = Name<'_>> {
        self.0.keys().map(|(order, section, name)| Name {
            order: *order,
            section,
            name: name.as_deref(),
        })
    }

    /// The keys of one of them.
    pub(super) fn keys(&self, of: Name<'_>) -> Option<&Keys> {
        let name = of.name.map(str::to_owned);
        self.0.get(&(of.order, of.section, name))
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "{} {name}", self.section.trim_end_matches('s')),
            None => write!(f, "[{}]", self.section),
        }
    }
}

/// What a key of the whole file holds, by name where it holds several.
fn parts(field: &dyn AnyField, value: Option<&DeValue<'_>>) -> Vec<(Option<String>, Keys)> {
    match (field.shape(), value) {
        (Shape::Table(of), value) => vec![(None, keys_of(of, value.and_then(DeValue::as_table)))],
        (Shape::Tables { of, .. }, Some(DeValue::Array(items))) => items
            .iter()
            .filter_map(|item| item.get_ref().as_table())
            .map(|table| (Some(label(of, table, 1)), keys_of(of, Some(table))))
            .collect(),
        (Shape::Named { of, .. }, Some(DeValue::Table(tables))) => tables
            .iter()
            .filter_map(|(name, item)| Some((name, item.get_ref().as_table()?)))
            .map(|(name, table)| (Some(name.get_ref().to_string()), keys_of(of, Some(table))))
            .collect(),
        _ => Vec::new(),
    }
}

/// The keys of a table of the whole file.
fn keys_of(section: &Section, table: Option<&DeTable<'_>>) -> Keys {
    let mut keys = Keys::new();
    collect(section, table, "", &mut keys);
    keys
}

/// The keys of a table, below `prefix`.
fn collect(section: &Section, table: Option<&DeTable<'_>>, prefix: &str, out: &mut Keys) {
    for field in section.fields {
        let name = format!("{prefix}{}", field.name());
        let value = table.and_then(|table| table.get(field.name()));
        let value = value.map(Spanned::get_ref);
        match (field.shape(), value) {
            (Shape::Table(of) | Shape::TableOrTrue(of), Some(DeValue::Table(table))) => {
                collect(of, Some(table), &format!("{name}."), out);
            }
            (Shape::Table(of), _) if field.absent() == Some(DEFAULTS) => {
                collect(of, None, &format!("{name}."), out);
            }
            (Shape::Tables { of, .. }, Some(DeValue::Array(items))) => {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                let before = usize::from(has(table, "endpoints")); // they are the first group
                for (table, number) in tables.zip(before.saturating_add(1)..) {
                    let item = format!("{name}.{}", label(of, table, number));
                    collect(of, Some(table), &format!("{item}."), out);
                    out.insert(item, THERE.to_owned());
                }
            }
            (shape, Some(value)) => {
                out.insert(name, shown(shape, value));
            }
            (_, None) => {
                if let Some(default) = field.default() {
                    out.insert(name, default.to_string());
                }
            }
        }
    }
}

fn has(table: Option<&DeTable<'_>>, key: &str) -> bool {
    table.is_some_and(|table| table.contains_key(key))
}

/// By what one of several tables is known: its name, or the first key that says which it is. `number` is what a group
/// without a name is called.
fn label(section: &Section, table: &DeTable<'_>, number: usize) -> String {
    let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
    if let Some(name) = text("name") {
        return name.to_owned();
    }
    if section.field("key").is_some() && section.field("name").is_some() {
        return text("key").unwrap_or("client_ip").to_owned(); // a rate limit's key is its name
    }
    if section.name == TEXT.name {
        let language = text("language").unwrap_or_default();
        return format!("{language}.{number}");
    }
    if section.name == GROUP.name {
        return number.to_string();
    }
    if section.field("name").is_some() {
        return "default".to_owned();
    }
    let mut texts = section.fields.iter().filter_map(|field| text(field.name()));
    texts.next().unwrap_or_default().to_owned()
}

/// A value as it would be written, in one form of the several that mean the same.
fn shown(shape: Shape, value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let normal = normal_text(shape, text);
            serde_json::Value::from(normal.unwrap_or_else(|| text.to_string())).to_string()
        }
        DeValue::Integer(number) => {
            let whole = i128::from_str_radix(number.as_str(), number.radix());
            whole.map_or_else(|_| number.to_string(), |whole| whole.to_string())
        }
        DeValue::Float(number) => {
            let float = number.as_str().parse::<f64>();
            float.map_or_else(|_| number.to_string(), |float| format!("{float:?}"))
        }
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(items) => {
            let of = if let Shape::List { of, .. } = shape {
                *of
            } else {
                shape
            };
            let items: Vec<_> = items.iter().map(|item| shown(of, item.get_ref())).collect();
            format!("[{}]", items.join(","))
        }
        DeValue::Table(table) => {
            let pairs = table.iter().map(|(key, item)| {
                let (key, value) = (key.get_ref(), shown(shape, item.get_ref()));
                let value = if is_secret(key) {
                    hidden(&value)
                } else {
                    value
                };
                format!("{key} = {value}")
            });
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Whether a field of this name may carry what opens doors.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let secret = ["auth", "cookie", "key", "pass", "secret", "token"];
    secret.iter().any(|word| name.contains(word))
}

/// In the place of a secret: it tells one from another, and nothing else.
fn hidden(value: &str) -> String {
    format!("(hidden {})", ConfigHash::of(value.as_bytes()))
}
