//! What is in the folder of a release: its kind, name, version, cookie; read, not run.

use std::fs;
use std::path::{Path, PathBuf};

use super::elf;
use crate::error::Error;

/// Which tool made a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `mix release`.
    Mix,
    /// `rebar3 release`, or relx itself.
    Relx,
}

impl Kind {
    /// The command that makes one, for messages.
    pub(super) const fn made_by(self) -> &'static str {
        match self {
            Kind::Mix => "MIX_ENV=prod mix release --overwrite",
            Kind::Relx => "rebar3 as prod release",
        }
    }

    /// The argument of its script with which it runs in the foreground.
    pub(super) const fn foreground(self) -> &'static str {
        match self {
            Kind::Mix => "start",
            Kind::Relx => "foreground",
        }
    }
}

/// A release, as its folder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) kind: Kind,
    /// The name, which is the one of its script, and of its nodes before the `@`.
    pub(super) name: String,
    pub(super) version: String,
    /// The cookie that it would use.
    pub(super) cookie: Option<String>,
    /// The flags that it gives the virtual machine, in a file; `.src` where variables in it are replaced.
    pub(super) vm_args: Option<(PathBuf, String)>,
}

impl Layout {
    /// Reads the folder of a release.
    ///
    /// # Errors
    ///
    /// That it is none, or one that cannot run on this machine.
    pub(super) fn read(root: &Path, kind: Option<Kind>) -> Result<Layout, Error> {
        let none = |why: String| {
            let made_by = kind.unwrap_or(Kind::Mix).made_by();
            let or = if kind.is_none() {
                format!(" or `{}`", Kind::Relx.made_by())
            } else {
                String::new()
            };
            Error::usage(format!(
                "no release in {}: {why}; make one with `{made_by}`{or}, or let the run do it with `.build(\"…\")`",
                root.display()
            ))
        };
        let data = root.join("releases/start_erl.data");
        let data =
            fs::read_to_string(&data).map_err(|e| none(format!("releases/start_erl.data: {e}")))?;
        let version = data.split_whitespace().nth(1);
        let version =
            version.ok_or_else(|| none("releases/start_erl.data names no version".into()))?;
        let folder = root.join("releases").join(version);
        let found = if folder.join("env.sh").is_file() { Kind::Mix } else { Kind::Relx };
        if let Some(kind) = kind.filter(|kind| *kind != found) {
            let (is, not) = match kind {
                Kind::Mix => ("rebar3 or relx", "`Release::relx`"),
                Kind::Relx => ("mix", "`Release::mix`"),
            };
            return Err(Error::usage(format!(
                "the release in {} was made by {is}: use {not}, or `Release::at`, which finds it out",
                root.display()
            )));
        }
        let name = name_in(&folder)
            .ok_or_else(|| none(format!("releases/{version} has no .rel file of a release")))?;
        if !root.join("bin").join(&name).is_file() {
            return Err(none(format!("bin/{name} is missing")));
        }
        let Some(erts) = erts_in(root) else {
            return Err(Error::usage(format!(
                "the release in {} has no Erlang runtime of its own (erts-*): make it with `include_erts: true`{}",
                root.display(),
                if found == Kind::Relx { ", as `rebar3 as prod release` does" } else { "" }
            )));
        };
        elf::runs_here(&erts.join("bin/beam.smp"), root)?;
        let vm_args = ["vm.args.src", "vm.args"].map(|file| folder.join(file));
        let vm_args = vm_args
            .into_iter()
            .find_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)));
        let cookie = fs::read_to_string(root.join("releases/COOKIE"))
            .ok()
            .map(|text| text.trim().to_owned());
        let cookie = cookie.or_else(|| {
            let (_, text) = vm_args.as_ref()?;
            let cookie = flag(text, "-setcookie")?.to_owned();
            Some(cookie).filter(|cookie| !cookie.contains('$'))
        });
        let (root, version) = (root.to_owned(), version.to_owned());
        Ok(Layout { root, kind: found, name, version, cookie, vm_args })
    }

    /// The net_ticktime that its flags name, in seconds.
    pub(super) fn net_ticktime(&self) -> Option<u32> {
        let (_, text) = self.vm_args.as_ref()?;
        let words: Vec<&str> = lines(text).flat_map(str::split_whitespace).collect();
        let at = words.iter().rposition(|word| *word == "net_ticktime")?;
        words.get(at + 1)?.parse().ok()
    }

    /// Its flags without its name and its cookie, and without what stops us from giving it a net_ticktime.
    pub(super) fn other_flags(&self) -> impl Iterator<Item = &str> {
        let text = self.vm_args.as_ref().map_or("", |(_, text)| text);
        lines(text).filter(|line| {
            let flag = line.split_whitespace().next().unwrap_or_default();
            !["-name", "-sname", "-setcookie", "-heart"].contains(&flag)
        })
    }
}

/// The lines of a file of flags that are no comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The value of a flag that stands first in its line.
fn flag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    lines(text).find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then(|| words.next())?
    })
}

/// The release's name: of its `.rel` file, beside those of scripts without applications.
fn name_in(folder: &Path) -> Option<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rel"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| !["start_clean", "no_dot_erlang", "start"].contains(&name.as_str()))
        .collect();
    names.sort();
    names.into_iter().next()
}

fn erts_in(root: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("erts-"))
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/beam.smp").is_file())
        .collect();
    found.sort();
    found.pop()
}
