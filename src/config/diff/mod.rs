//! What changes from one config to another, as the plan sees it: routes, upstreams and listeners by name, their keys
//! with the value before and after, and which routes it touches. A change of order, of a comment, or from a default
//! that is left out to one that is written, is none.

mod flat;
mod touch;

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};

pub use touch::Touched;

use super::{
    Loaded, Plan,
    compile::{self, Folder},
    diagnostic::{Diagnostic, Diagnostics, Source},
    problem::Problems,
    syntax,
};
use flat::Flat;
use touch::Sides;

/// The difference of two configs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// What changes, section by section in the order of the reference, and by name.
    pub changes: Vec<Change>,
    /// Which routes it touches.
    pub touches: Touched,
}

/// One key that changes, or a whole that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Of what: `route checkout`, `upstream shop`, `listener web` or `[dns]`.
    pub of: String,
    /// The key, with dots: `rate_limits.per-client.rate`; empty where all of it comes or goes.
    pub key: String,
    /// The value before; `None` where there was none.
    pub old: Option<String>,
    /// The value after; `None` where there is none.
    pub new: Option<String>,
}

/// The word for what is there as a whole.
const THERE: &str = "there";

// === impl Diff ===

impl Diff {
    /// What changes from `old` to `new`.
    #[must_use]
    pub fn between(old: &Loaded, new: &Loaded) -> Self {
        Self::of((&old.text, &old.plan), (&new.text, &new.plan))
    }

    /// What changes from the text `old` to the text `new`, both written for the file at `path`. The files that they
    /// name are not read.
    ///
    /// # Errors
    /// All that is wrong with the first text that is not valid.
    pub fn between_texts(old: &str, new: &str, path: &Path) -> Result<Self, Box<Diagnostics>> {
        let (before, after) = (plan_of(old, path)?, plan_of(new, path)?);
        Ok(Self::of((old, &before), (new, &after)))
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn of(old: (&str, &Plan), new: (&str, &Plan)) -> Self {
        let flat = |text: &str| {
            let problems = Problems::default();
            Flat::of(syntax::tables(bare(text), &problems).get_ref())
        };
        let (before, after) = (flat(old.0), flat(new.0));
        let sides = Sides::of(old.1, new.1);
        let mut changes = Vec::new();
        for of in before.names().chain(after.names()).collect::<BTreeSet<_>>() {
            if !sides.is_same(of) {
                compare(
                    &of.to_string(),
                    before.keys(of),
                    after.keys(of),
                    &mut changes,
                );
            }
        }
        Self {
            changes,
            touches: sides.touched(),
        }
    }
}

/// What changes between two sets of keys; `None`: the whole is not there.
fn compare(of: &str, old: Option<&flat::Keys>, new: Option<&flat::Keys>, out: &mut Vec<Change>) {
    let change = |key: &str, old: Option<&String>, new: Option<&String>| Change {
        of: of.to_owned(),
        key: key.to_owned(),
        old: old.cloned(),
        new: new.cloned(),
    };
    let there = THERE.to_owned();
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (old, new) => {
            out.push(change("", old.map(|_| &there), new.map(|_| &there)));
            return;
        }
    };
    // What comes or goes as a whole stands for all of its keys.
    let mut whole: Option<&str> = None;
    for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let within = whole.and_then(|whole| key.strip_prefix(whole));
        if within.is_some_and(|rest| rest.starts_with('.')) {
            continue;
        }
        let (before, after) = (old.get(key), new.get(key));
        if before == after {
            continue;
        }
        let item = [before, after].contains(&Some(&there)) && (before.is_none() || after.is_none());
        if item {
            whole = Some(key);
        }
        out.push(change(key, before, after));
    }
}

/// What `text` means, or all that is wrong with it.
fn plan_of(text: &str, path: &Path) -> Result<Plan, Box<Diagnostics>> {
    let source = std::sync::Arc::new(Source::new(path.display().to_string(), bare(text).into()));
    let problems = Problems::default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let compiled = compile::compile(
        &syntax::tables(source.text(), &problems),
        Folder(folder),
        &problems,
    );
    let wrong = problems.into_inner().into_iter();
    let errors: Vec<_> = wrong
        .filter(|problem| !problem.warning)
        .map(|problem| Diagnostic::new(&source, problem))
        .collect();
    if errors.is_empty() {
        Ok(compiled.plan)
    } else {
        Err(Box::new(Diagnostics::new(errors)))
    }
}

/// Without the mark that some editors put at the beginning.
fn bare(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests;
