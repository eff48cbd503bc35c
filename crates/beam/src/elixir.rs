//! Elixir's structs as what they stand for: sets, ranges, dates and times.
//!
//! A struct is a map whose key `__struct__` names its module, as `'Elixir.MapSet'`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::from_term::{ConvertError, FromTerm};
use super::term::{Term, atom};

/// Ranges with more elements become no list: it would be a mistake, or take the memory.
const RANGE_ELEMENTS_MAX: i64 = 10_000_000;

/// The key of a struct's module.
const STRUCT: &str = "__struct__";

fn field<'a>(fields: &'a BTreeMap<Term, Term>, name: &'static str) -> Option<&'a Term> {
    fields.get(&atom(name))
}

fn number(fields: &BTreeMap<Term, Term>, name: &'static str) -> Option<i64> {
    field(fields, name)?.as_i64()
}

/// The name of a struct's module, without `Elixir.`.
fn struct_of(fields: &BTreeMap<Term, Term>) -> Option<&str> {
    field(fields, STRUCT)?.as_atom()?.as_str().strip_prefix("Elixir.")
}

/// First, last and step of a range.
fn range(fields: &BTreeMap<Term, Term>) -> Option<(i64, i64, i64)> {
    let (first, last) = (number(fields, "first")?, number(fields, "last")?);
    // Before Elixir 1.12 ranges had no step, and went down where the last is less than the first.
    let step = number(fields, "step").unwrap_or(if first <= last { 1 } else { -1 });
    (step != 0).then_some((first, last, step))
}

/// The elements of a list, a `MapSet` or a `Range`.
pub(super) fn elements(term: Term) -> Result<Vec<Term>, ConvertError> {
    let found = match &term {
        Term::List(_) => None,
        Term::Map(fields) => match struct_of(fields) {
            Some("MapSet") => match field(fields, "map") {
                Some(Term::Map(members)) => Some(members.keys().cloned().collect()),
                _ => None,
            },
            Some("Range") => range(fields).and_then(stepped),
            _ => None,
        },
        _ => None,
    };
    match (found, term) {
        (Some(found), _) => Ok(found),
        (None, Term::List(elements)) => Ok(elements),
        (None, term) => Err(ConvertError::new("a list, a MapSet or a Range", &term)),
    }
}

fn stepped((first, last, step): (i64, i64, i64)) -> Option<Vec<Term>> {
    let count = last.checked_sub(first)?.checked_div(step)?.checked_add(1)?.max(0);
    if count > RANGE_ELEMENTS_MAX {
        return None;
    }
    Some((0..count).map(|index| Term::Int(first + index * step)).collect())
}

/// Keys and values of a map, of a struct (without its module), or of a list of pairs, as keyword lists are.
pub(super) fn pairs(term: Term) -> Result<Vec<(Term, Term)>, ConvertError> {
    const EXPECTED: &str = "a map, a struct or a keyword list";
    match term {
        Term::Map(fields) => {
            let is_field = |(key, _): &(Term, Term)| !key.is_atom(STRUCT);
            Ok(fields.into_iter().filter(is_field).collect())
        }
        Term::List(items) if items.iter().all(|item| matches!(item.as_tuple(), Some([_, _]))) => {
            let mut pairs: Vec<(Term, Term)> = Vec::with_capacity(items.len());
            for item in items {
                let Term::Tuple(parts) = item else { continue };
                let mut parts = parts.into_iter();
                if let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                    pairs.push((key, value));
                }
            }
            let mut keys: Vec<&Term> = pairs.iter().map(|(key, _)| key).collect();
            keys.sort();
            match keys.windows(2).find(|two| two[0] == two[1]) {
                None => Ok(pairs),
                Some(twice) => Err(ConvertError::new(
                    format!("{EXPECTED}, each key once"),
                    &Term::Tuple(vec![twice[0].clone(), atom("stands_twice")]),
                )),
            }
        }
        term => Err(ConvertError::new(EXPECTED, &term)),
    }
}

/// A date or time as ISO 8601 has it, and Elixir's `to_iso8601`.
pub(super) fn iso8601(term: &Term) -> Option<String> {
    let Term::Map(fields) = term else { return None };
    let date = || {
        let (year, month, day) =
            (number(fields, "year")?, number(fields, "month")?, number(fields, "day")?);
        let sign = if year < 0 { "-" } else { "" };
        Some(format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs()))
    };
    let time = || {
        let (hour, minute, second) =
            (number(fields, "hour")?, number(fields, "minute")?, number(fields, "second")?);
        let mut text = format!("{hour:02}:{minute:02}:{second:02}");
        if let Some([micros, precision]) = field(fields, "microsecond").and_then(Term::as_tuple) {
            let digits = format!("{:06}", micros.as_i64()?);
            match usize::try_from(precision.as_i64()?).ok()?.min(6) {
                0 => {}
                precision => write!(text, ".{}", digits.get(..precision)?).ok()?,
            }
        }
        Some(text)
    };
    match struct_of(fields)? {
        "Date" => date(),
        "Time" => time(),
        "NaiveDateTime" => Some(format!("{}T{}", date()?, time()?)),
        "DateTime" => {
            let offset = number(fields, "utc_offset")? + number(fields, "std_offset")?;
            let is_utc =
                field(fields, "time_zone").and_then(Term::as_text).as_deref() == Some("Etc/UTC");
            let zone = match offset {
                0 if is_utc => "Z".to_owned(),
                _ => {
                    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
                    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
                }
            };
            Some(format!("{}T{}{zone}", date()?, time()?))
        }
        _ => None,
    }
}

/// From a range whose step is 1. One without elements (`1..0//1`) has none here as well.
///
/// ```
/// use fuzz_dist_beam::{FromTerm, Term, atom};
/// let range = [("__struct__", atom("Elixir.Range")), ("first", 1.into()), ("last", 3.into()), ("step", 1.into())];
/// let range = Term::Map(range.into_iter().map(|(key, value)| (atom(key), value)).collect());
/// assert_eq!(std::ops::RangeInclusive::<u8>::from_term(range), Ok(1..=3));
/// ```
impl<T: FromTerm> FromTerm for RangeInclusive<T> {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        let found = match &term {
            Term::Map(fields) if struct_of(fields) == Some("Range") => range(fields),
            _ => None,
        };
        match found {
            Some((first, last, 1)) => Ok(T::from_term(first.into())?..=T::from_term(last.into())?),
            _ => Err(ConvertError::new("a Range with the step 1", &term)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charlist;
    use std::collections::{BTreeSet, HashMap, HashSet};

    fn fields(fields: &[(&'static str, Term)]) -> Term {
        Term::Map(fields.iter().map(|(key, value)| (atom(key), value.clone())).collect())
    }

    fn structure(module: &'static str, of: &[(&'static str, Term)]) -> Term {
        let Term::Map(mut all) = fields(of) else { unreachable!() };
        all.insert(atom(STRUCT), atom(module));
        Term::Map(all)
    }

    fn map_set(members: impl IntoIterator<Item = i64>) -> Term {
        let map = members.into_iter().map(|member| (Term::Int(member), Term::List(vec![])));
        structure("Elixir.MapSet", &[("map", Term::Map(map.collect()))])
    }

    fn a_range(first: i64, last: i64, step: i64) -> Term {
        let parts = [("first", first.into()), ("last", last.into()), ("step", step.into())];
        structure("Elixir.Range", &parts)
    }

    #[test]
    fn sets_are_read_as_sets_and_lists() {
        assert_eq!(Vec::<i64>::from_term(map_set([3, 1, 2])), Ok(vec![1, 2, 3]));
        assert_eq!(BTreeSet::<u8>::from_term(map_set([1])), Ok(BTreeSet::from([1])));
        assert_eq!(HashSet::<u8>::from_term(map_set([])), Ok(HashSet::new()));
        // Elixir before 1.18 kept a version beside the map.
        let old = [
            ("map", Term::Map(BTreeMap::from([(1.into(), Term::List(vec![]))]))),
            ("version", 2.into()),
        ];
        assert_eq!(Vec::<u8>::from_term(structure("Elixir.MapSet", &old)), Ok(vec![1]));
        let error = Vec::<u8>::from_term(fields(&[("map", 1.into())])).unwrap_err().to_string();
        assert!(error.starts_with("expected a list, a MapSet or a Range, got "), "{error}");
    }

    #[test]
    fn ranges_keep_their_step() {
        assert_eq!(RangeInclusive::<i8>::from_term(a_range(-1, 3, 1)), Ok(-1..=3));
        assert_eq!(Vec::<i64>::from_term(a_range(1, 6, 2)), Ok(vec![1, 3, 5]));
        assert_eq!(Vec::<i64>::from_term(a_range(3, 1, -1)), Ok(vec![3, 2, 1]));
        assert_eq!(Vec::<i64>::from_term(a_range(1, 0, 1)), Ok(vec![]));
        let old = structure("Elixir.Range", &[("first", 2.into()), ("last", 1.into())]);
        assert_eq!(Vec::<i64>::from_term(old), Ok(vec![2, 1]));
        for odd in [a_range(1, 9, 2), a_range(1, 0, -1), 3.into()] {
            let error = RangeInclusive::<i64>::from_term(odd).unwrap_err();
            assert_eq!(error.expected, "a Range with the step 1");
        }
        // What has no room, or no end, is refused.
        for odd in [a_range(0, i64::MAX, 1), a_range(i64::MIN, i64::MAX, 1), a_range(1, 2, 0)] {
            assert!(Vec::<i64>::from_term(odd).is_err());
        }
    }

    #[test]
    fn structs_and_keyword_lists_are_maps() {
        let view = structure("Elixir.Shop.View", &[("cart", "c".into()), ("node", atom("n1"))]);
        let expected =
            HashMap::from([("cart".to_owned(), "c".to_owned()), ("node".into(), "n1".into())]);
        assert_eq!(HashMap::<String, String>::from_term(view), Ok(expected));
        let keywords = Term::from(vec![(atom("a"), 1), (atom("b"), 2)]);
        let expected = BTreeMap::from([("a".to_owned(), 1_u8), ("b".into(), 2)]);
        assert_eq!(BTreeMap::<String, u8>::from_term(keywords), Ok(expected));
        let twice = Term::from(vec![(atom("a"), 1), (atom("a"), 2)]);
        let error = BTreeMap::<String, u8>::from_term(twice).unwrap_err().to_string();
        assert!(error.contains("each key once, got {a,stands_twice}"), "{error}");
        assert!(BTreeMap::<String, u8>::from_term(Term::from(vec![1, 2])).is_err());
        assert_eq!(BTreeMap::<String, u8>::from_term(Term::List(vec![])), Ok(BTreeMap::new()));
    }

    #[test]
    fn dates_and_times_are_text() {
        let day = [("year", 2026.into()), ("month", 11.into()), ("day", 3.into())];
        let micros =
            |number: i64, precision: i64| Term::Tuple(vec![number.into(), precision.into()]);
        let time = |us| {
            [("hour", 7.into()), ("minute", 5.into()), ("second", 9.into()), ("microsecond", us)]
        };
        let text = |module, parts: &[&[(&'static str, Term)]]| {
            String::from_term(structure(module, &parts.concat())).unwrap()
        };
        assert_eq!(text("Elixir.Date", &[&day]), "2026-11-03");
        assert_eq!(text("Elixir.Time", &[&time(micros(0, 0))]), "07:05:09");
        assert_eq!(text("Elixir.Time", &[&time(micros(1_200, 3))]), "07:05:09.001");
        assert_eq!(
            text("Elixir.NaiveDateTime", &[&day, &time(micros(5, 6))]),
            "2026-11-03T07:05:09.000005"
        );
        let zone = |name: &str, utc: i64, std: i64| {
            [("time_zone", name.into()), ("utc_offset", utc.into()), ("std_offset", std.into())]
        };
        let at = |zone: &[(&'static str, Term)]| {
            text("Elixir.DateTime", &[&day, &time(micros(0, 0)), zone])
        };
        assert_eq!(at(&zone("Etc/UTC", 0, 0)), "2026-11-03T07:05:09Z");
        assert_eq!(at(&zone("Europe/Berlin", 3600, 3600)), "2026-11-03T07:05:09+02:00");
        assert_eq!(at(&zone("America/St_Johns", -12_600, 0)), "2026-11-03T07:05:09-03:30");
        // A struct that only has the name is no date.
        assert!(String::from_term(structure("Elixir.Date", &[("year", 1.into())])).is_err());
    }

    #[test]
    fn atoms_and_lists_of_characters_are_text() {
        assert_eq!(String::from_term(atom("red")), Ok("red".into()));
        assert_eq!(String::from_term(charlist("grün")), Ok("grün".into()));
        assert_eq!(String::from_term(Term::List(vec![])), Ok(String::new()));
        for nothing in ["nil", "undefined"] {
            assert!(String::from_term(atom(nothing)).is_err());
            assert_eq!(Option::<String>::from_term(atom(nothing)), Ok(None));
        }
    }

    #[test]
    fn what_is_not_success_is_no_unit() {
        for success in [atom("ok"), atom("true"), 7.into(), Term::Tuple(vec![atom("ok"), 1.into()])]
        {
            assert_eq!(<()>::from_term(success), Ok(()));
        }
        let tuple = Term::Tuple(vec![atom("error"), atom("full")]);
        for failure in [atom("false"), atom("nil"), atom("undefined"), atom("error"), tuple] {
            assert!(<()>::from_term(failure).is_err());
        }
    }

    #[test]
    fn both_sides_of_a_result_are_read() {
        let ok = Term::Tuple(vec![atom("ok"), map_set([1, 2])]);
        assert_eq!(Result::<Vec<u8>, String>::from_term(ok), Ok(Ok(vec![1, 2])));
        let error = Term::Tuple(vec![atom("error"), atom("full")]);
        assert_eq!(Result::<Vec<u8>, String>::from_term(error), Ok(Err("full".into())));
    }

    #[test]
    fn an_error_says_where_in_the_term_it_is() {
        let inner = Term::from(vec![1, 300]);
        let outer = fields(&[("ok", Term::from((atom("x"), inner)))]);
        let error = BTreeMap::<String, (Atom, Vec<u8>)>::from_term(outer).unwrap_err();
        assert_eq!(error.to_string(), "expected an integer that fits u8, got 300 at [ok]{2}[1]");
    }

    use crate::Atom;
}
