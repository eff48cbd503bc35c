//! Elixir's values by their structs: sets, ranges and dates, and what of a struct are its fields.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::RangeInclusive;

use super::from_term::{ConvertError, FromTerm};
use super::term::{Term, atom};

/// How many elements of a range are read at most: a range of a few bytes may name any number.
const RANGE_ELEMENTS_MAX: u64 = 1_000_000;

/// The name of a struct without `Elixir.`, and its fields.
fn structure(term: &Term) -> Option<(&str, &BTreeMap<Term, Term>)> {
    let Term::Map(fields) = term else { return None };
    let name = fields.get(&atom("__struct__"))?.as_atom()?.as_str();
    Some((name.strip_prefix("Elixir.").unwrap_or(name), fields))
}

fn field<'a>(fields: &'a BTreeMap<Term, Term>, name: &'static str) -> Option<&'a Term> {
    fields.get(&atom(name))
}

/// The fields of a struct, as `Map.from_struct/1` gives them; those of an exception without their
/// mark. Of any other map: all.
pub(crate) fn fields(mut map: BTreeMap<Term, Term>) -> BTreeMap<Term, Term> {
    if map.get(&atom("__struct__")).is_some_and(|name| name.as_atom().is_some()) {
        map.remove(&atom("__struct__"));
        map.remove(&atom("__exception__"));
    }
    map
}

/// The elements of a `MapSet` or of a `Range`; `None` for any other term.
pub(crate) fn elements(term: &Term) -> Option<Result<Vec<Term>, ConvertError>> {
    match structure(term)? {
        ("MapSet", fields) => {
            let inner = field(fields, "map").and_then(set_elements);
            Some(inner.ok_or_else(|| ConvertError::new("a MapSet of a known form", term)))
        }
        ("Range", _) => Some(range(term).and_then(|range| range.elements(term))),
        _ => None,
    }
}

/// The elements of a set of Erlang's `sets`, in the form of either version: the keys of a map
/// whose values are `[]` (since OTP 24; `true` in old releases of Elixir), or the buckets of a
/// record.
pub(crate) fn set_elements(term: &Term) -> Option<Vec<Term>> {
    match term {
        Term::Map(map) => {
            let marks = |value: &Term| {
                value.is_atom("true") || value.as_list().is_some_and(<[Term]>::is_empty)
            };
            map.values().all(marks).then(|| map.keys().cloned().collect())
        }
        Term::Tuple(record) if record.len() == 9 && record[0].is_atom("set") => {
            let mut elements = Vec::new();
            for segment in record[8].as_tuple()? {
                for bucket in segment.as_tuple()? {
                    elements.extend_from_slice(bucket.as_list()?);
                }
            }
            (i64::try_from(elements.len()).ok() == record[1].as_i64()).then_some(elements)
        }
        _ => None,
    }
}

/// A range: its ends belong to it, unless it is empty.
struct Range {
    first: i64,
    last: i64,
    step: i64,
}

fn range(term: &Term) -> Result<Range, ConvertError> {
    let read = || {
        let (name, fields) = structure(term)?;
        let (first, last) = (field(fields, "first")?.as_i64()?, field(fields, "last")?.as_i64()?);
        // Before Elixir 1.12 there was no step: a range went down where its end was lower.
        let step = match field(fields, "step") {
            Some(step) => step.as_i64()?,
            None if first <= last => 1,
            None => -1,
        };
        (name == "Range" && step != 0).then_some(Range { first, last, step })
    };
    read().ok_or_else(|| ConvertError::new("a Range", term))
}

impl Range {
    fn elements(&self, term: &Term) -> Result<Vec<Term>, ConvertError> {
        let Range { first, last, step } = *self;
        if (step > 0 && first > last) || (step < 0 && first < last) {
            return Ok(Vec::new());
        }
        let count = first.abs_diff(last) / step.unsigned_abs();
        if count >= RANGE_ELEMENTS_MAX {
            let expected = format!("a Range of at most {RANGE_ELEMENTS_MAX} elements");
            return Err(ConvertError::new(expected, term));
        }
        Ok((0..=count as i64).map(|n| Term::Int(first + n * step)).collect())
    }
}

/// From a `Range` of step 1. One of another step is read as a `Vec`.
impl<T: FromTerm> FromTerm for RangeInclusive<T> {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        let Range { first, last, step } = range(&term)?;
        if step != 1 {
            return Err(ConvertError::new("a Range of step 1 (a Vec takes any step)", &term));
        }
        let end = |name: &str, at| T::from_term(Term::Int(at)).map_err(|error| error.inside(name));
        Ok(end("first", first)?..=end("last", last)?)
    }
}

/// Elixir's `first..last//1`; of Elixir 1.12 and later.
impl From<RangeInclusive<i64>> for Term {
    fn from(range: RangeInclusive<i64>) -> Self {
        let (first, last) = range.into_inner();
        Term::Map(BTreeMap::from([
            (atom("__struct__"), atom("Elixir.Range")),
            (atom("first"), Term::Int(first)),
            (atom("last"), Term::Int(last)),
            (atom("step"), Term::Int(1)),
        ]))
    }
}

/// `{ok, Value}` or `{error, Reason}`.
impl<T: Into<Term>, E: Into<Term>> From<Result<T, E>> for Term {
    fn from(result: Result<T, E>) -> Self {
        let (tag, value) = match result {
            Ok(value) => ("ok", value.into()),
            Err(reason) => ("error", reason.into()),
        };
        Term::Tuple(vec![atom(tag), value])
    }
}

/// A keyword list: pairs of an atom and a value, in this order.
///
/// ```
/// use fuzz_dist_beam::keyword;
/// assert_eq!(keyword([("limit", 5), ("offset", 10)]).to_string(), "[{limit,5},{offset,10}]");
/// ```
pub fn keyword<K: Into<super::Atom>, V: Into<Term>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Term {
    let pair = |(key, value): (K, V)| Term::Tuple(vec![Term::Atom(key.into()), value.into()]);
    Term::List(pairs.into_iter().map(pair).collect())
}

/// A `Date`, `Time`, `NaiveDateTime` or `DateTime` of the ISO calendar, as `to_iso8601/1` of its
/// module writes it; `None` for any other term.
pub(crate) fn iso8601(term: &Term) -> Option<Result<String, ConvertError>> {
    let (name, fields) = structure(term)?;
    let text = match name {
        "Date" => date(fields),
        "Time" => time(fields),
        "NaiveDateTime" => naive(fields),
        "DateTime" => naive(fields).and_then(|text| Some(text + &offset(fields)?)),
        _ => return None,
    };
    Some(text.ok_or_else(|| ConvertError::new(format!("a {name} of the ISO calendar"), term)))
}

type Fields = BTreeMap<Term, Term>;

fn number(fields: &Fields, name: &'static str, within: RangeInclusive<i64>) -> Option<i64> {
    field(fields, name)?.as_i64().filter(|number| within.contains(number))
}

fn is_iso(fields: &Fields) -> Option<()> {
    field(fields, "calendar")?.is_atom("Elixir.Calendar.ISO").then_some(())
}

fn date(fields: &Fields) -> Option<String> {
    is_iso(fields)?;
    let year = number(fields, "year", -9999..=9999)?;
    let (month, day) = (number(fields, "month", 1..=12)?, number(fields, "day", 1..=31)?);
    let sign = if year < 0 { "-" } else { "" };
    Some(format!("{sign}{:04}-{month:02}-{day:02}", year.abs()))
}

fn time(fields: &Fields) -> Option<String> {
    is_iso(fields)?;
    let (hour, minute) = (number(fields, "hour", 0..=23)?, number(fields, "minute", 0..=59)?);
    let second = number(fields, "second", 0..=60)?;
    let [microsecond, precision] = field(fields, "microsecond")?.as_tuple()? else { return None };
    let microsecond = microsecond.as_i64().filter(|us| (0..1_000_000).contains(us))?;
    let precision = usize::try_from(precision.as_i64()?).ok().filter(|digits| *digits <= 6)?;
    let mut text = format!("{hour:02}:{minute:02}:{second:02}");
    if precision > 0 {
        let digits = format!("{microsecond:06}");
        let _ = write!(text, ".{}", &digits[..precision]);
    }
    Some(text)
}

fn naive(fields: &Fields) -> Option<String> {
    Some(format!("{}T{}", date(fields)?, time(fields)?))
}

fn offset(fields: &Fields) -> Option<String> {
    const DAY_S: i64 = 86_400;
    let seconds = number(fields, "utc_offset", -DAY_S..=DAY_S)?
        + number(fields, "std_offset", -DAY_S..=DAY_S)?;
    let zone = field(fields, "time_zone")?.as_text()?;
    if seconds == 0 && zone == "Etc/UTC" {
        return Some("Z".into());
    }
    let minutes = seconds.abs() / 60;
    let sign = if seconds < 0 { '-' } else { '+' };
    Some(format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

#[cfg(test)]
mod tests;
