//! Terms as values of a history.

use fuzz_dist_history::op::Value;

use crate::Term;

/// For histories: numbers, texts, lists and maps as such, everything else as the shell prints it.
impl From<&Term> for Value {
    fn from(term: &Term) -> Value {
        match term {
            Term::Int(n) => Value::Int(*n),
            Term::Binary(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
            Term::Atom(atom) => match atom.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                other => Value::from(other),
            },
            Term::List(items) => Value::list(items.iter().map(Value::from)),
            Term::Map(entries) => {
                Value::Map(entries.iter().map(|(k, v)| (k.into(), v.into())).collect())
            }
            other => Value::from(other.to_string()),
        }
    }
}
