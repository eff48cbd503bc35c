//! The table of options, given to a macro of `fuzz_dist` that makes its code from it.

use crate::keys::{KEYS, Key, Kind, VARIABLES, Variable};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// `callback! { options { … } variables { … } }`, a group of tokens for each row.
pub(crate) fn expand(callback: &TokenStream) -> TokenStream {
    let hovers = KEYS.iter().map(|key| {
        let (name, text) = (format_ident!("{}", key.name), key.hover());
        quote!(#[doc = #text] #name;)
    });
    let options = KEYS.iter().filter(|key| !key.ty.is_empty()).map(option);
    let variables = VARIABLES.iter().filter(|variable| !variable.field.is_empty()).map(variable);
    let own = KEYS.iter().filter(|key| key.variable).map(|key| {
        let (name, like) = (key.variable_name(), format!("as the key `{}`", key.name));
        quote!((#name, #like))
    });
    let others = VARIABLES.iter().map(|Variable { name, meaning, .. }| quote!((#name, #meaning)));
    quote! {
        #callback! {
            keys { #(#hovers)* }
            options { #(#options)* }
            variables { #(#variables)* }
            names { #(#own,)* #(#others,)* }
        }
    }
}

fn option(key: &Key) -> TokenStream {
    let name = format_ident!("{}", key.name);
    let (ty, default, method) = (rust(key.ty), rust(key.default), rust(key.method));
    let meaning = format!("{}.", capital(key.meaning));
    let default = if default.is_empty() { default } else { quote!(= #default) };
    let variable = key.variable.then(|| {
        let name = key.variable_name();
        quote!(variable #name)
    });
    let method = (!method.is_empty()).then(|| quote!(method (#method)));
    let words = match key.kind {
        Kind::Word(_, words) => {
            let words = words.iter().map(|(word, variant)| {
                let variant = format_ident!("{variant}");
                quote!(#word #variant,)
            });
            Some(quote!(words { #(#words)* }))
        }
        _ => None,
    };
    quote!(#[doc = #meaning] #name: (#ty) [#default] [#variable] [#method] [#words];)
}

fn variable(variable: &Variable) -> TokenStream {
    let (name, field, ty) = (variable.name, format_ident!("{}", variable.field), rust(variable.ty));
    let meaning = format!("`{name}`: {}.", variable.meaning);
    quote!(#[doc = #meaning] #field: (#ty) #name;)
}

/// The table's own Rust.
fn rust(text: &str) -> TokenStream {
    text.parse().expect("the table has tokens")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of the pages, as they should be.
    fn pages() -> String {
        let rows = |rows: Vec<String>| rows.concat();
        let options = rows(KEYS.iter().map(Key::row).collect());
        let variables = rows(VARIABLES.iter().map(Variable::row).collect());
        let own: Vec<String> =
            KEYS.iter().filter(|key| key.variable).map(|key| format!("`{}`", key.name)).collect();
        let own = own.join(", ");
        format!(
            "| key | meaning | default |\n|---|---|---|\n{options}\n\
             | variable | meaning |\n|---|---|\n\
             | `FUZZ_DIST_<KEY>` | as the key of that name: {own} |\n{variables}"
        )
    }

    #[test]
    fn the_page_of_options_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/options.md");
        let (page, is) = (pages(), std::fs::read_to_string(path).unwrap_or_default());
        if std::env::var_os("FUZZ_DIST_WRITE_PAGES").is_some() {
            std::fs::write(path, &page).expect("the page can be written");
            return;
        }
        assert_eq!(
            page, is,
            "write it anew: FUZZ_DIST_WRITE_PAGES=1 cargo test -p fuzz_dist_macros page"
        );
    }

    #[test]
    fn every_row_is_whole() {
        for key in KEYS {
            assert!(!key.meaning.is_empty() && !key.meaning.ends_with('.'), "{}", key.name);
            assert!(!key.ty.is_empty() || !key.variable && key.method.is_empty(), "{}", key.name);
        }
    }
}
