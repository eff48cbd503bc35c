//! Terms printed as the Erlang shell prints them.

use std::fmt::{self, Display, Formatter, Write};

use super::term::{Atom, Bits, Export, Float, Pid, Port, Reference, Term};

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Term::Int(number) => write!(f, "{number}"),
            Term::Big(number) => write!(f, "{number}"),
            Term::Float(number) => write!(f, "{number}"),
            Term::Atom(atom) => write!(f, "{atom}"),
            Term::Reference(reference) => write!(f, "{reference}"),
            Term::Fun(_) => f.write_str("#Fun<>"),
            Term::Export(export) => write!(f, "{export}"),
            Term::Port(port) => write!(f, "{port}"),
            Term::Pid(pid) => write!(f, "{pid}"),
            Term::Tuple(elements) => {
                f.write_str("{")?;
                separated(f, elements)?;
                f.write_str("}")
            }
            Term::Map(pairs) => {
                f.write_str("#{")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key} => {value}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("}")
            }
            Term::List(elements) => match printable(elements) {
                Some(text) => quoted(f, '"', &text),
                None => {
                    f.write_str("[")?;
                    separated(f, elements)?;
                    f.write_str("]")
                }
            },
            Term::Improper(parts) => {
                f.write_str("[")?;
                separated(f, &parts.0)?;
                write!(f, "|{}]", parts.1)
            }
            Term::Binary(bytes) => binary(f, bytes),
            Term::Bits(bits) => write!(f, "{bits}"),
        }
    }
}

fn separated(f: &mut Formatter<'_>, terms: &[Term]) -> fmt::Result {
    for (index, term) in terms.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        write!(f, "{term}")?;
    }
    Ok(())
}

/// The text of a non-empty list that consists of printable characters only, as the shell guesses it.
fn printable(elements: &[Term]) -> Option<String> {
    if elements.is_empty() {
        return None;
    }
    let printable_char = |term: &Term| {
        let c = char::from_u32(u32::try_from(term.as_i64()?).ok()?)?;
        is_printable(c).then_some(c)
    };
    elements.iter().map(printable_char).collect()
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{ff}' | '\n' | '\r' | '\t' | '\u{b}' | '\u{8}' | '\u{c}' | '\u{1b}')
}

fn quoted(f: &mut Formatter<'_>, quote: char, text: &str) -> fmt::Result {
    f.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{b}' => f.write_str("\\v")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\u{1b}' => f.write_str("\\e")?,
            '\\' => f.write_str("\\\\")?,
            c if c == quote => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\x{{{:X}}}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char(quote)
}

fn binary(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    match std::str::from_utf8(bytes) {
        Ok(text)
            if text.chars().all(|c| is_printable(c) || u32::from(c) > 0xff) && !text.is_empty() =>
        {
            f.write_str("<<")?;
            quoted(f, '"', text)?;
            f.write_str(if text.is_ascii() { ">>" } else { "/utf8>>" })
        }
        _ => {
            f.write_str("<<")?;
            for (index, byte) in bytes.iter().enumerate() {
                write!(f, "{}{byte}", if index > 0 { "," } else { "" })?;
            }
            f.write_str(">>")
        }
    }
}

impl Display for Atom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.as_str();
        let bare = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@')
            && !RESERVED.contains(&name);
        if bare { f.write_str(name) } else { quoted(f, '\'', name) }
    }
}

/// Words of the language that an atom may be called only in quotes.
const RESERVED: [&str; 28] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
    "catch", "cond", "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or",
    "orelse", "receive", "rem", "try", "when",
];

/// The shortest digits that read back as the same float, with or without exponent: whichever takes
/// fewer characters, as Erlang chooses; an exponent always where not all integers are floats.
impl Display for Float {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const EXACT_MAX: f64 = (1u64 << 53) as f64;
        // Rust's shortest form with exponent: d.ddde±x
        let text = format!("{:e}", self.0.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.replace('.', "");
        let exponent: i32 = exponent.parse().unwrap_or(0);
        // The digits before the point if there is no exponent; zeros fill up on either side.
        let before = exponent + 1;
        let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        let zeros = if before < 0 { -before } else { (before - count).max(0) };
        let exponent_text = exponent.to_string();
        let exponent_cost = exponent_text.len() as i32 + if count == 1 { 3 } else { 2 };
        let outside = before < 0 || before >= count;
        if self.0.is_sign_negative() {
            f.write_str("-")?;
        }
        if (outside && zeros + 2 > exponent_cost) || self.0.abs() >= EXACT_MAX {
            let (first, rest) = digits.split_at(1);
            return write!(
                f,
                "{first}.{}e{exponent_text}",
                if rest.is_empty() { "0" } else { rest }
            );
        }
        let zeros = "0".repeat(zeros as usize);
        if before <= 0 {
            write!(f, "0.{zeros}{digits}")
        } else if before >= count {
            write!(f, "{digits}{zeros}.0")
        } else {
            let (whole, fraction) = digits.split_at(before as usize);
            write!(f, "{whole}.{fraction}")
        }
    }
}

impl Display for Pid {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}.{}>", self.node.as_str(), self.id, self.serial)
    }
}

impl Display for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "#Port<{}.{}>", self.node.as_str(), self.id)
    }
}

impl Display for Reference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "#Ref<{}", self.node.as_str())?;
        self.ids.iter().rev().try_for_each(|id| write!(f, ".{id}"))?;
        f.write_str(">")
    }
}

impl Display for Export {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "fun {}:{}/{}", self.module, self.function, self.arity)
    }
}

impl Display for Bits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<<")?;
        let last = self.bytes.len().saturating_sub(1);
        for (index, byte) in self.bytes.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            if index == last {
                let unused = 8u32.saturating_sub(u32::from(self.last_bits));
                write!(f, "{comma}{}:{}", byte.checked_shr(unused).unwrap_or(0), self.last_bits)?;
            } else {
                write!(f, "{comma}{byte}")?;
            }
        }
        f.write_str(">>")
    }
}
