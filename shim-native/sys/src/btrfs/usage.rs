//! What a subvolume holds that the one it was copied from does not.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::fs;

use super::ioctl::{SubvolInfo, Time};
use super::search::{Item, Range, search};
use super::{info_of, open_directory, quota};
use crate::error::{Context, Result};
use crate::thread::promise;

const INODE_ITEM: u32 = 1;
const EXTENT_DATA: u32 = 108;
/// Objects below this are the file system's own.
const FIRST_FREE: u64 = 256;
/// Length of a `btrfs_file_extent_item` up to the data of an inline extent.
const INLINE_HEAD: usize = 21;
const INLINE: u8 = 0;
const CTIME: usize = 124;
/// Times of files come from a clock that may be that much behind the one of subvolumes.
const TICK: Duration = Duration::from_millis(10);

#[napi(object)]
pub struct SubvolumeUsage {
    pub bytes: i64,
    pub inodes: i64,
    pub by_quota: bool,
}

#[napi]
pub fn subvolume_usage(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let subvolume = open_directory(&path)?;
        // What is not written out yet is in no tree.
        fs::syncfs(&subvolume).call_on("syncfs", &path)?;
        usage(&subvolume, &path)
    })
}

fn usage(subvolume: &OwnedFd, path: &str) -> Result<SubvolumeUsage> {
    let info = info_of(subvolume, path)?;
    let mut own = Own::new(&info);
    let range = Range {
        tree: 0,
        objects: (FIRST_FREE, u64::MAX),
        types: (0, 255),
        offsets: (0, u64::MAX),
        since: own.born + 1,
    };
    search(subvolume, &range, |item| own.count(&item)).call_on("BTRFS_IOC_TREE_SEARCH_V2", path)?;
    let exclusive = quota::exclusive_bytes(subvolume, info.id).call_on("BTRFS_IOC_TREE_SEARCH_V2", path)?;
    Ok(SubvolumeUsage {
        bytes: exclusive.unwrap_or(own.bytes) as i64,
        inodes: own.inodes as i64,
        by_quota: exclusive.is_some(),
    })
}

/// Counts what is younger than the subvolume. An extent with several references counts once.
struct Own {
    /// Transaction and time in which the subvolume was made.
    born: u64,
    born_at: Duration,
    extents: HashSet<u64>,
    bytes: u64,
    /// The root directory is the subvolume's own in any case.
    inodes: u64,
}

impl Own {
    fn new(info: &SubvolInfo) -> Self {
        let Time { seconds, nanoseconds } = info.otime;
        // Making a snapshot ends a transaction, making an empty subvolume need not: there, everything is its own.
        let is_snapshot = info.parent_uuid != [0; 16];
        Own {
            born: if is_snapshot { info.otransid } else { 0 },
            born_at: Duration::new(seconds, nanoseconds).saturating_sub(TICK),
            extents: HashSet::new(),
            bytes: 0,
            inodes: 1,
        }
    }

    fn count(&mut self, item: &Item<'_>) {
        match item.kind {
            INODE_ITEM if item.object != FIRST_FREE && self.changed(item) => self.inodes += 1,
            EXTENT_DATA if item.u64(0) > self.born => self.extent(item),
            _ => {}
        }
    }

    /// btrfs_inode_item: generation, transid (the last change), …, ctime at 124. Being read changes an item too (its
    /// atime): what is old must have a young ctime to count.
    fn changed(&self, item: &Item<'_>) -> bool {
        let made = item.u64(0) > self.born;
        let ctime = Duration::new(item.u64(CTIME), item.u64(CTIME + 8) as u32);
        made || item.u64(8) > self.born && ctime >= self.born_at
    }

    /// btrfs_file_extent_item: …, type at 20, then the data itself or disk_bytenr, disk_num_bytes.
    fn extent(&mut self, item: &Item<'_>) {
        if item.data.get(20) == Some(&INLINE) {
            self.bytes += item.data.len().saturating_sub(INLINE_HEAD) as u64;
            return;
        }
        let (place, length) = (item.u64(INLINE_HEAD), item.u64(INLINE_HEAD + 8));
        // No place: a hole.
        if place != 0 && self.extents.insert(place) {
            self.bytes += length;
        }
    }
}
