//! The list between an attribute's parentheses, parsed so that one mistake hides no other.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, Ident, Token};

/// `key = value`, or a bare `key`.
pub(crate) struct Entry {
    pub(crate) key: Ident,
    pub(crate) value: Option<Expr>,
}

/// Collects errors, so that all of them are reported at once.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(Error::new(span, message));
    }

    /// At all of the tokens of something, where [`Errors::at`] would underline the first alone.
    pub(crate) fn on(&mut self, tokens: &impl quote::ToTokens, message: impl std::fmt::Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// `Err` with everything collected, if anything was.
    pub(crate) fn into_result(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// All entries that can be read; what cannot is reported, and reading goes on behind it.
pub(crate) fn entries(args: TokenStream, errors: &mut Errors) -> Vec<Entry> {
    let parse = |input: ParseStream<'_>| {
        let mut entries = Vec::new();
        while !input.is_empty() {
            match entry(input) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    errors.push(error);
                    skip_to_next_entry(input)?;
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(entries)
    };
    // The closure consumes everything and keeps its errors: nothing is left that can fail.
    Parser::parse2(parse, args).unwrap_or_default()
}

fn entry(input: ParseStream<'_>) -> syn::Result<Entry> {
    if !input.peek(Ident::peek_any) {
        return Err(input.error("expected a key, as in `db = \"antidote\"`"));
    }
    let key = Ident::parse_any(input)?;
    let mut value = None;
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new(key.span(), format!("`{key} =` lacks its value")));
        }
        value = Some(input.parse()?);
    }
    if !input.is_empty() && !input.peek(Token![,]) {
        return Err(input.error("expected `,` before the next key"));
    }
    Ok(Entry { key, value })
}

/// Stops before a comma that a key follows: other commas may belong to the broken value.
fn skip_to_next_entry(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() {
        let ahead = input.fork();
        if ahead.parse::<Token![,]>().is_ok() {
            if ahead.is_empty() {
                return Ok(());
            }
            let key = Ident::parse_any(&ahead).is_ok();
            if key && (ahead.is_empty() || ahead.peek(Token![=]) || ahead.peek(Token![,])) {
                return Ok(());
            }
        }
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
