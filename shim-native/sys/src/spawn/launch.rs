//! posix_spawn(3), which glibc builds on clone(CLONE_VM | CLONE_VFORK): no page table is copied, so the
//! price does not depend on how much memory we have. The standard library's `Command` takes this way
//! too, but cannot close what others forgot to mark close-on-exec.

use std::ffi::{CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::error::{Result, SysError};

/// A program to start, in the forms the C library takes.
pub struct Launch {
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
    pub cwd: CString,
}

/// What a program leads, so that signals and terminals of ours do not reach it.
#[derive(Clone, Copy)]
pub enum Leads {
    Group,
    Session,
}

impl Launch {
    /// Starts it with the three descriptors as 0, 1 and 2, with default signal handling.
    pub fn start(&self, stdio: [BorrowedFd<'_>; 3], leads: Leads) -> Result<i32> {
        let actions = FileActions::new()?;
        for (target, fd) in stdio.iter().enumerate() {
            actions.duplicate(fd.as_raw_fd(), target as c_int)?;
        }
        actions.close_from(3)?;
        actions.change_directory(&self.cwd)?;
        let attributes = Attributes::new(leads)?;
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        let mut pid = 0;
        // SAFETY: every pointer is to something alive until the call returns; both lists end with a null.
        let status = unsafe {
            libc::posix_spawn(
                &mut pid,
                self.argv[0].as_ptr(),
                &raw const actions.0,
                &raw const attributes.0,
                argv.as_ptr(),
                env.as_ptr(),
            )
        };
        check("posix_spawn", status).map(|()| pid)
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    strings
        .iter()
        .map(|text| text.as_ptr().cast_mut())
        .chain([ptr::null_mut()])
        .collect()
}

/// The posix_spawn family returns the errno instead of setting it.
fn check(call: &'static str, status: c_int) -> Result<()> {
    if status == 0 {
        Ok(())
    } else {
        Err(SysError::errno(call, status))
    }
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: init fills the value; it is not read when that fails.
        check("posix_spawn", unsafe {
            libc::posix_spawn_file_actions_init(actions.as_mut_ptr())
        })?;
        // SAFETY: filled above.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn duplicate(&self, fd: c_int, target: c_int) -> Result<()> {
        // SAFETY: initialised in `new`; nobody else has the pointer.
        check("posix_spawn", unsafe {
            libc::posix_spawn_file_actions_adddup2((&raw const self.0).cast_mut(), fd, target)
        })
    }

    fn close_from(&self, first: c_int) -> Result<()> {
        // SAFETY: as in `duplicate`.
        check("posix_spawn", unsafe {
            libc::posix_spawn_file_actions_addclosefrom_np((&raw const self.0).cast_mut(), first)
        })
    }

    fn change_directory(&self, path: &CString) -> Result<()> {
        // SAFETY: as in `duplicate`; the path is copied.
        check("posix_spawn", unsafe {
            libc::posix_spawn_file_actions_addchdir_np((&raw const self.0).cast_mut(), path.as_ptr())
        })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new(leads: Leads) -> Result<Self> {
        let mut value = MaybeUninit::uninit();
        // SAFETY: init fills the value; it is not read when that fails.
        check("posix_spawn", unsafe {
            libc::posix_spawnattr_init(value.as_mut_ptr())
        })?;
        // SAFETY: filled above.
        let mut attributes = Self(unsafe { value.assume_init() });
        attributes.fresh_signals()?;
        let own = match leads {
            Leads::Group => libc::POSIX_SPAWN_SETPGROUP,
            Leads::Session => libc::POSIX_SPAWN_SETSID.into(),
        };
        let flags = own | libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        // SAFETY: initialised; a group of 0 is the child's own pid.
        unsafe {
            check(
                "posix_spawn",
                libc::posix_spawnattr_setpgroup(&mut attributes.0, 0),
            )?;
            check(
                "posix_spawn",
                libc::posix_spawnattr_setflags(&mut attributes.0, flags as _),
            )?;
        }
        Ok(attributes)
    }

    /// Node ignores SIGPIPE and may have blocked signals; a program must not inherit either.
    fn fresh_signals(&mut self) -> Result<()> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: each set is filled by sigemptyset or sigfillset before it is read.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            check(
                "posix_spawn",
                libc::posix_spawnattr_setsigmask(&mut self.0, set.as_ptr()),
            )?;
            libc::sigfillset(set.as_mut_ptr());
            check(
                "posix_spawn",
                libc::posix_spawnattr_setsigdefault(&mut self.0, set.as_ptr()),
            )
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}
