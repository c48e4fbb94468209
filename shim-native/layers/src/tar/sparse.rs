//! Maps of sparse files in the forms GNU tar writes: its own header, and PAX records 0.0, 0.1 and 1.0
//! (GNU tar manual, "Storing Sparse Files").

use super::entry::{Extent, Sparse};
use super::header::{BLOCK, number};
use super::pax::{Records, decimal};
use crate::error::{LayerError, Result};

/// A map larger than this is refused; a real file of that many holes would not be kept sparse.
const MAX_EXTENTS: usize = 1 << 20;

/// Pairs of 12-byte numbers, up to the first empty one.
pub fn gnu_pairs(field: &[u8], extents: &mut Vec<Extent>) -> Result<()> {
    for pair in field.chunks_exact(24) {
        if pair[0] == 0 || pair[12] == 0 {
            break;
        }
        let value = |at: usize| number(&pair[at..at + 12]).and_then(|value| u64::try_from(value).ok());
        match (value(0), value(12)) {
            (Some(offset), Some(length)) => extents.push(Extent { offset, length }),
            _ => {
                return Err(LayerError::archive(
                    "the sparse map holds something other than numbers",
                ));
            }
        }
        too_many(extents.len())?;
    }
    Ok(())
}

/// What PAX records say about sparseness.
pub enum PaxSparse {
    /// The map is in the records (0.0 and 0.1).
    Here(Sparse),
    /// The map is at the start of the data (1.0).
    InData { size: u64 },
}

pub fn from_pax(records: &Records) -> Result<Option<PaxSparse>> {
    if records.number("GNU.sparse.major")? == Some(1) && records.number("GNU.sparse.minor")? == Some(0) {
        let size = records
            .number("GNU.sparse.realsize")?
            .ok_or_else(|| missing("GNU.sparse.realsize"))?;
        return Ok(Some(PaxSparse::InData { size }));
    }
    let Some(size) = records.number("GNU.sparse.size")? else {
        return Ok(None);
    };
    let numbers: Option<Vec<u64>> = match records.get(b"GNU.sparse.map") {
        Some(b"") => Some(Vec::new()),
        Some(map) => map.split(|byte| *byte == b',').map(decimal).collect(),
        None => records
            .all(b"GNU.sparse.")
            .filter(|(key, _)| matches!(*key, b"offset" | b"numbytes"))
            .map(|(_, value)| decimal(value))
            .collect(),
    };
    let numbers =
        numbers.ok_or_else(|| LayerError::archive("the sparse map holds something other than numbers"))?;
    Ok(Some(PaxSparse::Here(Sparse {
        extents: pairs(&numbers)?,
        size,
    })))
}

/// Reads a 1.0 map from the data: a count, then that many pairs, one decimal number a line, padded to a block.
/// `block` gives the next block of the data.
pub fn from_data(size: u64, mut block: impl FnMut() -> Result<[u8; BLOCK]>) -> Result<Sparse> {
    let mut text: Vec<u8> = Vec::new();
    let mut numbers = Vec::new();
    let mut wanted = 1;
    let mut start = 0;
    while numbers.len() < wanted {
        let Some(end) = text[start..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|at| start + at)
        else {
            if text.len() - start > 32 {
                return Err(LayerError::archive(
                    "the sparse map holds something other than numbers",
                ));
            }
            text.extend_from_slice(&block()?);
            continue;
        };
        let value = decimal(&text[start..end])
            .ok_or_else(|| LayerError::archive("the sparse map holds something other than numbers"))?;
        if numbers.is_empty() {
            let extents = usize::try_from(value).unwrap_or(usize::MAX);
            too_many(extents)?;
            wanted = 1 + 2 * extents;
        }
        numbers.push(value);
        start = end + 1;
    }
    Ok(Sparse {
        extents: pairs(&numbers[1..])?,
        size,
    })
}

/// Checks that the extents are in order, inside the file, and make up the stored data.
pub fn check(sparse: &Sparse, stored: u64) -> Result<()> {
    let mut end = 0u64;
    let mut total = 0u64;
    for extent in &sparse.extents {
        let next = extent.offset.checked_add(extent.length);
        match next {
            Some(next) if extent.offset >= end && next <= sparse.size => end = next,
            _ => {
                return Err(LayerError::archive(
                    "the sparse map's extents overlap or exceed the file",
                ));
            }
        }
        total += extent.length;
    }
    if total != stored {
        let what = format!("the sparse map covers {total} bytes, but {stored} are stored");
        return Err(LayerError::archive(what));
    }
    Ok(())
}

fn pairs(numbers: &[u64]) -> Result<Vec<Extent>> {
    if !numbers.len().is_multiple_of(2) {
        return Err(LayerError::archive(
            "the sparse map has an offset without a length",
        ));
    }
    too_many(numbers.len() / 2)?;
    Ok(numbers
        .chunks_exact(2)
        .map(|pair| Extent {
            offset: pair[0],
            length: pair[1],
        })
        .collect())
}

fn too_many(count: usize) -> Result<()> {
    if count > MAX_EXTENTS {
        return Err(LayerError::limit(format!(
            "a sparse map of {count} extents, more than {MAX_EXTENTS}"
        )));
    }
    Ok(())
}

fn missing(key: &str) -> LayerError {
    LayerError::archive(format!("a sparse file without the PAX record {key}"))
}
