//! Elixir's values, in the forms that its versions send them in, and wrong ones.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

use crate::{ConvertError, FromTerm, Term, atom, charlist, keyword};

fn structure(name: &'static str, fields: &[(&'static str, Term)]) -> Term {
    let fields = fields.iter().map(|(name, value)| (atom(name), value.clone()));
    Term::Map(fields.chain([(atom("__struct__"), atom(name))]).collect())
}

fn map_set(inner: Term) -> Term {
    structure("Elixir.MapSet", &[("map", inner)])
}

fn range(first: i64, last: i64, step: Option<i64>) -> Term {
    let mut fields = vec![("first", Term::Int(first)), ("last", Term::Int(last))];
    fields.extend(step.map(|step| ("step", Term::Int(step))));
    structure("Elixir.Range", &fields)
}

fn marked(mark: &Term) -> Term {
    Term::Map([3, 1, 2].map(|n| (Term::Int(n), mark.clone())).into())
}

fn message<T: FromTerm + std::fmt::Debug>(term: Term) -> String {
    T::from_term(term).unwrap_err().to_string()
}

#[test]
fn sets_are_read_in_every_form() {
    // `sets:from_list([1,2,3])` of version 1: its elements are in the last field, by hash.
    let bucket = |elements: Vec<i64>| Term::from(elements);
    let mut buckets = vec![bucket(vec![]); 16];
    (buckets[2], buckets[7]) = (bucket(vec![3, 1]), bucket(vec![2]));
    let empty = Term::Tuple(vec![bucket(vec![]); 16]);
    let mut record = vec![atom("set")];
    record.extend([3, 16, 16, 8, 80, 48].map(Term::Int));
    record.extend([empty, Term::Tuple(vec![Term::Tuple(buckets)])]);
    let nothing = Term::List(vec![]);
    for inner in [marked(&nothing), marked(&atom("true")), Term::Tuple(record.clone())] {
        assert_eq!(Vec::<i64>::from_term(map_set(inner.clone())).map(sorted), Ok(vec![1, 2, 3]));
        assert_eq!(BTreeSet::from_term(map_set(inner.clone())), Ok(BTreeSet::from([1, 2, 3])));
        assert_eq!(HashSet::from_term(inner), Ok(HashSet::from([1, 2, 3])));
    }
    assert_eq!(BTreeSet::<i64>::from_term(map_set(Term::Map(BTreeMap::new()))), Ok([].into()));
    // A record that has not as many elements as it says is none.
    record[1] = Term::Int(4);
    assert!(message::<Vec<i64>>(map_set(Term::Tuple(record))).contains("a MapSet of a known form"));
    assert!(message::<HashSet<i64>>(marked(&Term::Int(7))).contains("a list, a MapSet or a Range"));
    // A map that is no set is no list.
    assert!(message::<Vec<i64>>(marked(&nothing)).contains("a list, a MapSet or a Range"));
}

fn sorted(mut list: Vec<i64>) -> Vec<i64> {
    list.sort_unstable();
    list
}

#[test]
fn ranges_keep_their_step() {
    let list = |term| Vec::<i64>::from_term(term);
    assert_eq!(list(range(1, 4, Some(1))), Ok(vec![1, 2, 3, 4]));
    assert_eq!(list(range(1, 8, Some(3))), Ok(vec![1, 4, 7]));
    assert_eq!(list(range(3, 1, Some(-1))), Ok(vec![3, 2, 1]));
    assert_eq!(list(range(3, 1, Some(1))), Ok(vec![]));
    assert_eq!(list(range(3, 1, None)), Ok(vec![3, 2, 1]));
    assert_eq!(list(range(i64::MAX - 1, i64::MAX, Some(1))), Ok(vec![i64::MAX - 1, i64::MAX]));
    assert_eq!(RangeInclusive::<u8>::from_term(range(1, 9, Some(1))), Ok(1..=9));
    assert_eq!(RangeInclusive::<i64>::from_term(Term::from(2..=5)), Ok(2..=5));
    assert!(message::<RangeInclusive<i64>>(range(1, 9, Some(2))).contains("a Vec takes any step"));
    assert!(
        message::<RangeInclusive<u8>>(range(1, 256, Some(1))).ends_with("(at last of the result)")
    );
    assert!(
        message::<RangeInclusive<i64>>(range(1, 9, Some(0))).starts_with("expected a Range, got")
    );
    // A few bytes may name any number of elements.
    let endless = message::<Vec<i64>>(range(i64::MIN, i64::MAX, Some(1)));
    assert!(endless.contains("at most 1000000 elements"), "{endless}");
    assert_eq!(list(range(1, 1_000_000, Some(1))).map(|list| list.len()), Ok(1_000_000));
    assert!(list(range(0, 1_000_000, Some(1))).is_err());
}

#[test]
fn structs_and_keyword_lists_are_maps() {
    type Map = BTreeMap<String, i64>;
    let expected: Map = [("limit".into(), 5), ("offset".into(), 10)].into();
    let fields = [("limit", Term::Int(5)), ("offset", Term::Int(10))];
    let exception = [&fields[..], &[("__exception__", atom("true"))]].concat();
    let page = structure("Elixir.Shop.Page", &fields);
    let pairs = keyword([("limit", 5), ("offset", 10)]);
    for term in [page.clone(), structure("Elixir.Shop.Error", &exception), pairs] {
        assert_eq!(Map::from_term(term.clone()), Ok(expected.clone()));
        assert_eq!(HashMap::from_term(term), Ok(expected.clone().into_iter().collect()));
    }
    // Who wants to know which struct it is asks for the term.
    assert!(matches!(Term::from_term(page), Ok(Term::Map(map)) if map.len() == 3));
    assert_eq!(Map::from_term(Term::List(vec![])), Ok(Map::new()));
    let twice = message::<Map>(keyword([("a", 1), ("a", 2)]));
    assert_eq!(twice, "expected different keys, got a (at [a] of the result)");
    let same = Term::Map([(atom("a"), Term::Int(1)), (Term::from("a"), Term::Int(2))].into());
    assert!(message::<Map>(same).contains("different keys"));
    let no_pair = message::<Map>(Term::List(vec![atom("debug")]));
    assert_eq!(no_pair, "expected a pair, got debug (at [0] of the result)");
}

#[test]
fn names_and_charlists_are_text() {
    let text = |term| String::from_term(term);
    assert_eq!(text(atom("leader")), Ok("leader".into()));
    assert_eq!(text(atom("Elixir.Shop.Cart")), Ok("Shop.Cart".into()));
    assert_eq!(text(charlist("hä")), Ok("hä".into()));
    assert_eq!(text(Term::List(vec![])), Ok(String::new()));
    assert_eq!(Vec::<i64>::from_term(Term::List(vec![])), Ok(vec![]));
    assert_eq!(Option::<String>::from_term(atom("nil")), Ok(None));
    for nothing in ["nil", "undefined"] {
        assert!(text(atom(nothing)).is_err());
    }
    assert!(text(Term::from(vec![0x0011_0000])).is_err());
}

#[test]
fn dates_and_times_are_iso_8601() {
    let iso = ("calendar", atom("Elixir.Calendar.ISO"));
    let day = [("year", Term::Int(2024)), ("month", Term::Int(2)), ("day", Term::Int(9))];
    let time = |us: i64, precision: i64| {
        [
            ("hour", Term::Int(7)),
            ("minute", Term::Int(5)),
            ("second", Term::Int(3)),
            ("microsecond", Term::from((us, precision))),
        ]
    };
    let zone = |name: &str, utc: i64, std: i64| {
        [
            ("time_zone", Term::from(name)),
            ("utc_offset", Term::Int(utc)),
            ("std_offset", Term::Int(std)),
        ]
    };
    let of = |name, parts: &[&[(&'static str, Term)]]| {
        String::from_term(structure(name, &[parts.concat(), vec![iso.clone()]].concat()))
    };
    assert_eq!(of("Elixir.Date", &[&day]), Ok("2024-02-09".into()));
    assert_eq!(of("Elixir.Time", &[&time(0, 0)]), Ok("07:05:03".into()));
    assert_eq!(of("Elixir.Time", &[&time(1_200, 3)]), Ok("07:05:03.001".into()));
    let naive = of("Elixir.NaiveDateTime", &[&day, &time(1_200, 6)]);
    assert_eq!(naive, Ok("2024-02-09T07:05:03.001200".into()));
    let at = |zone: &[_]| of("Elixir.DateTime", &[&day, &time(0, 0), zone]);
    assert_eq!(at(&zone("Etc/UTC", 0, 0)), Ok("2024-02-09T07:05:03Z".into()));
    assert_eq!(at(&zone("Europe/Berlin", 3600, 3600)), Ok("2024-02-09T07:05:03+02:00".into()));
    assert_eq!(at(&zone("America/St_Johns", -12600, 0)), Ok("2024-02-09T07:05:03-03:30".into()));
    assert!(at(&[]).unwrap_err().to_string().contains("a DateTime of the ISO calendar"));
    assert!(of("Elixir.Time", &[&time(1_000_000, 6)]).is_err());
    let other =
        structure("Elixir.Date", &[&day[..], &[("calendar", atom("Elixir.Hebrew"))]].concat());
    assert!(String::from_term(other).is_err());
}

#[test]
fn what_is_no_success_is_refused() {
    for nothing in ["false", "nil", "undefined", "error"] {
        assert!(message::<()>(atom(nothing)).starts_with("expected success, got "));
    }
    for success in ["ok", "true", "done"] {
        assert_eq!(<()>::from_term(atom(success)), Ok(()));
    }
    type Answer = Result<u8, String>;
    assert_eq!(Answer::from_term(Term::from(Ok::<i64, i64>(7))), Ok(Ok(7)));
    assert_eq!(
        Answer::from_term(Term::from((atom("error"), atom("full")))),
        Ok(Err("full".into()))
    );
    assert_eq!(Answer::from_term(atom("error")), Ok(Err("error".into())));
    assert!(message::<Answer>(Term::from((atom("ok"), 256))).ends_with("(at .ok of the result)"));
    assert!(
        message::<Answer>(Term::from((atom("error"), 1))).ends_with("(at .error of the result)")
    );
}

#[test]
fn an_error_says_where_in_the_result_it_is() {
    type Nested = BTreeMap<String, Vec<(String, u8)>>;
    let items = vec![Term::from(("a", 1)), Term::from(("b", 256))];
    let error = Nested::from_term(Term::Map([(Term::from("items"), Term::List(items))].into()));
    let ConvertError { expected, found, path } = error.unwrap_err();
    assert_eq!((&*expected, &*found), ("an integer that fits u8", "256"));
    assert_eq!(path, "[<<\"items\">>][1].1");
    let key = message::<BTreeMap<u8, u8>>(keyword([("limit", 5)]));
    assert_eq!(
        key,
        "expected an integer that fits u8, got limit (at [limit] (a key) of the result)"
    );
}
