//! What a layer takes away, seen through both formats. The overlay results are judged by a real overlay mount.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use support::{Archive, Sandbox, is_root};

/// A lower layer with a bit of everything, the same for both formats.
fn populate(root: &Path) {
    fs::create_dir_all(root.join("dir/sub/deep")).unwrap();
    fs::create_dir_all(root.join("usr/lib")).unwrap();
    fs::write(root.join("file"), "lower").unwrap();
    fs::write(root.join("dir/one"), "lower").unwrap();
    fs::write(root.join("dir/two"), "lower").unwrap();
    fs::write(root.join("dir/sub/deep/three"), "lower").unwrap();
    fs::write(root.join("usr/lib/libc"), "lower").unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    std::os::unix::fs::chown(root.join("dir/sub"), Some(7), Some(8)).unwrap();
    fs::set_permissions(
        root.join("dir/sub"),
        std::os::unix::fs::PermissionsExt::from_mode(0o2751),
    )
    .unwrap();
}

/// All paths, with the contents of files.
fn listing(root: &Path) -> BTreeSet<String> {
    fn walk(root: &Path, path: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                found.insert(name);
                walk(root, &path, found);
            } else if kind.is_symlink() {
                found.insert(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else {
                found.insert(format!("{name}={}", fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(root, root, &mut found);
    found
}

/// Mounts `lower` and `root` of the sandbox as an overlay for the time of `look`.
fn merged<T>(sandbox: &Sandbox, look: impl FnOnce(&Path) -> T) -> T {
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
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(&at("merged"))));
    unmount(at("merged"), UnmountFlags::DETACH).unwrap();
    found.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Applies the layer over [`populate`] both ways and expects the same view.
fn both_show(archive: Archive, present: &[&str], absent: &[&str]) {
    if !is_root() {
        return;
    }
    let archive = archive.end();
    let plain = Sandbox::new();
    populate(&plain.root());
    plain.plain(&archive).unwrap();
    let plain = listing(&plain.root());

    let overlay = Sandbox::new();
    populate(&overlay.lower());
    overlay.overlay(&archive).unwrap();
    assert_eq!(plain, merged(&overlay, listing), "the two formats differ");

    for path in present {
        assert!(plain.contains(*path), "{path} is missing from {plain:?}");
    }
    for path in absent {
        assert!(
            !plain.iter().any(|found| found.split('=').next() == Some(path)),
            "{path} is in {plain:?}"
        );
    }
}

#[test]
fn a_whiteout_removes_a_file_or_a_tree() {
    let archive = Archive::default()
        .file(".wh.file", "")
        .file("dir/.wh.sub", "")
        .file("dir/.wh.never", "");
    both_show(
        archive,
        &["dir/one=lower"],
        &["file", "dir/sub", "dir/sub/deep/three"],
    );
}

#[test]
fn an_opaque_directory_shows_only_this_layer_wherever_the_mark_comes() {
    let before = Archive::default()
        .directory("dir", 0o755)
        .file("dir/.wh..wh..opq", "")
        .file("dir/new/x", "n");
    both_show(before, &["dir/new/x=n"], &["dir/one", "dir/sub"]);
    let after = Archive::default()
        .directory("dir", 0o755)
        .file("dir/sub/new", "n")
        .file("dir/.wh..wh..opq", "");
    both_show(after, &["dir/sub/new=n"], &["dir/one", "dir/sub/deep"]);
    let alone = Archive::default().file("dir/.wh..wh..opq", "");
    both_show(alone, &["dir"], &["dir/one", "dir/sub"]);
}

#[test]
fn a_whiteout_spares_what_its_own_layer_brings() {
    for archive in [
        Archive::default().file(".wh.file", "").file("file", "new"),
        Archive::default().file("file", "new").file(".wh.file", ""),
    ] {
        both_show(archive, &["file=new"], &[]);
    }
    for archive in [
        Archive::default()
            .file(".wh.dir", "")
            .directory("dir", 0o755)
            .file("dir/new", "n"),
        Archive::default()
            .directory("dir", 0o755)
            .file("dir/new", "n")
            .file(".wh.dir", ""),
        Archive::default().file(".wh.dir", "").file("dir/new", "n"),
    ] {
        both_show(archive, &["dir/new=n"], &["dir/one", "dir/sub"]);
    }
}

#[test]
fn an_opaque_root_hides_everything() {
    let archive = Archive::default()
        .file("dir/new", "n")
        .file(".wh..wh..opq", "")
        .file("after", "a");
    both_show(
        archive,
        &["dir/new=n", "after=a"],
        &["file", "dir/one", "usr", "lib -> usr/lib"],
    );
}

#[test]
fn whiteouts_follow_links_of_the_lower_layer() {
    both_show(
        Archive::default().file("lib/.wh.libc", ""),
        &["lib -> usr/lib"],
        &["usr/lib/libc"],
    );
    both_show(
        Archive::default().file("lib/libm", "m"),
        &["lib -> usr/lib", "usr/lib/libm=m"],
        &[],
    );
}

#[test]
fn files_replace_trees_and_trees_replace_files() {
    let archive = Archive::default()
        .file("dir", "now a file")
        .directory("file", 0o755)
        .file("file/x", "x");
    both_show(archive, &["dir=now a file", "file/x=x"], &["dir/one"]);
    let archive = Archive::default()
        .file("lib/a", "a")
        .directory("lib", 0o755)
        .file("lib/b", "b");
    both_show(
        archive,
        &["lib/b=b", "usr/lib/a=a", "usr/lib/libc=lower"],
        &["usr/lib/b", "lib/a"],
    );
}

#[test]
fn aufs_bookkeeping_is_left_out() {
    let archive = Archive::default()
        .file(".wh..wh.aufs", "")
        .file(".wh..wh.plnk/12.3", "x")
        .file("new", "n");
    both_show(archive, &["new=n"], &[".wh..wh.plnk", ".wh..wh.aufs"]);
}

#[test]
fn a_hard_link_to_a_lower_file_brings_it_up() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    populate(&sandbox.lower());
    let lower = fs::metadata(sandbox.lower().join("dir/sub")).unwrap();
    sandbox
        .overlay(&Archive::default().hard_link("linked", "dir/sub/deep/three").end())
        .unwrap();
    assert_eq!(sandbox.read("linked"), "lower");
    let inode = |path: &str| fs::metadata(sandbox.at(path)).unwrap().ino();
    assert_eq!(inode("linked"), inode("dir/sub/deep/three"));
    let upper = fs::metadata(sandbox.at("dir/sub")).unwrap();
    let shape = |m: &fs::Metadata| (m.mode(), m.uid(), m.gid(), m.mtime(), m.mtime_nsec());
    assert_eq!(shape(&upper), shape(&lower), "parents look as they did below");
    both_show(
        Archive::default()
            .symlink("dir/s", "x")
            .hard_link("t", "dir/s")
            .hard_link("u", "lib"),
        &["t -> x"],
        &[],
    );
}

#[test]
fn a_hard_link_to_something_hidden_is_refused() {
    if !is_root() {
        return;
    }
    for archive in [
        Archive::default()
            .file(".wh.file", "")
            .hard_link("linked", "file"),
        Archive::default()
            .file("dir/.wh..wh..opq", "")
            .hard_link("linked", "dir/one"),
        Archive::default()
            .file("dir/sub/.wh..wh..opq", "")
            .hard_link("linked", "dir/sub/deep/three"),
    ] {
        let sandbox = Sandbox::new();
        populate(&sandbox.lower());
        let message = sandbox.overlay(&archive.end()).unwrap_err().to_string();
        assert!(message.contains("which is not there"), "{message}");
    }
}
