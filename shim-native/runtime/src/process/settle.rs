//! The child's way from a finished root to a process that only has to execute.

use super::{ProcessPlan, program};
use crate::error::{Error, Step, Warning};
use crate::kernel;
use rustix::fs::Mode;
use rustix::io::Errno;
use std::ffi::CString;
use std::path::Path;

/// Ready for `execve`.
pub(crate) struct Settled {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl ProcessPlan {
    /// Session, scheduling, limits, profile, working directory, user, capabilities, environment, program: everything
    /// but the seccomp filter. `warn` gets what had to be weakened.
    pub(crate) fn settle(
        &self,
        warn: &mut dyn FnMut(Warning) -> Result<(), Error>,
    ) -> Result<Settled, Error> {
        if let Some(name) = &self.keyring {
            join_keyring(name, warn)?;
        }
        self.schedule.apply()?;
        if let Some(domain) = self.personality {
            kernel::set_personality(domain)
                .map_err(|errno| Error::system(Step::Personality, format!("{domain:#x}"), errno))?;
        }
        let mut env = self.env.clone();
        if !env.iter().any(|entry| entry.starts_with("HOME=")) {
            env.push(format!("HOME={}", program::home_of(self.uid)));
        }
        for limit in &self.limits {
            if let Some(warning) = limit.apply()? {
                warn(warning)?;
            }
        }
        if let Some(profile) = &self.profile {
            profile.confine_from_next_exec()?;
        }
        // A directory that only root may enter is allowed, and so is one that only the user may.
        let entered = rustix::process::chdir(&self.cwd);
        self.become_user()?;
        self.finish_chdir(entered)?;
        rustix::process::umask(Mode::from_raw_mode(self.umask));
        let path = program::find(&self.args[0], &env)?;
        Ok(Settled {
            path: c_string(path),
            args: c_strings(&self.args),
            env: c_strings(&env),
        })
    }

    fn finish_chdir(&self, entered: Result<(), Errno>) -> Result<(), Error> {
        let failed = |errno| Error::system(Step::Cwd, self.cwd.display().to_string(), errno);
        if let Err(errno) = entered {
            if errno != Errno::ACCESS {
                return Err(failed(errno));
            }
            rustix::process::chdir(&self.cwd).map_err(failed)?;
        }
        // A directory that is not reachable from the root would be one of the host's (CVE-2024-21626).
        let here = rustix::process::getcwd(Vec::new()).map_err(failed)?;
        if Path::new(&*here.to_string_lossy()).is_absolute() {
            Ok(())
        } else {
            Err(failed(Errno::XDEV))
        }
    }
}

/// A kernel without keys has none to hide. A user whose key quota is used up still gets a container, but is
/// told that it shares the caller's keyring.
fn join_keyring(name: &CString, warn: &mut dyn FnMut(Warning) -> Result<(), Error>) -> Result<(), Error> {
    match kernel::join_session_keyring(name) {
        Ok(()) | Err(Errno::NOSYS) => Ok(()),
        Err(Errno::DQUOT) => {
            let message = "no session keyring of its own: the key quota is used up".to_owned();
            warn(Warning {
                step: Step::Keyring,
                message,
            })
        }
        Err(errno) => Err(Error::system(Step::Keyring, name.to_string_lossy(), errno)),
    }
}

impl Settled {
    /// Executes. Returns only to say why not.
    pub(crate) fn execute(&self) -> Error {
        let errno = kernel::execve(&self.path, &self.args, &self.env);
        Error::Exec {
            path: self.args[0].to_string_lossy().into_owned(),
            errno,
        }
    }
}

fn c_string(text: String) -> CString {
    // NUL bytes were refused by the plan; PATH entries come from the checked environment.
    CString::new(text).unwrap_or_default()
}

fn c_strings(texts: &[String]) -> Vec<CString> {
    texts.iter().cloned().map(c_string).collect()
}
