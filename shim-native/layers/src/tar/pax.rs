//! PAX extended header records (`length key=value\n`): IEEE Std 1003.1, pax, "pax Extended Header".

use super::entry::{Entry, Time};
use crate::error::{LayerError, Result};

/// libarchive writes its attributes url-encoded and in base64 under `LIBARCHIVE.xattr.`; star, GNU tar and Go raw.
const SCHILY_XATTR: &[u8] = b"SCHILY.xattr.";
const LIBARCHIVE_XATTR: &[u8] = b"LIBARCHIVE.xattr.";

/// The records that precede one entry.
#[derive(Default)]
pub struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    /// Adds those of one extended header. Later ones of the same key come to count.
    pub fn parse(&mut self, body: &[u8]) -> Result<()> {
        let mut rest = body;
        // Some writers pad the body with zeros.
        while !rest.is_empty() && rest[0] != 0 {
            let (record, after) = cut(rest).ok_or_else(|| {
                LayerError::archive(format!(
                    "malformed PAX record at byte {}",
                    body.len() - rest.len()
                ))
            })?;
            self.0.push(record);
            rest = after;
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn all<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0
            .iter()
            .filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_slice())))
    }

    pub fn get(&self, wanted: &[u8]) -> Option<&[u8]> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value.as_slice())
    }

    pub fn number(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key.as_bytes()).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        decimal(value).map(Some).ok_or_else(|| bad(key, value))
    }

    /// Replaces what the entry's header says. An empty value takes a record back.
    pub fn amend(&self, entry: &mut Entry) -> Result<()> {
        for (key, target) in [("path", &mut entry.path), ("linkpath", &mut entry.link)] {
            if let Some(value) = self.get(key.as_bytes()).filter(|value| !value.is_empty()) {
                *target = value.to_vec();
            }
        }
        if let Some(uid) = self.number("uid")? {
            entry.uid = id("uid", uid)?;
        }
        if let Some(gid) = self.number("gid")? {
            entry.gid = id("gid", gid)?;
        }
        if let Some(size) = self.number("size")? {
            entry.size = size;
        }
        if let Some(value) = self.get(b"mtime").filter(|value| !value.is_empty()) {
            entry.mtime = Time::parse(value).ok_or_else(|| bad("mtime", value))?;
        }
        self.xattrs(entry)
    }

    fn xattrs(&self, entry: &mut Entry) -> Result<()> {
        for (name, value) in self.all(LIBARCHIVE_XATTR) {
            let value = base64(value).ok_or_else(|| bad("LIBARCHIVE.xattr", value))?;
            set(&mut entry.xattrs, url_decoded(name), value);
        }
        for (name, value) in self.all(SCHILY_XATTR) {
            set(&mut entry.xattrs, name.to_vec(), value.to_vec());
        }
        Ok(())
    }
}

fn set(xattrs: &mut Vec<(Vec<u8>, Vec<u8>)>, name: Vec<u8>, value: Vec<u8>) {
    xattrs.retain(|(present, _)| *present != name);
    xattrs.push((name, value));
}

type Record = (Vec<u8>, Vec<u8>);

fn cut(rest: &[u8]) -> Option<(Record, &[u8])> {
    let space = rest.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&rest[..space])?).ok()?;
    let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record
        .iter()
        .position(|byte| *byte == b'=')
        .filter(|at| *at > 0)?;
    Some((
        (record[..equals].to_vec(), record[equals + 1..].to_vec()),
        &rest[length..],
    ))
}

pub fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// The kernel keeps 32 bits, and all ones mean "leave it as it is" to chown(2).
pub fn id(key: &str, value: u64) -> Result<u32> {
    u32::try_from(value)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| LayerError::archive(format!("{key} {value} is outside of 0..=4294967294")))
}

fn bad(key: &str, value: &[u8]) -> LayerError {
    LayerError::archive(format!(
        "PAX record {key} has the value '{}'",
        value.escape_ascii()
    ))
}

fn url_decoded(name: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for symbol in text.iter().filter(|symbol| **symbol != b'=') {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amended(pairs: &[(&str, &[u8])]) -> Result<Entry> {
        let mut records = Records::default();
        for (key, value) in pairs {
            let rest = [b" ", key.as_bytes(), b"=", *value, b"\n"].concat();
            let length = (1..)
                .find(|digits| (rest.len() + digits).to_string().len() == *digits)
                .unwrap()
                + rest.len();
            records.parse(&[length.to_string().as_bytes(), &rest].concat())?;
        }
        let mut entry = Entry::default();
        records.amend(&mut entry).map(|()| entry)
    }

    #[test]
    fn records_amend_an_entry() {
        let value = b"a=\nb\0\xffz";
        let pairs: &[(&str, &[u8])] = &[
            ("path", b"first"),
            ("path", b"a/b"),
            ("uid", b"4000000000"),
            ("mtime", b"12.00000003"),
            ("SCHILY.xattr.user.x", value),
        ];
        let entry = amended(pairs).unwrap();
        assert_eq!((entry.path.as_slice(), entry.uid), (&b"a/b"[..], 4_000_000_000));
        assert_eq!(
            entry.mtime,
            Time {
                seconds: 12,
                nanoseconds: 30
            }
        );
        assert_eq!(entry.xattrs, [(b"user.x".to_vec(), value.to_vec())]);
    }

    #[test]
    fn libarchive_attributes_are_decoded() {
        let entry = amended(&[("LIBARCHIVE.xattr.user.a%3Db", b"aGVsbG8=")]).unwrap();
        assert_eq!(entry.xattrs, [(b"user.a=b".to_vec(), b"hello".to_vec())]);
    }

    #[test]
    fn values_that_are_no_numbers_are_refused() {
        for pair in [
            ("uid", &b"-1"[..]),
            ("gid", b"4294967295"),
            ("size", b"1e3"),
            ("mtime", b"now"),
        ] {
            assert!(amended(&[pair]).is_err(), "{pair:?}");
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        for body in [
            &b"5 a=b"[..],
            b"99 a=b\n",
            b"x a=b\n",
            b"6 =ab\n",
            b"6 abcd",
            b"0 a=b\n",
        ] {
            assert!(Records::default().parse(body).is_err(), "{}", body.escape_ascii());
        }
    }
}
