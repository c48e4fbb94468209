//! The terminal of a process: its size, before and after it exists.

use super::channel::Channel;
use rustix::termios::Winsize;
use std::io;
use std::sync::{Arc, Mutex};

/// The master side, once there is one, and the size asked for before.
#[derive(Debug, Default)]
pub struct Console(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    master: Option<Arc<Channel>>,
    early: Option<Winsize>,
}

impl Console {
    /// The process got its terminal.
    pub fn connect(&self, master: Arc<Channel>) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Some(size) = state.early.take() {
            rustix::termios::tcsetwinsize(&*master, size)?;
        }
        state.master = Some(master);
        Ok(())
    }

    /// Sets the size now, or when there is a terminal. The kernel tells the foreground job (SIGWINCH).
    pub fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let mut state = self.0.lock().unwrap();
        match &state.master {
            Some(master) => rustix::termios::tcsetwinsize(&**master, size)?,
            None => state.early = Some(size),
        }
        Ok(())
    }

    /// The size asked for before there is a terminal, as (rows, columns). The process should find it so
    /// from its first instruction on.
    pub fn early_size(&self) -> Option<(u16, u16)> {
        self.0
            .lock()
            .unwrap()
            .early
            .map(|size| (size.ws_row, size.ws_col))
    }

    /// Lets go of the master.
    pub fn disconnect(&self) {
        self.0.lock().unwrap().master = None;
    }
}
