//! Unpacks layers and prints what it took: `cargo run --release --example bench -- DIRECTORY LAYER...`
//!
//! Each layer goes to a fresh directory below DIRECTORY, which is removed again.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use gantry_layers::{Compression, Format, Input, Limits, Marks, Target, apply};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let parent = PathBuf::from(arguments.next().ok_or("usage: bench DIRECTORY LAYER...")?);
    for layer in arguments {
        let directory = parent.join(format!("bench-{}", std::process::id()));
        std::fs::create_dir(&directory)?;
        let input = Input {
            file: File::open(&layer)?,
            offset: 0,
            length: None,
            compression: Compression::Auto,
        };
        let format = Format::Overlay(Marks::Trusted);
        let target = Target {
            directory: directory.clone(),
            format,
            lowers: Vec::new(),
            sync: false,
        };
        let start = Instant::now();
        let outcome = apply(input, &target, Limits::default(), Arc::default());
        let seconds = start.elapsed().as_secs_f64();
        std::fs::remove_dir_all(&directory)?;
        let applied = outcome?;
        let megabytes = applied.uncompressed_bytes as f64 / 1e6;
        let (name, entries) = (layer.display(), applied.entries);
        println!(
            "{name}: {megabytes:.0} MB, {entries} entries, {seconds:.3} s, {:.0} MB/s",
            megabytes / seconds
        );
    }
    Ok(())
}
