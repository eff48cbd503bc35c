//! How a node of a release is started: its name, flags and variables, and what runs before it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layout::{Kind, Layout};
use super::surroundings::Variable;
use super::{COPY, Release, ReleaseNode};
use crate::beam::net_setuptime;
use crate::env::{Command, HostSpec, Role};
use crate::error::Error;
use crate::node::Node;

/// Where a host has what we add, relative to its data folder.
const ADDED: &str = "fuzz_dist";
/// How long a command before the start may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

impl Release {
    /// The part of node names before the `@`.
    fn prefix(&self, layout: &Layout) -> String {
        self.node_name.clone().unwrap_or_else(|| layout.name.clone())
    }

    /// The nodes of the cluster, and which of them this one is.
    pub(super) fn members(
        &self,
        layout: &Layout,
        node: &Node,
    ) -> Result<(ReleaseNode, Vec<ReleaseNode>), Error> {
        let prefix = self.prefix(layout);
        let env = node.env();
        let member = |id, host: &HostSpec| {
            let address = env.address(id).map_err(Error::environment)?;
            let place = if self.long_names { address.to_string() } else { host.name.clone() };
            Ok::<_, Error>(ReleaseNode {
                host: host.name.clone(),
                name: format!("{prefix}@{place}"),
                address,
            })
        };
        let hosts = env.hosts();
        let nodes = hosts.iter().filter(|(_, host)| host.role == Role::Node);
        let all: Vec<ReleaseNode> =
            nodes.map(|(id, host)| member(*id, host)).collect::<Result<_, _>>()?;
        let own = all.iter().find(|member| member.host == node.name()).cloned();
        let own = own.ok_or_else(|| Error::setup(format!("{} is no node", node.name())))?;
        Ok((own, all))
    }

    /// The flags of the virtual machine: those of the release, and ours.
    fn vm_args(&self, layout: &Layout, own: &ReleaseNode) -> String {
        let mut lines: Vec<String> = layout.other_flags().map(str::to_owned).collect();
        if layout.kind == Kind::Relx {
            let flag = if self.long_names { "-name" } else { "-sname" };
            lines.push(format!("{flag} {}", own.name));
            lines.push(format!("-setcookie {}", quoted(&self.cookie_of(layout))));
        }
        // Idle schedulers that spin would take the machine's few cores from the other nodes.
        lines.push("+sbwt none +sbwtdcpu none +sbwtdio none".into());
        if let Some(seconds) = self.net_ticktime_s {
            let setup = net_setuptime(seconds);
            lines.push(format!("-kernel net_ticktime {seconds} net_setuptime {setup}"));
        }
        if !self.flags.is_empty() {
            lines.push(self.flags.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        }
        lines.join("\n") + "\n"
    }

    /// A command of the release's script on a host.
    pub(super) fn command(
        &self,
        node: &Node,
        layout: &Layout,
        words: &[String],
    ) -> Result<Command, Error> {
        let (own, all) = self.members(layout, node)?;
        let data = node.data_dir()?;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let vm_args = text(data.join(ADDED).join("vm.args"));
        let distribution = if self.long_names { "name" } else { "sname" };
        let mut command = Command::new(text(data.join(COPY).join("bin").join(&layout.name)))
            .named(layout.name.clone())
            .args(words.iter().cloned())
            .env("HOME", text(data.clone()))
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("ERL_CRASH_DUMP", text(data.join("erl_crash.dump")));
        let own_variables = match layout.kind {
            Kind::Mix => vec![
                ("RELEASE_NODE", own.name.clone()),
                ("RELEASE_COOKIE", self.cookie_of(layout)),
                ("RELEASE_DISTRIBUTION", distribution.to_owned()),
                ("RELEASE_VM_ARGS", vm_args),
                ("RELEASE_TMP", text(data.join("tmp"))),
            ],
            Kind::Relx => vec![
                ("VMARGS_PATH", vm_args),
                ("RELX_COOKIE", self.cookie_of(layout)),
                ("RELX_OUT_FILE_PATH", text(data.join(ADDED))),
                ("RUNNER_LOG_DIR", text(data.join("log"))),
            ],
        };
        for (name, value) in own_variables {
            if layout.kind == Kind::Mix {
                command = command.env(format!("FUZZ_DIST_{name}"), value.clone());
            }
            command = command.env(name, value);
        }
        for variable in &self.variables {
            command = command.env(variable.name.clone(), variable.of(&own, &all, &data)?);
        }
        Ok(command)
    }

    /// Writes what the release's script reads: the flags, and variables that the release's own `env.sh` must not change.
    pub(super) async fn write(&self, node: &Node, layout: &Layout) -> Result<(), Error> {
        let (own, _) = self.members(layout, node)?;
        let is_source = layout
            .vm_args
            .as_ref()
            .is_some_and(|(path, _)| path.extension() == Some("src".as_ref()));
        let file = if is_source { "vm.args.src" } else { "vm.args" };
        node.write_file(Path::new(ADDED).join(file), self.vm_args(layout, &own)).await?;
        if layout.kind == Kind::Mix {
            let inside = Path::new("releases").join(&layout.version).join("env.sh");
            let shipped = std::fs::read_to_string(layout.root.join(&inside))?;
            node.write_file(Path::new(COPY).join(inside), shipped + ENV_SH).await?;
        }
        Ok(())
    }

    /// Runs a command of the release's script to its end.
    async fn run(&self, node: &Node, layout: &Layout, words: &[String]) -> Result<(), Error> {
        let named = words.first().map_or("nothing", String::as_str);
        let command = self.command(node, layout, words)?.named(format!("{}-{named}", layout.name));
        let ran = node.run(command, COMMAND_LIMIT).await;
        ran.map(drop).map_err(|e| self.masked(e).context(format!("`{}`", words.join(" "))))
    }

    /// The error without the values of secrets.
    pub(super) fn masked(&self, error: Error) -> Error {
        let text = error.to_string();
        let masked = self
            .variables
            .iter()
            .filter_map(Variable::hidden)
            .fold(text, |t, secret| t.replace(secret, "***"));
        Error::new(error.kind(), masked)
    }

    /// Runs what runs before nodes start: once on the first host, whose result the others wait for, and on each.
    pub(super) async fn before(&self, node: &Node, layout: &Layout) -> Result<(), Error> {
        let once = self.state().once.clone();
        let (own, all) = self.members(layout, node)?;
        if all.first() == Some(&own) && once.borrow().is_none() {
            let mut ran = Ok(());
            for words in &self.once {
                if ran.is_ok() {
                    ran = self.run(node, layout, words).await;
                }
            }
            once.send_replace(Some(ran));
        }
        let mut ended = once.subscribe();
        let ran = ended.wait_for(Option::is_some).await.map_err(Error::setup)?.clone();
        ran.unwrap_or(Ok(())).map_err(|e| e.context("before the first start"))?;
        if self.state().begun.insert(node.id()) {
            for words in &self.each {
                self.run(node, layout, words).await?;
            }
        }
        Ok(())
    }
}

/// The end of `env.sh` in a host's copy: what it exported before may name another node.
const ENV_SH: &str = "
# Added by fuzz_dist in the copy of this host: which node it is.
RELEASE_NODE=$FUZZ_DIST_RELEASE_NODE
RELEASE_COOKIE=$FUZZ_DIST_RELEASE_COOKIE
RELEASE_DISTRIBUTION=$FUZZ_DIST_RELEASE_DISTRIBUTION
RELEASE_VM_ARGS=$FUZZ_DIST_RELEASE_VM_ARGS
RELEASE_TMP=$FUZZ_DIST_RELEASE_TMP
export RELEASE_NODE RELEASE_COOKIE RELEASE_DISTRIBUTION RELEASE_VM_ARGS RELEASE_TMP
";

/// A word as a file of arguments has it (`erl -args_file`): there is no escape, but two kinds of quotes.
fn quoted(word: &str) -> String {
    let special = |c: char| c.is_whitespace() || "\"'\\#".contains(c);
    if !word.is_empty() && !word.contains(special) {
        return word.to_owned();
    }
    let parts = word.split('"').map(|part| format!("\"{part}\""));
    parts.collect::<Vec<_>>().join("'\"'")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_with_spaces_and_quotes_are_quoted() {
        assert_eq!(quoted("+S"), "+S");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted("a\"b c"), "\"a\"'\"'\"b c\"");
    }
}
