//! The JSON Schema of the file, written from the tables of fields.

use serde_json::{Map, Value as Json, json};

use super::{
    fields::ROOT,
    shape::{AnyField, Section, Shape},
};

/// The JSON Schema (2020-12) of a config file, for editors and other tools.
///
/// It knows every key and word that works; rules between keys and the forms of most texts are checked by
/// [`parse`](super::parse) alone.
#[must_use]
pub fn schema() -> Json {
    let mut schema = section(&ROOT);
    let definitions: Map<_, _> = ROOT
        .all()
        .into_iter()
        .skip(1)
        .map(|of| (of.name.to_owned(), section(of)))
        .collect();
    if let Some(root) = schema.as_object_mut() {
        root.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        root.insert("title".to_owned(), json!("Tidegate"));
        root.insert("$defs".to_owned(), Json::Object(definitions));
    }
    schema
}

fn section(section: &Section) -> Json {
    let properties: Map<_, _> = section
        .fields
        .iter()
        .map(|field| (field.name().to_owned(), property(*field)))
        .collect();
    let required: Vec<_> = section
        .fields
        .iter()
        .filter(|field| field.absent().is_none())
        .map(|field| field.name())
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if let Some(object) = schema.as_object_mut() {
        if !required.is_empty() {
            object.insert("required".to_owned(), json!(required));
        }
        if !section.one_of.is_empty() {
            let one_of: Vec<_> = section
                .one_of
                .iter()
                .map(|key| json!({ "required": [key] }))
                .collect();
            object.insert("oneOf".to_owned(), json!(one_of));
        }
        if !section.any_of.is_empty() {
            let keys = section.any_of.iter();
            let any_of: Vec<_> = keys.map(|key| json!({ "required": [key] })).collect();
            object.insert("anyOf".to_owned(), json!(any_of));
        }
        if !section.not_both.is_empty() {
            let rules: Vec<_> = section
                .not_both
                .iter()
                .map(|(one, other)| json!({ "not": { "required": [one, other] } }))
                .collect();
            object.insert("allOf".to_owned(), json!(rules));
        }
    }
    schema
}

fn property(field: &dyn AnyField) -> Json {
    let mut schema = value(field.shape());
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), json!(field.doc()));
        if let Some(default) = field.default() {
            object.insert("default".to_owned(), default);
        }
    }
    schema
}

fn value(shape: Shape) -> Json {
    let reference = |of: &Section| json!({ "$ref": format!("#/$defs/{}", of.name) });
    match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Share { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Shape::Time { off, .. } => unit("(ms|s|m|h|d)", off),
        Shape::Size { off, .. } => unit("(B|KB|KiB|MB|MiB|GB|GiB)", off),
        Shape::Word { words } => json!({ "enum": words }),
        Shape::Code { words, .. } => {
            let number = json!({ "type": "integer", "minimum": 1, "maximum": words.len() });
            json!({ "anyOf": [{ "enum": words }, number] })
        }
        Shape::Text(_) => json!({ "type": "string" }),
        Shape::TextOrTrue(_) => json!({ "anyOf": [{ "type": "string" }, { "const": true }] }),
        Shape::Statuses => {
            let range =
                json!({ "type": "string", "pattern": "^[1-5][0-9]{2}( ?- ?[1-5][0-9]{2})?$" });
            json!({ "anyOf": [{ "type": "integer", "minimum": 100, "maximum": 599 }, range] })
        }
        Shape::List { of, min, max } => {
            json!({ "type": "array", "items": value(*of), "minItems": min, "maxItems": max })
        }
        Shape::Pairs { of, max, .. } => {
            json!({ "type": "object", "additionalProperties": value(*of), "maxProperties": max })
        }
        Shape::Table(of) => reference(of),
        Shape::TableOrTrue(of) => json!({ "anyOf": [reference(of), { "const": true }] }),
        Shape::Tables { of, min, max } => {
            json!({ "type": "array", "items": reference(of), "minItems": min, "maxItems": max })
        }
        Shape::Named { of, max } => {
            json!({ "type": "object", "additionalProperties": reference(of), "maxProperties": max })
        }
    }
}

fn unit(units: &str, off: bool) -> Json {
    let pattern = if off {
        format!("^([0-9]+{units}|off)$")
    } else {
        format!("^[0-9]+{units}$")
    };
    json!({ "type": "string", "pattern": pattern })
}
