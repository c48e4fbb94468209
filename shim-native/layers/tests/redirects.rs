//! Renamed directories and files without data, as overlayfs leaves them with `redirect_dir=on,metacopy=on`.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_layers::{Changes, Compression, Format, Input, Limits, Marks, Target, apply, create};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use support::{describe, is_root, run};

/// Directories `base`, `middle`, `top`, their work directories, and `merged`.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Stage(tempfile::tempdir().unwrap());
        for name in ["base", "middle", "top", "middle-work", "top-work", "merged"] {
            fs::create_dir(stage.at(name)).unwrap();
        }
        stage
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Runs `body` in an overlay with `upper` on top of `lowers`.
    fn overlaid<T>(&self, upper: &str, lowers: &[&str], body: impl FnOnce(&Path) -> T) -> T {
        let merged = self.at("merged");
        let at = |name: &str| self.at(name).display().to_string();
        let lowers = lowers.iter().map(|name| at(name)).collect::<Vec<_>>().join(":");
        let options = format!(
            "index=off,redirect_dir=on,metacopy=on,lowerdir={lowers},upperdir={},workdir={}",
            at(upper),
            at(&format!("{upper}-work"))
        );
        let options = std::ffi::CString::new(options).unwrap();
        mount(
            "overlay",
            &merged,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .unwrap();
        let result = body(&merged);
        unmount(&merged, UnmountFlags::DETACH).unwrap();
        result
    }

    fn layer(&self, upper: &str, lowers: &[&str]) -> Vec<u8> {
        let changes = Changes::Upper {
            directory: self.at(upper),
            marks: Marks::Trusted,
            lowers: lowers.iter().map(|name| self.at(name)).collect(),
        };
        let path = self.at("layer");
        create(
            &changes,
            File::create(&path).unwrap(),
            Compression::None,
            Arc::default(),
        )
        .unwrap();
        fs::read(path).unwrap()
    }

    fn unpack(&self, layer: &[u8], target: Target) {
        let path = self.at("archive");
        fs::write(&path, layer).unwrap();
        let input = Input {
            file: File::open(&path).unwrap(),
            offset: 0,
            length: None,
            compression: Compression::None,
        };
        apply(input, &target, Limits::default(), Arc::default()).unwrap();
    }

    /// A plain copy of what a directory shows.
    fn copy(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.at(name);
        run(
            "cp",
            &["-a", &from.display().to_string(), &to.display().to_string()],
        );
        to
    }
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// All below the root: the root itself is not part of a layer.
fn shown(root: &Path) -> Vec<String> {
    let all = describe(root).into_iter();
    all.filter(|line| !line.starts_with("\"\"")).collect()
}

fn build(stage: &Stage) -> (PathBuf, Vec<String>) {
    let base = stage.at("base");
    for (path, content) in [
        ("d1/f1", "one"),
        ("d1/f2", "two"),
        ("d1/sub/f3", "three"),
        ("big", "data that stays below"),
        ("bigger", "more of it"),
        ("keep/x", "x"),
        ("target/old", "old"),
        ("target/older", "older"),
    ] {
        write(&base, path, content);
    }
    let before = stage.overlaid("middle", &["base"], |merged| {
        fs::rename(merged.join("d1"), merged.join("d2")).unwrap();
        fs::remove_file(merged.join("d2/f2")).unwrap();
        write(merged, "d2/new", "new");
        chown(merged.join("bigger"), Some(7), Some(7)).unwrap();
        stage.copy(merged, "before")
    });
    let after = stage.overlaid("top", &["middle", "base"], |merged| {
        let rename = |from: &str, to: &str| fs::rename(merged.join(from), merged.join(to)).unwrap();
        rename("d2/sub", "d2/sub2");
        write(merged, "d2/sub2/inside", "a moved directory");
        fs::create_dir(merged.join("elsewhere")).unwrap();
        rename("d2/sub2", "elsewhere/sub3");
        fs::remove_dir_all(merged.join("target")).unwrap();
        rename("d2", "target");
        chown(merged.join("big"), Some(1000), Some(1000)).unwrap();
        rename("big", "keep/big2");
        chown(merged.join("bigger"), Some(8), Some(8)).unwrap();
        rename("keep", "elsewhere/kept");
        shown(merged)
    });
    (before, after)
}

#[test]
fn a_layer_of_renamed_directories_and_dataless_files_is_whole() {
    if !is_root() {
        return;
    }
    let stage = Stage::new();
    let (before, after) = build(&stage);
    let layer = stage.layer("top", &["middle", "base"]);
    stage.unpack(
        &layer,
        Target {
            directory: before.clone(),
            format: Format::Plain,
            lowers: Vec::new(),
            sync: false,
        },
    );
    assert_eq!(shown(&before), after);
}

#[test]
fn unpacking_sees_through_renamed_directories_below() {
    if !is_root() {
        return;
    }
    let stage = Stage::new();
    write(&stage.at("base"), "d1/sub/file", "x");
    chown(stage.at("base/d1/sub"), Some(5), Some(6)).unwrap();
    stage.overlaid("middle", &["base"], |merged| {
        fs::rename(merged.join("d1"), merged.join("d2")).unwrap();
    });
    let archive = support::Archive::default().file("d2/sub/added", "y").end();
    stage.unpack(
        &archive,
        Target {
            directory: stage.at("top"),
            format: Format::Overlay(Marks::Trusted),
            lowers: vec![stage.at("middle"), stage.at("base")],
            sync: false,
        },
    );
    use std::os::unix::fs::MetadataExt;
    let made = fs::metadata(stage.at("top/d2/sub")).unwrap();
    assert_eq!((made.uid(), made.gid()), (5, 6), "owner of the directory below");
    stage.overlaid("top", &["middle", "base"], |merged| {
        assert_eq!(fs::read_to_string(merged.join("d2/sub/file")).unwrap(), "x");
        assert_eq!(fs::read_to_string(merged.join("d2/sub/added")).unwrap(), "y");
    });
}
