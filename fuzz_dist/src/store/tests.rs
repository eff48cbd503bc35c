//! Folders do not collide, names are harmless, refusals are explained.

use super::*;

/// A folder that is removed at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("fuzz_dist-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn runs_in_the_same_second_get_different_folders() {
    let scratch = Scratch::new("same-second");
    let stores: Vec<Store> =
        (0..20).map(|_| Store::create(&scratch.0, "adds::ring", UNIX_EPOCH).unwrap()).collect();
    let dirs: std::collections::BTreeSet<_> = stores.iter().map(Store::dir).collect();
    assert_eq!(dirs.len(), 20);
    assert_eq!(Store::latest(&scratch.0, "adds::ring").unwrap(), stores[19]);
    let latest = fs::read_to_string(scratch.0.join("adds-ring/latest")).unwrap();
    assert_eq!(latest.trim(), stores[19].dir().file_name().unwrap().to_str().unwrap());
}

#[test]
fn every_path_is_made_of_harmless_characters() {
    let scratch = Scratch::new("names");
    let store = Store::create(&scratch.0, "täst::a b/../c", UNIX_EPOCH).unwrap();
    let logs = store.logs("shop@n1").unwrap();
    let inside = logs.strip_prefix(&scratch.0).unwrap().to_str().unwrap();
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    assert!(inside.chars().all(harmless), "{inside}");
    assert!(inside.split('/').all(|part| !part.starts_with('.')), "{inside}");
    for odd in ["", "..", "/", "-", "…"] {
        assert_eq!(file_name(odd), "unnamed");
    }
}

#[test]
fn files_are_replaced_as_a_whole_and_nothing_is_left_beside_them() {
    let scratch = Scratch::new("atomic");
    let store = Store::create(&scratch.0, "t", UNIX_EPOCH).unwrap();
    store.write_json("results.json", &[1, 2]).unwrap();
    store.write_json("results.json", &[3]).unwrap();
    assert_eq!(fs::read_to_string(store.path("results.json")).unwrap(), "[\n  3\n]\n");
    assert_eq!(fs::read_dir(store.dir()).unwrap().count(), 1);
}

#[test]
fn a_full_disk_is_explained() {
    let error = write_atomically(Path::new("/dev/full/x"), b"").unwrap_err();
    assert!(error.to_string().starts_with("could not write /dev/full/x: "), "{error}");
    let full = refused("write", Path::new("x"), io::Error::from(io::ErrorKind::StorageFull));
    assert!(full.to_string().contains("FUZZ_DIST_STORE"), "{full}");
    let denied = refused("write", Path::new("x"), io::Error::from(io::ErrorKind::PermissionDenied));
    assert!(denied.to_string().contains("FUZZ_DIST_STORE"), "{denied}");
}

#[test]
fn a_place_that_is_no_folder_is_refused_by_name() {
    let scratch = Scratch::new("no-folder");
    let file = scratch.0.join("file");
    fs::write(&file, "").unwrap();
    let error = Store::create(&file, "t", UNIX_EPOCH).unwrap_err().to_string();
    assert!(error.contains("make the folder") && error.contains("file/t"), "{error}");
    let missing = Store::latest(&scratch.0, "never_ran").unwrap_err().to_string();
    assert!(missing.contains("never_ran/latest"), "{missing}");
}

#[test]
fn the_root_is_found_without_cargo() {
    let scratch = Scratch::new("root");
    let package = scratch.0.join("a/b");
    fs::create_dir_all(&package).unwrap();
    let here = Path::new("/here");
    let choose = |store: Option<&str>, target: Option<&str>| {
        place::choose(store.map(Into::into), target.map(Into::into), &package, here)
    };
    assert_eq!(choose(None, None), package.join("target/fuzz_dist"));
    fs::write(scratch.0.join("Cargo.lock"), "").unwrap();
    assert_eq!(choose(None, None), scratch.0.join("target/fuzz_dist"));
    assert_eq!(choose(None, Some("/t")), Path::new("/t/fuzz_dist"));
    assert_eq!(choose(None, Some("t")), Path::new("/here/t/fuzz_dist"));
    assert_eq!(choose(Some("/s"), Some("/t")), Path::new("/s"));
}
