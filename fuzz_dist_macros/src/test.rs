//! `#[fuzz_dist::test(...)]`: checks the attribute and the function, and registers the test.

use crate::attribute::{self, Errors};
use crate::keys::{self, Kind};
use crate::value;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Ident, ItemFn, Lit, LitStr};

/// The function as it was written, and either its registration or everything that is wrong.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#item #error);
        }
    };
    match register(args, &function) {
        Ok(registration) => quote!(#function #registration),
        Err(error) => {
            // The function stays, so that its callers and the editor see no follow-up errors.
            let error = error.to_compile_error();
            quote!(#[allow(dead_code)] #function #error)
        }
    }
}

/// The tokens beside the function, or all errors at once.
pub(crate) fn register(args: TokenStream, function: &ItemFn) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let settings = settings(args, &mut errors);
    check_function(function, &mut errors);
    errors.into_result()?;

    let Settings { axes, ignore, hover } = settings;
    let ident = &function.sig.ident;
    let name = ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    let cfgs: Vec<&Attribute> =
        function.attrs.iter().filter(|a| a.path().is_ident("cfg")).collect();
    let location = value::location(ident.span());
    let doc = first_doc_line(&function.attrs);
    let body = body(function);
    let guard = guard(ident.span());
    Ok(quote! {
        #(#cfgs)*
        const _: () = {
            #guard
            #(#hover)*
            ::fuzz_dist::__private::inventory::submit! {
                ::fuzz_dist::__private::TestCase {
                    name: #name,
                    module: ::core::module_path!(),
                    doc: #doc,
                    location: #location,
                    ignore: #ignore,
                    axes: &[#(#axes),*],
                    body: #body,
                }
            }
        };
    })
}

struct Settings {
    axes: Vec<TokenStream>,
    ignore: TokenStream,
    hover: Vec<TokenStream>,
}

fn settings(args: TokenStream, errors: &mut Errors) -> Settings {
    let mut settings =
        Settings { axes: vec![], ignore: quote!(::core::option::Option::None), hover: vec![] };
    let mut seen: Vec<String> = Vec::new();
    for entry in attribute::entries(args, errors) {
        let key = match keys::find(&entry.key) {
            Ok(key) => key,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        if seen.iter().any(|name| name == key.name) {
            errors.at(entry.key.span(), format!("key `{}` is given twice", key.name));
            continue;
        }
        seen.push(key.name.into());
        // Resolves the key to a documented constant: editors show that on hover.
        let ident = &entry.key;
        settings.hover.push(quote!(let _ = ::fuzz_dist::__private::keys::#ident;));
        if key.kind == Kind::Reason {
            settings.ignore = reason(key, entry.value.as_ref(), errors);
        } else {
            settings.axes.push(value::axis(key, ident, entry.value.as_ref(), errors));
        }
    }
    // An unknown key may well be a misspelt `db`: one message is enough then.
    if !seen.iter().any(|name| name == "db") && errors.is_empty() {
        let message = "missing `db`: say which system to test, as in `db = \"antidote\"`";
        errors.at(Span::call_site(), message);
    }
    settings
}

fn reason(key: &keys::Key, value: Option<&Expr>, errors: &mut Errors) -> TokenStream {
    match value {
        None => quote!(::core::option::Option::Some("")),
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => {
            quote!(::core::option::Option::Some(#text))
        }
        Some(other) => {
            let message =
                format!("`{}` stands alone or takes a reason: `{}`", key.name, key.example);
            errors.at(other.span(), message);
            quote!()
        }
    }
}

fn check_function(function: &ItemFn, errors: &mut Errors) {
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        let message = "a `#[fuzz_dist::test]` function is `async`: write `async fn`";
        errors.at(sig.fn_token.span, message);
    }
    if !sig.generics.params.is_empty() {
        errors.on(&sig.generics, "a `#[fuzz_dist::test]` function cannot be generic");
    }
    let argument = "a `#[fuzz_dist::test]` function takes exactly one argument: `test: Test`";
    if let Some(receiver) = sig.receiver() {
        errors.on(receiver, "a `#[fuzz_dist::test]` function is a free one, without `self`");
    } else if let Some(second) = sig.inputs.iter().nth(1) {
        errors.on(second, argument);
    } else if sig.inputs.is_empty() {
        errors.at(sig.paren_token.span.join(), argument);
    }
    if matches!(sig.output, syn::ReturnType::Default) {
        let message = "a `#[fuzz_dist::test]` function returns a verdict: write `-> Outcome`";
        errors.on(&sig.ident, message);
    }
    for attribute in &function.attrs {
        let name = attribute.path().get_ident().map(Ident::to_string);
        let instead = match name.as_deref() {
            Some("ignore") => {
                "`ignore` or `ignore = \"reason\"` inside of `#[fuzz_dist::test(..)]`"
            }
            Some("should_panic") => "`expect = \"invalid\"` inside of `#[fuzz_dist::test(..)]`",
            Some("test") => "`#[fuzz_dist::test(..)]` alone: that makes a test of the function",
            _ => continue,
        };
        errors.on(attribute, format!("write {instead}"));
    }
}

/// Calls the function; a wrong argument or return type is reported at the user's own tokens.
fn body(function: &ItemFn) -> TokenStream {
    let sig = &function.sig;
    let ident = &sig.ident;
    let argument_span = match sig.inputs.first() {
        Some(syn::FnArg::Typed(argument)) => argument.ty.span(),
        _ => ident.span(),
    };
    let result_span = match &sig.output {
        syn::ReturnType::Default => ident.span(),
        syn::ReturnType::Type(_, ty) => ty.span(),
    };
    let argument = Ident::new("test", argument_span);
    let outcome =
        quote_spanned!(result_span=> ::fuzz_dist::__private::IntoOutcome::into_outcome(output));
    quote!(|#argument| ::fuzz_dist::__private::Box::pin(async move {
        let output = #ident(#argument).await;
        #outcome
    }))
}

/// An error for targets that forgot `harness = false`.
///
/// `#[test]` items exist only under `rustc --test`, that is, under libtest's harness, which would
/// find no tests there and pass in silence. An editor takes every `#[test]` for a live one.
fn guard(span: Span) -> TokenStream {
    quote_spanned! {span=>
        #[allow(unexpected_cfgs)]
        const _: () = {
            #[cfg(not(rust_analyzer))]
            #[::core::prelude::v1::test]
            fn needs_harness_false() {
                ::core::compile_error!("a `#[fuzz_dist::test]` runs under its own harness: add \
                    `harness = false` to this target's section in Cargo.toml, and \
                    `fuzz_dist::main!();` to its file");
            }
        };
    }
}

/// What the test promises, in its author's words.
pub(crate) fn first_doc_line(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|a| a.path().is_ident("doc")).filter_map(|attribute| {
        match &attribute.meta.require_name_value().ok()?.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(LitStr::value(text)),
            _ => None,
        }
    });
    lines.map(|line| line.trim().to_string()).find(|line| !line.is_empty()).unwrap_or_default()
}
