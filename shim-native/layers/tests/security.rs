//! Nothing an archive holds reaches outside of its root.

mod support;

use std::fs;
use std::os::unix::fs::symlink;

use gantry_layers::LayerError;
use support::{Archive, Sandbox, is_root};

fn refused_as_unsafe(sandbox: &Sandbox, archive: Vec<u8>) -> String {
    let error = sandbox.plain(&archive).unwrap_err();
    assert!(matches!(error, LayerError::Unsafe { .. }), "{error:?}");
    sandbox.assert_outside_untouched();
    error.to_string()
}

#[test]
fn a_name_that_climbs_out_is_refused_and_named() {
    if !is_root() {
        return;
    }
    for name in [
        "../outside/new",
        "a/../../outside/new",
        "/../outside/new",
        "../outside/secret",
    ] {
        let sandbox = Sandbox::new();
        let message = refused_as_unsafe(&sandbox, Archive::default().file("ok", "1").file(name, "x").end());
        assert!(
            message.contains(name) && message.contains("at byte 1024"),
            "{message}"
        );
    }
}

#[test]
fn an_absolute_name_counts_from_the_root() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let name = format!("{}/new", sandbox.outside().display());
    sandbox
        .plain(&Archive::default().file(&name, "inside").end())
        .unwrap();
    assert_eq!(sandbox.read(name.trim_start_matches('/')), "inside");
    sandbox.assert_outside_untouched();
}

#[test]
fn links_lead_nowhere_but_inside() {
    if !is_root() {
        return;
    }
    for target in ["../outside", "../../../../../../../../../../outside", "/outside"] {
        let sandbox = Sandbox::new();
        let archive = Archive::default()
            .directory("outside", 0o755)
            .symlink("link", target);
        sandbox
            .plain(&archive.file("link/secret", "written inside").end())
            .unwrap();
        assert_eq!(sandbox.read("outside/secret"), "written inside", "{target}");
        sandbox.assert_outside_untouched();
    }
}

#[test]
fn a_dangling_link_makes_its_target_inside() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let target = sandbox.outside().display().to_string();
    sandbox
        .plain(
            &Archive::default()
                .symlink("link", &target)
                .file("link/new", "x")
                .end(),
        )
        .unwrap();
    assert_eq!(
        sandbox.read(&format!("{}/new", target.trim_start_matches('/'))),
        "x"
    );
    sandbox.assert_outside_untouched();
}

#[test]
fn links_that_were_there_before_lead_nowhere_either() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    symlink(sandbox.outside(), sandbox.at("link")).unwrap();
    symlink(sandbox.outside().join("secret"), sandbox.at("file")).unwrap();
    let archive = Archive::default()
        .file("link/secret", "x")
        .file("file", "new")
        .directory("link/d", 0o700);
    sandbox.plain(&archive.end()).unwrap();
    assert_eq!(sandbox.read("file"), "new");
    assert!(sandbox.at("file").symlink_metadata().unwrap().is_file());
    sandbox.assert_outside_untouched();
}

#[test]
fn a_directory_replaces_a_link_and_does_not_follow_it() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    symlink(sandbox.outside(), sandbox.at("link")).unwrap();
    let before = fs::metadata(sandbox.outside()).unwrap().permissions();
    sandbox
        .plain(
            &Archive::default()
                .directory("link/", 0o777)
                .file("link/x", "x")
                .end(),
        )
        .unwrap();
    assert!(sandbox.at("link").symlink_metadata().unwrap().is_dir());
    assert_eq!(fs::metadata(sandbox.outside()).unwrap().permissions(), before);
    sandbox.assert_outside_untouched();
}

#[test]
fn link_loops_end_with_an_error() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let archive = Archive::default()
        .symlink("a", "b")
        .symlink("b", "a")
        .file("a/x", "x")
        .end();
    let message = sandbox.plain(&archive).unwrap_err().to_string();
    assert!(
        message.contains("entry 'a/x'") && message.contains("symbolic links"),
        "{message}"
    );
}

#[test]
fn hard_links_reach_only_inside() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    refused_as_unsafe(
        &sandbox,
        Archive::default().hard_link("stolen", "../outside/secret").end(),
    );

    let sandbox = Sandbox::new();
    let absolute = sandbox.outside().join("secret").display().to_string();
    let error = sandbox
        .plain(&Archive::default().hard_link("stolen", &absolute).end())
        .unwrap_err();
    assert!(error.to_string().contains("not there"), "{error}");
    sandbox.assert_outside_untouched();

    let sandbox = Sandbox::new();
    let archive = Archive::default()
        .symlink("link", "../outside")
        .hard_link("stolen", "link/secret")
        .end();
    assert!(sandbox.plain(&archive).is_err());
    sandbox.assert_outside_untouched();

    // A hard link to a symbolic link is one to the link itself, and writing to its name replaces it.
    let sandbox = Sandbox::new();
    let link = sandbox.outside().join("secret").display().to_string();
    let archive = Archive::default()
        .symlink("a", &link)
        .hard_link("b", "a")
        .file("b", "mine")
        .end();
    sandbox.plain(&archive).unwrap();
    sandbox.assert_outside_untouched();
}

#[test]
fn whiteouts_remove_only_inside() {
    if !is_root() {
        return;
    }
    for name in [".wh...", ".wh..", "a/.wh...", ".wh."] {
        let sandbox = Sandbox::new();
        fs::write(sandbox.at("kept"), "").unwrap();
        refused_as_unsafe(&sandbox, Archive::default().file("a/x", "").file(name, "").end());
        assert!(sandbox.at("kept").exists());
    }
    for name in ["link/.wh.secret", "link/.wh..wh..opq", ".wh.link"] {
        let sandbox = Sandbox::new();
        symlink(sandbox.outside(), sandbox.at("link")).unwrap();
        sandbox.plain(&Archive::default().file(name, "").end()).unwrap();
        sandbox.assert_outside_untouched();
    }
}

#[test]
fn removing_a_tree_does_not_follow_links_in_it() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.at("tree/deep")).unwrap();
    symlink(sandbox.outside(), sandbox.at("tree/deep/link")).unwrap();
    sandbox
        .plain(&Archive::default().file("tree", "a file now").end())
        .unwrap();
    assert_eq!(sandbox.read("tree"), "a file now");
    sandbox.assert_outside_untouched();
}

#[test]
fn the_lower_layers_links_lead_nowhere_but_inside() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    symlink(sandbox.outside(), sandbox.lower().join("link")).unwrap();
    sandbox
        .overlay(
            &Archive::default()
                .file("link/secret", "x")
                .file("link/.wh.y", "")
                .end(),
        )
        .unwrap();
    sandbox.assert_outside_untouched();
    assert!(sandbox.lower().join("link").is_symlink());
}

#[test]
fn a_layer_cannot_set_overlayfs_own_attributes() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let records: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.kept", b"1"),
    ];
    sandbox
        .overlay(&Archive::default().pax(records).directory("d", 0o755).end())
        .unwrap();
    let mut names = [0; 256];
    let length = rustix::fs::listxattr(sandbox.at("d"), &mut names).unwrap();
    assert_eq!(&names[..length], b"trusted.kept\0");
}
