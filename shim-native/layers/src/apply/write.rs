//! Putting entries into the tree.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Applier;
use super::attributes::{Node, set_on_fd, set_on_node, timestamps};
use super::copy_up::copy_up;
use super::overlay::is_whiteout;
use super::remove::remove;
use super::tree::{Directory, open_directory};
use crate::error::{Context, LayerError, Result};
use crate::path::{clean, is_within, join, split};
use crate::tar::{Entry, Kind, Reader};

/// What was at a name before.
#[derive(PartialEq)]
enum Before {
    Nothing,
    Whiteout,
    Something,
}

/// Where an entry goes: its directory, its name there, and its real path from the root.
struct Place<'a> {
    parent: Rc<Directory>,
    name: &'a [u8],
    path: Vec<u8>,
}

impl Applier {
    pub fn entry(&mut self, entry: &Entry, reader: &mut Reader) -> Result<()> {
        if entry.path.is_empty() {
            return Err(LayerError::archive("an entry without a name"));
        }
        let path = clean(&entry.path)?;
        let (above, name) = split(&path);
        if self.whiteout(above, name)? {
            return Ok(());
        }
        if path.is_empty() {
            return self.root(entry);
        }
        let parent = self.tree.directory(above)?;
        let place = Place {
            path: join(&parent.path, name),
            parent,
            name,
        };
        match entry.kind {
            Kind::File => self.file(&place, entry, reader)?,
            Kind::Directory => self.directory(&place, entry)?,
            Kind::HardLink => self.hard_link(&place, entry)?,
            Kind::Symlink => self.symlink(&place, entry)?,
            Kind::CharDevice => self.node(&place, entry, FileType::CharacterDevice)?,
            Kind::BlockDevice => self.node(&place, entry, FileType::BlockDevice)?,
            Kind::Fifo => self.node(&place, entry, FileType::Fifo)?,
        }
        self.mark_unpacked(place.path);
        Ok(())
    }

    fn root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(LayerError::archive("the root is not a directory"));
        }
        self.skipped_xattrs += set_on_fd(self.tree.root(), entry, b"/")?;
        self.times.insert(Vec::new(), entry.mtime);
        Ok(())
    }

    fn file(&mut self, place: &Place<'_>, entry: &Entry, reader: &mut Reader) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || fs::openat(&place.parent, place.name, flags, Mode::from_raw_mode(0o600));
        let file = self.make(place, "open", open)?.0;
        match &entry.sparse {
            None => reader.data(entry.size, |piece| write_all(&file, piece, &place.path))?,
            Some(sparse) => {
                fs::ftruncate(&file, sparse.size).call("ftruncate", &place.path)?;
                for extent in &sparse.extents {
                    fs::seek(&file, fs::SeekFrom::Start(extent.offset)).call("lseek", &place.path)?;
                    reader.data(extent.length, |piece| write_all(&file, piece, &place.path))?;
                }
            }
        }
        self.skipped_xattrs += set_on_fd(&file, entry, &place.path)?;
        fs::futimens(&file, &timestamps(entry.mtime)).call("futimens", &place.path)
    }

    fn directory(&mut self, place: &Place<'_>, entry: &Entry) -> Result<()> {
        let directory = match open_directory(&place.parent, place.name) {
            // Merged: the attributes are the new ones, the contents stay.
            Ok(present) => present,
            Err(_) => self.new_directory(place)?,
        };
        self.skipped_xattrs += set_on_fd(&directory, entry, &place.path)?;
        self.times.insert(place.path.clone(), entry.mtime);
        Ok(())
    }

    fn new_directory(&mut self, place: &Place<'_>) -> Result<OwnedFd> {
        let mkdir = || fs::mkdirat(&place.parent, place.name, Mode::from_raw_mode(0o700));
        let (_, before) = self.make(place, "mkdir", mkdir)?;
        let directory = open_directory(&place.parent, place.name).call("open", &place.path)?;
        if let (Some(marks), Before::Whiteout) = (self.tree.marks, before) {
            // The layer removed what was below and put a new directory there; without the mark they would merge.
            marks.set_opaque(&directory, &place.path)?;
        }
        self.shadow_lower();
        Ok(directory)
    }

    fn symlink(&mut self, place: &Place<'_>, entry: &Entry) -> Result<()> {
        let make = || fs::symlinkat(entry.link.as_slice(), &place.parent, place.name);
        self.make(place, "symlink", make)?;
        self.shadow_lower();
        self.finish_node(place, entry, true)
    }

    fn node(&mut self, place: &Place<'_>, entry: &Entry, kind: FileType) -> Result<()> {
        let device = match kind {
            FileType::Fifo => 0,
            _ => fs::makedev(entry.device.0, entry.device.1),
        };
        let make = || {
            fs::mknodat(
                &place.parent,
                place.name,
                kind,
                Mode::from_raw_mode(0o600),
                device,
            )
        };
        self.make(place, "mknod", make)?;
        self.finish_node(place, entry, false)
    }

    fn finish_node(&mut self, place: &Place<'_>, entry: &Entry, is_link: bool) -> Result<()> {
        let node = Node {
            parent: place.parent.as_fd(),
            name: place.name,
            path: &place.path,
        };
        self.skipped_xattrs += set_on_node(&node, entry, is_link)?;
        Ok(())
    }

    /// The metadata is the target's, which has it already.
    fn hard_link(&mut self, place: &Place<'_>, entry: &Entry) -> Result<()> {
        let target = clean(&entry.link)?;
        let (above, name) = split(&target);
        let missing = || {
            let link = String::from_utf8_lossy(&entry.link).into_owned();
            LayerError::archive(format!("a hard link to '{link}', which is not there"))
        };
        let parent = self
            .tree
            .existing_directory(above)?
            .filter(|_| !name.is_empty())
            .ok_or_else(missing)?;
        let path = join(&parent.path, name);
        if path == place.path {
            return Ok(());
        }
        self.bring_up(&parent, name, &path)?.ok_or_else(missing)?;
        let link = || match fs::linkat(&parent, name, &place.parent, place.name, AtFlags::empty()) {
            // Only directories cannot be linked; EPERM says that badly.
            Err(Errno::PERM) => Err(Errno::ISDIR),
            outcome => outcome,
        };
        self.make(place, "link", link).map(drop)
    }

    /// Makes sure that the target of a hard link is in the tree itself. `None`: it does not exist.
    fn bring_up(&mut self, parent: &Directory, name: &[u8], path: &[u8]) -> Result<Option<()>> {
        match fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if self.tree.marks.is_some() && is_whiteout(&stat) => Ok(None),
            Ok(_) => Ok(Some(())),
            Err(Errno::NOENT) => match self.tree.shown_from_lower(path)? {
                Some(found) => copy_up(&found, parent, path).map(Some),
                None => Ok(None),
            },
            error => error.map(|_| None).call("stat", path),
        }
    }

    /// Runs a call that makes something new. When the name is taken, what is there is removed, and it is tried again.
    fn make<T>(
        &mut self,
        place: &Place<'_>,
        call: &'static str,
        attempt: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<(T, Before)> {
        match attempt() {
            Err(Errno::EXIST) => {
                let before = self.clear_way(&place.parent, place.name, &place.path)?;
                attempt().call(call, &place.path).map(|made| (made, before))
            }
            outcome => outcome
                .call(call, &place.path)
                .map(|made| (made, Before::Nothing)),
        }
    }

    fn clear_way(&mut self, parent: &Directory, name: &[u8], path: &[u8]) -> Result<Before> {
        let stat = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).call("stat", path)?;
        self.remove(parent, name, path)?;
        let whiteout = self.tree.marks.is_some() && is_whiteout(&stat);
        Ok(if whiteout {
            Before::Whiteout
        } else {
            Before::Something
        })
    }

    pub fn remove(&mut self, parent: &Directory, name: &[u8], path: &[u8]) -> Result<()> {
        remove(parent, name, path)?;
        self.tree.forget();
        self.times.retain(|known, _| !is_within(known, path));
        Ok(())
    }

    /// Something new hides what the layers below have there, be it a link that names were resolved through.
    fn shadow_lower(&mut self) {
        if !self.tree.lowers.is_empty() {
            self.tree.forget();
        }
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8], path: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Err(Errno::INTR) => {}
            Ok(count) => bytes = &bytes[count..],
            error => return error.map(drop).call("write", path),
        }
    }
    Ok(())
}
