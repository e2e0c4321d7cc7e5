//! An incident as it is recorded, and whether a verdict names what was injected.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate::{
    admin::{Around, Suspect, Verdict},
    telemetry::Case,
};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub struct Incident {
    pub seed: u64,
    /// What was done. The verdict never sees it.
    pub injected: Vec<Injected>,
    /// The request that is asked about.
    pub asked: Box<str>,
    /// What a verdict sees.
    pub around: Around,
}

/// A fault that was injected, and in which words it may be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    pub fault: String,
    /// A cause and a finer word; either of several where they mean the same to who sees only what a gateway sees.
    pub named: Vec<(String, String)>,
}

/// How much of what was injected a verdict names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Nothing,
    One,
    Both,
}

/// What came of it.
#[derive(Debug)]
pub struct Judged {
    pub named: Named,
    /// For people.
    pub line: String,
}

// === impl Incident ===

impl Incident {
    pub fn case(&self) -> Arc<Case> {
        let mut cases = self.around.cases.iter();
        let case = cases.find(|case| case.request_id == self.asked);
        Arc::clone(case.expect("the request is among its surroundings"))
    }

    pub fn judge(&self) -> Judged {
        self.judged_as(&self.injected)
    }

    /// As if `injected` had been done.
    pub fn judged_as(&self, injected: &[Injected]) -> Judged {
        let verdict = Verdict::of(&self.case(), &self.around);
        let is = |suspect: &Option<Suspect>| {
            injected.iter().position(|one| {
                suspect.as_ref().is_some_and(|suspect| {
                    let named = (suspect.cause.to_string(), suspect.finer.to_string());
                    one.named.contains(&named)
                })
            })
        };
        let (first, others) = (
            is(&verdict.root),
            [is(&verdict.also_possible), is(&verdict.beside)],
        );
        let another = others.iter().flatten().any(|other| Some(*other) != first);
        let named = match (first, another) {
            (None, _) => Named::Nothing,
            (Some(_), true) => Named::Both,
            (Some(_), false) => Named::One,
        };
        let told = |suspect: &Option<Suspect>| {
            suspect.as_ref().map_or_else(String::new, |suspect| {
                format!(
                    "{} {:?}: {}",
                    suspect.cause, suspect.confidence, suspect.finer
                )
            })
        };
        let done: Vec<_> = self.injected.iter().map(|one| one.fault.as_str()).collect();
        Judged {
            named,
            line: format!(
                "{named:?}: {} -> {} | also {} | beside {}",
                done.join(" + "),
                told(&verdict.root),
                told(&verdict.also_possible),
                told(&verdict.beside)
            ),
        }
    }

    pub fn shares_a_fault_with(&self, other: &Self) -> bool {
        let words = |one: &Self| -> Vec<_> {
            let named = one.injected.iter().flat_map(|one| one.named.clone());
            named.collect()
        };
        let others = words(other);
        words(self).iter().any(|word| others.contains(word))
    }
}
