//! What can be fetched: sets of Debian packages, each unpacked into a folder of the user's cache.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt;
use super::cache::{self, Lock, create_folder, remove_folder};
use super::error::{ProvisionError, io_error};
use super::manifest;

/// Packages that are fetched together.
#[derive(Debug)]
pub(crate) struct Set {
    /// What they are, as in *fetching the Erlang runtime*.
    pub(crate) what: &'static str,
    /// The folder of the cache, before the system's kind.
    folder: &'static str,
    pub(crate) packages: &'static [&'static str],
    /// What a user can do who has no such system, or no network.
    instead: &'static str,
}

/// The virtual machine with the compiler, and the applications that clusters commonly need.
pub(crate) const ERLANG: Set = Set {
    what: "the Erlang runtime",
    folder: "erlang",
    packages: &["erlang-base", "erlang-crypto", "erlang-mnesia", "erlang-runtime-tools"],
    instead: "on other systems: Erlang/OTP 25 or later with the compiler and mnesia), or set FUZZ_DIST_ERLANG to the \
              folder of a runtime; `cargo run --release --example embedded` needs none",
};

/// Elixir with the runtime that it was compiled for, which need not be the one on the PATH.
pub(crate) const ELIXIR: Set = Set {
    what: "Elixir",
    folder: "elixir",
    packages: &[
        "elixir",
        "erlang-base",
        "erlang-asn1",
        "erlang-crypto",
        "erlang-eunit",
        "erlang-inets",
        "erlang-mnesia",
        "erlang-parsetools",
        "erlang-public-key",
        "erlang-runtime-tools",
        "erlang-ssl",
        "erlang-syntax-tools",
        "erlang-tools",
        "erlang-xmerl",
    ],
    instead: "on other systems: Elixir 1.14 or later, with `mix` on the PATH)",
};

/// rebar3 with the runtime that it needs.
pub(crate) const REBAR3: Set = Set {
    what: "rebar3",
    folder: "rebar3",
    packages: &[
        "rebar3",
        "erlang-base",
        "erlang-asn1",
        "erlang-common-test",
        "erlang-crypto",
        "erlang-dev",
        "erlang-dialyzer",
        "erlang-edoc",
        "erlang-eunit",
        "erlang-inets",
        "erlang-mnesia",
        "erlang-parsetools",
        "erlang-public-key",
        "erlang-reltool",
        "erlang-runtime-tools",
        "erlang-ssl",
        "erlang-syntax-tools",
        "erlang-tools",
        "erlang-xmerl",
    ],
    instead: "on other systems: rebar3 3.19 or later on the PATH)",
};

impl Set {
    /// What a user can do who has none, and for whom none can be fetched.
    pub(crate) fn help(&self) -> String {
        format!("help: install the packages {} ({}", self.packages.join(", "), self.instead)
    }

    /// The folder of the cache into which it is unpacked, fetched if it is not there or damaged. `complete` is
    /// given what was just unpacked: it may add files, and says whether it works.
    pub(crate) fn fetched(
        &self,
        complete: impl Fn(&Path) -> Result<(), ProvisionError>,
    ) -> Result<PathBuf, ProvisionError> {
        let cache = cache::folder()?;
        let name = format!("{}-{}", self.folder, apt::system());
        let home = cache.join(&name);
        let what = self.what;
        let say = |text: &str| fuzz_dist_sys::say!("fuzz_dist: {text}");
        match kept_in(&home) {
            Ok(true) => return Ok(home),
            Ok(false) => {}
            Err(damage) => {
                say(&format!(
                    "{what} in {} is damaged: {damage}; it is fetched anew",
                    home.display()
                ));
            }
        }
        apt::available(self)?;
        create_folder(&cache)?;
        let waiting = || say(&format!("waiting for another test that fetches {what}"));
        let lock = Lock::take(&cache.join(format!("{name}.lock")), waiting)?;
        // Whoever held the lock before us may have put it there.
        if let Ok(true) = kept_in(&home) {
            return Ok(home);
        }
        say(&format!("fetching {what}, once, into {}", home.display()));
        let work = cache.join(format!("{name}.fetching"));
        let unpacked = apt::fetch(self, &work, &lock, &say)?;
        complete(&unpacked)?;
        manifest::write(&unpacked)?;
        // It appears whole or not at all.
        remove_folder(&home)?;
        fs::rename(&unpacked, &home).map_err(io_error("move into place", &home))?;
        remove_folder(&work)?;
        Ok(home)
    }
}

/// Is it there, whole? `Err` has the damage.
fn kept_in(home: &Path) -> Result<bool, String> {
    match home.exists() {
        true => manifest::verify(home).map(|()| true),
        false => Ok(false),
    }
}
