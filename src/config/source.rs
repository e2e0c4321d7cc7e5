//! Reads files: bounded, and without ever waiting for one.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

/// The largest config file, in bytes.
pub(crate) const MAX_CONFIG: u64 = 1 << 20;

/// The largest file that a config names, in bytes.
pub(crate) const MAX_NAMED: u64 = 4 << 20;

/// Why a file could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The system says no.
    Io(io::Error),
    /// It is a directory.
    Directory,
    /// It is a pipe, a socket or a device.
    NotAFile,
    /// It has more bytes than this.
    TooLarge(u64),
}

/// Reads at most `max` bytes of a regular file.
///
/// Opened without blocking, so that a pipe nobody writes to is an error and not a wait.
pub(crate) fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map(File::from)
        .map_err(|error| ReadError::of(error.into()))?;
    let facts = file.metadata().map_err(ReadError::Io)?;
    if facts.is_dir() {
        return Err(ReadError::Directory);
    }
    if !facts.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(ReadError::Io)?;
    if bytes.len() as u64 > max {
        return Err(ReadError::TooLarge(max));
    }
    Ok(bytes)
}

// === impl ReadError ===

impl ReadError {
    /// A socket cannot be opened at all.
    fn of(error: io::Error) -> Self {
        if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
            Self::NotAFile
        } else {
            Self::Io(error)
        }
    }

    /// The reason, to follow "cannot be read: ".
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            },
            Self::Directory => "it is a directory".to_owned(),
            Self::NotAFile => "it is not a regular file".to_owned(),
            Self::TooLarge(max) => format!("it is larger than {} MiB", max >> 20),
        }
    }
}
