//! `/dev`: the default devices, those of the spec, and the customary links.

use crate::error::{Error, Step};
use crate::mounts::options::Bind;
use crate::mounts::root_dir::RootDir;
use crate::mounts::tree::{attach, clone_host};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, chownat, makedev, mknodat, statat, symlinkat, unlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// One node to make.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    path: PathBuf,
    kind: FileType,
    device: u64,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// runtime-spec, config-linux, "Default Devices": (path, major, minor).
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// (link, goal), runtime-spec, runtime-linux, "Dev symbolic links".
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Checks the spec's devices and puts the default ones that it does not mention before them.
pub(crate) fn plan(listed: &[LinuxDevice]) -> Result<Vec<Node>, Error> {
    let own: Vec<Node> = listed.iter().map(node).collect::<Result<_, _>>()?;
    let missing = DEFAULTS
        .iter()
        .filter(|(path, ..)| own.iter().all(|node| node.path != Path::new(path)));
    let default = |(path, major, minor): &(&str, u32, u32)| Node {
        path: PathBuf::from(path),
        kind: FileType::CharacterDevice,
        device: makedev(*major, *minor),
        mode: 0o666,
        uid: 0,
        gid: 0,
    };
    let mut nodes: Vec<Node> = missing.map(default).collect();
    nodes.extend(own);
    Ok(nodes)
}

fn node(device: &LinuxDevice) -> Result<Node, Error> {
    let path = device.path().clone();
    let field = || format!("linux.devices: {:?}", path.display());
    if !path.is_absolute() {
        return Err(Error::spec(field(), "must be an absolute path"));
    }
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => return Err(Error::spec(field(), "type a is not a kind of node")),
    };
    let number = |value: i64| {
        u32::try_from(value).map_err(|_| Error::spec(field(), format!("{value} is not a device number")))
    };
    Ok(Node {
        kind,
        device: makedev(number(device.major())?, number(device.minor())?),
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
        path,
    })
}

/// Makes nodes and links inside the root. With `bind`, or where mknod is not permitted, the host's node is
/// bind mounted instead. The process's umask must be 0.
pub(crate) fn make(root: &RootDir, nodes: &[Node], bind: bool) -> Result<(), Error> {
    let dev = root.ensure_dir(Path::new(DEV))?;
    for node in nodes {
        let made = match node.path.parent() {
            _ if bind => Err(Errno::PERM),
            // Most lie here: the way is not walked again for each.
            Some(parent) if parent == Path::new(DEV) => make_node(dev.as_fd(), node)?,
            _ => make_node(root.ensure_parent(&node.path)?.0.as_fd(), node)?,
        };
        match made {
            Err(Errno::PERM) => bind_node(root, node)?,
            other => other.map_err(failed(&node.path))?,
        }
    }
    make_links(&dev)
}

const DEV: &str = "/dev";

fn failed(path: &Path) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::system(Step::Device, path.display().to_string(), errno)
}

fn make_node(parent: BorrowedFd<'_>, node: &Node) -> Result<Result<(), Errno>, Error> {
    let name = node
        .path
        .file_name()
        .ok_or_else(|| failed(&node.path)(Errno::INVAL))?;
    match mknodat(
        parent,
        name,
        node.kind,
        Mode::from_raw_mode(node.mode),
        node.device,
    ) {
        Err(Errno::EXIST) => {
            let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed(&node.path))?;
            let same = FileType::from_raw_mode(stat.st_mode) == node.kind && stat.st_rdev == node.device;
            return Ok(if same { Ok(()) } else { Err(Errno::EXIST) });
        }
        Err(errno) => return Ok(Err(errno)),
        Ok(()) => {}
    }
    if (node.uid, node.gid) == (0, 0) {
        return Ok(Ok(()));
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    Ok(chownat(
        parent,
        name,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    ))
}

fn bind_node(root: &RootDir, node: &Node) -> Result<(), Error> {
    let source = clone_host(&node.path, Bind::One).map_err(failed(&node.path))?;
    let target = root.ensure_file(&node.path)?;
    attach(source.as_fd(), target.as_fd()).map_err(failed(&node.path))
}

fn make_links(dev: &OwnedFd) -> Result<(), Error> {
    for (name, goal) in LINKS {
        link(dev, name, goal)?;
    }
    if Path::new("/proc/kcore").exists() {
        link(dev, "core", "/proc/kcore")?;
    }
    // The host's ptmx would open terminals of the host's devpts.
    match unlinkat(dev, "ptmx", AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => link(dev, "ptmx", "pts/ptmx"),
        // A mount lies on it: whoever asked for that knows why.
        Err(Errno::BUSY) => Ok(()),
        Err(errno) => Err(failed(Path::new("/dev/ptmx"))(errno)),
    }
}

fn link(dev: &OwnedFd, name: &str, goal: &str) -> Result<(), Error> {
    match symlinkat(goal, dev, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(failed(&Path::new(DEV).join(name))(errno)),
    }
}
