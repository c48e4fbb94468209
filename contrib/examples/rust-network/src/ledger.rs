//! What the plugin hands out, on disk before anybody hears of it: a file, written aside and renamed.

use crate::contracts::gantry::network::v1::{Attachment, Network};
use prost::Message;
use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

#[derive(Clone, PartialEq, Message)]
pub struct State {
    #[prost(message, repeated, tag = "1")]
    pub networks: Vec<Kept>,
    #[prost(message, repeated, tag = "2")]
    pub attachments: Vec<Attached>,
}

/// A network, as it was asked for and as it was answered.
#[derive(Clone, PartialEq, Message)]
pub struct Kept {
    #[prost(message, required, tag = "1")]
    pub asked: Network,
    #[prost(message, required, tag = "2")]
    pub made: Network,
    /// First of its 65536 addresses.
    #[prost(fixed32, tag = "3")]
    pub base: u32,
}

/// A container's place in a network: the `index`-th pair of its addresses.
#[derive(Clone, PartialEq, Message)]
pub struct Attached {
    #[prost(string, tag = "1")]
    pub network_id: String,
    #[prost(message, required, tag = "2")]
    pub name: Attachment,
    #[prost(uint32, tag = "3")]
    pub index: u32,
    #[prost(string, tag = "4")]
    pub netns_path: String,
    /// Name of the host's end; unique among all of the plugin's.
    #[prost(string, tag = "5")]
    pub host_link: String,
}

impl Attached {
    pub fn is(&self, network_id: &str, container_id: &str, interface_name: &str) -> bool {
        self.network_id == network_id
            && self.name.container_id == container_id
            && self.name.interface_name == interface_name
    }
}

/// The host's address and the container's: a network of two.
pub fn pair(base: u32, index: u32) -> (Ipv4Addr, Ipv4Addr) {
    (
        Ipv4Addr::from(base + 2 * index),
        Ipv4Addr::from(base + 2 * index + 1),
    )
}

pub struct Ledger {
    path: PathBuf,
    pub state: State,
}

impl Ledger {
    pub fn open(root: &Path) -> io::Result<Self> {
        let path = root.join("ledger");
        let state = match fs::read(&path) {
            Ok(bytes) => State::decode(&*bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, state })
    }

    /// Changes the state, on disk when it returns; an error leaves it as it was.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let mut next = self.state.clone();
        let answer = change(&mut next);
        let aside = self.path.with_extension("new");
        let mut file = fs::File::create(&aside)?;
        file.write_all(&next.encode_to_vec())?;
        file.sync_all()?;
        fs::rename(&aside, &self.path)?;
        self.state = next;
        Ok(answer)
    }
}
