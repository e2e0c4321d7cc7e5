//! A folder that is to be written to.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// A folder in which a file can be made. Dropped before it is [kept](Self::keep), folders that were made for it are
/// removed again, where nothing came into them.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The folders that were missing, the innermost first.
    made: Vec<PathBuf>,
}

// === impl Folder ===

impl Folder {
    /// Makes the folder where it is missing, and tries whether a file can be made in it. Blocks.
    ///
    /// # Errors
    /// Where one of that fails; nothing is left behind then.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let missing = path.ancestors().take_while(|folder| !folder.exists());
        let folder = Self {
            path: path.to_path_buf(),
            made: missing.map(Path::to_path_buf).collect(),
        };
        fs::create_dir_all(path)?;
        let trial = path.join(format!(".trial.{}", std::process::id()));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&trial)?;
        fs::remove_file(&trial)?;
        Ok(folder)
    }

    /// It is used from now on.
    pub(super) fn keep(mut self) -> PathBuf {
        self.made.clear();
        std::mem::take(&mut self.path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for folder in &self.made {
            drop(fs::remove_dir(folder)); // one that is not empty stays
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_for_nothing_is_removed_and_what_is_kept_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c");
        drop(Folder::open(&path).unwrap());
        assert!(!root.path().join("a").exists());
        fs::create_dir(root.path().join("a")).unwrap();
        drop(Folder::open(&path).unwrap());
        assert_eq!(fs::read_dir(root.path().join("a")).unwrap().count(), 0);
        assert_eq!(Folder::open(&path).unwrap().keep(), path);
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "a trial stays");
        drop(Folder::open(&path).unwrap());
        assert!(path.is_dir(), "it was there before");
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_cannot_be_had_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert!(Folder::open(&file).is_err());
        assert!(Folder::open(&file.join("below")).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    }
}
