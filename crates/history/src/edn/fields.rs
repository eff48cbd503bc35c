//! One operation map of Jepsen's, field by field.

use std::collections::HashMap;

use super::scan::{Scanner, Stop};
use crate::History;
use crate::op::{Event, Kind, Name, NodeId, OpError, Phase, Process, Value};
use crate::time::Time;

const FUNCTION: &str = "an operation with a function :f (only transactions, lists of \
    micro-operations such as [[:r x nil] [:append y 1]], may be without)";

/// An event that a map makes.
pub(super) struct Made {
    pub(super) event: Event,
    /// Does it say whose it is?
    pub(super) of_a_process: bool,
}

/// What a map said so far, and the nodes that were met.
#[derive(Default)]
pub(super) struct Fields {
    kind: Option<Kind>,
    f: Option<Name>,
    value: Option<Value>,
    key: Option<Value>,
    process: Option<Process>,
    time: Option<u64>,
    error: Option<OpError>,
    node: Option<Value>,
    phase: Phase,
    nodes: HashMap<Name, NodeId>,
}

impl Fields {
    fn clear(&mut self) {
        *self = Fields { nodes: std::mem::take(&mut self.nodes), ..Fields::default() };
    }

    /// Reads a map whose opening brace is next.
    pub(super) fn read(&mut self, scanner: &mut Scanner, text: &[u8]) -> Result<(), Stop> {
        self.clear();
        scanner.open();
        while let Some((start, end)) = scanner.key(text)? {
            let at = start.saturating_sub(1);
            let value = scanner.value(text)?;
            self.set(&text[start..end], value).map_err(|e| Stop::Wrong(at, e))?;
        }
        Ok(())
    }

    fn set(&mut self, field: &[u8], value: Value) -> Result<(), String> {
        match field {
            b"type" => self.kind = Some(kind(&value)?),
            b"f" if value.is_nil() => self.f = None,
            b"f" => {
                self.f = Some(match value {
                    Value::Text(name) => name,
                    other => other.to_string().into(),
                });
            }
            b"value" => self.value = Some(value),
            b"key" => self.key = Some(value),
            b"process" if value.is_nil() => self.process = None,
            b"process" => self.process = Some(process(&value)?),
            b"time" => {
                let time = value.as_int().and_then(|n| u64::try_from(n).ok());
                // Some times do not fit into a signed number.
                let time = time.or_else(|| value.as_text()?.parse().ok());
                let wrong = || format!("a time in nanoseconds, not {value}");
                self.time = if value.is_nil() { None } else { Some(time.ok_or_else(wrong)?) };
            }
            b"error" => self.error = error(value),
            b"node" => self.node = Some(value).filter(|v| !v.is_nil()),
            b"phase" => {
                let known = |p: &Phase| value.as_text() == Some(p.as_str());
                let wrong = || format!("a phase such as :main, not {value}");
                self.phase = Phase::ALL.into_iter().find(known).ok_or_else(wrong)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The event that the fields make; without a process it is one of process 0.
    pub(super) fn event(&mut self, history: &mut History) -> Result<Made, String> {
        let value = self.value.take().unwrap_or_default();
        let process = self.process.unwrap_or(Process(0));
        let event = Event {
            time: Time(self.time.unwrap_or(history.len() as u64)),
            process,
            node: match self.node.take() {
                Some(node) => Some(self.node_id(history, &node)?),
                None => None,
            },
            kind: self.kind.ok_or("an operation with a :type")?,
            f: match self.f.take() {
                Some(f) => f,
                // Elle's histories may do without: a list of micro-operations is a transaction.
                None if is_micro_ops(&value) => "txn".into(),
                // A completion without a value is one of what was invoked.
                None => match history.open.get(process.0).filter(|_| self.process.is_some()) {
                    Some(invoked) if self.kind != Some(Kind::Invoke) => {
                        history.function(invoked as usize).clone()
                    }
                    _ => return Err(FUNCTION.into()),
                },
            },
            value: match self.key.take() {
                Some(key) => Value::list([key, value]),
                None => value,
            },
            error: self.error.take(),
            phase: self.phase,
        };
        Ok(Made { event, of_a_process: self.process.is_some() })
    }

    fn node_id(&mut self, history: &mut History, node: &Value) -> Result<NodeId, String> {
        if let Some(place) = node.as_int() {
            let place = u16::try_from(place).ok().filter(|p| *p != u16::MAX);
            return place.map(NodeId).ok_or_else(|| format!("a node, not {node}"));
        }
        let name = node.as_text().ok_or_else(|| format!("the name of a node, not {node}"))?;
        if self.nodes.len() != history.nodes.len() {
            let ids = history.nodes.iter().enumerate();
            self.nodes = ids.map(|(i, n)| (n.clone(), NodeId(i as u16))).collect();
        }
        if let Some(id) = self.nodes.get(name) {
            return Ok(*id);
        }
        let place = u16::try_from(history.nodes.len()).ok().filter(|p| *p != u16::MAX);
        let id = NodeId(place.ok_or("fewer than 65535 nodes")?);
        history.nodes.push(name.into());
        self.nodes.insert(name.into(), id);
        Ok(id)
    }
}

fn is_micro_ops(value: &Value) -> bool {
    let is_one = |op: &Value| match op.as_list() {
        Some([f, ..]) if f.as_text() == Some("poll") => true,
        Some([f, _, _]) => f.as_text().is_some(),
        _ => false,
    };
    value.as_list().is_some_and(|ops| ops.iter().all(is_one))
}

fn kind(value: &Value) -> Result<Kind, String> {
    let known = |k: &Kind| value.as_text() == Some(k.as_str());
    [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info]
        .into_iter()
        .find(known)
        .ok_or_else(|| format!("a :type of :invoke, :ok, :fail or :info, not {value}"))
}

fn process(value: &Value) -> Result<Process, String> {
    let number = value.as_int().and_then(|n| u32::try_from(n).ok()).map(Process);
    match (number.filter(|p| p.is_client()), value.as_text()) {
        (Some(process), _) => Ok(process),
        (_, Some("nemesis")) => Ok(Process::NEMESIS),
        (_, Some("runtime")) => Ok(Process::RUNTIME),
        _ => Err(format!("a :process, that is, a number below 2^32 - 2 or :nemesis, not {value}")),
    }
}

/// Jepsen's errors are a keyword, a list that begins with one, or anything.
fn error(value: Value) -> Option<OpError> {
    Some(match &value {
        Value::Nil => return None,
        Value::Text(kind) => OpError::new(kind.clone(), ""),
        Value::List(items) => match &items[..] {
            [Value::Text(kind), Value::Text(text)] => OpError::new(kind.clone(), text.clone()),
            [Value::Text(kind), rest @ ..] => {
                let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
                OpError::new(kind.clone(), rest.join(" "))
            }
            _ => OpError::new("error", value.to_string()),
        },
        other => OpError::new("error", other.to_string()),
    })
}

/// Takes the nodes and facts from the comment of the first line.
pub(super) fn apply_header(history: &mut History, header: &Value) -> Result<(), String> {
    let nodes = header.get("nodes").and_then(Value::as_list).ok_or("nodes in the first line")?;
    if nodes.len() >= usize::from(u16::MAX) {
        return Err("fewer than 65535 nodes".into());
    }
    for node in nodes {
        let name: Name = node.as_text().ok_or("names of nodes in the first line")?.into();
        if history.nodes.contains(&name) {
            return Err(format!("nodes of different names, but there are two of {name}"));
        }
        history.nodes.push(name);
    }
    if let Some(Value::Map(facts)) = header.get("meta") {
        for (name, fact) in facts.iter() {
            let name: Name = name.as_text().ok_or("names of facts in the first line")?.into();
            history.set_meta(name, fact.clone());
        }
    }
    Ok(())
}
