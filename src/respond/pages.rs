//! What one config makes of faults: prepared when it is loaded, so that a fault formats little.

use std::sync::{Arc, LazyLock};

use http::HeaderValue;

use crate::{
    config::{ErrorsPlan, Files, Template},
    fault::Fault,
};

use super::{
    fields::retry_after,
    language::Wanted,
    page::{self, Filling},
    ready::Ready,
    render::Ask,
    said::Texts,
    visitor::Repeat,
};

/// How faults are told under one config.
#[derive(Debug)]
pub struct Pages {
    /// Whether clients see the detail of a fault.
    pub(super) details: bool,
    /// The page of an operator's.
    own: Option<Arc<Template>>,
    texts: Texts,
}

/// A page, and what its head says of it.
pub(super) struct Page {
    pub(super) body: String,
    pub(super) language: Option<HeaderValue>,
    /// Whether it is the built-in one.
    pub(super) built_in: bool,
}

// === impl Pages ===

impl Pages {
    /// Those of `plan`; `files` are those that were loaded with it.
    #[must_use]
    pub fn new(plan: &ErrorsPlan, files: &Files) -> Self {
        Self {
            details: plan.details,
            own: files.page.clone(),
            texts: Texts::new(plan),
        }
    }

    /// Those of a config that says nothing of them.
    #[must_use]
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Pages> =
            LazyLock::new(|| Pages::new(&ErrorsPlan::default(), &Files::default()));
        &BUILT_IN
    }

    /// Whether `Accept-Language` makes a difference.
    #[must_use]
    pub fn have_languages(&self) -> bool {
        self.texts.are_there()
    }

    /// The page of `fault`.
    pub(super) fn page(
        &self,
        fault: &Fault,
        ready: &Ready,
        ask: &Ask<'_>,
        detail: Option<&str>,
    ) -> Page {
        let wanted = Wanted::of(ask.accept_language.filter(|_| self.have_languages()));
        let repeat = Repeat::after(fault, ask.method.is_idempotent());
        let retry_after = retry_after(fault);
        let said = self.texts.say(fault, ready, &wanted, repeat, retry_after);
        let status = fault.facts().status;
        let filling = Filling {
            status: status.as_str(),
            said: &said,
            request_id: ask.request_id,
            retry_after,
        };
        let language = HeaderValue::from_str(said.language).ok();
        let body = match &self.own {
            Some(page) => page::own(page, &filling),
            None => page::built_in(&filling, &ready.rows, detail),
        };
        Page {
            body,
            language,
            built_in: self.own.is_none(),
        }
    }
}
