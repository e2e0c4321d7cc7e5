//! The page that browsers get of a fault.

use std::{path::PathBuf, sync::Arc};

use super::{Files, Reader};
use crate::config::{
    Slot, Template,
    nearest::did_you_mean,
    problem::{At, Code, Problem},
};

/// The largest page, in bytes: while everything fails, little else is sent.
const MAX_ERROR_PAGE: u64 = 64 << 10;

// === impl Reader ===

impl Reader<'_> {
    /// The page of `file`; where it is wrong, what it held before.
    pub(super) fn page_or_before(&mut self, file: &At<PathBuf>) -> Option<Arc<Template>> {
        let kept = |before: &Files| {
            let kept = before.kept.page.clone();
            kept.filter(|(path, _)| *path == file.it)
                .map(|(_, page)| page)
        };
        let read = |reader: &mut Reader<'_>| reader.page(file).map(Arc::new);
        self.or_before(&file.it, kept, read)
    }

    fn page(&mut self, file: &At<PathBuf>) -> Option<Template> {
        let bytes = self.bytes(file, MAX_ERROR_PAGE)?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            self.content(file, "is not UTF-8", "expected a page in UTF-8");
            return None;
        };
        if text.trim().is_empty() {
            self.content(file, "is empty", "expected a page");
            return None;
        }
        match Template::parse(text, Slot::PAGE) {
            Ok(page) => Some(page),
            Err(unknown) => {
                let known = Slot::PAGE.iter().map(|slot| slot.as_str());
                let help = did_you_mean(&unknown.word, known.clone())
                    .unwrap_or_else(|| "for braces of a script put a space inside".to_owned());
                let (path, word, line) = (file.it.display(), &unknown.word, unknown.line);
                let known: Vec<_> = known.collect();
                self.problems.add(
                    Problem::error(
                        Code::FileContent,
                        file.at,
                        format!("{path}, line {line}: {{{word}}} stands for nothing"),
                        format!("words in braces are: {}", known.join(", ")),
                    )
                    .help(help),
                );
                None
            }
        }
    }
}
