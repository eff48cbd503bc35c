//! One line of a history as JSON, before it is known to make sense.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::op::{Name, NodeId, Process, Value};

/// Any line: the first one, an event, or a fact.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    pub(super) fuzz_dist_history: Option<u64>,
    pub(super) nodes: Option<Vec<Name>>,
    pub(super) meta: Option<HashMap<Name, Stored>>,
    pub(super) index: Option<u64>,
    pub(super) time: Option<u64>,
    pub(super) process: Option<ProcessWord>,
    #[serde(borrow)]
    pub(super) node: Option<NodeWord<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) f: Option<Word<'a>>,
    #[serde(default)]
    pub(super) value: Stored,
    #[serde(borrow)]
    pub(super) error: Option<ErrorWords<'a>>,
    #[serde(borrow)]
    pub(super) phase: Option<Word<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ErrorWords<'a> {
    #[serde(borrow)]
    pub(super) kind: Word<'a>,
    pub(super) text: Name,
}

/// Text that is borrowed from the line where it contains no escapes.
pub(super) struct Word<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word<'a>, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Word<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(Words)
    }
}

/// A number, or the name of a source that is no client.
pub(super) struct ProcessWord(pub(super) u32);

impl<'de> Deserialize<'de> for ProcessWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ProcessWord, D::Error> {
        struct Processes;
        impl Visitor<'_> for Processes {
            type Value = ProcessWord;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a process: a number below 2^32 - 2, \"nemesis\" or \"runtime\"")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<ProcessWord, E> {
                let process = u32::try_from(n).ok().filter(|n| Process(*n).is_client());
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(n), &self);
                process.map(ProcessWord).ok_or_else(wrong)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ProcessWord, E> {
                match text {
                    "nemesis" => Ok(ProcessWord(Process::NEMESIS.0)),
                    "runtime" => Ok(ProcessWord(Process::RUNTIME.0)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Processes)
    }
}

/// The name of a node, or its place where the test has no node of that place.
pub(super) enum NodeWord<'a> {
    Place(u16),
    Name(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for NodeWord<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NodeWord<'a>, D::Error> {
        struct Nodes;
        impl<'de> Visitor<'de> for Nodes {
            type Value = NodeWord<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a node: its name, or its place below 65535")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<NodeWord<'de>, E> {
                let place = u16::try_from(n).ok().filter(|place| *place != u16::MAX);
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(n), &self);
                place.map(NodeWord::Place).ok_or_else(wrong)
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<NodeWord<'de>, E> {
                Ok(NodeWord::Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<NodeWord<'de>, E> {
                Ok(NodeWord::Name(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_any(Nodes)
    }
}

impl NodeWord<'_> {
    pub(super) fn find(&self, nodes: &HashMap<Name, NodeId>) -> Result<NodeId, String> {
        match self {
            NodeWord::Place(place) => Ok(NodeId(*place)),
            NodeWord::Name(name) => nodes
                .get(&**name)
                .copied()
                .ok_or_else(|| format!("a node that the first line names, but it is \"{name}\"")),
        }
    }
}

/// A value as it is stored.
pub(super) enum Stored {
    /// Whole, and not a set.
    Value(Value),
    /// A whole set.
    Set(Vec<i64>),
    /// The set of an earlier event, with changes.
    Difference {
        /// The event.
        base: u64,
        added: Vec<i64>,
        removed: Vec<i64>,
    },
}

impl Default for Stored {
    fn default() -> Stored {
        Stored::Value(Value::Nil)
    }
}

impl Stored {
    /// The value, where it stands alone.
    pub(super) fn whole(self) -> Result<Value, &'static str> {
        match self {
            Stored::Value(value) => Ok(value),
            Stored::Set(items) => Ok(Value::set(items)),
            Stored::Difference { .. } => {
                Err("a whole value here: differences stand for the value of an event only")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Stored, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Stored;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a value: null, a truth value, a whole number, text, a list, {\"set\":[…]}, {\"map\":[[key,value],…]} or {\"base\":event,\"+\":[…],\"-\":[…]}",
        )
    }
    fn visit_unit<E>(self) -> Result<Stored, E> {
        Ok(Stored::Value(Value::Nil))
    }
    fn visit_bool<E>(self, b: bool) -> Result<Stored, E> {
        Ok(Stored::Value(Value::Bool(b)))
    }
    fn visit_i64<E>(self, n: i64) -> Result<Stored, E> {
        Ok(Stored::Value(Value::Int(n)))
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Stored, E> {
        let wrong = || E::invalid_value(de::Unexpected::Unsigned(n), &self);
        Ok(Stored::Value(Value::Int(i64::try_from(n).map_err(|_| wrong())?)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Stored, E> {
        Ok(Stored::Value(Value::Text(text.into())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Stored, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Stored>()? {
            items.push(item.whole().map_err(A::Error::custom)?);
        }
        Ok(Stored::Value(Value::List(items.into())))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stored, A::Error> {
        let (mut set, mut pairs) = (None::<Vec<i64>>, None::<Vec<(Stored, Stored)>>);
        let (mut base, mut added, mut removed) = (None, None, None);
        while let Some(key) = map.next_key::<Word<'_>>()? {
            match &*key.0 {
                "set" => set = Some(map.next_value()?),
                "map" => pairs = Some(map.next_value()?),
                "base" => base = Some(map.next_value()?),
                "+" => added = Some(map.next_value()?),
                "-" => removed = Some(map.next_value()?),
                other => return Err(A::Error::invalid_value(de::Unexpected::Str(other), &self)),
            }
        }
        match (set, pairs, base, added, removed) {
            (Some(items), None, None, None, None) => Ok(Stored::Set(items)),
            (None, Some(pairs), None, None, None) => {
                let pairs = pairs.into_iter().map(|(k, v)| Ok((k.whole()?, v.whole()?)));
                let pairs = pairs.collect::<Result<_, &str>>().map_err(A::Error::custom)?;
                Ok(Stored::Value(Value::Map(pairs)))
            }
            (None, None, Some(base), Some(added), Some(removed)) => {
                Ok(Stored::Difference { base, added, removed })
            }
            _ => Err(A::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }
}
