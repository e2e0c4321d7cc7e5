//! `Proxy-Status` (RFC 9209), read by a parser of structured fields (RFC 9651) that is not ours.

use std::collections::BTreeMap;

use sfv::{BareItem, List, ListEntry, Parser};

/// What the field says of this gateway.
#[derive(Debug, PartialEq, Eq)]
pub struct ProxyStatus {
    /// Who says it.
    pub proxy: String,
    /// Its parameters that are tokens.
    pub tokens: BTreeMap<String, String>,
    /// Its parameters that are strings.
    pub strings: BTreeMap<String, String>,
}

/// Reads a field of one member.
pub fn read(field: &str) -> ProxyStatus {
    let list: List = Parser::new(field)
        .parse()
        .unwrap_or_else(|error| panic!("{field:?}: {error}"));
    let [ListEntry::Item(member)] = list.as_slice() else {
        panic!("{field:?} has another number of members than one");
    };
    let BareItem::Token(proxy) = &member.bare_item else {
        panic!("{field:?} does not begin with a token");
    };
    let (mut tokens, mut strings) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in &member.params {
        match value {
            BareItem::Token(token) => tokens.insert(key.to_string(), token.to_string()),
            BareItem::String(text) => strings.insert(key.to_string(), text.to_string()),
            other => panic!("{key} of {field:?} is neither a token nor a string: {other:?}"),
        };
    }
    ProxyStatus {
        proxy: proxy.to_string(),
        tokens,
        strings,
    }
}
