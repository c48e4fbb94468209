//! `linux.sysctl`: only those that belong to a namespace of the container.

use crate::error::{Error, Step};
use crate::namespaces::Namespaces;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// A checked setting: path below `/proc/sys`, value.
pub(crate) type Setting = (PathBuf, String);

/// System V and POSIX IPC settings that ipc_namespaces(7) makes per namespace.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Refuses what would change the host.
pub(crate) fn plan(
    settings: Option<&HashMap<String, String>>,
    namespaces: &Namespaces,
) -> Result<Vec<Setting>, Error> {
    let mut planned = Vec::new();
    for (key, value) in settings.into_iter().flatten() {
        let key = normalise(key);
        let refuse = |reason: &str| Error::spec(format!("linux.sysctl: {key}"), reason);
        let (flag, name) = if IPC.contains(&key.as_str()) || key.starts_with("fs.mqueue.") {
            (libc::CLONE_NEWIPC, "ipc")
        } else if key.starts_with("net.") {
            (libc::CLONE_NEWNET, "network")
        } else if matches!(key.as_str(), "kernel.domainname" | "kernel.hostname") {
            (libc::CLONE_NEWUTS, "uts")
        } else {
            return Err(refuse(
                "belongs to no namespace: setting it would change the host",
            ));
        };
        if namespaces.is_host(flag) {
            return Err(refuse(&format!(
                "needs a {name} namespace of the container's own"
            )));
        }
        planned.push((PathBuf::from(path_of(&key)), value.clone()));
    }
    planned.sort();
    Ok(planned)
}

/// sysctl(8): with a slash before the first dot, slashes separate and dots belong to names.
fn normalise(key: &str) -> String {
    match (key.find('/'), key.find('.')) {
        (Some(slash), Some(dot)) if slash < dot => swap(key),
        (Some(_), None) => swap(key),
        _ => key.to_owned(),
    }
}

/// Exchanges dots and slashes: from the dotted form to a path and back.
fn swap(key: &str) -> String {
    key.chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect()
}

fn path_of(key: &str) -> String {
    swap(key)
}

/// Writes the settings through `proc`, the host's procfs: which namespace they hit is decided by the
/// writing process, and no mount of the image is involved.
pub(crate) fn apply(settings: &[Setting], proc: BorrowedFd<'_>) -> Result<(), Error> {
    for (path, value) in settings {
        let subject = || format!("{}={value}", swap(&path.display().to_string()));
        let file = PathBuf::from("sys").join(path);
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(proc, &file, flags, Mode::empty(), resolve);
        let fd = fd.map_err(|errno| Error::system(Step::Sysctl, subject(), errno))?;
        rustix::io::write(fd, value.as_bytes())
            .map_err(|errno| Error::system(Step::Sysctl, subject(), errno))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str) -> Result<Vec<Setting>, Error> {
        let namespaces = Namespaces {
            all: libc::CLONE_NEWNET,
            new: libc::CLONE_NEWNET,
            joined: Vec::new(),
        };
        plan(
            Some(&HashMap::from([(key.to_owned(), "1".to_owned())])),
            &namespaces,
        )
    }

    #[test]
    fn only_settings_of_own_namespaces_pass() {
        assert_eq!(
            check("net.ipv4.ip_forward").unwrap()[0].0,
            PathBuf::from("net/ipv4/ip_forward")
        );
        assert_eq!(
            check("net/ipv4/conf/eth0.1/x").unwrap()[0].0,
            PathBuf::from("net/ipv4/conf/eth0.1/x")
        );
        assert!(
            check("kernel.shmmax")
                .unwrap_err()
                .to_string()
                .contains("ipc namespace")
        );
        assert!(
            check("kernel.panic")
                .unwrap_err()
                .to_string()
                .contains("would change the host")
        );
    }
}
