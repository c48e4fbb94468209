//! Directories with numbers for names: what the snapshots hold.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Trees {
    folder: PathBuf,
}

impl Trees {
    pub fn open(root: &Path) -> io::Result<Self> {
        let folder = root.join("trees");
        fs::create_dir_all(&folder)?;
        // Containers with users of their own go through it, and nobody lists it.
        fs::set_permissions(&folder, Permissions::from_mode(0o711))?;
        Ok(Self { folder })
    }

    pub fn path(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// A tree like `parent`'s, or an empty one.
    pub fn make(&self, number: u64, parent: Option<u64>) -> io::Result<()> {
        let tree = self.path(number);
        fs::create_dir(&tree)?;
        let Some(parent) = parent else {
            return fs::set_permissions(&tree, Permissions::from_mode(0o755));
        };
        let (from, to) = (self.path(parent).join("."), tree);
        run(Command::new("cp").args(["-a", "--reflink=auto"]).args([from, to])).map(drop)
    }

    pub fn remove(&self, number: u64) -> io::Result<()> {
        match fs::remove_dir_all(self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes those that are not `kept`.
    pub fn sweep(&self, kept: impl Fn(u64) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            if let Some(number) = number.filter(|number| !kept(*number)) {
                self.remove(number)?;
            }
        }
        Ok(())
    }

    /// Bytes and inodes on disk.
    pub fn usage(&self, number: u64) -> io::Result<(i64, i64)> {
        let count = |how: &str| {
            let said = run(Command::new("du").args(["-s", how]).arg(self.path(number)))?;
            let first = said.split('\t').next().unwrap_or_default();
            first.parse().map_err(io::Error::other)
        };
        Ok((count("--block-size=1")?, count("--inodes")?))
    }
}

fn run(command: &mut Command) -> io::Result<String> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(io::Error::other(format!("{command:?}: {}: {said}", done.status)))
}
