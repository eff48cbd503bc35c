//! Histories of transactions written by hand, one transaction on a line.

use super::Recorder;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, OpError, Value};

/// A history from text: one transaction on each line, `process: f key value, …`.
///
/// The transactions between two lines `--` are concurrent: all are invoked, then all complete
/// (where a process has two there, the second comes after the first); a line `-- 0 2` completes
/// only what the processes 0 and 2 have open. `process info:` and
/// `process fail:` give other outcomes than ok. Values are whole numbers, `nil`, `true`,
/// `false`, lists `[1 2]`, sets `#{1 2}`, and words.
///
/// # Errors
///
/// A sentence with the line that was not understood.
///
/// ```
/// # use fuzz_dist_checkers::txn::generate::script;
/// let history = script("
///     0: w x 1, r y nil
///     1 info: w y 2
///     --
///     0: r y 2
/// ").unwrap();
/// assert_eq!(history.len(), 6);
/// assert_eq!(history.value(5).to_string(), r#"[["r" "y" 2]]"#);
/// ```
pub fn script(text: &str) -> Result<History, String> {
    let mut out = Recorder::new(1);
    let mut open: Vec<(u32, Kind, Value)> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') && !line.contains(':') {
            continue;
        }
        if let Some(named) = line.strip_prefix("--") {
            let named: Vec<u32> = named.split_whitespace().flat_map(str::parse).collect();
            let ends = |o: &(u32, Kind, Value)| named.is_empty() || named.contains(&o.0);
            open.extract_if(.., |o| ends(o)).for_each(|o| complete(&mut out, o));
            continue;
        }
        let wrong = |what: &str| format!("line {}: {what} in `{line}`", i + 1);
        let (head, body) = line.split_once(':').ok_or_else(|| wrong("no `process:`"))?;
        let mut head = head.split_whitespace();
        let process = head.next().and_then(|p| p.parse().ok());
        let process: u32 = process.ok_or_else(|| wrong("no number of a process"))?;
        let kind = match head.next() {
            None | Some("ok") => Kind::Ok,
            Some("info") => Kind::Info,
            Some("fail") => Kind::Fail,
            Some(_) => return Err(wrong("an outcome other than ok, info and fail")),
        };
        let value = transaction(body).map_err(|what| wrong(&what))?;
        if let Some(at) = open.iter().position(|(p, ..)| *p == process) {
            complete(&mut out, open.remove(at));
        }
        out.record(process, 0, Kind::Invoke, asked(&value), None);
        open.push((process, kind, value));
    }
    open.drain(..).for_each(|o| complete(&mut out, o));
    Ok(out.history)
}

fn complete(out: &mut Recorder, (process, kind, value): (u32, Kind, Value)) {
    let error = (kind != Kind::Ok).then(|| OpError::new("scripted", "as the script says"));
    let value = if kind == Kind::Ok { value } else { asked(&value) };
    out.record(process, 0, kind, value, error);
}

/// A transaction before anybody knows what its reads give.
fn asked(value: &Value) -> Value {
    let ops = value.as_list().unwrap_or_default();
    Value::list(ops.iter().map(|op| match op.as_list() {
        Some([f, key, _]) if f.as_text() == Some("r") => {
            Value::list([f.clone(), key.clone(), Value::Nil])
        }
        _ => op.clone(),
    }))
}

fn transaction(body: &str) -> Result<Value, String> {
    let mut ops = Vec::new();
    for op in body.split(',').map(str::trim).filter(|o| !o.is_empty()) {
        let mut parts = op.splitn(3, char::is_whitespace);
        let (f, key) = (parts.next().unwrap_or(""), parts.next());
        let key = key.ok_or_else(|| format!("`{op}` has no key"))?;
        let value = parts.next().map_or(Ok(Value::Nil), value)?;
        ops.push(Value::list([f.into(), atom(key), value]));
    }
    Ok(Value::list(ops))
}

fn value(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let inside = |open: &str, close: &str| {
        text.strip_prefix(open).and_then(|t| t.strip_suffix(close)).map(str::split_whitespace)
    };
    if let Some(items) = inside("[", "]") {
        return Ok(Value::list(items.map(atom)));
    }
    if let Some(items) = inside("#{", "}") {
        let numbers: Result<Vec<i64>, _> = items.map(str::parse).collect();
        return numbers.map(Value::set).map_err(|_| format!("`{text}` has more than numbers"));
    }
    if text.contains(char::is_whitespace) {
        return Err(format!("`{text}` is no value"));
    }
    Ok(atom(text))
}

fn atom(text: &str) -> Value {
    match (text, text.parse::<i64>()) {
        ("nil", _) => Value::Nil,
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (_, Ok(n)) => Value::Int(n),
        _ => text.into(),
    }
}
