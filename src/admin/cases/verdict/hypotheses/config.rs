//! A config that had just come into force, or that has no place for the request.

use super::super::{ending::Ending, root::Root, scene::Scene, suspect::Finding};
use super::amount::amount;
use crate::{
    admin::cases::{Happened, Happening},
    config::Change,
    fault::Kind,
    telemetry::Ill,
};

/// Failures that begin later than this after a change need another reason to believe in it.
const SOON_MS: u64 = 60_000;

/// How a change bears on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bearing {
    /// It may.
    Loose,
    /// It is a key that makes requests fail so.
    Close,
    /// And it was changed to the side on which they do.
    Tight,
}

/// A config that came into force shortly before the first failure, with a change that can make requests fail so.
pub(super) fn changed(scene: &Scene<'_>) -> Option<Finding> {
    let applied = scene.happened().filter_map(|one| match &one.what {
        Happening::ConfigApplied { hash, changes } => Some((one, hash, changes)),
        _ => None,
    });
    let found = applied.filter_map(|(happened, hash, changes)| {
        let bears = |change| Some((bearing(change, scene, happened.at_ms)?, change));
        let (bearing, change) = changes
            .iter()
            .filter_map(bears)
            .max_by_key(|(bearing, _)| *bearing)?;
        let weight = weight(bearing, happened, scene)?;
        let ago = scene.onset_ms().saturating_sub(happened.at_ms);
        let finding = Finding::new(Root::ConfigChange, weight)
            .about(&subject(change))
            .because(format!(
                "A config ({hash}) came into force {ago} ms before the first failure of this kind, and none had failed so \
                 before. It changed {}.",
                told(change)
            ));
        Some(finding)
    });
    found.max_by_key(|finding| finding.weight)
}

/// Files that the config names, such as authorities, changed shortly before TLS began to fail.
pub(super) fn files(scene: &Scene<'_>) -> Option<Finding> {
    let facts = scene.ending.facts()?;
    if !facts.name.starts_with("tls_") {
        return None;
    }
    let changed = scene.happened().find(|one| {
        matches!(one.what, Happening::FilesChanged { .. })
            && scene.began_after(one.at_ms)
            && scene.onset_ms().saturating_sub(one.at_ms) <= SOON_MS
    })?;
    let ago = scene.onset_ms().saturating_sub(changed.at_ms);
    let finding = Finding::new(Root::ConfigChange, 78).about("named files");
    Some(finding.because(format!(
        "Files that the config names changed {ago} ms before the first failure of this kind, and none had failed so before."
    )))
}

/// Nothing in the config takes it, and no change of the config explains that.
pub(super) fn no_route(scene: &Scene<'_>) -> Option<Finding> {
    let ours = scene.ending.is(&[Kind::NoRoute]);
    ours.then(|| {
        Finding::new(Root::NoRoute, 60).about(&format!("{}{}", scene.case.host, scene.case.path))
    })
}

fn weight(bearing: Bearing, happened: &Happened, scene: &Scene<'_>) -> Option<u8> {
    if !scene.began_after(happened.at_ms) {
        return None; // it failed so before
    }
    let base: u8 = match bearing {
        Bearing::Loose => 62,
        Bearing::Close => 82,
        Bearing::Tight => 90,
    };
    let late = scene.onset_ms().saturating_sub(happened.at_ms) > SOON_MS;
    let knows_before =
        scene.good_before(happened.at_ms).next().is_some() || served_before(scene, happened.at_ms);
    let for_before = if knows_before { 5 } else { 0 };
    let for_late = if late { 25 } else { 0 };
    Some((base + for_before).saturating_sub(for_late))
}

/// Whether a route took what the case asks for, before.
fn served_before(scene: &Scene<'_>, at_ms: u64) -> bool {
    let (host, path) = (&scene.case.host, &scene.case.path);
    scene.around.cases.iter().any(|other| {
        other.at_ms < at_ms
            && &other.host == host
            && &other.path == path
            && other.fault.as_ref().and_then(Ill::known) != Some(Kind::NoRoute)
    })
}

/// How `change`, in force at `at_ms`, bears on how the case failed.
fn bearing(change: &Change, scene: &Scene<'_>, at_ms: u64) -> Option<Bearing> {
    let case = scene.case;
    let (section, name) = change.of.split_once(' ')?;
    let key = change.key.as_str();
    if scene.ending.is(&[Kind::NoRoute]) {
        let matches = [
            "hosts",
            "path",
            "path_prefix",
            "methods",
            "headers",
            "query",
        ];
        let gone = change.new.is_none() && key.is_empty();
        let matching = matches.iter().any(|word| key.starts_with(word));
        let served = served_before(scene, at_ms);
        return match (section == "route" && (gone || matching), served) {
            (true, true) => Some(Bearing::Tight),
            (true, false) => Some(Bearing::Loose),
            (false, _) => None,
        };
    }
    let ours = match section {
        "route" => name == &*case.route,
        "upstream" => name == &*case.upstream,
        "listener" => name == &*case.listener,
        _ => false,
    };
    if !ours {
        return None;
    }
    let Ending::Fault(kind) = scene.ending else {
        return own(section, key);
    };
    match sense(kind, section, key)? {
        Sense::Lower => lowered(change),
        Sense::Where => where_to(scene, at_ms),
        Sense::Any => Some(Bearing::Close),
    }
}

/// On which side a key makes requests fail.
enum Sense {
    /// A lower value does.
    Lower,
    /// Another place to go to does, where it is there that they fail.
    Where,
    /// Another value may.
    Any,
}

/// Which change of which key makes requests fail by `kind`.
fn sense(kind: Kind, section: &str, key: &str) -> Option<Sense> {
    let has = |words: &[&str]| words.iter().any(|word| key.contains(word));
    let lower = |words: &[&str]| has(words).then_some(Sense::Lower);
    let lower_time = |names: &[&str]| names.contains(&key).then_some(Sense::Lower);
    let elsewhere = || {
        let place = ["endpoints", "upstream", "split", "dns", "groups"];
        let manner = ["tls", "protocol", "host"];
        if key.is_empty() || place.iter().any(|word| key.starts_with(word)) {
            return Some(Sense::Where);
        }
        let way = section == "upstream" && manner.iter().any(|word| key.starts_with(word));
        way.then_some(Sense::Any)
    };
    match kind {
        Kind::ConcurrencyExceeded | Kind::QueueFull | Kind::QueueTimeout => {
            lower(&["concurrency", "queue", "limit", "share"])
        }
        Kind::DeadlineUnmeetable | Kind::DeadlinePast => {
            lower_time(&["timeout"]).or_else(|| lower(&["concurrency", "queue"]))
        }
        Kind::RateExceeded => match (key.starts_with("rate_limits"), key.matches('.').count()) {
            (true, 1) => Some(Sense::Any), // a limit that was not there
            (true, _) => Some(Sense::Lower),
            _ => None,
        },
        Kind::FirstByteTimeout | Kind::RequestTimeout | Kind::ResponseStalled => {
            lower_time(&["first_byte_timeout", "timeout", "body_timeout"]).or_else(elsewhere)
        }
        Kind::ConnectTimeout | Kind::TlsTimeout => {
            lower_time(&["connect_timeout"]).or_else(elsewhere)
        }
        Kind::BodyTooLarge => lower(&["max_body"]),
        Kind::HeadTooLarge | Kind::UriTooLong => lower(&["max_header"]),
        Kind::HeadTimeout => lower_time(&["header_timeout"]),
        Kind::BodyTimeout | Kind::ReadTimeout => lower_time(&["body_timeout"]),
        Kind::NoEndpoint => {
            let judges = has(&["health", "ejection"]).then_some(Sense::Any);
            judges.or_else(elsewhere)
        }
        Kind::ProcessPressure | Kind::ClientAborted | Kind::Panicked | Kind::Internal => None,
        kind if kind.facts().cause == crate::fault::Cause::Client => None,
        _ => elsewhere(),
    }
}

/// Which change may make a service answer with errors of its own.
fn own(section: &str, key: &str) -> Option<Bearing> {
    let rewrites = [
        "strip_prefix",
        "replace_prefix",
        "request_headers",
        "upstream",
    ];
    let sends = ["host", "endpoints", "protocol"];
    let bears = match section {
        "route" => rewrites.iter().any(|word| key.starts_with(word)),
        "upstream" => sends.iter().any(|word| key.starts_with(word)),
        _ => false,
    };
    bears.then_some(Bearing::Close)
}

/// Requests go elsewhere: it bears where they fail at places that did not serve before.
fn where_to(scene: &Scene<'_>, at_ms: u64) -> Option<Bearing> {
    let hit = scene.hit();
    let before = scene.good_before(at_ms);
    let served = before
        .filter_map(|one| one.endpoint)
        .any(|at| hit.contains(&at));
    match (hit.is_empty(), served) {
        (_, true) => None,
        (true, false) => Some(Bearing::Close),
        (false, false) => Some(Bearing::Tight),
    }
}

/// A key of which a lower value makes requests fail: it bears tightly where it is less than before, or there was none,
/// and loosely where the two cannot be compared.
fn lowered(change: &Change) -> Option<Bearing> {
    let of = |value: &Option<String>| value.as_deref().and_then(amount);
    match (of(&change.old), of(&change.new)) {
        (Some(old), Some(new)) => (new < old).then_some(Bearing::Tight),
        (None, Some(_)) if change.old.is_none() => Some(Bearing::Tight),
        _ => Some(Bearing::Loose),
    }
}

fn subject(change: &Change) -> String {
    if change.key.is_empty() {
        change.of.clone()
    } else {
        format!("{} {}", change.of, change.key)
    }
}

fn told(change: &Change) -> String {
    let of = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!(
        "{} from {} to {}",
        subject(change),
        of(&change.old),
        of(&change.new)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_key_can_be_compared() {
        let change = |old: &str, new: &str| Change {
            of: "route shop".to_owned(),
            key: "timeout".to_owned(),
            old: Some(old.to_owned()),
            new: Some(new.to_owned()),
        };
        for (old, new) in [
            ("\"3s\"", "\"900ms\""),
            ("\"100/s\"", "\"100/m\""),
            ("\"off\"", "\"1MiB\""),
            ("16", "4"),
        ] {
            assert_eq!(
                lowered(&change(old, new)),
                Some(Bearing::Tight),
                "{old} {new}"
            );
            assert_eq!(lowered(&change(new, old)), None, "{new} {old}");
            assert_eq!(lowered(&change(new, new)), None, "{new}");
        }
        let mode = change("\"adaptive\"", "\"fixed\"");
        assert_eq!(lowered(&mode), Some(Bearing::Loose));
    }
}
