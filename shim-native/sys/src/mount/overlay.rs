//! Overlay mounts whose options do not fit the one page mount(2) copies.
//!
//! First the lower directories are named relative to their common parent, from a working directory there
//! (the kernel resolves them while it mounts). When that is still too long, each goes to the kernel by itself
//! through fsconfig(2)'s `lowerdir+`, which Linux knows since 6.7.

use std::ffi::CString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags};
use rustix::thread::UnshareFlags;

use crate::error::{Context, Result, SysError};

/// What mount(2) takes as data, the closing zero included.
const PAGE: usize = 4096;

pub fn fits(data: &[String]) -> bool {
    data.iter().map(|option| option.len() + 1).sum::<usize>() < PAGE
}

/// Mounts an overlay at `target` (absolute). Changes the working directory of the calling thread for good.
pub fn mount_long(target: &str, flags: MountFlags, data: &[String]) -> Result<()> {
    let (base, data) = shorten(data);
    if let Some(base) = base {
        // SAFETY: the caller is a thread of its own; without CLONE_FS only its working directory changes.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }.call("unshare")?;
        rustix::process::chdir(&base).call_on("chdir", &base)?;
    }
    if fits(&data) {
        let joined = CString::new(data.join(",")).map_err(|_| zero_byte())?;
        return mount::mount("overlay", target, "overlay", flags, joined.as_c_str()).call_on("mount", target);
    }
    mount_piecewise(target, flags, &data)
}

/// The common parent of all lower directories, and the options with the lower directories relative to it.
fn shorten(data: &[String]) -> (Option<String>, Vec<String>) {
    let lowers: Vec<&str> = data
        .iter()
        .filter_map(|o| o.strip_prefix("lowerdir="))
        .flat_map(split_lowers)
        .collect();
    let Some(base) = common_parent(&lowers) else {
        return (None, data.to_vec());
    };
    let cut = |lower: &str| lower[base.len()..].trim_start_matches('/').to_owned();
    let shortened = data
        .iter()
        .map(|option| match option.strip_prefix("lowerdir=") {
            Some(list) => format!(
                "lowerdir={}",
                split_lowers(list).map(cut).collect::<Vec<_>>().join(":")
            ),
            None => option.clone(),
        })
        .collect();
    (Some(base), shortened)
}

fn split_lowers(list: &str) -> impl Iterator<Item = &str> {
    list.split(':')
}

/// `None` when there is nothing to gain: relative or escaped names, or nothing but `/` in common.
fn common_parent(paths: &[&str]) -> Option<String> {
    let (first, rest) = paths.split_first()?;
    if paths
        .iter()
        .any(|path| !path.starts_with('/') || path.contains('\\'))
    {
        return None;
    }
    let mut base = Path::new(first).parent()?;
    for path in rest {
        while !Path::new(path).parent()?.starts_with(base) {
            base = base.parent()?;
        }
    }
    (base != Path::new("/")).then(|| base.to_string_lossy().into_owned())
}

fn mount_piecewise(target: &str, flags: MountFlags, data: &[String]) -> Result<()> {
    let context = mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).call_on("fsopen", "overlay")?;
    for option in data {
        configure(&context, option).map_err(|error| explain(error, &context, option))?;
    }
    if flags.contains(MountFlags::RDONLY) {
        mount::fsconfig_set_flag(&context, "ro").call("fsconfig")?;
    }
    mount::fsconfig_create(&context)
        .call("fsconfig")
        .map_err(|error| explain(error, &context, "create"))?;
    let mounted =
        mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes(flags)).call("fsmount")?;
    mount::move_mount(&mounted, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .call_on("move_mount", target)
}

fn configure(context: &OwnedFd, option: &str) -> Result<()> {
    match option.split_once('=') {
        Some(("lowerdir", list)) => split_lowers(list).try_for_each(|lower| {
            mount::fsconfig_set_string(context, "lowerdir+", lower).call_on("fsconfig", lower)
        }),
        Some((key, value)) => mount::fsconfig_set_string(context, key, value).call("fsconfig"),
        None => mount::fsconfig_set_flag(context, option).call("fsconfig"),
    }
}

/// Adds what the kernel wrote into the context's log, which says more than EINVAL.
fn explain(mut error: SysError, context: &OwnedFd, option: &str) -> SysError {
    let mut line = [0; 1024];
    let length = context
        .try_clone()
        .map(std::fs::File::from)
        .and_then(|mut log| log.read(&mut line))
        .unwrap_or(0);
    let kernel = String::from_utf8_lossy(&line[..length]);
    let key = option.split('=').next().unwrap_or(option);
    error.what += &format!(
        "; the overlay's options exceed one page, and its '{key}' was refused ({}); Linux 6.7 is needed",
        kernel.trim_end()
    );
    error
}

fn attributes(flags: MountFlags) -> MountAttrFlags {
    let pairs = [
        (MountFlags::RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (MountFlags::NOSUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (MountFlags::NODEV, MountAttrFlags::MOUNT_ATTR_NODEV),
        (MountFlags::NOEXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
        (MountFlags::NOATIME, MountAttrFlags::MOUNT_ATTR_NOATIME),
        (MountFlags::NODIRATIME, MountAttrFlags::MOUNT_ATTR_NODIRATIME),
    ];
    pairs
        .iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, attribute)| *attribute)
        .collect()
}

fn zero_byte() -> SysError {
    SysError::refused("EINVAL", "a mount option contains a zero byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_directories_become_relative_to_their_common_parent() {
        let data = [
            "index=off",
            "lowerdir=/a/b/1/fs:/a/b/2/fs:/a/b/30/fs",
            "upperdir=/u",
        ]
        .map(String::from);
        let (base, shortened) = shorten(&data);
        assert_eq!(base.as_deref(), Some("/a/b"));
        assert_eq!(
            shortened,
            ["index=off", "lowerdir=1/fs:2/fs:30/fs", "upperdir=/u"]
        );
    }

    #[test]
    fn one_lower_directory_has_its_parent_as_base() {
        let (base, shortened) = shorten(&["lowerdir=/a/b".to_owned()]);
        assert_eq!(
            (base.as_deref(), shortened[0].as_str()),
            (Some("/a"), "lowerdir=b")
        );
    }

    #[test]
    fn nothing_in_common_or_escaped_names_stay_as_they_are() {
        for list in ["lowerdir=/a:/b", "lowerdir=/x/a\\:b:/x/c", "lowerdir=x/a:x/b"] {
            assert_eq!(shorten(&[list.to_owned()]), (None, vec![list.to_owned()]));
        }
    }
}
