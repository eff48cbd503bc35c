//! `#[fuzz_dist::db("name")]` and its kin: give a name to a type or to a function's result.

use crate::attribute::Errors;
use crate::keys::Plug;
use crate::{test, value};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Item, LitStr, Token};

/// The item as it was written, and either its registration or everything that is wrong.
pub(crate) fn expand(plug: Plug, args: TokenStream, item: TokenStream) -> TokenStream {
    match register(plug, args, item.clone()) {
        Ok(registration) => quote!(#item #registration),
        Err(error) => {
            let error = error.to_compile_error();
            quote!(#[allow(dead_code)] #item #error)
        }
    }
}

/// The tokens beside the item, or all errors at once.
pub(crate) fn register(
    plug: Plug,
    args: TokenStream,
    item: TokenStream,
) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let names = syn::parse2::<Names>(args).map_err(|error| {
        let (word, example) = (word(plug), example(plug));
        syn::Error::new(
            error.span(),
            format!("{error}; a {word} is registered by `#[fuzz_dist::{word}(\"{example}\")]`"),
        )
    });
    let item = syn::parse2::<Item>(item)?;
    let maker = maker(&item);
    let (names, (ident, attributes, make)) = match (names, maker) {
        (Ok(names), Ok(maker)) => (names, maker),
        (names, maker) => {
            names.err().into_iter().chain(maker.err()).for_each(|error| errors.push(error));
            errors.into_result()?;
            unreachable!("one of the two was an error");
        }
    };
    check_names(&names, &mut errors);
    errors.into_result()?;

    let span = ident.span();
    let (kind, any) = match plug {
        Plug::Db => (quote!(AnyDb), quote_spanned!(span=> ::fuzz_dist::__private::any_db)),
        Plug::Nemesis => {
            (quote!(AnyNemesis), quote_spanned!(span=> ::fuzz_dist::__private::any_nemesis))
        }
        Plug::Workload => {
            (quote!(AnyWorkload), quote_spanned!(span=> ::fuzz_dist::__private::any_workload))
        }
        Plug::Checker => {
            (quote!(AnyChecker), quote_spanned!(span=> ::fuzz_dist::__private::any_checker))
        }
        Plug::Env => (quote!(AnyEnv), quote_spanned!(span=> ::fuzz_dist::__private::any_env)),
    };
    let cfgs = attributes.iter().filter(|a| a.path().is_ident("cfg"));
    let Names { name, aliases } = names;
    let doc = test::first_doc_line(attributes);
    let location = value::location(name.span());
    Ok(quote! {
        #(#cfgs)*
        ::fuzz_dist::__private::inventory::submit! {
            ::fuzz_dist::__private::Registered::<::fuzz_dist::__private::#kind> {
                name: #name,
                aliases: &[#(#aliases),*],
                doc: #doc,
                location: #location,
                make: || #any(#make),
            }
        }
    })
}

struct Names {
    name: LitStr,
    aliases: Vec<LitStr>,
}

impl Parse for Names {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.parse()?;
        let mut aliases = Vec::new();
        if input.peek(Token![,]) && !input.peek2(syn::parse::End) {
            input.parse::<Token![,]>()?;
            let key: Ident = input.parse()?;
            if key != "aliases" {
                let message = format!("unknown key `{key}`; there is only `aliases = [\"..\"]`");
                return Err(syn::Error::new(key.span(), message));
            }
            input.parse::<Token![=]>()?;
            let list;
            syn::bracketed!(list in input);
            aliases =
                list.parse_terminated(<LitStr as Parse>::parse, Token![,])?.into_iter().collect();
        }
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
        }
        Ok(Names { name, aliases })
    }
}

/// Names become parts of trial names and of file names.
fn check_names(names: &Names, errors: &mut Errors) {
    for name in std::iter::once(&names.name).chain(&names.aliases) {
        let text = name.value();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.is_empty() || !text.chars().all(fits) {
            let message = format!("{text:?} is no name: use letters, digits, `_`, `-` and `.`");
            errors.at(name.span(), message);
        }
    }
}

/// How to make the value: a type by `Default`, a function without arguments by calling it.
fn maker(item: &Item) -> syn::Result<(&Ident, &[Attribute], TokenStream)> {
    let by_default = |ident: &Ident| {
        let span = ident.span();
        quote_spanned!(span=> <#ident as ::core::default::Default>::default())
    };
    match item {
        Item::Struct(item) if item.generics.params.is_empty() => {
            Ok((&item.ident, &item.attrs, by_default(&item.ident)))
        }
        Item::Enum(item) if item.generics.params.is_empty() => {
            Ok((&item.ident, &item.attrs, by_default(&item.ident)))
        }
        Item::Struct(syn::ItemStruct { generics, .. })
        | Item::Enum(syn::ItemEnum { generics, .. }) => {
            Err(syn::Error::new_spanned(generics, "a registered type cannot be generic"))
        }
        Item::Fn(item) => {
            let (sig, ident) = (&item.sig, &item.sig.ident);
            if !sig.inputs.is_empty() || sig.asyncness.is_some() || !sig.generics.params.is_empty()
            {
                let message = "a registered function is neither generic nor `async`, and takes no \
                               arguments; parameters belong into expressions";
                return Err(syn::Error::new_spanned(sig, message));
            }
            Ok((ident, &item.attrs, quote_spanned!(ident.span()=> #ident())))
        }
        other => Err(syn::Error::new_spanned(
            other,
            "a name is registered on a struct or an enum that has a `Default`, or on a function \
             that returns the value",
        )),
    }
}

fn word(plug: Plug) -> &'static str {
    match plug {
        Plug::Db => "db",
        Plug::Nemesis => "nemesis",
        Plug::Workload => "workload",
        Plug::Checker => "checker",
        Plug::Env => "env",
    }
}

fn example(plug: Plug) -> &'static str {
    match plug {
        Plug::Db => "shop",
        Plug::Nemesis => "power_cut",
        Plug::Workload => "carts",
        Plug::Checker => "no_double_orders",
        Plug::Env => "containers",
    }
}
