//! The values of operations: what was written, what was read.

use std::fmt;
use std::sync::Arc;

/// A value of an operation.
///
/// Sets of integers have a variant of their own, since reads of large sets are what histories
/// mostly consist of: the history stores them as differences.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum Value {
    /// Nothing: the argument of a read, the initial value of a register.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(Arc<str>),
    /// A set of whole numbers in which multiplicities above one are kept.
    Set(IntSet),
    /// A list, a tuple, a transaction of micro-operations.
    List(Arc<[Value]>),
    /// Pairs of keys and values, in the order given.
    Map(Arc<[(Value, Value)]>),
}

impl Value {
    /// A list.
    ///
    /// ```
    /// # use fuzz_dist_history::op::Value;
    /// assert_eq!(Value::list([1, 2]).to_string(), "[1 2]");
    /// ```
    pub fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }

    /// A set of whole numbers, from items in any order.
    pub fn set(items: impl IntoIterator<Item = i64>) -> Value {
        Value::Set(IntSet::from_iter(items))
    }

    /// A map with text keys.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
        Value::Map(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// The number, where this is one.
    pub const fn as_int(&self) -> Option<i64> {
        if let Value::Int(n) = self { Some(*n) } else { None }
    }

    /// The text, where this is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(t) = self { Some(t) } else { None }
    }

    /// The items, where this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(items) = self { Some(items) } else { None }
    }

    /// The value under a text key, where this is a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Value::Map(entries) = self else { return None };
        entries.iter().find(|(k, _)| k.as_text() == Some(key)).map(|(_, v)| v)
    }

    /// Is there nothing?
    pub const fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }
}

impl From<()> for Value {
    fn from((): ()) -> Value {
        Value::Nil
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}
impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Int(n)
    }
}
impl From<i32> for Value {
    fn from(n: i32) -> Value {
        Value::Int(n.into())
    }
}
impl From<u32> for Value {
    fn from(n: u32) -> Value {
        Value::Int(n.into())
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::Text(s.into())
    }
}
impl From<String> for Value {
    fn from(s: String) -> Value {
        Value::Text(s.into())
    }
}
impl From<Arc<str>> for Value {
    fn from(s: Arc<str>) -> Value {
        Value::Text(s)
    }
}
impl From<IntSet> for Value {
    fn from(s: IntSet) -> Value {
        Value::Set(s)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::list(items)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(item: Option<T>) -> Value {
        item.map_or(Value::Nil, Into::into)
    }
}

/// As people of the field write it: `nil`, `5`, `"a"`, `#{1 2}`, `[1 2]`, `{k v}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Text(t) => write!(f, "{t:?}"),
            Value::Set(set) => {
                f.write_str("#{")?;
                spaced(f, set.as_slice(), |f, n| write!(f, "{n}"))?;
                f.write_str("}")
            }
            Value::List(items) => {
                f.write_str("[")?;
                spaced(f, items, |f, v| write!(f, "{v}"))?;
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                spaced(f, entries, |f, (k, v)| write!(f, "{k} {v}"))?;
                f.write_str("}")
            }
        }
    }
}

fn spaced<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    show: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(" ")?;
        }
        show(f, item)?;
    }
    Ok(())
}

/// Whole numbers in ascending order; one that was read twice stands twice.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct IntSet(Arc<[i64]>);

impl IntSet {
    /// The numbers in ascending order.
    pub fn as_slice(&self) -> &[i64] {
        &self.0
    }

    /// From numbers that ascend already.
    ///
    /// # Panics
    ///
    /// Where they do not.
    pub fn from_sorted(items: Vec<i64>) -> IntSet {
        assert!(items.is_sorted(), "the items of a set must ascend");
        IntSet(items.into())
    }
}

impl FromIterator<i64> for IntSet {
    fn from_iter<I: IntoIterator<Item = i64>>(items: I) -> IntSet {
        let mut items: Vec<i64> = items.into_iter().collect();
        if !items.is_sorted() {
            items.sort_unstable();
        }
        IntSet(items.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_the_field_writes_them() {
        let v = Value::map([("k", Value::list([Value::Nil, 1.into(), "a".into()]))]);
        assert_eq!(v.to_string(), r#"{"k" [nil 1 "a"]}"#);
        assert_eq!(Value::set([3, 1, 3]).to_string(), "#{1 3 3}");
        assert_eq!(v.get("k").and_then(|l| l.as_list()).map(<[Value]>::len), Some(3));
    }
}
