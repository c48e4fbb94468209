//! The pseudo terminal: made in the container's own devpts, never in the host's.

use crate::error::{Error, Step};
use crate::mounts::options::Bind;
use crate::mounts::root_dir::RootDir;
use crate::mounts::tree::{attach, clone_at};
use rustix::fs::{OFlags, ResolveFlags, Uid, fchown, fstatfs};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;

/// Both ends of a terminal.
pub(crate) struct Console {
    pub master: OwnedFd,
    pub peer: OwnedFd,
}

fn failed(what: &'static str) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::system(Step::Terminal, what, errno)
}

/// Opens a new terminal of the devpts at `/dev/pts` inside `root`, owned by `uid`, `size` = (rows, columns).
pub(crate) fn open(root: &RootDir, size: Option<(u16, u16)>, uid: u32) -> Result<Console, Error> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = root
        .open_with(Path::new("/dev/pts/ptmx"), flags, ResolveFlags::empty())
        .map_err(failed(
            "/dev/pts/ptmx (a terminal needs a devpts mount at /dev/pts)",
        ))?;
    let magic = fstatfs(&master).map_err(failed("/dev/pts/ptmx"))?.f_type as u64;
    if magic != DEVPTS_SUPER_MAGIC {
        return Err(failed("/dev/pts/ptmx is not on a devpts")(Errno::NOTTY));
    }
    unlockpt(&master).map_err(failed("unlockpt"))?;
    // By descriptor rather than by name: no path of the image is involved.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let peer = ioctl_tiocgptpeer(&master, flags).map_err(failed("opening the peer"))?;
    if let Some((rows, columns)) = size {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).map_err(failed("console size"))?;
    }
    match fchown(&peer, Some(Uid::from_raw(uid)), None) {
        // Not mapped in the user namespace: the terminal works without.
        Ok(()) | Err(Errno::INVAL | Errno::PERM) => Ok(Console { master, peer }),
        Err(errno) => Err(failed("giving the terminal to the user")(errno)),
    }
}

/// Mounts the terminal on `/dev/console`.
pub(crate) fn mount_console(root: &RootDir, console: &Console) -> Result<(), Error> {
    let target = root.ensure_file(Path::new("/dev/console"))?;
    let tree = clone_at(console.peer.as_fd(), Bind::One).map_err(failed("/dev/console"))?;
    attach(tree.as_fd(), target.as_fd()).map_err(failed("/dev/console"))
}

/// Makes the terminal the standard streams and the controlling terminal of this session leader.
pub(crate) fn take_over(peer: &OwnedFd) -> Result<(), Error> {
    rustix::process::ioctl_tiocsctty(peer).map_err(failed("controlling terminal"))?;
    rustix::stdio::dup2_stdin(peer).map_err(failed("stdin"))?;
    rustix::stdio::dup2_stdout(peer).map_err(failed("stdout"))?;
    rustix::stdio::dup2_stderr(peer).map_err(failed("stderr"))
}
