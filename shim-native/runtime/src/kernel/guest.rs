//! A process that works in its maker's memory while the maker sleeps: what vfork(2) makes, on a stack of its own.

use super::check;
use rustix::io::Errno;
use std::ffi::{c_int, c_void};

/// Address space for the guest's stack, and for that of a process it forks, which goes on with a copy of it. What is
/// not touched costs nothing.
const STACK: usize = 1 << 20;
const GUARD: usize = 4096;

/// Runs `work` in a guest and returns the guest's pid once it has ended; the caller reaps it. Nothing is copied, which spares a
/// fork's page tables and the faults that follow on both sides: `work` writes into the caller's memory, and shares its
/// descriptors and its being dumpable, but has namespaces, groups and children of its own. The kernel lets it enter any
/// namespace but a time namespace (setns(2)).
///
/// The calling process must have one thread. No handler of a signal runs meanwhile.
pub(crate) fn in_guest(mut work: &mut dyn FnMut()) -> Result<i32, Errno> {
    let stack = Stack::new()?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::SIGCHLD;
    let argument = (&raw mut work).cast::<c_void>();
    let before = set_signals(u64::MAX);
    // SAFETY: the stack is mapped, writable, unused and outlives the call, which returns when the guest has ended;
    // until then `work` is the guest's alone, as this, the only thread, sleeps.
    let pid = check(unsafe { libc::clone(begin, stack.top(), flags, argument) }.into());
    set_signals(before);
    pid.map(|pid| pid as i32)
}

extern "C" fn begin(work: *mut c_void) -> c_int {
    // SAFETY: `in_guest` passes a pointer to its own `work`, and waits for this process.
    let work = unsafe { &mut *work.cast::<&mut dyn FnMut()>() };
    work();
    0
}

/// Blocks the signals of `mask` and no others; returns what was blocked before.
fn set_signals(mask: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: the kernel reads one set and writes one, both of the size given.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            size_of::<u64>(),
        )
    };
    before
}

/// Memory that ends below in a page nobody may touch.
struct Stack(*mut c_void);

impl Stack {
    fn new() -> Result<Self, Errno> {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a fresh mapping anywhere takes nothing from anybody.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                STACK,
                libc::PROT_READ | libc::PROT_WRITE,
                kind,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(super::last_errno());
        }
        let stack = Self(start);
        // SAFETY: the first page of the mapping just made.
        check(unsafe { libc::mprotect(start, GUARD, libc::PROT_NONE) }.into())?;
        Ok(stack)
    }

    /// Page aligned, as the mapping is.
    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(STACK)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and whoever ran on it has ended.
        unsafe { libc::munmap(self.0, STACK) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, WaitOptions, getpid, waitpid};

    /// In a process of its own, as the harness has threads.
    #[test]
    fn a_guest_is_a_process_that_writes_here() {
        // SAFETY: the child only makes system calls and ends by `exit_now`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let (mut seen, mut room) = (None, [0u8; 64 << 10]);
            let guest = in_guest(&mut || {
                room.fill(7);
                seen = Some(getpid());
            });
            let reaped = guest.is_ok_and(|pid| {
                seen == Pid::from_raw(pid)
                    && waitpid(seen, WaitOptions::empty()).is_ok_and(|got| got.is_some())
            });
            let blocked = set_signals(0);
            crate::kernel::exit_now(i32::from(!reaped || room[9] != 7 || blocked != 0));
        }
        let (_, status) = waitpid(Pid::from_raw(child), WaitOptions::empty())
            .unwrap()
            .unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }
}
