//! `[errors]` and `[[errors.texts]]`

use std::path::PathBuf;

use super::Folder;
use crate::config::{
    ErrorsPlan, LanguageTag, TextPlan,
    fields::errors as keys,
    problem::{At, Code, Problem, Span},
    row::Row,
};

/// The plan, and the file of the page.
pub(super) fn errors(row: &Row<'_>, folder: Folder<'_>) -> (ErrorsPlan, Option<At<PathBuf>>) {
    let rows = row.tables(&keys::TEXTS);
    let read: Vec<_> = rows.iter().map(|row| (row, text(row))).collect();
    never_reached(&read);
    let texts: Vec<_> = read.into_iter().filter_map(|(_, text)| text).collect();
    let (language, language_at) = row.placed(&keys::LANGUAGE);
    let known = |one: &TextPlan| one.language == language;
    let unsure = texts.len() != rows.len(); // the wrong one may be in that language
    if language != LanguageTag::ENGLISH && !unsure && !texts.iter().any(known) {
        row.problems().add(
            Problem::error(
                Code::UnknownName,
                language_at.unwrap_or(row.at),
                format!("no text is in the language `{}`", language.as_str()),
                "expected `en`, or the language of a text",
            )
            .help("texts stand in [[errors.texts]]"),
        );
    }
    let page = row.get(&keys::PAGE).map(|file| folder.path(file));
    let plan = ErrorsPlan {
        details: row.value(&keys::DETAILS),
        page: page.clone().map(|file| file.it),
        language,
        texts,
    };
    (plan, page)
}

/// One text; `None` where something is wrong with what it must have, which was noted.
fn text(row: &Row<'_>) -> Option<TextPlan> {
    let language = row.get(&keys::TEXT_LANGUAGE);
    let causes = row.get(&keys::CAUSES).map(|list| list.it);
    let statuses = row.get(&keys::STATUSES).map(|list| list.it);
    let title = row.get(&keys::TITLE);
    let sentence = row.get(&keys::SENTENCE);
    let advice = row.get(&keys::ADVICE).map(|advice| advice.it.0);
    let advice_sent = row.get(&keys::ADVICE_SENT).map(|advice| advice.it.0);
    Some(TextPlan {
        language: language?.it,
        causes: plain(causes),
        statuses: plain(statuses),
        title: title?.it.0,
        sentence: sentence?.it.0,
        advice,
        advice_sent,
    })
}

/// Notes texts behind one of the same language that is for everything.
fn never_reached(texts: &[(&Row<'_>, Option<TextPlan>)]) {
    let mut whole: Vec<(&LanguageTag, Span)> = Vec::new();
    for (row, text) in texts {
        let Some(text) = text else { continue };
        if let Some((_, first)) = whole.iter().find(|(tag, _)| **tag == text.language) {
            row.problems().add(
                Problem::warning(
                    Code::Doubtful,
                    row.at,
                    "this text is never shown",
                    "of several that fit, the first holds",
                )
                .and(*first, "this one is for every fault"),
            );
        } else if text.causes.is_empty() && text.statuses.is_empty() {
            whole.push((&text.language, row.at));
        }
    }
}

fn plain<T>(list: Option<Vec<At<T>>>) -> Vec<T> {
    let list = list.unwrap_or_default();
    list.into_iter().map(|one| one.it).collect()
}
