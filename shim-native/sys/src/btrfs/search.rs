//! Items of a btrfs tree, by key range and age: BTRFS_IOC_TREE_SEARCH_V2. Needs CAP_SYS_ADMIN.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::ioctl::{self, SearchHead};

const HEAD: usize = size_of::<SearchHead>();
/// Of each found item: transid, objectid, offset (u64), type, length (u32).
const ITEM_HEAD: usize = 32;
const BUFFER: usize = 64 * 1024;

/// What to look for. Bounds are inclusive and apply to the whole key (object, type, offset), as in the kernel.
pub struct Range {
    /// 0: the tree of the subvolume that the descriptor is in.
    pub tree: u64,
    pub objects: (u64, u64),
    pub types: (u32, u32),
    pub offsets: (u64, u64),
    /// Leaves not touched since that transaction are skipped. Their neighbours may be as old: look at the item itself.
    pub since: u64,
}

pub struct Item<'a> {
    pub object: u64,
    pub offset: u64,
    pub kind: u32,
    pub data: &'a [u8],
}

impl Item<'_> {
    pub fn u64(&self, at: usize) -> u64 {
        number(self.data, at)
    }
}

/// Little-endian number at `at`; 0 past the end, which no valid item leads to.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|part| part.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

fn short(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|part| part.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}

/// Calls `visit` with each item in the range, in the order of their keys. ENOENT: there is no such tree.
pub fn search(file: &OwnedFd, range: &Range, mut visit: impl FnMut(Item<'_>)) -> rustix::io::Result<()> {
    // Words, so that the head lies on the alignment it needs.
    let mut buffer = vec![0_u64; (HEAD + BUFFER) / 8];
    let mut head = SearchHead {
        tree_id: range.tree,
        min_object: range.objects.0,
        max_object: range.objects.1,
        min_offset: range.offsets.0,
        max_offset: range.offsets.1,
        min_transid: range.since,
        max_transid: u64::MAX,
        min_type: range.types.0,
        max_type: range.types.1,
        items: u32::MAX,
        unused: [0; 9],
        buffer_bytes: BUFFER as u64,
    };
    loop {
        let found = fill(file, &head, &mut buffer)?;
        if found == 0 {
            return Ok(());
        }
        let last = walk(&buffer, found, &mut visit);
        if !advance(&mut head, last) {
            return Ok(());
        }
    }
}

fn fill(file: &OwnedFd, head: &SearchHead, buffer: &mut [u64]) -> rustix::io::Result<u32> {
    let place = buffer.as_mut_ptr().cast::<SearchHead>();
    // SAFETY: the buffer is longer than a head and aligned for it; nobody else looks at it meanwhile.
    let argument = unsafe {
        place.write(*head);
        &mut *place
    };
    match ioctl::call(file, ioctl::TREE_SEARCH_V2, argument) {
        Ok(()) => Ok(argument.items),
        Err(Errno::INTR) => fill(file, head, buffer),
        Err(error) => Err(error),
    }
}

/// Answers the key of the last item: where to go on.
fn walk(buffer: &[u64], found: u32, visit: &mut impl FnMut(Item<'_>)) -> (u64, u32, u64) {
    // SAFETY: the same memory as bytes, which have no alignment.
    let all = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), size_of_val(buffer)) };
    let mut rest = &all[HEAD..];
    let mut last = (0, 0, 0);
    for _ in 0..found {
        if rest.len() < ITEM_HEAD {
            break;
        }
        let (item, after) = rest.split_at(ITEM_HEAD);
        let length = (short(item, 28) as usize).min(after.len());
        let (object, offset, kind) = (number(item, 8), number(item, 16), short(item, 24));
        let (data, after) = after.split_at(length);
        visit(Item {
            object,
            offset,
            kind,
            data,
        });
        last = (object, kind, offset);
        rest = after;
    }
    last
}

/// The next key; false when there is none.
fn advance(head: &mut SearchHead, (object, kind, offset): (u64, u32, u64)) -> bool {
    head.items = u32::MAX;
    (head.min_object, head.min_type, head.min_offset) = (object, kind, offset);
    if let Some(next) = offset.checked_add(1) {
        head.min_offset = next;
        return true;
    }
    head.min_offset = 0;
    // Types are one byte on disk.
    if kind < 255 {
        head.min_type = kind + 1;
        return true;
    }
    head.min_type = 0;
    match object.checked_add(1) {
        Some(next) => {
            head.min_object = next;
            true
        }
        None => false,
    }
}
