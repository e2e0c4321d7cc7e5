//! Where readings come from: the files of the kernel.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{PROC_SUPER_MAGIC, statfs},
    process::{Resource, getrlimit},
};

use super::{
    Readings,
    cgroup::{Folders, Throttling},
    files,
};

/// What tells how this process is. The lag is not asked for: [`watch`](super::watch) measures it itself.
pub trait Signals: Send {
    /// What can be known now. May block for as long as a few small files take.
    fn read(&mut self) -> Readings;
}

/// The signals of the system: cgroup version 1 or 2, PSI, the descriptors of this process.
///
/// The cgroup is looked for once, when this is made. What is not there is unknown for good and costs nothing but
/// the looking.
#[derive(Debug)]
pub struct SystemSignals {
    proc: PathBuf,
    memory: Folders,
    unified: Folders,
    cpu: Folders,
    throttling: Vec<Throttling>,
    descriptors: Option<u64>,
}

/// What this process may take of the machine; `None`: nobody says how much.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Memory, in bytes, by its cgroup.
    pub memory: Option<u64>,
    /// Processor time, in processors, by its cgroup.
    pub processors: Option<f64>,
    /// Descriptors that may be open.
    pub descriptors: Option<u64>,
}

// === impl SystemSignals ===

impl SystemSignals {
    /// Of this process, from `/proc` and `/sys/fs/cgroup`.
    #[must_use]
    pub fn new() -> Self {
        let most = getrlimit(Resource::Nofile).current;
        Self::below(Path::new("/proc"), Path::new("/sys/fs/cgroup"), most)
    }

    /// From the files below two folders. `descriptors` is how many may be open; `None`: any number.
    #[must_use]
    pub fn below(proc: &Path, cgroups: &Path, descriptors: Option<u64>) -> Self {
        let lines = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        let cpu = Folders::of("cpu", &lines, cgroups);
        Self {
            proc: proc.to_owned(),
            memory: Folders::of("memory", &lines, cgroups),
            unified: Folders::unified(&lines, cgroups),
            throttling: cpu.throttling(),
            cpu,
            descriptors,
        }
    }

    /// What this process may take. Reads a few small files.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            memory: self.memory.memory_limit(),
            processors: self.cpu.processors(),
            descriptors: self.descriptors,
        }
    }

    /// Open descriptors as a share of what may be open.
    fn open(&self) -> Option<f64> {
        let most = self.descriptors.filter(|most| *most > 0)?;
        let open = count(&self.proc.join("self/fd"))?;
        Some(open as f64 / most as f64)
    }

    /// Stalls for memory: of the cgroup, else of the machine, whose lack of memory is everybody's.
    fn memory_stalls(&self) -> Option<String> {
        let machine = || fs::read_to_string(self.proc.join("pressure/memory")).ok();
        self.unified.text("memory.pressure").or_else(machine)
    }
}

impl Default for SystemSignals {
    fn default() -> Self {
        Self::new()
    }
}

impl Signals for SystemSignals {
    fn read(&mut self) -> Readings {
        let memory = self.memory_stalls();
        // Never those of the machine: others may be waiting for their processors, not we.
        let cpu = self.unified.text("cpu.pressure");
        let of = |text: &Option<String>, kind| files::stalled(text.as_deref()?, kind);
        let throttled = self.throttling.iter_mut().filter_map(Throttling::read);
        Readings {
            throttled: throttled.reduce(f64::max),
            memory: self.memory.memory(),
            memory_some: of(&memory, "some"),
            memory_full: of(&memory, "full"),
            cpu_some: of(&cpu, "some"),
            cpu_full: of(&cpu, "full"),
            lag: None,
            descriptors: self.open(),
        }
    }
}

/// How many descriptors are in this folder. Linux tells it as the folder's size since 6.2; before that, and in
/// a folder that is not the kernel's, the entries are counted.
fn count(folder: &Path) -> Option<u64> {
    let kernels = statfs(folder).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
    let told = fs::metadata(folder).ok()?.len();
    if kernels && told > 0 {
        return Some(told);
    }
    u64::try_from(fs::read_dir(folder).ok()?.count()).ok()
}

#[cfg(test)]
mod tests;
