//! Files that are replaced whole: whoever reads one sees the old or the new, never half of either. Blocks.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Who may read the file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readable {
    /// Its owner.
    ByOwner,
    /// Who may read the one that it replaces.
    AsBefore,
}

/// Puts a file with these bytes in the place of `path`: written beside it, synced, renamed over it.
///
/// # Errors
/// Where any of that fails; `path` is then as it was.
pub(super) fn replace(path: &Path, bytes: &[u8], readable: Readable) -> io::Result<()> {
    let beside = beside(path)?;
    let written =
        write(&beside, bytes, mode(path, readable)?).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        drop(fs::remove_file(&beside)); // the error that counts is the first
    }
    written?;
    sync_folder(path);
    Ok(())
}

/// A name in the same folder, so that a rename is one step; the process's own, so that two never share it.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let own = std::process::id();
    Ok(path.with_file_name(format!(".{}.{own}.new", name.display())))
}

fn mode(path: &Path, readable: Readable) -> io::Result<u32> {
    const OWNER: u32 = 0o600;
    match readable {
        Readable::ByOwner => Ok(OWNER),
        Readable::AsBefore => Ok(fs::metadata(path)?.permissions().mode() & 0o777),
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?; // whatever the umask took away
    file.write_all(bytes)?;
    file.sync_all()
}

/// The rename itself outlives a power cut. Not every file system can promise that, so that it cannot is no error.
fn sync_folder(path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    drop(File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"new", Readable::AsBefore).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_for_the_owner_is_read_by_no_one_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        replace(&path, b"{}", Readable::ByOwner).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        assert!(replace(&path, b"new", Readable::ByOwner).is_err());
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
