//! A layer made here turns the one tree into the other: unpacked by us, and by GNU tar.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gantry_layers::{Changes, Compression, Created, Format, LayerError, Marks, Packing, Time, create};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use support::{Sandbox, describe, is_root, populate, run};

fn make(changes: &Changes, compression: Compression) -> (Vec<u8>, Created) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let created = create(changes, File::create(&path).unwrap(), compression, Arc::default()).unwrap();
    (fs::read(path).unwrap(), created)
}

/// All below the root: the root itself is not part of a layer.
fn described(root: &Path) -> Vec<String> {
    describe(root)
        .into_iter()
        .filter(|line| !line.starts_with("\"\""))
        .collect()
}

#[test]
fn no_entry_is_younger_than_it_may_be() {
    let made_at = |seconds| {
        let folder = tempfile::tempdir().unwrap();
        for (name, second) in [("old", 500), ("new", seconds)] {
            let file = File::create(folder.path().join(name)).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
            file.set_modified(time).unwrap();
        }
        let changes = Changes::Between {
            lower: None,
            upper: folder.path().to_owned(),
        };
        let packing = Packing {
            compression: Compression::None,
            latest: Some(Time {
                seconds: 1000,
                nanoseconds: 0,
            }),
        };
        create(&changes, tempfile::tempfile().unwrap(), packing, Arc::default())
            .unwrap()
            .written
    };
    assert_eq!(made_at(5000), made_at(9000));
    assert_ne!(made_at(5000), made_at(999));
}

#[test]
fn a_whole_tree_comes_back_through_every_compression() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    populate(&sandbox.lower(), true);
    let changes = Changes::Between {
        lower: None,
        upper: sandbox.lower(),
    };
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let (bytes, created) = make(&changes, compression);
        assert_eq!(created.written.bytes, bytes.len() as u64);
        let target = Sandbox::new();
        let applied = target.plain(&bytes).unwrap();
        assert_eq!(applied.sha256, created.written.diff_sha256);
        assert_eq!(
            (applied.uncompressed_bytes, applied.entries),
            (created.written.uncompressed_bytes, created.entries)
        );
        assert_eq!(described(&target.root()), described(&sandbox.lower()));
        assert_eq!(
            make(&changes, compression).0,
            bytes,
            "the same tree gives the same bytes"
        );
    }
}

#[test]
fn gnu_tar_reads_it_the_same_way() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    populate(&sandbox.lower(), true);
    let (bytes, _) = make(
        &Changes::Between {
            lower: None,
            upper: sandbox.lower(),
        },
        Compression::None,
    );
    let archive = sandbox.directory.path().join("layer.tar");
    fs::write(&archive, bytes).unwrap();
    let text = |path: &Path| path.display().to_string();
    run(
        "tar",
        &[
            "--numeric-owner",
            "-xpf",
            &text(&archive),
            "-C",
            &text(&sandbox.root()),
        ],
    );
    assert_eq!(described(&sandbox.root()), described(&sandbox.lower()));
}

/// A sandbox whose `lower` was changed through an overlay mount; `look` gets the merged tree.
fn through_an_overlay(look: impl FnOnce(&Sandbox, &Path)) {
    let sandbox = Sandbox::new();
    populate(&sandbox.lower(), true);
    fs::create_dir_all(sandbox.lower().join("replaced/old")).unwrap();
    fs::create_dir_all(sandbox.lower().join("untouched/deep")).unwrap();
    fs::write(sandbox.lower().join("untouched/file"), "same").unwrap();
    let at = |name: &str| sandbox.directory.path().join(name);
    for name in ["work", "merged"] {
        fs::create_dir(at(name)).unwrap();
    }
    let text = |name: &str| at(name).display().to_string();
    let data = format!(
        "volatile,lowerdir={},upperdir={},workdir={}",
        text("lower"),
        text("root"),
        text("work")
    );
    let data = std::ffi::CString::new(data).unwrap();
    mount(
        "overlay",
        at("merged"),
        "overlay",
        MountFlags::empty(),
        data.as_c_str(),
    )
    .unwrap();
    let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        change(&at("merged"));
        look(&sandbox, &at("merged"));
    }));
    unmount(at("merged"), UnmountFlags::DETACH).unwrap();
    changed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn change(merged: &Path) {
    let at = |path: &str| merged.join(path);
    fs::remove_file(at("dir/empty")).unwrap();
    fs::remove_dir_all(at("replaced")).unwrap();
    fs::create_dir(at("replaced")).unwrap();
    fs::write(at("replaced/new"), "new").unwrap();
    fs::remove_dir_all(at("dir/sub")).unwrap();
    symlink("elsewhere", at("dir/sub")).unwrap();
    fs::write(at("dir/exact"), "changed").unwrap();
    fs::create_dir_all(at("untouched/deep/below")).unwrap();
    fs::hard_link(at("replaced/new"), at("untouched/deep/below/linked")).unwrap();
    run("chmod", &["4700", &at("suid").display().to_string()]);
    rustix::fs::setxattr(at("dir"), "trusted.note", b"x", rustix::fs::XattrFlags::empty()).unwrap();
}

/// A copy of the sandbox's lower directory with the layer applied to it.
fn applied_to_a_copy(sandbox: &Sandbox, layer: &[u8]) -> Vec<String> {
    let copy = Sandbox::new();
    let text = |path: PathBuf| path.display().to_string();
    run(
        "cp",
        &["-a", &format!("{}/.", text(sandbox.lower())), &text(copy.root())],
    );
    copy.plain(layer).unwrap();
    described(&copy.root())
}

/// Links break where an overlay copies one name of a file up and not the other; layers cannot tell that.
fn without_link_counts(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| {
            line.split(" links ")
                .map(|part| part.trim_start_matches(char::is_numeric))
                .collect()
        })
        .collect()
}

#[test]
fn an_upper_directory_becomes_the_layer_that_made_it() {
    if !is_root() {
        return;
    }
    through_an_overlay(|sandbox, merged| {
        let changes = Changes::Upper {
            directory: sandbox.root(),
            marks: Marks::Trusted,
            lowers: vec![sandbox.lower()],
        };
        let (layer, _) = make(&changes, Compression::Gzip);
        let expected = without_link_counts(&described(merged));
        assert_eq!(without_link_counts(&applied_to_a_copy(sandbox, &layer)), expected);
        // And back into an upper directory, over the same lower one.
        let again = Sandbox::new();
        fs::remove_dir(again.lower()).unwrap();
        symlink(sandbox.lower(), again.lower()).unwrap();
        again.apply(&layer, Format::Overlay(Marks::Trusted)).unwrap();
        let (second, _) = make(
            &Changes::Upper {
                directory: again.root(),
                marks: Marks::Trusted,
                lowers: vec![again.lower()],
            },
            Compression::Gzip,
        );
        assert_eq!(second, layer);
    });
}

#[test]
fn the_difference_of_two_trees_turns_one_into_the_other() {
    if !is_root() {
        return;
    }
    through_an_overlay(|sandbox, merged| {
        let changes = Changes::Between {
            lower: Some(sandbox.lower()),
            upper: merged.to_owned(),
        };
        let (layer, created) = make(&changes, Compression::Zstd);
        let expected = without_link_counts(&described(merged));
        assert_eq!(without_link_counts(&applied_to_a_copy(sandbox, &layer)), expected);
        assert!(
            created.entries < 20,
            "{} entries for a dozen changes",
            created.entries
        );
    });
}

#[test]
fn equal_trees_have_an_empty_difference() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    populate(&sandbox.lower(), true);
    let same = Changes::Between {
        lower: Some(sandbox.lower()),
        upper: sandbox.lower(),
    };
    let (bytes, created) = make(&same, Compression::None);
    assert_eq!((created.entries, bytes), (0, vec![0; 1024]));
    let text = |path: PathBuf| path.display().to_string();
    run(
        "cp",
        &[
            "-a",
            &format!("{}/.", text(sandbox.lower())),
            &text(sandbox.root()),
        ],
    );
    let copy = Changes::Between {
        lower: Some(sandbox.lower()),
        upper: sandbox.root(),
    };
    assert_eq!(make(&copy, Compression::None).1.entries, 0);
}

/// Makes `depth` directories in each other. By descriptors: no path is that long.
fn nest(root: &Path, depth: u64) {
    use rustix::fs::{Mode, OFlags, mkdirat, openat};
    let mut here = rustix::fs::open(root, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&here, "d", Mode::from_raw_mode(0o755)).unwrap();
        here = openat(&here, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
}

#[test]
fn a_tree_too_deep_to_be_unpacked_is_refused_and_a_deep_one_is_not() {
    if !is_root() {
        return;
    }
    for (depth, fits) in [(2000, true), (2100, false)] {
        let sandbox = Sandbox::new();
        nest(&sandbox.lower(), depth);
        let path = sandbox.directory.path().join("layer");
        let changes = Changes::Between {
            lower: None,
            upper: sandbox.lower(),
        };
        let outcome = create(
            &changes,
            File::create(&path).unwrap(),
            Compression::Zstd,
            Arc::default(),
        );
        match outcome {
            Ok(created) => assert!(fits && created.entries == depth),
            Err(error) => assert!(!fits && matches!(error, LayerError::Limit { .. }), "{error}"),
        }
        if fits {
            sandbox.plain(&fs::read(&path).unwrap()).unwrap();
        }
        run(
            "rm",
            &[
                "-rf",
                &sandbox.lower().display().to_string(),
                &sandbox.root().display().to_string(),
            ],
        );
    }
}

#[test]
fn what_overlayfs_keeps_in_layers_nobody_named_is_refused() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.at("moved")).unwrap();
    let (name, value) = ("trusted.overlay.redirect", b"old");
    rustix::fs::setxattr(sandbox.at("moved"), name, value, rustix::fs::XattrFlags::empty()).unwrap();
    let changes = Changes::Upper {
        directory: sandbox.root(),
        marks: Marks::Trusted,
        lowers: Vec::new(),
    };
    let file = tempfile::tempfile().unwrap();
    let message = create(&changes, file, Compression::None, Arc::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("'moved' was renamed and lies in a lower layer"),
        "{message}"
    );
}

#[test]
fn a_cancelled_job_says_so() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.at("file"), "x").unwrap();
    let changes = Changes::Between {
        lower: None,
        upper: sandbox.root(),
    };
    let cancel = Arc::new(AtomicBool::new(true));
    let outcome = create(&changes, tempfile::tempfile().unwrap(), Compression::Gzip, cancel);
    assert!(matches!(outcome, Err(LayerError::Cancelled)));
}
