//! Where the bytes of the access log go.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

/// An open file, and how to open it again where it has a path.
#[derive(Debug)]
pub(super) struct Target {
    file: File,
    /// `None` for standard output.
    path: Option<PathBuf>,
    /// The last write stopped in the middle of a line.
    torn: bool,
}

/// The owner writes, its group reads: lines name clients.
const FILE_MODE: u32 = 0o640;

impl Target {
    pub(super) fn stdout() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self {
            file,
            path: None,
            torn: false,
        })
    }

    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        let file = open(&path)?;
        Ok(Self {
            file,
            path: Some(path),
            torn: false,
        })
    }

    #[cfg(test)]
    pub(super) fn from_file(file: File) -> Self {
        Self {
            file,
            path: None,
            torn: false,
        }
    }

    /// Writes whole lines. After a failure the next lines begin on a line of their own.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
        }
        let result = self.file.write_all(lines);
        self.torn = result.is_err();
        result
    }

    /// Opens the file again where its path leads to another one, or to none; says whether it did.
    pub(super) fn reopen_if_moved(&mut self) -> io::Result<bool> {
        let Some(path) = &self.path else {
            return Ok(false);
        };
        let opened = identity(&self.file.metadata()?);
        if std::fs::metadata(path).is_ok_and(|there| identity(&there) == opened) {
            return Ok(false);
        }
        self.file = open(path)?;
        self.torn = false;
        Ok(true)
    }
}

/// A FIFO is opened for both directions: opened for writing alone it would wait until somebody reads.
fn open(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo()) {
        return OpenOptions::new().read(true).write(true).open(path);
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .open(path)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
