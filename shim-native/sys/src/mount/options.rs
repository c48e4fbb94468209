//! Mount options as text, told apart into what mount(2) takes as flags and what the file system takes.
//! The names are mount(8)'s; the set is the one containerd accepts.

use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::error::{Result, SysError};

/// The options of one mount, sorted by who consumes them.
#[derive(Debug, PartialEq)]
pub struct Options {
    pub flags: MountFlags,
    pub bind: bool,
    pub recursive: bool,
    pub remount: bool,
    /// Changes of propagation, each a call of its own after the mount.
    pub propagation: Vec<MountPropagationFlags>,
    /// For the file system, in the given order.
    pub data: Vec<String>,
}

impl Options {
    pub fn parse(options: &[String]) -> Result<Options> {
        let mut parsed = Options {
            flags: MountFlags::empty(),
            bind: false,
            recursive: false,
            remount: false,
            propagation: Vec::new(),
            data: Vec::new(),
        };
        for option in options {
            parsed.take(option)?;
        }
        Ok(parsed)
    }

    fn take(&mut self, option: &str) -> Result<()> {
        if let Some((flag, set)) = flag(option) {
            self.flags.set(flag, set);
        } else if let Some(propagation) = propagation(option) {
            self.propagation.push(propagation);
        } else {
            match option {
                "" | "defaults" => {}
                "bind" => self.bind = true,
                "rbind" => (self.bind, self.recursive) = (true, true),
                "remount" => self.remount = true,
                "loop" => return Err(unsupported(option)),
                _ if option.starts_with("uidmap=") || option.starts_with("gidmap=") => {
                    return Err(unsupported(option));
                }
                _ => self.data.push(option.to_owned()),
            }
        }
        Ok(())
    }
}

fn unsupported(option: &str) -> SysError {
    SysError::refused("EOPNOTSUPP", format!("mount option '{option}' is not supported"))
}

fn flag(option: &str) -> Option<(MountFlags, bool)> {
    Some(match option {
        "async" => (MountFlags::SYNCHRONOUS, false),
        "sync" => (MountFlags::SYNCHRONOUS, true),
        "atime" => (MountFlags::NOATIME, false),
        "noatime" => (MountFlags::NOATIME, true),
        "dev" => (MountFlags::NODEV, false),
        "nodev" => (MountFlags::NODEV, true),
        "diratime" => (MountFlags::NODIRATIME, false),
        "nodiratime" => (MountFlags::NODIRATIME, true),
        "dirsync" => (MountFlags::DIRSYNC, true),
        "exec" => (MountFlags::NOEXEC, false),
        "noexec" => (MountFlags::NOEXEC, true),
        "lazytime" => (MountFlags::LAZYTIME, true),
        "mand" => (MountFlags::PERMIT_MANDATORY_FILE_LOCKING, true),
        "nomand" => (MountFlags::PERMIT_MANDATORY_FILE_LOCKING, false),
        "relatime" => (MountFlags::RELATIME, true),
        "norelatime" => (MountFlags::RELATIME, false),
        "strictatime" => (MountFlags::STRICTATIME, true),
        "nostrictatime" => (MountFlags::STRICTATIME, false),
        "ro" => (MountFlags::RDONLY, true),
        "rw" => (MountFlags::RDONLY, false),
        "suid" => (MountFlags::NOSUID, false),
        "nosuid" => (MountFlags::NOSUID, true),
        _ => return None,
    })
}

fn propagation(option: &str) -> Option<MountPropagationFlags> {
    use MountPropagationFlags as P;
    Some(match option {
        "private" => P::PRIVATE,
        "rprivate" => P::PRIVATE | P::REC,
        "shared" => P::SHARED,
        "rshared" => P::SHARED | P::REC,
        "slave" => P::DOWNSTREAM,
        "rslave" => P::DOWNSTREAM | P::REC,
        "unbindable" => P::UNBINDABLE,
        "runbindable" => P::UNBINDABLE | P::REC,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<Options> {
        Options::parse(&options.iter().map(|o| o.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn sorts_flags_propagation_and_data() {
        let parsed = parse(&["rbind", "ro", "rslave", "nosuid", "suid", "size=1m"]).unwrap();
        assert!(parsed.bind && parsed.recursive);
        assert_eq!(parsed.flags, MountFlags::RDONLY);
        assert_eq!(
            parsed.propagation,
            [MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC]
        );
        assert_eq!(parsed.data, ["size=1m"]);
    }

    #[test]
    fn refuses_what_it_would_otherwise_ignore() {
        for option in ["loop", "uidmap=0:1:2"] {
            let error = parse(&[option]).unwrap_err();
            assert_eq!(error.code, "EOPNOTSUPP");
            assert!(error.what.contains(option));
        }
    }
}
