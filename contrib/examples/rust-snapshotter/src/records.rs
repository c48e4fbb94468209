//! The snapshots by name, in one file that is written aside and renamed.
//!
//! A tree is made before its row and removed after it, so a crash leaves trees without rows: the next start sweeps them.

use crate::contracts::containerd::services::snapshots::v1::{Info, Kind};
use crate::trees::Trees;
use prost::Message;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Clone, PartialEq, Message)]
struct State {
    /// Of the last tree; a number is never used again.
    #[prost(uint64, tag = "1")]
    serial: u64,
    #[prost(map = "string, message", tag = "2")]
    rows: HashMap<String, Row>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Row {
    #[prost(uint64, tag = "1")]
    pub tree: u64,
    /// What is answered of it.
    #[prost(message, required, tag = "2")]
    pub info: Info,
}

impl Row {
    pub fn is(&self, kind: Kind) -> bool {
        self.info.kind == i32::from(kind)
    }
}

pub struct Records {
    root: PathBuf,
    pub trees: Trees,
    state: State,
}

impl Records {
    pub fn open(root: &Path) -> io::Result<Self> {
        let state = match fs::read(root.join("snapshots")) {
            Ok(bytes) => State::decode(&*bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error),
        };
        let trees = Trees::open(root)?;
        trees.sweep(|number| state.rows.values().any(|row| row.tree == number))?;
        let root = root.to_owned();
        Ok(Self { root, trees, state })
    }

    pub fn rows(&self) -> &HashMap<String, Row> {
        &self.state.rows
    }

    /// A number for a tree. Nobody needs to know it before its row is kept: a tree without row is swept.
    pub fn next_tree(&mut self) -> u64 {
        self.state.serial += 1;
        self.state.serial
    }

    /// Changes the rows, on disk when it returns; an error leaves them as they were.
    pub fn change(&mut self, change: impl FnOnce(&mut HashMap<String, Row>)) -> io::Result<()> {
        let mut next = self.state.clone();
        change(&mut next.rows);
        let aside = self.root.join("snapshots.new");
        let mut file = File::create(&aside)?;
        file.write_all(&next.encode_to_vec())?;
        file.sync_all()?;
        fs::rename(&aside, self.root.join("snapshots"))?;
        File::open(&self.root)?.sync_all()?;
        self.state = next;
        Ok(())
    }
}
