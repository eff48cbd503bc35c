//! The order of terms: that of Erlang's map keys, so that sets and maps of terms print the same everywhere.

use std::cmp::Ordering;

use super::term::{Float, Term};

impl Ord for Term {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Term::Int(a), Term::Int(b)) => a.cmp(b),
            (Term::Big(a), Term::Big(b)) => a.cmp(b),
            // A big integer never fits 64 bits, so its sign decides.
            (Term::Int(_), Term::Big(b)) if b.is_negative() => Ordering::Greater,
            (Term::Int(_), Term::Big(_)) => Ordering::Less,
            (Term::Big(a), Term::Int(_)) if a.is_negative() => Ordering::Less,
            (Term::Big(_), Term::Int(_)) => Ordering::Greater,
            (Term::Float(a), Term::Float(b)) => a.cmp(b),
            (Term::Atom(a), Term::Atom(b)) => a.cmp(b),
            (Term::Reference(a), Term::Reference(b)) => a.cmp(b),
            (Term::Fun(a), Term::Fun(b)) => a.cmp(b),
            (Term::Export(a), Term::Export(b)) => a.cmp(b),
            (Term::Port(a), Term::Port(b)) => a.cmp(b),
            (Term::Pid(a), Term::Pid(b)) => a.cmp(b),
            (Term::Tuple(a), Term::Tuple(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
            (Term::Map(a), Term::Map(b)) => compare_maps(a, b),
            (Term::List(_) | Term::Improper(_), Term::List(_) | Term::Improper(_)) => {
                compare_lists(self, other)
            }
            (Term::Binary(_) | Term::Bits(_), Term::Binary(_) | Term::Bits(_)) => {
                compare_bits(self, other)
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn rank(term: &Term) -> u8 {
    match term {
        Term::Int(_) | Term::Big(_) => 0,
        Term::Float(_) => 1,
        Term::Atom(_) => 2,
        Term::Reference(_) => 3,
        Term::Fun(_) => 4,
        Term::Export(_) => 5,
        Term::Port(_) => 6,
        Term::Pid(_) => 7,
        Term::Tuple(_) => 8,
        Term::Map(_) => 9,
        Term::List(_) | Term::Improper(_) => 10,
        Term::Binary(_) | Term::Bits(_) => 11,
    }
}

type Map = std::collections::BTreeMap<Term, Term>;

/// Smaller maps come first, then the keys decide, then the values.
fn compare_maps(a: &Map, b: &Map) -> Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.keys().cmp(b.keys()))
        .then_with(|| a.values().cmp(b.values()))
}

/// Lists compare cell by cell; where one has ended, its tail is compared with what is left of the other.
fn compare_lists(a: &Term, b: &Term) -> Ordering {
    let (heads_a, tail_a) = cells(a);
    let (heads_b, tail_b) = cells(b);
    let both = heads_a.len().min(heads_b.len());
    heads_a[..both].cmp(&heads_b[..both]).then_with(|| {
        let (rest_a, rest_b) = (heads_a.len() - both, heads_b.len() - both);
        match (rest_a, rest_b) {
            (0, 0) => match (tail_a, tail_b) {
                (Some(a), Some(b)) => a.cmp(b),
                (Some(a), None) => rank(a).cmp(&LIST_RANK),
                (None, Some(b)) => LIST_RANK.cmp(&rank(b)),
                (None, None) => Ordering::Equal,
            },
            // The end of one against a further cell of the other; an empty list is less than any cell.
            (0, _) => tail_a.map_or(Ordering::Less, |a| rank(a).cmp(&LIST_RANK)),
            (_, _) => tail_b.map_or(Ordering::Greater, |b| LIST_RANK.cmp(&rank(b))),
        }
    })
}

const LIST_RANK: u8 = 10;

fn cells(list: &Term) -> (&[Term], Option<&Term>) {
    match list {
        Term::List(elements) => (elements, None),
        Term::Improper(parts) => (&parts.0, Some(&parts.1)),
        _ => (&[], None),
    }
}

fn compare_bits(a: &Term, b: &Term) -> Ordering {
    let (bytes_a, last_a) = bits(a);
    let (bytes_b, last_b) = bits(b);
    bytes_a.cmp(bytes_b).then(last_a.cmp(&last_b))
}

fn bits(term: &Term) -> (&[u8], u8) {
    match term {
        Term::Binary(bytes) => (bytes, 8),
        Term::Bits(bits) => (&bits.bytes, bits.last_bits),
        _ => (&[], 8),
    }
}
