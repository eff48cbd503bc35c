//! Where a release is found, and how it comes there.

use std::path::PathBuf;

use super::build;
use super::layout::{Kind, Layout};
use crate::env::Scratch;
use crate::error::Error;
use crate::provision::{cache, given};

/// What a test says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    pub(super) given: PathBuf,
    pub(super) kind: Option<Kind>,
    /// The folder in which it is built.
    pub(super) project: Option<PathBuf>,
    /// The command that builds it.
    pub(super) build: Option<String>,
}

impl Source {
    /// Builds and reads it. What a run builds is copied, so that the next build does not change it under hosts; the copy
    /// lasts as long as the second value.
    pub(super) fn find(&self) -> Result<(Layout, Option<Scratch>), Error> {
        let Some(line) = &self.build else { return Ok((self.found()?, None)) };
        build::build(line, &self.project()?, || {
            let layout = self.found()?;
            let copy = build::copied(&layout.root)?;
            Ok((Layout { root: copy.path().to_owned(), ..layout }, Some(copy)))
        })
    }

    fn project(&self) -> Result<PathBuf, Error> {
        match &self.project {
            Some(folder) => given::existing(folder).ok_or_else(|| {
                Error::usage(format!(
                    "there is no folder {} (`Release::project`)",
                    folder.display()
                ))
            }),
            None => self.project_of_given(),
        }
    }

    fn found(&self) -> Result<Layout, Error> {
        let missing = || {
            let made_by = self.kind.unwrap_or(Kind::Mix).made_by();
            let how = match self.build.as_deref() {
                Some(line) => {
                    format!("`{line}` did not make it there; what does it print as its folder?")
                }
                None => {
                    format!("make it with `{made_by}`, or let the run do it with `.build(\"…\")`")
                }
            };
            Error::usage(format!("no release at {}: {how}", self.given.display()))
        };
        let found = given::existing(&self.given).ok_or_else(missing)?;
        let root = match found.is_dir() {
            true => found,
            false => {
                let cache = cache::folder().map_err(Error::environment)?.join("releases");
                given::unpacked_into(&cache, &found)?
            }
        };
        let layout = Layout::read(&root, self.kind)?;
        if let Some(warning) = build::stale(&root, layout.kind).filter(|_| self.build.is_none()) {
            fuzz_dist_sys::say!("fuzz_dist: warning: {warning}");
        }
        Ok(layout)
    }

    /// The project of the release that is not there yet.
    fn project_of_given(&self) -> Result<PathBuf, Error> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let places = [Some(self.given.clone()), package.map(|package| package.join(&self.given))];
        let mut places =
            places.into_iter().flatten().filter_map(|path| std::path::absolute(path).ok());
        places.find_map(|release| build::project_of(&release)).ok_or_else(|| {
            Error::usage(format!(
                "no folder above {} has a mix.exs, a rebar.config or a Makefile: name the project's folder with \
                 `.project(\"…\")`",
                self.given.display()
            ))
        })
    }
}
