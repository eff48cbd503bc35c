//! The keys of `#[fuzz_dist::test(...)]` as documented constants.
//!
//! The attribute mentions the constant of every key that it is given, at the key's own place, so
//! that an editor shows these texts where the key is written.
#![allow(non_upper_case_globals)]

/// One key of the attribute.
#[derive(Debug)]
pub struct Key;

macro_rules! keys {
    (
        keys {$(#[doc = $doc:literal] $name:ident;)*}
        options $options:tt
        variables $variables:tt
        names $names:tt
    ) => {
        $(#[doc = $doc] pub const $name: Key = Key;)*
    };
}

fuzz_dist_macros::with_options!(keys);
