//! The AppArmor profile that confines the program (`process.apparmorProfile`; Linux'
//! Documentation/admin-guide/LSM/apparmor.rst).

use crate::error::{Error, Step};
use oci_spec::runtime::Process;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// What the kernel reads here is taken at the next `execve` of the thread that wrote it.
const ATTRIBUTES: [&str; 2] = ["thread-self/attr/apparmor/exec", "thread-self/attr/exec"];
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// A profile to be confined by; it must have been loaded into the kernel.
#[derive(Debug)]
pub(super) struct Profile(String);

impl Profile {
    /// `None` where nothing shall confine. A profile on a host without AppArmor is a mistake, as the kernel
    /// would say (runc's error there is EINVAL).
    pub(super) fn new(process: &Process) -> Result<Option<Self>, Error> {
        let name = process.apparmor_profile().as_deref().unwrap_or_default();
        if ["", "unconfined"].contains(&name) {
            return Ok(None);
        }
        if !is_enabled() {
            return Err(Error::Unsupported {
                what: format!("process.apparmorProfile {name:?}"),
                why: "this host has no AppArmor: leave the profile out".to_owned(),
            });
        }
        Ok(Some(Self(name.to_owned())))
    }

    /// Called inside the container, before the privileges go. Nothing that an image put over `/proc` is written to
    /// (CVE-2019-16884): it must be procfs, and no mount inside it is crossed.
    pub(super) fn confine_from_next_exec(&self) -> Result<(), Error> {
        let failed = |errno| Error::system(Step::AppArmor, self.0.as_str(), errno);
        let file = open_attribute().map_err(failed)?;
        rustix::io::write(file, format!("exec {}", self.0).as_bytes())
            .map(drop)
            .map_err(failed)
    }
}

fn open_attribute() -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let proc = rustix::fs::openat(CWD, "/proc", flags, Mode::empty())?;
    if rustix::fs::fstatfs(&proc)?.f_type != PROC_SUPER_MAGIC {
        return Err(Errno::XDEV);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let open = |path| {
        rustix::fs::openat2(
            &proc,
            path,
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )
    };
    let [own, shared] = ATTRIBUTES;
    match open(own) {
        // Kernels before 5.1 have the one file for whichever security module is first.
        Err(Errno::NOENT) => open(shared),
        other => other,
    }
}

fn is_enabled() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}
