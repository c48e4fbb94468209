//! One entry, whatever dialect it was written in.

/// Seconds since 1970 and the part of the next second; before 1970 `seconds` is negative, `nanoseconds` never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

impl Time {
    /// A decimal number of seconds; digits past the ninth are dropped.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let seconds: i64 = whole.parse().ok()?;
        let digits = format!("{fraction:0<9}");
        let nanoseconds: u32 = digits[..9].parse().ok()?;
        if whole.starts_with('-') && nanoseconds > 0 {
            return Some(Self {
                seconds: seconds.checked_sub(1)?,
                nanoseconds: 1_000_000_000 - nanoseconds,
            });
        }
        Some(Self { seconds, nanoseconds })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    File,
    Directory,
    Symlink,
    HardLink,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// A part of a sparse file that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    pub length: u64,
}

/// What a sparse file is made of, in the order of the stored data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sparse {
    pub extents: Vec<Extent>,
    /// Of the whole file, holes included.
    pub size: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Entry {
    pub kind: Kind,
    /// As written in the archive, not yet made safe.
    pub path: Vec<u8>,
    /// Target of a hard or symbolic link, as written.
    pub link: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    /// Bytes of data that follow in the archive.
    pub size: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Option<Sparse>,
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn times_before_and_after_the_epoch() {
        assert_eq!(
            Time::parse(b"1.5"),
            Some(Time {
                seconds: 1,
                nanoseconds: 500_000_000
            })
        );
        assert_eq!(
            Time::parse(b"-1.25"),
            Some(Time {
                seconds: -2,
                nanoseconds: 750_000_000
            })
        );
        assert_eq!(
            Time::parse(b"7.1234567891"),
            Some(Time {
                seconds: 7,
                nanoseconds: 123_456_789
            })
        );
        assert_eq!(
            Time::parse(b"-0.5"),
            Some(Time {
                seconds: -1,
                nanoseconds: 500_000_000
            })
        );
        assert_eq!(Time::parse(b"1.x"), None);
    }
}
