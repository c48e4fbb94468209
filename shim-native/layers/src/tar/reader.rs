//! Entries out of a stream, with the metadata records in front of them applied.

use super::entry::{Entry, Kind, Time};
use super::header::{BLOCK, Header};
use super::pax::{Records, id};
use super::sparse::{self, PaxSparse};
use crate::error::{LayerError, Result};
use crate::input::{Stream, Summary};
use crate::limits::Limits;

/// Bytes of one metadata record (PAX header, GNU long name). Attributes are bounded by this too.
const MAX_RECORD: u64 = 4 << 20;

pub struct Reader {
    stream: Stream,
    limits: Limits,
    /// Data and padding of the current entry that nobody has read yet.
    unread: u64,
    padding: u64,
    /// Where the current entry's first header began.
    offset: u64,
    entries: u64,
}

/// What was read in front of an entry.
#[derive(Default)]
struct Preface {
    records: Records,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl Preface {
    /// What the entry is called, as far as this tells.
    fn name(&self) -> Option<&[u8]> {
        self.records.get(b"path").or(self.long_path.as_deref())
    }
}

impl Reader {
    pub fn new(stream: Stream, limits: Limits) -> Self {
        Self {
            stream,
            limits,
            unread: 0,
            padding: 0,
            offset: 0,
            entries: 0,
        }
    }

    /// Offset of the current entry's header (the first of its metadata records) in the uncompressed stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The next entry; `None` at the end of the archive. Unread data of the one before is skipped.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        self.skip_rest()?;
        self.offset = self.stream.position();
        let mut preface = Preface::default();
        let entry = self
            .headers(&mut preface)
            .map_err(|error| error.at(preface.name().unwrap_or_default(), self.offset))?;
        if entry.is_some() {
            self.entries += 1;
            if self.entries > self.limits.max_entries {
                let what = format!("more than {} entries", self.limits.max_entries);
                return Err(LayerError::limit(what).at(b"", self.offset));
            }
        }
        Ok(entry)
    }

    /// Reads the stream to its end and gives its digest.
    pub fn finish(self) -> Result<Summary> {
        self.stream.finish()
    }

    /// Hands the current entry's data, or `count` bytes of it, to `sink`.
    pub fn data(&mut self, count: u64, sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.unread -= count;
        self.stream.transfer(count, sink)
    }

    fn skip_rest(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.unread) + std::mem::take(&mut self.padding);
        self.stream
            .transfer(rest, |_| Ok(()))
            .map_err(|error| error.at(b"", self.offset))
    }

    fn headers(&mut self, preface: &mut Preface) -> Result<Option<Entry>> {
        let mut block = [0; BLOCK];
        loop {
            if !self.block(&mut block)? {
                return self.end(preface);
            }
            let Some(header) = Header::parse(&block)? else {
                return self.end(preface);
            };
            match header.kind() {
                b'x' | b'X' => {
                    let body = self.record(&header)?;
                    preface.records.parse(&body)?;
                }
                b'L' => preface.long_path = Some(zero_terminated(self.record(&header)?)),
                b'K' => preface.long_link = Some(zero_terminated(self.record(&header)?)),
                // Global records (git writes a comment) and GNU volume labels describe the archive, no file.
                b'g' | b'V' => drop(self.record(&header)?),
                _ => {
                    let name = preface.name().map_or_else(|| header.path(), <[u8]>::to_vec);
                    return self
                        .entry(&header, preface)
                        .map(Some)
                        .map_err(|error| error.at(&name, self.offset));
                }
            }
        }
    }

    /// False at the end of the stream, where an archive without its closing blocks may end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        match self.stream.read_full(block)? {
            BLOCK => Ok(true),
            0 => Ok(false),
            count => Err(LayerError::archive(format!(
                "it ends {count} bytes into a header"
            ))),
        }
    }

    fn end(&self, preface: &Preface) -> Result<Option<Entry>> {
        if !preface.records.is_empty() || preface.long_path.is_some() || preface.long_link.is_some() {
            return Err(LayerError::archive(
                "it ends after an extended header, before its entry",
            ));
        }
        Ok(None)
    }

    /// The body of a metadata record, with its padding consumed.
    fn record(&mut self, header: &Header<'_>) -> Result<Vec<u8>> {
        let size = header.size()?;
        if size > MAX_RECORD {
            return Err(LayerError::limit(format!(
                "a metadata record of {size} bytes, more than {MAX_RECORD}"
            )));
        }
        let mut body = Vec::with_capacity(size as usize);
        self.stream.transfer(size, |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        self.stream.transfer(padding(size), |_| Ok(()))?;
        Ok(body)
    }

    fn entry(&mut self, header: &Header<'_>, preface: &Preface) -> Result<Entry> {
        let mut entry = basics(header)?;
        if let Some(path) = &preface.long_path {
            entry.path.clone_from(path);
        }
        if let Some(link) = &preface.long_link {
            entry.link.clone_from(link);
        }
        preface.records.amend(&mut entry)?;
        if let Some(name) = preface
            .records
            .get(b"GNU.sparse.name")
            .filter(|name| !name.is_empty())
        {
            entry.path = name.to_vec();
        }
        entry.kind = kind(header.kind(), &entry.path)?;
        if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
            entry.device = header.device()?;
        }
        self.body(header, preface, &mut entry)
            .map_err(|error| error.at(&entry.path, self.offset))?;
        self.check(&entry)
            .map_err(|error| error.at(&entry.path, self.offset))?;
        Ok(entry)
    }

    /// Where the data is, and what of it.
    fn body(&mut self, header: &Header<'_>, preface: &Preface, entry: &mut Entry) -> Result<()> {
        // As Go's archive/tar: only files have data, whatever the header of a link or a device states.
        if entry.kind != Kind::File {
            entry.size = 0;
        }
        (self.unread, self.padding) = (entry.size, padding(entry.size));
        if header.kind() == b'S' {
            entry.sparse = Some(self.gnu_sparse(header)?);
        } else if entry.kind == Kind::File && !preface.records.is_empty() {
            entry.sparse = match sparse::from_pax(&preface.records)? {
                Some(PaxSparse::Here(sparse)) => Some(sparse),
                Some(PaxSparse::InData { size }) => Some(sparse::from_data(size, || self.data_block())?),
                None => None,
            };
        }
        entry.size = self.unread;
        entry
            .sparse
            .as_ref()
            .map_or(Ok(()), |sparse| sparse::check(sparse, entry.size))
    }

    /// Further parts of the map are in blocks between the header and the data.
    fn gnu_sparse(&mut self, header: &Header<'_>) -> Result<super::entry::Sparse> {
        let (field, mut more, size) = header.gnu_sparse()?;
        let mut extents = Vec::new();
        sparse::gnu_pairs(field, &mut extents)?;
        let mut block = [0; BLOCK];
        while more {
            if !self.block(&mut block)? {
                return Err(LayerError::archive("it ends in a sparse map"));
            }
            sparse::gnu_pairs(&block[..504], &mut extents)?;
            more = block[504] != 0;
        }
        Ok(super::entry::Sparse { extents, size })
    }

    fn data_block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        if self.unread < BLOCK as u64 {
            return Err(LayerError::archive("its data ends in the sparse map"));
        }
        self.unread -= BLOCK as u64;
        match self.stream.read_full(&mut block)? {
            BLOCK => Ok(block),
            _ => Err(LayerError::archive("it ends in a sparse map")),
        }
    }

    fn check(&self, entry: &Entry) -> Result<()> {
        let limits = &self.limits;
        for name in [&entry.path, &entry.link] {
            if name.len() as u64 > limits.max_path_bytes {
                let what = format!(
                    "a name of {} bytes, more than {}",
                    name.len(),
                    limits.max_path_bytes
                );
                return Err(LayerError::limit(what));
            }
        }
        for (name, value) in &entry.xattrs {
            if value.len() as u64 > limits.max_xattr_bytes {
                let name = String::from_utf8_lossy(name);
                let what = format!(
                    "attribute {name} of {} bytes, more than {}",
                    value.len(),
                    limits.max_xattr_bytes
                );
                return Err(LayerError::limit(what));
            }
        }
        match &entry.sparse {
            Some(sparse) if sparse.size > limits.max_total_bytes => {
                let what = format!(
                    "a sparse file of {} bytes, more than {}",
                    sparse.size, limits.max_total_bytes
                );
                Err(LayerError::limit(what))
            }
            _ => Ok(()),
        }
    }
}

fn basics(header: &Header<'_>) -> Result<Entry> {
    let number = |key: &str, value: i64| {
        u64::try_from(value)
            .map_err(|_| LayerError::archive(format!("negative {key} {value}")))
            .and_then(|v| id(key, v))
    };
    Ok(Entry {
        link: header.link(),
        mode: header.mode()?,
        uid: number("uid", header.uid()?)?,
        gid: number("gid", header.gid()?)?,
        mtime: Time {
            seconds: header.mtime()?,
            nanoseconds: 0,
        },
        size: header.size()?,
        path: header.path(),
        ..Entry::default()
    })
}

fn kind(flag: u8, path: &[u8]) -> Result<Kind> {
    Ok(match flag {
        // Before ustar a directory was a file whose name ends in a slash.
        b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            return Err(LayerError::archive(format!(
                "entry type '{}' is not supported",
                other.escape_ascii()
            )));
        }
    })
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn zero_terminated(mut text: Vec<u8>) -> Vec<u8> {
    if let Some(end) = text.iter().position(|byte| *byte == 0) {
        text.truncate(end);
    }
    text
}
