//! What the crates offer: every public item, kept as a snapshot, so that none appears or goes unseen.
//!
//! The source is read as text that is parsed, since only a nightly compiler can list items. `pub use` stands as it
//! is written; what it brings from a private module of the same crate is listed below that name. What macros make
//! is not seen; the hosted workflow compares all of it with the last release.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Fields, ImplItem, Item, ItemMod, TraitItem, UseTree, Visibility};

/// All modules of one crate, by path (`""` is the root).
#[derive(Default)]
struct Crate {
    /// The items of each module, and whether the module is public with all above it.
    modules: BTreeMap<String, (Vec<Item>, bool)>,
}

/// The public items of a crate, one a line, sorted.
pub(crate) fn items(folder: &Path) -> BTreeSet<String> {
    let root = folder.join("src/lib.rs");
    let mut read = Crate::default();
    read.file(&root, &root.with_file_name(""), String::new(), true);
    read.list()
}

impl Crate {
    fn file(&mut self, file: &Path, below: &Path, path: String, public: bool) {
        let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.module(parsed.items, below, path, public);
    }

    fn module(&mut self, items: Vec<Item>, below: &Path, path: String, public: bool) {
        for item in &items {
            let Item::Mod(inner) = item else { continue };
            if hidden(&inner.attrs) {
                continue;
            }
            let name = inner.ident.to_string();
            let (path, public) = (join(&path, &name), public && is_public(&inner.vis));
            match &inner.content {
                Some((_, items)) => self.module(items.clone(), &below.join(&name), path, public),
                None => {
                    let (file, below) = place(inner, below, &name);
                    self.file(&file, &below, path, public);
                }
            }
        }
        self.modules.insert(path, (items, public));
    }

    fn list(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (path, (items, public)) in &self.modules {
            if *public {
                items.iter().for_each(|item| self.item(item, path, path, None, &mut found));
            }
        }
        found
    }

    /// `module` is where the item stands, `path` where users find it, `only` the name that is asked for.
    fn item(
        &self,
        item: &Item,
        module: &str,
        path: &str,
        only: Option<(&str, &str)>,
        found: &mut BTreeSet<String>,
    ) {
        let Some((kind, vis, name, attrs)) = named(item) else {
            if let Item::Use(item) = item
                && is_public(&item.vis)
                && !hidden(&item.attrs)
            {
                for (from, name) in leaves(&item.tree, String::new()) {
                    self.reexport(module, &from, &join(path, &name), &name, only, found);
                }
            }
            return;
        };
        let (wanted, shown) = only.unwrap_or((&name, &name));
        if wanted != name || hidden(attrs) {
            return;
        }
        let exported = attrs.iter().any(|a| a.path().is_ident("macro_export"));
        if !exported && !vis.is_some_and(is_public) {
            return;
        }
        let own = if exported { shown.to_string() } else { join(path, shown) };
        found.insert(format!("{own}: {kind}"));
        let mut below = |kind: &str, name: &dyn std::fmt::Display| {
            found.insert(format!("{own}::{name}: {kind}"));
        };
        match item {
            Item::Struct(item) => fields(&item.fields, &mut below),
            Item::Enum(item) => {
                item.variants
                    .iter()
                    .filter(|v| !hidden(&v.attrs))
                    .for_each(|v| below("variant", &v.ident));
            }
            Item::Trait(item) => {
                for inner in &item.items {
                    match inner {
                        TraitItem::Fn(f) if !hidden(&f.attrs) => below("fn", &f.sig.ident),
                        TraitItem::Type(t) => below("type", &t.ident),
                        TraitItem::Const(c) => below("const", &c.ident),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        if matches!(item, Item::Struct(_) | Item::Enum(_) | Item::Type(_)) {
            self.methods(&name, &mut below);
        }
    }

    /// The inherent methods of a type, wherever in the crate they stand.
    fn methods(&self, of: &str, below: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
        for item in self.modules.values().flat_map(|(items, _)| items) {
            let Item::Impl(block) = item else { continue };
            let syn::Type::Path(ty) = &*block.self_ty else { continue };
            let same = ty.path.segments.last().is_some_and(|last| last.ident == of);
            if !same || block.trait_.is_some() {
                continue;
            }
            for inner in &block.items {
                match inner {
                    ImplItem::Fn(f) if is_public(&f.vis) && !hidden(&f.attrs) => {
                        below("fn", &f.sig.ident)
                    }
                    ImplItem::Const(c) if is_public(&c.vis) => below("const", &c.ident),
                    _ => {}
                }
            }
        }
    }

    fn reexport(
        &self,
        module: &str,
        from: &str,
        own: &str,
        shown: &str,
        only: Option<(&str, &str)>,
        found: &mut BTreeSet<String>,
    ) {
        if only.is_some_and(|(wanted, _)| wanted != shown) {
            return;
        }
        let (parent, name) = from.rsplit_once("::").unwrap_or(("", from));
        let parent = match parent.strip_prefix("crate") {
            Some(absolute) => absolute.trim_start_matches("::").to_string(),
            None => join(module, parent.trim_start_matches("self::").trim_start_matches("self")),
        };
        match self.modules.get(&parent) {
            // A public module has a path of its own for it already.
            Some((items, false)) if name != "*" => {
                let path = own.rsplit_once("::").map_or("", |(path, _)| path);
                let shown = only.map_or(shown, |(_, shown)| shown);
                let name = Some((name, shown));
                items.iter().for_each(|item| self.item(item, &parent, path, name, found));
            }
            _ => {
                found.insert(format!("{own}: use"));
            }
        }
    }
}

fn fields(fields: &Fields, below: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
    for (i, field) in fields.iter().enumerate() {
        if !is_public(&field.vis) || hidden(&field.attrs) {
            continue;
        }
        match &field.ident {
            Some(name) => below("field", name),
            None => below("field", &i),
        }
    }
}

/// Kind, visibility, name and attributes of an item that can be public.
fn named(item: &Item) -> Option<(&'static str, Option<&Visibility>, String, &[Attribute])> {
    Some(match item {
        Item::Const(i) => ("const", Some(&i.vis), i.ident.to_string(), &i.attrs),
        Item::Enum(i) => ("enum", Some(&i.vis), i.ident.to_string(), &i.attrs),
        Item::Fn(i) => ("fn", Some(&i.vis), i.sig.ident.to_string(), &i.attrs),
        Item::Mod(i) => ("mod", Some(&i.vis), i.ident.to_string(), &i.attrs),
        Item::Static(i) => ("static", Some(&i.vis), i.ident.to_string(), &i.attrs),
        Item::Struct(i) => ("struct", Some(&i.vis), i.ident.to_string(), &i.attrs),
        Item::Trait(i) => ("trait", Some(&i.vis), i.ident.to_string(), &i.attrs),
        Item::Type(i) => ("type", Some(&i.vis), i.ident.to_string(), &i.attrs),
        Item::Macro(i) => ("macro", None, i.ident.as_ref()?.to_string(), &i.attrs),
        _ => return None,
    })
}

/// Every name that a `use` brings, with the path that it has there.
fn leaves(tree: &UseTree, before: String) -> Vec<(String, String)> {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, join(&before, &path.ident.to_string())),
        UseTree::Name(name) if name.ident == "self" => {
            let last = before.rsplit("::").next().unwrap_or_default().to_string();
            vec![(before, last)]
        }
        UseTree::Name(name) => {
            vec![(join(&before, &name.ident.to_string()), name.ident.to_string())]
        }
        UseTree::Rename(name) if name.ident == "self" => vec![(before, name.rename.to_string())],
        UseTree::Rename(name) => {
            vec![(join(&before, &name.ident.to_string()), name.rename.to_string())]
        }
        UseTree::Glob(_) => vec![(join(&before, "*"), "*".into())],
        UseTree::Group(group) => {
            group.items.iter().flat_map(|tree| leaves(tree, before.clone())).collect()
        }
    }
}

/// Where a module's file is, and where those below it are.
fn place(module: &ItemMod, below: &Path, name: &str) -> (PathBuf, PathBuf) {
    let folder = below.join(name);
    let path = module.attrs.iter().find(|a| a.path().is_ident("path"));
    if let Some(syn::Meta::NameValue(path)) = path.map(|a| &a.meta)
        && let syn::Expr::Lit(literal) = &path.value
        && let syn::Lit::Str(text) = &literal.lit
    {
        return (below.join(text.value()), folder);
    }
    let file = below.join(format!("{name}.rs"));
    (if file.exists() { file } else { folder.join("mod.rs") }, folder)
}

/// No part of the interface: hidden, or there for tests alone.
fn hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let words = || match &attribute.meta {
            syn::Meta::List(list) => list.tokens.to_string(),
            _ => String::new(),
        };
        match attribute.path().get_ident().map(ToString::to_string).as_deref() {
            Some("doc") => words() == "hidden",
            Some("cfg") => words() == "test",
            _ => false,
        }
    })
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn join(path: &str, name: &str) -> String {
    match (path, name) {
        ("", _) => name.into(),
        (_, "") => path.into(),
        _ => format!("{path}::{name}"),
    }
}
