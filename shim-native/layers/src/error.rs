//! What can go wrong with a layer, told so that the caller can react by kind.

use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

pub type Result<T> = std::result::Result<T, LayerError>;

#[derive(Debug, Error)]
pub enum LayerError {
    /// Not a tar archive, or one that ends too early, or a form we do not know.
    #[error("invalid archive: {what}{}", At(.at))]
    Archive { what: String, at: Option<Position> },
    /// An entry that names something outside of its root.
    #[error("unsafe archive: {what}{}", At(.at))]
    Unsafe { what: String, at: Option<Position> },
    /// One of [`crate::Limits`] was crossed.
    #[error("archive exceeds a limit: {what}{}", At(.at))]
    Limit { what: String, at: Option<Position> },
    /// Damaged or truncated compressed data, `offset` bytes into it.
    #[error("damaged {format} data at compressed byte {offset}: {what}")]
    Compression {
        format: &'static str,
        what: String,
        offset: u64,
    },
    /// The file system refused.
    #[error("{call} {}: {}{}", path.display(), std::io::Error::from(*errno), At(.at))]
    System {
        call: &'static str,
        path: PathBuf,
        errno: Errno,
        at: Option<Position>,
    },
    #[error("cancelled")]
    Cancelled,
}

/// Where in the archive: the entry, and the offset of its header in the uncompressed stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    pub entry: String,
    pub offset: u64,
}

struct At<'a>(&'a Option<Position>);

impl std::fmt::Display for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(at) if at.entry.is_empty() => write!(f, " (at byte {})", at.offset),
            Some(at) => write!(f, " (entry '{}' at byte {})", at.entry, at.offset),
            None => Ok(()),
        }
    }
}

impl LayerError {
    pub fn archive(what: impl Into<String>) -> Self {
        Self::Archive {
            what: what.into(),
            at: None,
        }
    }

    pub fn limit(what: impl Into<String>) -> Self {
        Self::Limit {
            what: what.into(),
            at: None,
        }
    }

    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Archive { at, .. } | Self::Unsafe { at, .. } | Self::Limit { at, .. } => at.as_ref(),
            Self::System { at, .. } => at.as_ref(),
            Self::Compression { .. } | Self::Cancelled => None,
        }
    }

    /// Adds the place, unless a more exact one is known already.
    pub fn at(mut self, entry: &[u8], offset: u64) -> Self {
        match &mut self {
            Self::Archive { at, .. }
            | Self::Unsafe { at, .. }
            | Self::Limit { at, .. }
            | Self::System { at, .. } => {
                at.get_or_insert_with(|| Position {
                    entry: String::from_utf8_lossy(entry).into_owned(),
                    offset,
                });
            }
            Self::Compression { .. } | Self::Cancelled => {}
        }
        self
    }
}

/// Names the system call of a failed operation and what it was done to.
pub trait Context<T> {
    fn call(self, call: &'static str, path: &[u8]) -> Result<T>;
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn call(self, call: &'static str, path: &[u8]) -> Result<T> {
        use std::os::unix::ffi::OsStrExt;
        let path = || PathBuf::from(std::ffi::OsStr::from_bytes(path));
        self.map_err(|errno| LayerError::System {
            call,
            path: path(),
            errno,
            at: None,
        })
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn call(self, call: &'static str, path: &[u8]) -> Result<T> {
        self.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
            .call(call, path)
    }
}
