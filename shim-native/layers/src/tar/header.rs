//! The 512-byte header block: POSIX ustar (IEEE Std 1003.1, pax), GNU tar's and star's variants of it, and the
//! old form before them.

use crate::error::{LayerError, Result};

pub const BLOCK: usize = 512;

/// One header block whose checksum is right.
pub struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Header<'a> {
    /// `None` for a block of zeros, which ends an archive.
    pub fn parse(block: &'a [u8; BLOCK]) -> Result<Option<Self>> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let stated = number(&block[148..156]).unwrap_or(-1);
        // Some old tars summed signed bytes.
        let outside = |at: usize| !(148..156).contains(&at);
        let fields = || block.iter().enumerate().filter(|(at, _)| outside(*at));
        let unsigned: i64 = fields().map(|(_, byte)| i64::from(*byte)).sum::<i64>() + 8 * 32;
        let signed: i64 = fields().map(|(_, byte)| i64::from(*byte as i8)).sum::<i64>() + 8 * 32;
        if stated != unsigned && stated != signed {
            return Err(LayerError::archive(format!(
                "header checksum {unsigned} is not the stated {stated}"
            )));
        }
        Ok(Some(Self(block)))
    }

    fn is_posix(&self) -> bool {
        &self.0[257..263] == b"ustar\0"
    }

    fn is_gnu(&self) -> bool {
        &self.0[257..265] == b"ustar  \0"
    }

    pub fn kind(&self) -> u8 {
        self.0[156]
    }

    pub fn path(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        // star keeps times at the end of the field.
        let prefix = if &self.0[508..512] == b"tar\0" {
            &self.0[345..476]
        } else {
            &self.0[345..500]
        };
        match text(prefix) {
            prefix if self.is_posix() && !prefix.is_empty() => [prefix, b"/", name].concat(),
            _ => name.to_vec(),
        }
    }

    pub fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    pub fn mode(&self) -> Result<u32> {
        self.field("mode", 100..108).map(|mode| mode as u32 & 0o7777)
    }

    pub fn uid(&self) -> Result<i64> {
        self.field("uid", 108..116)
    }

    pub fn gid(&self) -> Result<i64> {
        self.field("gid", 116..124)
    }

    pub fn size(&self) -> Result<u64> {
        let size = self.field("size", 124..136)?;
        u64::try_from(size).map_err(|_| LayerError::archive(format!("negative size {size}")))
    }

    pub fn mtime(&self) -> Result<i64> {
        self.field("mtime", 136..148)
    }

    /// Major and minor number. Old tars leave garbage here for anything but devices, so it is read on demand.
    pub fn device(&self) -> Result<(u32, u32)> {
        Ok((
            self.field("devmajor", 329..337)? as u32,
            self.field("devminor", 337..345)? as u32,
        ))
    }

    /// GNU sparse: the first entries of the map, whether extension blocks follow, and the expanded size.
    pub fn gnu_sparse(&self) -> Result<(&[u8], bool, u64)> {
        if !self.is_gnu() {
            return Err(LayerError::archive("a sparse entry without GNU tar's header"));
        }
        let size = self.field("realsize", 483..495)?;
        Ok((&self.0[386..482], self.0[482] != 0, size as u64))
    }

    fn field(&self, name: &str, range: std::ops::Range<usize>) -> Result<i64> {
        let bytes = &self.0[range];
        number(bytes).ok_or_else(|| {
            LayerError::archive(format!(
                "the header's {name} '{}' is no number",
                bytes.escape_ascii()
            ))
        })
    }
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits between spaces and zeros (nothing but those: 0), or GNU's base 256 with the top bit set.
pub fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        return base_256(field);
    }
    let blank = |byte: &u8| *byte == 0 || *byte == b' ';
    let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let digits = field[start..].split(blank).next()?;
    let mut value: i64 = 0;
    for digit in digits {
        if !(b'0'..=b'7').contains(digit) {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(value)
}

/// Two's complement, big-endian, in the bits below the marker.
fn base_256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value: i128 = if negative { -1 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        let byte = if at == 0 {
            if negative { byte | 0x80 } else { byte & 0x7f }
        } else {
            *byte
        };
        value = value.checked_mul(256)? | i128::from(byte);
    }
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_in_every_form() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   755 \0"), Some(0o755));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"0000rw4\0"), None);
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\0"), Some(-256));
        assert_eq!(number(&[0xbf; 12]), None, "past 64 bits");
    }
}
