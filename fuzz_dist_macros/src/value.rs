//! From the expression behind a key to the tokens of a setting.

use crate::attribute::Errors;
use crate::keys::{Key, Kind, Plug};
use crate::{duration, label, suggest};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, UnOp};

/// One axis of the matrix, as an expression of `__private::Axis`.
///
/// Everything is an axis; a value that is no array is one of a single cell without a name.
pub(crate) fn axis(
    key: &Key,
    ident: &Ident,
    value: Option<&Expr>,
    errors: &mut Errors,
) -> TokenStream {
    let elements: Vec<&Expr> = match value {
        Some(Expr::Array(list)) => {
            check_array(key, list, errors);
            list.elems.iter().collect()
        }
        Some(value) => vec![value],
        None => vec![],
    };
    let matrix = key.matrix && matches!(value, Some(Expr::Array(_)));
    let name = key.name;
    if key.kind == Kind::Plug(Plug::Checker) {
        let choices: Vec<_> =
            elements.iter().filter_map(|e| choice(key, Plug::Checker, e, errors)).collect();
        if value.is_none() {
            errors.at(ident.span(), needs_value(key));
        }
        return quote!(::fuzz_dist::__private::Axis {
            key: #name, matrix: false,
            cells: &[::fuzz_dist::__private::Cell {
                label: "", setting: ::fuzz_dist::__private::Setting::Checkers(&[#(#choices),*]),
            }],
        });
    }
    let labels = labels(key, &elements);
    let settings: Vec<_> = match value {
        None => setting(key, ident, None, errors).into_iter().collect(),
        Some(_) => elements.iter().filter_map(|e| setting(key, ident, Some(e), errors)).collect(),
    };
    let labels = labels.iter().map(String::as_str).chain(value.is_none().then_some(""));
    let cells = labels.zip(&settings).map(
        |(label, setting)| quote!(::fuzz_dist::__private::Cell { label: #label, setting: #setting }),
    );
    quote!(::fuzz_dist::__private::Axis { key: #name, matrix: #matrix, cells: &[#(#cells),*] })
}

/// Arrays only where they mean something, never empty, and no element twice.
fn check_array(key: &Key, list: &syn::ExprArray, errors: &mut Errors) {
    let name = key.name;
    if !key.matrix && key.kind != Kind::Plug(Plug::Checker) {
        errors.push(Error::new_spanned(
            list,
            format!("`{name}` cannot be an axis of a matrix; write `{}`", key.example),
        ));
    }
    if list.elems.is_empty() {
        errors.push(Error::new_spanned(
            list,
            format!("an empty array would make a test of no trials; write `{}`", key.example),
        ));
    }
    let texts: Vec<String> = list.elems.iter().map(|e| e.to_token_stream().to_string()).collect();
    for (i, element) in list.elems.iter().enumerate() {
        if texts[..i].contains(&texts[i]) {
            errors.push(Error::new_spanned(element, "this element is in the array already"));
        }
    }
}

/// Names are labels as they are; a bare `3` would say nothing, so that is `nodes_3`.
fn labels(key: &Key, elements: &[&Expr]) -> Vec<String> {
    let mut labels: Vec<String> = elements
        .iter()
        .map(|element| match key.kind {
            Kind::Plug(_) => label::of(element),
            _ => format!("{}_{}", key.name, label::of(element)),
        })
        .collect();
    label::distinct(&mut labels);
    labels
}

/// An expression of `__private::Setting`, or nothing where an error was reported.
fn setting(
    key: &Key,
    ident: &Ident,
    value: Option<&Expr>,
    errors: &mut Errors,
) -> Option<TokenStream> {
    if let Kind::Plug(plug) = key.kind {
        let Some(value) = value else {
            errors.at(ident.span(), needs_value(key));
            return None;
        };
        let choice = choice(key, plug, value, errors)?;
        let variant = match plug {
            Plug::Db => quote!(Db),
            Plug::Nemesis => quote!(Nemesis),
            Plug::Workload | Plug::Checker => quote!(Workload),
            Plug::Env => quote!(Env),
        };
        return Some(quote!(::fuzz_dist::__private::Setting::#variant(#choice)));
    }
    let typed = match scalar(key, ident, value) {
        Ok(typed) => typed,
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    let field = format_ident!("{}", key.name, span = Span::call_site());
    // Mixed-site, so that no expression of the user's can mean the closure's argument.
    let options = Ident::new("options", Span::mixed_site());
    Some(quote!(::fuzz_dist::__private::Setting::Option(|#options| {
        #options.#field = ::core::option::Option::Some(#typed);
    })))
}

/// `"name"` stays a name; anything else is an expression, checked against the trait where it stands.
fn choice(key: &Key, plug: Plug, value: &Expr, errors: &mut Errors) -> Option<TokenStream> {
    let span = value.span();
    let location = location(span);
    let label = label::of(value);
    let source = match value {
        Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) => {
            if name.value().trim().is_empty() {
                errors.at(span, format!("a name cannot be empty; write `{}`", key.example));
                return None;
            }
            quote!(::fuzz_dist::__private::Source::Named(#name))
        }
        Expr::Lit(_) => {
            errors.at(
                span,
                format!("`{}` takes a name or an expression: `{}`", key.name, key.example),
            );
            return None;
        }
        expression => {
            let boxed = match plug {
                Plug::Db => quote_spanned!(span=> ::fuzz_dist::__private::any_db),
                Plug::Nemesis => quote_spanned!(span=> ::fuzz_dist::__private::any_nemesis),
                Plug::Workload => quote_spanned!(span=> ::fuzz_dist::__private::any_workload),
                Plug::Checker => quote_spanned!(span=> ::fuzz_dist::__private::any_checker),
                Plug::Env => quote_spanned!(span=> ::fuzz_dist::__private::any_env),
            };
            quote_spanned!(span=> ::fuzz_dist::__private::Source::Expr(|| #boxed(#expression)))
        }
    };
    Some(
        quote!(::fuzz_dist::__private::Choice { label: #label, location: #location, source: #source }),
    )
}

/// The value of a key that is no plug, as an expression of the option's type.
fn scalar(key: &Key, ident: &Ident, value: Option<&Expr>) -> syn::Result<TokenStream> {
    match (key.kind, value) {
        (Kind::Flag, None) => Ok(quote!(true)),
        (_, None) => Err(Error::new(ident.span(), needs_value(key))),
        (Kind::Word(kind, words), Some(value)) => word(key, kind, words, value),
        (_, Some(Expr::Lit(ExprLit { lit, .. }))) => literal(key, lit),
        (_, Some(Expr::Unary(unary))) if matches!(unary.op, UnOp::Neg(_)) => {
            Err(wrong_value(key, unary))
        }
        (kind, Some(value)) => Ok(expression(kind, value)),
    }
}

/// A constant or a call of the user's: the compiler checks its type, the run its range.
fn expression(kind: Kind, value: &Expr) -> TokenStream {
    let span = value.span();
    match kind {
        Kind::Seed => quote_spanned!(span=> ::fuzz_dist::__private::Seed(#value)),
        Kind::Rate => quote_spanned!(span=> ::fuzz_dist::__private::rate(#value)),
        Kind::Concurrency => quote_spanned!(span=> ::fuzz_dist::__private::concurrency(#value)),
        _ => quote!(#value),
    }
}

/// A literal is checked here, where its place is known.
fn literal(key: &Key, literal: &Lit) -> syn::Result<TokenStream> {
    match (key.kind, literal) {
        (Kind::Count, Lit::Int(number)) => match number.base10_parse::<u32>()? {
            0 => Err(Error::new(number.span(), format!("`{}` is at least 1", key.name))),
            _ => Ok(quote!(#number)),
        },
        (Kind::Seed, Lit::Int(number)) => {
            number.base10_parse::<u64>()?;
            Ok(quote!(::fuzz_dist::__private::Seed(#number)))
        }
        (Kind::Rate, Lit::Int(_) | Lit::Float(_)) => rate(key, literal),
        (Kind::Concurrency, _) => concurrency(key, literal),
        (Kind::Time { zero }, Lit::Str(text)) => time(key, zero, text),
        (Kind::Flag, Lit::Bool(flag)) => Ok(quote!(#flag)),
        _ => Err(wrong_value(key, literal)),
    }
}

fn wrong_value(key: &Key, value: &impl ToTokens) -> Error {
    Error::new_spanned(value, format!("`{}` takes {}: `{}`", key.name, wants(key), key.example))
}

fn rate(key: &Key, value: &Lit) -> syn::Result<TokenStream> {
    let parsed = match value {
        Lit::Int(number) => number.base10_parse::<f64>()?,
        Lit::Float(number) => number.base10_parse::<f64>()?,
        _ => f64::NAN,
    };
    if parsed > 0.0 && parsed.is_finite() {
        return Ok(quote!(#parsed));
    }
    let message = format!("`{}` is in operations per second, above 0: `{}`", key.name, key.example);
    Err(Error::new_spanned(value, message))
}

fn concurrency(key: &Key, literal: &Lit) -> syn::Result<TokenStream> {
    let (variant, count) = match literal {
        Lit::Int(number) => ("Total", number.base10_parse::<u32>().ok()),
        Lit::Str(text) => {
            let text = text.value();
            let count = text.strip_suffix('n').map(|n| if n.is_empty() { "1" } else { n });
            ("PerNode", count.and_then(|n| n.parse::<u32>().ok()))
        }
        _ => ("", None),
    };
    let Some(count) = count.filter(|count| *count > 0) else {
        return Err(wrong_value(key, literal));
    };
    let (variant, count) = (format_ident!("{variant}"), count as usize);
    Ok(quote!(::fuzz_dist::__private::Concurrency::#variant(#count)))
}

fn time(key: &Key, zero: bool, text: &LitStr) -> syn::Result<TokenStream> {
    let Some(parsed) = duration::parse(&text.value()) else {
        let message = format!("{:?} is not a duration; {}", text.value(), duration::HINT);
        return Err(Error::new_spanned(text, message));
    };
    if parsed.is_zero() && !zero {
        return Err(Error::new_spanned(
            text,
            format!("`{}` is above zero: `{}`", key.name, key.example),
        ));
    }
    let millis = parsed.as_millis() as u64;
    Ok(quote!(::fuzz_dist::__private::Duration::from_millis(#millis)))
}

fn word(key: &Key, kind: &str, words: &[(&str, &str)], value: &Expr) -> syn::Result<TokenStream> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let list = known.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or ");
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = value else {
        return Err(Error::new_spanned(value, format!("`{}` takes {list}", key.name)));
    };
    let text = text.value();
    if let Some((_, variant)) = words.iter().find(|(word, _)| *word == text) {
        let (kind, variant) = (format_ident!("{kind}"), format_ident!("{variant}"));
        return Ok(quote!(::fuzz_dist::__private::#kind::#variant));
    }
    let hint = match suggest::nearest(&text, &known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("it takes {list}"),
    };
    Err(Error::new_spanned(value, format!("unknown `{}` {text:?}; {hint}", key.name)))
}

fn wants(key: &Key) -> &'static str {
    match key.kind {
        Kind::Count | Kind::Seed => "an integer",
        Kind::Rate => "operations per second",
        Kind::Concurrency => "a number of clients of at least 1, in total or per node",
        Kind::Time { .. } => "a duration",
        Kind::Flag => "true or false",
        Kind::Plug(_) | Kind::Word(..) | Kind::Reason => "a string",
    }
}

pub(crate) fn needs_value(key: &Key) -> String {
    format!("`{}` needs a value: `{}`", key.name, key.example)
}

/// `file!()` and its kin at the user's tokens, not at the macro's definition.
pub(crate) fn location(span: Span) -> TokenStream {
    quote_spanned!(span=> ::fuzz_dist::__private::Location {
        file: ::core::file!(), line: ::core::line!(), column: ::core::column!(),
    })
}
