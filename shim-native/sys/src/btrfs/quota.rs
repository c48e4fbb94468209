//! Quota groups: how many bytes only one subvolume holds, kept up by the file system itself.

use std::os::fd::OwnedFd;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::io::Errno;

use super::ioctl::{self, QuotaCtl};
use super::open_directory;
use super::search::{Range, search};
use crate::error::Context;
use crate::thread::promise;

const QUOTA_TREE: u64 = 8;
const STATUS: u32 = 240;
const INFO: u32 = 242;
const ON: u64 = 1;
/// A rescan runs, or the figures are known to be wrong.
const NOT_SOUND: u64 = 2 | 4;
const ENABLE: u64 = 1;

#[napi]
pub fn enable_quota(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let mut control = QuotaCtl {
            command: ENABLE,
            status: 0,
        };
        ioctl::call(&open_directory(&path)?, ioctl::QUOTA_CTL, &mut control)
            .call_on("BTRFS_IOC_QUOTA_CTL", &path)
    })
}

/// `None` where quotas are off or their figures are not to be trusted now.
pub fn exclusive_bytes(file: &OwnedFd, subvolume: u64) -> rustix::io::Result<Option<u64>> {
    let (mut sound, mut exclusive) = (false, None);
    let range = Range {
        tree: QUOTA_TREE,
        objects: (0, 0),
        types: (STATUS, INFO),
        offsets: (0, subvolume),
        since: 0,
    };
    let outcome = search(file, &range, |item| match item.kind {
        // btrfs_qgroup_status_item: version, generation, flags.
        STATUS => {
            let flags = item.u64(16);
            sound = flags & ON != 0 && flags & NOT_SOUND == 0;
        }
        // btrfs_qgroup_info_item: generation, referenced, its compressed size, exclusive.
        INFO if item.offset == subvolume => exclusive = Some(item.u64(24)),
        _ => {}
    });
    match outcome {
        Err(Errno::NOENT) => Ok(None),
        outcome => outcome.map(|()| exclusive.filter(|_| sound)),
    }
}
