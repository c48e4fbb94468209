//! Finding the program and the user's home inside the container's root.

use crate::error::Error;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io::Read;

/// The path to execute. A name without a slash is looked up in the process's own `PATH`, as the process's
/// user sees it.
pub(super) fn find(name: &str, env: &[String]) -> Result<String, Error> {
    let failed = |errno| Error::Exec {
        path: name.to_owned(),
        errno,
    };
    if name.contains('/') {
        return executable(name).map(|()| name.to_owned()).map_err(failed);
    }
    let path = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    let mut reason = Errno::NOENT;
    for directory in path.split(':').filter(|directory| directory.starts_with('/')) {
        let candidate = format!("{}/{name}", directory.trim_end_matches('/'));
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::ACCESS) => reason = Errno::ACCESS,
            Err(_) => {}
        }
    }
    Err(failed(reason))
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn executable(path: &str) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// Longest `/etc/passwd` that is read.
const PASSWD_LIMIT: u64 = 1 << 20;

/// Home directory of `uid` by the image's `/etc/passwd`; `/` if it does not say.
pub(super) fn home_of(uid: u32) -> String {
    passwd()
        .and_then(|text| home_in(&text, uid))
        .unwrap_or_else(|| "/".to_owned())
}

/// The image's file may be anything: a fifo or a device must not block or feed us for ever.
fn passwd() -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, "/etc/passwd", flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&fd).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::from(fd)
        .take(PASSWD_LIMIT)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn home_in(text: &str, uid: u32) -> Option<String> {
    let home = |line: &str| {
        let mut fields = line.split(':');
        let matches = fields.nth(2)?.parse() == Ok(uid);
        fields
            .nth(2)
            .filter(|home| matches && !home.is_empty())
            .map(str::to_owned)
    };
    text.lines().find_map(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_come_from_the_sixth_field() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:33::/var/www:\n";
        assert_eq!(home_in(text, 33).as_deref(), Some("/var/www"));
        assert_eq!(home_in(text, 0).as_deref(), Some("/root"));
        assert_eq!(home_in(text, 1), None);
    }

    #[test]
    fn lookup_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data"), "x").unwrap();
        let env = [format!("PATH=relative:{}", dir.path().display())];
        let text = |name: &str| find(name, &env).unwrap_err().to_string();
        assert_eq!(
            text("nothing"),
            "exec: \"nothing\": executable file not found in $PATH"
        );
        assert_eq!(text("data"), "exec: \"data\": permission denied");
        assert_eq!(text("/nothing"), "exec: \"/nothing\": no such file or directory");
        assert_eq!(text("/tmp"), "exec: \"/tmp\": is a directory");
        assert_eq!(find("sh", &["PATH=/bin".to_owned()]).unwrap(), "/bin/sh");
    }
}
