//! The shim's listening socket: where it lies and how it is taken.

use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Directory used when neither the daemon nor the environment names one.
const DEFAULT_DIR: &str = "/run/containerd/s";

/// The environment variable by which Gantry's core chooses the directory.
pub const DIR_VARIABLE: &str = "GANTRY_SHIM_SOCKET_DIR";

/// Longest usable path: `sun_path` less its closing zero (unix(7)).
const MAX_PATH: usize = 107;

/// Chooses the directory: the environment's, else the daemon's, else containerd's customary one.
pub fn directory(from_environment: Option<String>, from_daemon: Option<&str>) -> PathBuf {
    let chosen = from_environment.filter(|dir| !dir.is_empty());
    PathBuf::from(chosen.as_deref().or(from_daemon).unwrap_or(DEFAULT_DIR))
}

/// The socket's path: the same three words always give the same path, so that members of a group meet.
pub fn path(dir: &Path, address: &str, namespace: &str, group: &str) -> Result<PathBuf, String> {
    let mut hash = String::with_capacity(64);
    for byte in Sha256::digest(
        Path::new(address)
            .join(namespace)
            .join(group)
            .as_os_str()
            .as_encoded_bytes(),
    ) {
        let _ = write!(hash, "{byte:02x}");
    }
    let path = dir.join(hash);
    let length = path.as_os_str().len();
    if length > MAX_PATH {
        return Err(format!(
            "socket directory {} is too long: the socket's path has {length} bytes, the kernel allows {MAX_PATH}",
            dir.display()
        ));
    }
    Ok(path)
}

/// The outcome of [`listen`].
pub enum Listening {
    /// The socket is ours.
    New(UnixListener),
    /// A live shim of the same group answers there already.
    Shared,
}

/// Takes `path` (directory 0700, socket 0600). A socket there that nobody answers is replaced.
pub fn listen(path: &Path) -> io::Result<Listening> {
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
    }
    match bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        other => return other.map(Listening::New),
    }
    if UnixStream::connect(path).is_ok() {
        return Ok(Listening::Shared);
    }
    std::fs::remove_file(path)?;
    bind(path).map(Listening::New)
}

/// Binds with no moment at which another user could connect.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    // SAFETY: umask(2) cannot fail and touches no memory; no other thread creates files here.
    let before = unsafe { libc::umask(0o177) };
    let bound = UnixListener::bind(path);
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    let listener = bound?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_stable_and_fits() {
        let dir = Path::new("/run/containerd/s");
        let one = path(dir, "/run/c.sock", "default", "a").unwrap();
        assert_eq!(one, path(dir, "/run/c.sock", "default", "a").unwrap());
        assert_ne!(one, path(dir, "/run/c.sock", "default", "b").unwrap());
        assert!(one.as_os_str().len() <= MAX_PATH);
        // 42 characters is the longest directory containerd hands out; it must just fit.
        assert!(path(Path::new(&format!("/{}", "d".repeat(41))), "a", "n", "i").is_ok());
        assert!(
            path(Path::new(&format!("/{}", "d".repeat(50))), "a", "n", "i")
                .unwrap_err()
                .contains("107")
        );
    }

    #[test]
    fn replaces_a_dead_socket_and_shares_a_live_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/s");
        let Listening::New(first) = listen(&path).unwrap() else {
            panic!("fresh path")
        };
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(listen(&path).unwrap(), Listening::Shared));
        drop(first);
        assert!(matches!(listen(&path).unwrap(), Listening::New(_)));
    }
}
