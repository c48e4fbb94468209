//! Who the process is: ids, groups and capabilities.

use super::ProcessPlan;
use crate::error::{Error, Step};
use crate::kernel::{set_groups, set_res_gid, set_res_uid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, set_keep_capabilities, set_no_new_privs};

fn failed(what: String) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::system(Step::User, what, errno)
}

impl ProcessPlan {
    /// Becomes the user, keeping for the time until [`seal`](ProcessPlan::seal) the one capability that
    /// installing a filter without `no_new_privs` needs.
    pub(super) fn become_user(&self) -> Result<(), Error> {
        self.caps.limit_bounding()?;
        set_keep_capabilities(true).map_err(failed("keeping capabilities".into()))?;
        self.set_groups()?;
        set_res_gid(self.gid).map_err(failed(format!("gid {}", self.gid)))?;
        set_res_uid(self.uid).map_err(failed(format!("uid {}", self.uid)))?;
        set_keep_capabilities(false).map_err(failed("keeping capabilities".into()))?;
        self.caps.apply(self.kept_for_sealing())?;
        self.caps.raise_ambient()?;
        if self.no_new_privileges {
            set_no_new_privs(true).map_err(failed("no_new_privs".into()))?;
        }
        Ok(())
    }

    fn kept_for_sealing(&self) -> CapabilitySet {
        match self.seccomp {
            Some(_) if !self.no_new_privileges => CapabilitySet::SYS_ADMIN,
            _ => CapabilitySet::empty(),
        }
    }

    fn set_groups(&self) -> Result<(), Error> {
        match set_groups(&self.groups) {
            // Denied in this user namespace: fine only if there is nothing to give and nothing to take.
            Err(Errno::PERM) if self.groups.is_empty() && has_no_groups() => Ok(()),
            other => other.map_err(failed(format!("additional gids {:?}", self.groups))),
        }
    }

    /// The last step before `execve`: the seccomp filter, then the kept capability goes. From here on only
    /// `write`, `capset` and `execve` are called. Returns the listener's descriptor with `SCMP_ACT_NOTIFY`.
    pub(crate) fn seal(&self) -> Result<Option<i32>, Error> {
        let Some(filter) = &self.seccomp else {
            return Ok(None);
        };
        let refused = |errno| Error::system(Step::Seccomp, "installing the filter", errno);
        let listener = if filter.listener.is_some() {
            Some(crate::kernel::new_listener_seccomp(&filter.program, filter.flags).map_err(refused)?)
        } else {
            crate::kernel::install_seccomp(&filter.program, filter.flags).map_err(refused)?;
            None
        };
        if !self.kept_for_sealing().is_empty() {
            self.caps.apply(CapabilitySet::empty())?;
        }
        Ok(listener)
    }
}

fn has_no_groups() -> bool {
    rustix::process::getgroups().is_ok_and(|groups| groups.is_empty())
}
