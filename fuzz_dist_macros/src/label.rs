//! A matrix cell's part of the trial's name, derived from its tokens.
//!
//! Listing must build no database, so an expression is named by what is written and not by its
//! value: `isolate_dc().every(secs(20))` is `isolate_dc_every_20s`.

use quote::ToTokens;
use syn::{Expr, Lit, Member};

/// Longer labels are cut: they become parts of file names.
const LENGTH_MAX: usize = 64;

/// The label of one element of a matrix: `[A-Za-z0-9_]`, never empty.
pub(crate) fn of(value: &Expr) -> String {
    let mut words = Vec::new();
    walk(value, &mut words);
    clean(&words.join("_"))
}

/// Makes labels differ that would be the same, by numbering the later ones.
pub(crate) fn distinct(labels: &mut [String]) {
    for i in 1..labels.len() {
        let base = labels[i].clone();
        let mut number = 2;
        while labels[..i].contains(&labels[i]) {
            labels[i] = format!("{base}_{number}");
            number += 1;
        }
    }
}

/// Letters, digits and single underscores.
fn clean(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || !(label.is_empty() || label.ends_with('_')) {
            label.push(c);
        }
        if label.len() == LENGTH_MAX {
            break;
        }
    }
    let label = label.trim_end_matches('_');
    if label.is_empty() { "cell".into() } else { label.into() }
}

fn walk(value: &Expr, words: &mut Vec<String>) {
    match value {
        Expr::Lit(literal) => words.push(of_literal(&literal.lit)),
        Expr::Path(path) => words.extend(path_word(path)),
        Expr::Call(call) => match unit_of(&call.func).zip(call.args.first()) {
            Some((unit, amount)) if call.args.len() == 1 => {
                let mut inner = Vec::new();
                walk(amount, &mut inner);
                words.push(format!("{}{unit}", inner.join("_")));
            }
            _ => {
                walk(&call.func, words);
                call.args.iter().for_each(|argument| walk(argument, words));
            }
        },
        Expr::MethodCall(call) => {
            walk(&call.receiver, words);
            words.push(call.method.to_string());
            call.args.iter().for_each(|argument| walk(argument, words));
        }
        Expr::Struct(literal) => {
            words.extend(literal.path.segments.last().map(|s| s.ident.to_string()));
            for field in &literal.fields {
                if let Member::Named(name) = &field.member {
                    words.push(name.to_string());
                }
                walk(&field.expr, words);
            }
        }
        Expr::Array(list) => list.elems.iter().for_each(|element| walk(element, words)),
        Expr::Tuple(list) => list.elems.iter().for_each(|element| walk(element, words)),
        Expr::Reference(inner) => walk(&inner.expr, words),
        Expr::Paren(inner) => walk(&inner.expr, words),
        Expr::Group(inner) => walk(&inner.expr, words),
        Expr::Closure(_) => words.push("closure".into()),
        other => words.push(other.to_token_stream().to_string()),
    }
}

fn of_literal(literal: &Lit) -> String {
    match literal {
        Lit::Str(text) => text.value(),
        Lit::Int(number) => number.base10_digits().to_string(),
        Lit::Float(number) => number.base10_digits().to_string(),
        other => other.to_token_stream().to_string(),
    }
}

/// `MyApp::new` is a `MyApp`, `Release::at` a `Release_at`, and `nemesis::bridge` a `bridge`.
fn path_word(path: &syn::ExprPath) -> Vec<String> {
    let segments: Vec<String> = path.path.segments.iter().map(|s| s.ident.to_string()).collect();
    let is_type = |word: &String| word.starts_with(char::is_uppercase);
    match segments.as_slice() {
        [.., owner, last] if is_type(owner) && (last == "new" || last == "default") => {
            vec![owner.clone()]
        }
        [.., owner, last] if is_type(owner) => vec![owner.clone(), last.clone()],
        [.., last] => vec![last.clone()],
        [] => vec![],
    }
}

/// `secs(20)` and `Duration::from_secs(20)` read better as `20s`.
fn unit_of(function: &Expr) -> Option<&'static str> {
    let Expr::Path(path) = function else { return None };
    let name = path.path.segments.last()?.ident.to_string();
    match name.strip_prefix("from_").unwrap_or(&name) {
        "secs" => Some("s"),
        "millis" | "ms" => Some("ms"),
        "micros" => Some("us"),
        "mins" | "minutes" => Some("m"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: &str) {
        assert_eq!(of(&syn::parse_str(expression).unwrap()), expected, "{expression}");
    }

    #[test]
    fn expressions_are_named_by_their_tokens() {
        check(r#""majority_ring""#, "majority_ring");
        check(r#""two words""#, "two_words");
        check("bridge()", "bridge");
        check("isolate_dc().every(secs(20))", "isolate_dc_every_20s");
        check("blip().every(Duration::from_millis(50))", "blip_every_50ms");
        check("fuzz_dist::nemesis::bridge()", "bridge");
        check("MyApp::new(8087)", "MyApp_8087");
        check(r#"Release::at("_build/rel").nodes(3)"#, "Release_at_build_rel_nodes_3");
        check("Stutter { every_ms: 50 }", "Stutter_every_ms_50");
        check("compose([bridge(), kill()])", "compose_bridge_kill");
        check("&LIMIT", "LIMIT");
        check("|node| node", "closure");
        check("1 + 2", "1_2");
        check("()", "cell");
    }

    #[test]
    fn long_labels_are_cut() {
        let label = of(&syn::parse_str(&format!("f(\"{}\")", "x".repeat(500))).unwrap());
        assert_eq!(label.len(), LENGTH_MAX);
    }

    #[test]
    fn equal_labels_are_numbered() {
        let mut labels: Vec<String> =
            ["a", "b", "a", "a", "a_2"].iter().map(|s| s.to_string()).collect();
        distinct(&mut labels);
        assert_eq!(labels, ["a", "b", "a_2", "a_3", "a_2_2"]);
    }
}
