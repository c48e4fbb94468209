//! uid and gid maps of a user namespace (user_namespaces(7)).

use crate::error::{Error, Step};
use oci_spec::runtime::LinuxIdMapping;
use rustix::io::Errno;
use std::fmt::Write;

/// Checked maps, as the text that the kernel takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdMaps {
    uid: String,
    gid: String,
    uid_rows: Vec<Row>,
    gid_rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    container: u32,
    host: u32,
    size: u32,
}

/// user_namespaces(7): at most 340 lines since Linux 4.15.
const MAX_ROWS: usize = 340;

impl IdMaps {
    pub(crate) fn new(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<Self, Error> {
        let (uid, uid_rows) = render("uidMappings", uids)?;
        let (gid, gid_rows) = render("gidMappings", gids)?;
        Ok(Self {
            uid,
            gid,
            uid_rows,
            gid_rows,
        })
    }

    /// Writes both maps of process `pid`, which sits in a fresh user namespace.
    pub(crate) fn write(&self, pid: i32) -> Result<(), Error> {
        for (file, text) in [("uid_map", &self.uid), ("gid_map", &self.gid)] {
            std::fs::write(format!("/proc/{pid}/{file}"), text).map_err(|error| {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                Error::system(Step::UserMapping, format!("{file} {:?}", text.trim_end()), errno)
            })?;
        }
        Ok(())
    }

    /// The host's id of a container uid.
    pub(crate) fn host_uid(&self, uid: u32) -> Option<u32> {
        host_id(&self.uid_rows, uid)
    }

    /// The host's id of a container gid.
    pub(crate) fn host_gid(&self, gid: u32) -> Option<u32> {
        host_id(&self.gid_rows, gid)
    }
}

fn host_id(rows: &[Row], id: u32) -> Option<u32> {
    let row = rows
        .iter()
        .find(|row| id >= row.container && id - row.container < row.size)?;
    row.host.checked_add(id - row.container)
}

fn render(field: &str, mappings: &[LinuxIdMapping]) -> Result<(String, Vec<Row>), Error> {
    let field = format!("linux.{field}");
    if mappings.is_empty() {
        return Err(Error::spec(
            field,
            "is empty, but a new user namespace needs a mapping",
        ));
    }
    if mappings.len() > MAX_ROWS {
        return Err(Error::spec(
            field,
            format!("has {} rows, the kernel takes {MAX_ROWS}", mappings.len()),
        ));
    }
    let mut text = String::new();
    let mut rows = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        let row = Row {
            container: mapping.container_id(),
            host: mapping.host_id(),
            size: mapping.size(),
        };
        if row.size == 0 {
            return Err(Error::spec(field, "has a row of size 0"));
        }
        let _ = writeln!(text, "{} {} {}", row.container, row.host, row.size);
        rows.push(row);
    }
    Ok((text, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxIdMappingBuilder;

    fn mapping(container: u32, host: u32, size: u32) -> LinuxIdMapping {
        LinuxIdMappingBuilder::default()
            .container_id(container)
            .host_id(host)
            .size(size)
            .build()
            .unwrap()
    }

    #[test]
    fn ids_translate_by_the_row_that_holds_them() {
        let rows = [mapping(0, 100_000, 1000), mapping(1000, 5000, 1)];
        let maps = IdMaps::new(&rows, &rows).unwrap();
        assert_eq!(maps.uid, "0 100000 1000\n1000 5000 1\n");
        assert_eq!(maps.host_uid(999), Some(100_999));
        assert_eq!(maps.host_gid(1000), Some(5000));
        assert_eq!(maps.host_uid(1001), None);
    }

    #[test]
    fn empty_and_zero_sized_maps_are_refused() {
        assert!(IdMaps::new(&[], &[mapping(0, 0, 1)]).is_err());
        assert!(IdMaps::new(&[mapping(0, 0, 0)], &[mapping(0, 0, 1)]).is_err());
    }
}
