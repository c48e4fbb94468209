//! Headers for new archives: ustar, with PAX records for what that cannot hold.

use super::entry::{Entry, Kind, Time};
use super::header::BLOCK;

/// The largest numbers seven and eleven octal digits hold.
const MAX_ID: u32 = 0o7_777_777;
const MAX_SIZE: u64 = 0o77_777_777_777;
const NAME: usize = 100;

/// The header blocks of an entry; its data (`entry.size` bytes, padded to a block) follows.
pub fn headers(entry: &Entry) -> Vec<u8> {
    let records = records(entry);
    let mut blocks = Vec::new();
    if !records.is_empty() {
        let preface = Entry {
            path: preface_name(&entry.path),
            mode: 0o644,
            size: records.len() as u64,
            ..Entry::default()
        };
        blocks.extend(block(&preface, b'x'));
        blocks.extend(&records);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    }
    blocks.extend(block(entry, flag(entry.kind)));
    blocks
}

fn flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

/// A name of its own, for readers that know no PAX and unpack the records as a file.
fn preface_name(path: &[u8]) -> Vec<u8> {
    let base = path
        .rsplit(|byte| *byte == b'/')
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    [b"PaxHeaders.0/", &base[..base.len().min(80)]].concat()
}

fn block(entry: &Entry, flag: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8], room: usize| {
        let length = bytes.len().min(room);
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    let octal = |value: u64, digits: usize| format!("{value:0digits$o}").into_bytes();
    // What does not fit is in a PAX record; the field then says 0.
    let fitting = |value: u64, largest: u64| if value > largest { 0 } else { value };
    let id = |value: u32| octal(fitting(value.into(), MAX_ID.into()), 7);
    put(0, &entry.path, NAME);
    put(100, &octal(entry.mode.into(), 7), 7);
    put(108, &id(entry.uid), 7);
    put(116, &id(entry.gid), 7);
    put(124, &octal(fitting(entry.size, MAX_SIZE), 11), 11);
    put(
        136,
        &octal(
            fitting(u64::try_from(entry.mtime.seconds).unwrap_or(0), MAX_SIZE),
            11,
        ),
        11,
    );
    put(148, b"        ", 8);
    put(156, &[flag], 1);
    put(157, &entry.link, NAME);
    put(257, b"ustar\x0000", 8);
    if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
        put(329, &id(entry.device.0), 7);
        put(337, &id(entry.device.1), 7);
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// In a fixed order, so that the same entry always gives the same bytes.
fn records(entry: &Entry) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |needed: bool, key: &[u8], value: &[u8]| {
        if needed {
            records.extend(record(key, value));
        }
    };
    add(entry.gid > MAX_ID, b"gid", entry.gid.to_string().as_bytes());
    add(entry.link.len() > NAME, b"linkpath", &entry.link);
    let whole = entry.mtime.nanoseconds == 0 && (0..=MAX_SIZE as i64).contains(&entry.mtime.seconds);
    add(!whole, b"mtime", decimal(entry.mtime).as_bytes());
    add(entry.path.len() > NAME, b"path", &entry.path);
    add(entry.size > MAX_SIZE, b"size", entry.size.to_string().as_bytes());
    add(entry.uid > MAX_ID, b"uid", entry.uid.to_string().as_bytes());
    let mut xattrs: Vec<_> = entry.xattrs.iter().collect();
    xattrs.sort();
    for (name, value) in xattrs {
        add(true, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    records
}

/// The length in front counts its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key, b"=", value, b"\n"].concat();
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

fn decimal(time: Time) -> String {
    let (mut seconds, mut nanoseconds) = (time.seconds, time.nanoseconds);
    let before = seconds < 0;
    if before && nanoseconds > 0 {
        (seconds, nanoseconds) = (seconds + 1, 1_000_000_000 - nanoseconds);
    }
    let sign = if before { "-" } else { "" };
    let text = format!("{sign}{}.{nanoseconds:09}", seconds.unsigned_abs());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_they_were_written() {
        for (seconds, nanoseconds) in [(0, 1), (5, 0), (-1, 500_000_000), (-7, 0), (-2, 999_999_999)] {
            let time = Time { seconds, nanoseconds };
            assert_eq!(
                Time::parse(decimal(time).as_bytes()),
                Some(time),
                "{}",
                decimal(time)
            );
        }
    }
}
