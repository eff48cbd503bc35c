//! The attributes of `fuzz_dist`; see that crate for how they are used.

mod attribute;
mod duration;
mod keys;
mod label;
mod register;
mod suggest;
mod table;
mod test;
#[cfg(test)]
mod tests;
mod value;

use keys::Plug;
use proc_macro::TokenStream;

/// Makes a cluster test of an `async fn(test: Test) -> Outcome`.
///
/// ```ignore
/// #[fuzz_dist::test(db = "antidote", nemesis = ["none", "bridge"], time_limit = "30s")]
/// async fn acknowledged_adds_are_never_lost(test: Test) -> Outcome {
///     test.workload(g_set()).run().await
/// }
/// ```
///
/// A string selects what is registered under that name; any other value is an expression of the
/// right type. An array is a matrix: one trial for each element, and for each cell of the product
/// where several keys are arrays. Only `db` is required.
///
#[doc = include_str!("options.md")]
///
/// Durations are written `"500ms"`, `"30s"`, `"2m"`, `"1h"`, or are expressions of type
/// `std::time::Duration`.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    test::expand(args.into(), item.into()).into()
}

/// Gives the table of options to the named macro; `fuzz_dist` makes its own code from it.
#[doc(hidden)]
#[proc_macro]
pub fn with_options(callback: TokenStream) -> TokenStream {
    table::expand(&callback.into()).into()
}

/// Registers a database by name: a type with `Default`, or a function that returns one.
///
/// ```ignore
/// #[fuzz_dist::db("shop", aliases = ["web_shop"])]
/// fn shop() -> Release {
///     Release::at("_build/prod/rel/shop").env("PEERS", "{nodes}")
/// }
/// ```
#[proc_macro_attribute]
pub fn db(args: TokenStream, item: TokenStream) -> TokenStream {
    register::expand(Plug::Db, args.into(), item.into()).into()
}

/// Registers a nemesis by name: a type with `Default`, or a function that returns one.
#[proc_macro_attribute]
pub fn nemesis(args: TokenStream, item: TokenStream) -> TokenStream {
    register::expand(Plug::Nemesis, args.into(), item.into()).into()
}

/// Registers a workload by name: a type with `Default`, or a function that returns one.
#[proc_macro_attribute]
pub fn workload(args: TokenStream, item: TokenStream) -> TokenStream {
    register::expand(Plug::Workload, args.into(), item.into()).into()
}

/// Registers a checker by name: a type with `Default`, or a function that returns one.
#[proc_macro_attribute]
pub fn checker(args: TokenStream, item: TokenStream) -> TokenStream {
    register::expand(Plug::Checker, args.into(), item.into()).into()
}

/// Registers the provider of an environment by name: a type with `Default`, or a function that returns
/// one. Making the value must cost nothing.
#[proc_macro_attribute]
pub fn env(args: TokenStream, item: TokenStream) -> TokenStream {
    register::expand(Plug::Env, args.into(), item.into()).into()
}
