//! `[reload]`, `[history]` and `[upgrade]`

use super::Folder;
use crate::config::{
    GuardPlan, HistoryPlan, ReloadPlan, UpgradePlan, fields::change as keys, row::Row,
};

pub(super) fn reload(row: &Row<'_>) -> ReloadPlan {
    let guard = row.table(&keys::GUARD).map(|guard| GuardPlan {
        window: guard.value(&keys::WINDOW),
        max_failure_increase: guard.value(&keys::MAX_FAILURE_INCREASE),
        min_requests: guard.value(&keys::MIN_REQUESTS),
    });
    ReloadPlan { guard }
}

pub(super) fn history(row: &Row<'_>, folder: Folder<'_>) -> HistoryPlan {
    let dir = row.get(&keys::DIR).map(|dir| folder.path(dir).it);
    HistoryPlan { dir }
}

pub(super) fn upgrade(row: &Row<'_>) -> UpgradePlan {
    UpgradePlan {
        timeout: row.value(&keys::UPGRADE_TIMEOUT),
    }
}
