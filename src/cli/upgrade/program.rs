//! Which program the new process runs: the one that is where this one came from.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    path::{self, Path, PathBuf},
};

/// A program and its arguments.
#[derive(Debug)]
pub(in crate::cli) struct Program {
    /// Absolute, so that a change of the working directory means nothing.
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

// === impl Program ===

impl Program {
    /// This process's own, to be asked when it begins: later its file may be another one, and that is the newer binary.
    ///
    /// # Errors
    /// Where the system does not say what this process runs.
    pub(in crate::cli) fn of_process() -> io::Result<Self> {
        let running = env::current_exe()?;
        let mut words = env::args_os();
        let called = words.next();
        let named = called.and_then(|name| name_of(&name, &running));
        Ok(Self {
            path: named.unwrap_or(running),
            arguments: words.collect(),
        })
    }
}

/// The path by which the process was called, where that is a name of what is `running`: a link that points to another
/// version later is then followed anew. Names that are looked up in `PATH` are too.
fn name_of(called: &OsStr, running: &Path) -> Option<PathBuf> {
    let is_it = |path: &PathBuf| path.canonicalize().is_ok_and(|real| real == running);
    if Path::new(called).components().count() > 1 {
        return path::absolute(called).ok().filter(is_it);
    }
    let folders = env::var_os("PATH")?;
    let mut places = env::split_paths(&folders).map(|folder| folder.join(called));
    places
        .find(is_it)
        .and_then(|path| path::absolute(path).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_what_runs_is_kept_as_a_link_and_other_names_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let real = real.canonicalize().unwrap();
        assert_eq!(name_of(link.as_os_str(), &real), Some(link));
        assert_eq!(name_of(OsStr::new("/bin/sh"), &real), None);
        assert_eq!(name_of(OsStr::new("no-such-program"), &real), None);
    }
}
