//! The cgroup of this process: its folders in version 1 and 2, its memory and its throttling.
//!
//! `/proc/self/cgroup` names the cgroup as the process's namespace sees it, and the mount may show only a part
//! of the tree (as in a container without a namespace of its own). So a folder and each of those above it are
//! looked at, as far as they are there; a limit set further up counts as well, and the tightest wins.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
};

use super::files;

/// Where one resource of this process's cgroup is accounted: its folder and those above, the nearest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Folders {
    version: Version,
    chain: Vec<PathBuf>,
}

/// Which kind of tree it is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Version {
    #[default]
    One,
    Two,
}

/// How often a cgroup used up its share of processor time, over the last readings.
#[derive(Debug)]
pub(super) struct Throttling {
    stat: PathBuf,
    /// Throttled and all periods, as they were.
    seen: VecDeque<(u64, u64)>,
}

/// Readings between which throttling is measured: a second of them.
const READINGS: usize = 5;
/// Largest number that is a limit. Version 1 says "none" by the largest number of whole pages.
const LARGEST_LIMIT: u64 = 1 << 60;

// === impl Folders ===

impl Folders {
    /// Where `resource` (`memory` or `cpu`) is accounted, by the lines of `/proc/self/cgroup`. Empty where the
    /// tree is not there.
    pub(super) fn of(resource: &str, lines: &str, cgroups: &Path) -> Self {
        Self::version_one(resource, lines, cgroups)
            .or_else(|| Self::version_two(lines, cgroups))
            .unwrap_or_default()
    }

    /// The folder in the unified tree, whatever is accounted there.
    pub(super) fn unified(lines: &str, cgroups: &Path) -> Self {
        Self::version_two(lines, cgroups).unwrap_or_default()
    }

    /// A line of version 1 reads `4:cpu,cpuacct:/path`; its tree is mounted by that name or by each of its parts.
    fn version_one(resource: &str, lines: &str, cgroups: &Path) -> Option<Self> {
        let (names, path) = lines.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (names, path) = rest.split_once(':')?;
            names
                .split(',')
                .any(|name| name == resource)
                .then_some((names, path))
        })?;
        [resource, names]
            .into_iter()
            .map(|name| chain(&cgroups.join(name), path))
            .find(|chain| !chain.is_empty())
            .map(|chain| Self {
                version: Version::One,
                chain,
            })
    }

    /// The line of version 2 reads `0::/path`; its tree is the mount itself, or `unified` beside version 1.
    fn version_two(lines: &str, cgroups: &Path) -> Option<Self> {
        let path = lines.lines().find_map(|line| line.strip_prefix("0::"))?;
        [cgroups.join("unified"), cgroups.to_owned()]
            .iter()
            .map(|tree| chain(tree, path))
            .find(|chain| !chain.is_empty())
            .map(|chain| Self {
                version: Version::Two,
                chain,
            })
    }

    /// The fullest of the chain: memory in use as a share of its limit; `None` where none has a limit.
    pub(super) fn memory(&self) -> Option<f64> {
        self.chain
            .iter()
            .filter_map(|folder| self.version.memory(folder))
            .reduce(f64::max)
    }

    /// The least memory that any of the chain allows, in bytes; `None` where none has a limit.
    pub(super) fn memory_limit(&self) -> Option<u64> {
        let folders = self.chain.iter();
        folders
            .filter_map(|folder| self.version.memory_limit(folder))
            .min()
    }

    /// The least processor time that any of the chain allows, in processors; `None` where none has a limit.
    pub(super) fn processors(&self) -> Option<f64> {
        let folders = self.chain.iter();
        folders
            .filter_map(|folder| self.version.processors(folder))
            .reduce(f64::min)
    }

    /// Where throttling is counted, for each of the chain.
    pub(super) fn throttling(&self) -> Vec<Throttling> {
        let stats = self.chain.iter().map(|folder| folder.join("cpu.stat"));
        stats.map(Throttling::new).collect()
    }

    /// The text of `file` in the nearest folder that has it.
    pub(super) fn text(&self, file: &str) -> Option<String> {
        let mut files = self.chain.iter().map(|folder| folder.join(file));
        files.find_map(|file| fs::read_to_string(file).ok())
    }
}

/// The folder of `path` under `tree` and those above it up to `tree`, without those that are not there.
fn chain(tree: &Path, path: &str) -> Vec<PathBuf> {
    let inside = Path::new(path.trim_start_matches('/'));
    // `/../sibling` is a cgroup outside of what this process may see.
    let seen = !inside.iter().any(|part| part == "..");
    let inside = if seen { inside } else { Path::new("") };
    let folders = inside.ancestors().map(|part| tree.join(part));
    folders.filter(|folder| folder.is_dir()).collect()
}

// === impl Version ===

impl Version {
    /// Memory in use as a share of the limit. What the kernel can drop at once, file pages not used lately, does
    /// not count: so the kubelet takes it too.
    fn memory(self, folder: &Path) -> Option<f64> {
        let (usage, droppable) = match self {
            Self::One => ("memory.usage_in_bytes", "total_inactive_file"),
            Self::Two => ("memory.current", "inactive_file"),
        };
        let limit = self.memory_limit(folder)?;
        let usage: u64 = files::number(&folder.join(usage))?;
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let droppable = files::field(&stat, droppable).unwrap_or(0);
        Some(usage.saturating_sub(droppable) as f64 / limit as f64)
    }

    fn memory_limit(self, folder: &Path) -> Option<u64> {
        let limit = folder.join(match self {
            Self::One => "memory.limit_in_bytes",
            Self::Two => "memory.max",
        });
        files::number(&limit).filter(|limit| (1..LARGEST_LIMIT).contains(limit))
    }

    /// Processor time over the time it is given for.
    fn processors(self, folder: &Path) -> Option<f64> {
        let (quota, period): (f64, f64) = match self {
            Self::One => (
                files::number(&folder.join("cpu.cfs_quota_us"))?,
                files::number(&folder.join("cpu.cfs_period_us"))?,
            ),
            Self::Two => {
                let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse().ok()?, period.parse().ok()?)
            }
        };
        (quota > 0.0 && period > 0.0).then(|| quota / period) // -1: no limit
    }
}

// === impl Throttling ===

impl Throttling {
    fn new(stat: PathBuf) -> Self {
        Self {
            stat,
            seen: VecDeque::with_capacity(READINGS),
        }
    }

    /// Reads anew: the share of the last periods that was throttled. `None` where no share is set or it was read
    /// but once; 0 where no period began, for nothing ran.
    pub(super) fn read(&mut self) -> Option<f64> {
        let Some(now) = self.count() else {
            self.seen.clear();
            return None;
        };
        if self.seen.back().is_some_and(|last| now.1 < last.1) {
            self.seen.clear(); // another cgroup of the same name
        }
        if self.seen.len() >= READINGS {
            self.seen.pop_front();
        }
        let first = self.seen.front().copied();
        self.seen.push_back(now);
        let first = first?;
        let throttled = now.0.saturating_sub(first.0) as f64;
        let periods = now.1.saturating_sub(first.1).max(1) as f64;
        Some((throttled / periods).min(1.0))
    }

    fn count(&self) -> Option<(u64, u64)> {
        let text = fs::read_to_string(&self.stat).ok()?;
        let throttled = files::field(&text, "nr_throttled")?;
        Some((throttled, files::field(&text, "nr_periods")?))
    }
}
