//! What a node of a release is given: its name, and variables that speak of the members.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::error::Error;

/// One node of a release, as functions of variables see it ([`Release::env_with`](super::Release::env_with)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReleaseNode {
    /// Its host, as `n1`; the other hosts resolve it.
    pub host: String,
    /// The name of its Erlang node, as `shop@n1`.
    pub name: String,
    /// The address of its host.
    pub address: IpAddr,
}

type ValueOf = Arc<dyn Fn(&ReleaseNode, &[ReleaseNode]) -> String + Send + Sync>;

/// A variable of a release's environment.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    value: Template,
    is_secret: bool,
}

#[derive(Clone)]
enum Template {
    Text(String),
    Function(ValueOf),
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            _ if self.is_secret => write!(f, "{}=***", self.name),
            Template::Text(text) => write!(f, "{}={text}", self.name),
            Template::Function(_) => write!(f, "{}=…", self.name),
        }
    }
}

/// Variables that say who a node is: the release's own methods set them.
const OWN: [(&str, &str); 4] = [
    ("RELEASE_NODE", "`.node_name(…)` and `.long_names()`"),
    ("RELEASE_COOKIE", "`.cookie(…)`"),
    ("RELEASE_DISTRIBUTION", "`.long_names()`"),
    ("VMARGS_PATH", "`.vm_flags(…)`"),
];

impl Variable {
    pub(super) fn text(name: String, value: String) -> Variable {
        Variable { name, value: Template::Text(value), is_secret: false }
    }

    pub(super) fn function(name: String, value: ValueOf) -> Variable {
        Variable { name, value: Template::Function(value), is_secret: false }
    }

    pub(super) fn secret(self) -> Variable {
        Variable { is_secret: true, ..self }
    }

    /// Its value where it must not be shown.
    pub(super) fn hidden(&self) -> Option<&str> {
        match &self.value {
            Template::Text(text) if self.is_secret && !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// That it can be given a value.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some((name, method)) = OWN.iter().find(|(name, _)| *name == self.name) {
            return Err(Error::usage(format!(
                "the variable {name} of a release is set with {method}"
            )));
        }
        if self.name.is_empty() || self.name.contains(['=', '\0']) {
            return Err(Error::usage(format!("{:?} is no name of a variable", self.name)));
        }
        let address = IpAddr::from([127, 0, 0, 1]);
        let some = ReleaseNode { host: "n1".into(), name: "app@n1".into(), address };
        match &self.value {
            Template::Text(_) => {
                self.of(&some, std::slice::from_ref(&some), Path::new("/")).map(drop)
            }
            Template::Function(_) => Ok(()),
        }
    }

    /// Its value on a node.
    pub(super) fn of(
        &self,
        own: &ReleaseNode,
        all: &[ReleaseNode],
        data: &Path,
    ) -> Result<String, Error> {
        match &self.value {
            // A secret is what it is: a brace in a password is no placeholder.
            Template::Text(text) if self.is_secret => Ok(text.clone()),
            Template::Text(text) => filled(text, &|word| placeholder(word, own, all, data))
                .map_err(|why| {
                    Error::usage(format!("the variable {} of a release: {why}", self.name))
                }),
            Template::Function(value) => Ok(value(own, all)),
        }
    }
}

/// The words that may stand in braces.
const PLACEHOLDERS: &str = "{host}, {node}, {address}, {data}, {nodes}, {peers}, {hosts}, {addresses}; a brace itself is written twice";

fn placeholder(word: &str, own: &ReleaseNode, all: &[ReleaseNode], data: &Path) -> Option<String> {
    let each = |of: fn(&ReleaseNode) -> String| all.iter().map(of).collect::<Vec<_>>().join(",");
    Some(match word {
        "host" => own.host.clone(),
        "node" => own.name.clone(),
        "address" => own.address.to_string(),
        "data" => data.display().to_string(),
        "nodes" => each(|node| node.name.clone()),
        "peers" => {
            let others = all.iter().filter(|node| node.name != own.name);
            others.map(|node| node.name.as_str()).collect::<Vec<_>>().join(",")
        }
        "hosts" => each(|node| node.host.clone()),
        "addresses" => each(|node| node.address.to_string()),
        _ => return None,
    })
}

/// The text with what stands for `{word}`; `{{` and `}}` are braces. Braces around anything else than a word of small
/// letters stand for themselves, as in JSON.
fn filled(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if after.starts_with(brace) {
            out.push_str(brace);
            rest = &after[1..];
            continue;
        }
        let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        match end.filter(|end| brace == "{" && *end > 0 && after[*end..].starts_with('}')) {
            Some(end) => {
                let word = &after[..end];
                let value = value(word);
                out.push_str(
                    &value.ok_or_else(|| {
                        format!("{{{word}}} is not known; there are {PLACEHOLDERS}")
                    })?,
                );
                rest = &after[end + 1..];
            }
            None => {
                out.push_str(brace);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<ReleaseNode> {
        let node = |n: u8| ReleaseNode {
            host: format!("n{n}"),
            name: format!("shop@n{n}"),
            address: IpAddr::from([10, 0, 0, n]),
        };
        (1..=3).map(node).collect()
    }

    fn value(text: &str) -> Result<String, String> {
        let all = nodes();
        let variable = Variable::text("PEERS".into(), text.into());
        variable.of(&all[1], &all, Path::new("/data")).map_err(|e| e.to_string())
    }

    #[test]
    fn placeholders_speak_of_the_node_and_of_all() {
        assert_eq!(value("{node} of {nodes}").unwrap(), "shop@n2 of shop@n1,shop@n2,shop@n3");
        assert_eq!(value("{peers}").unwrap(), "shop@n1,shop@n3");
        assert_eq!(value("{host}:{address}:{data}/mnesia").unwrap(), "n2:10.0.0.2:/data/mnesia");
        assert_eq!(value("{hosts} {addresses}").unwrap(), "n1,n2,n3 10.0.0.1,10.0.0.2,10.0.0.3");
    }

    #[test]
    fn other_braces_stand_for_themselves_and_unknown_words_are_refused() {
        assert_eq!(value(r#"{"a": {}}"#).unwrap(), r#"{"a": {}"#, "two closing braces are one");
        assert_eq!(value("{{node}}").unwrap(), "{node}");
        assert_eq!(value("${PORT} {Node} {").unwrap(), "${PORT} {Node} {");
        let why = value("{nodse}").unwrap_err();
        assert!(
            why.contains("PEERS of a release: {nodse} is not known; there are {host}"),
            "{why}"
        );
    }

    #[test]
    fn what_a_release_sets_itself_is_refused_with_the_method() {
        let why = Variable::text("RELEASE_COOKIE".into(), "x".into()).check().unwrap_err();
        assert!(why.to_string().contains("`.cookie(…)`"), "{why}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Variable::text("DATABASE_URL".into(), "ecto://u:{p}w@db".into()).secret();
        assert_eq!(format!("{secret:?}"), "DATABASE_URL=***");
        let all = nodes();
        assert_eq!(secret.of(&all[0], &all, Path::new("/")).unwrap(), "ecto://u:{p}w@db");
        assert!(secret.check().is_ok());
    }
}
