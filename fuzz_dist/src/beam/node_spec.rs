//! How an Erlang node is started: options in, arguments and environment out; nothing is run here.

use std::path::PathBuf;

/// The kernel's `net_setuptime` for a net tick time, both in seconds: how long one node tries to
/// connect to another one.
///
/// Erlang's own 7 s go with its 60 s of net tick time. Where the latter is shortened, they have to
/// shrink, too: `net_kernel` sends its ticks to connections that are being set up as well, where
/// they pile up. A connection that took longer than the net tick time finds as many ticks without
/// an answer as make `net_tick_timeout`, and is down in the moment in which it is up; and `global`
/// then throws nodes out that nobody had cut (`prevent_overlapping_partitions`).
pub fn net_setuptime(net_ticktime_s: u32) -> u32 {
    (net_ticktime_s / 2).clamp(1, 7)
}

/// How an Erlang node is to be started.
///
/// ```
/// use fuzz_dist::beam::NodeSpec;
/// let spec = NodeSpec::new("app@n1", "secret").net_ticktime(4).eval("app:start()");
/// let line = spec.args().join(" ");
/// assert!(line.starts_with("-sname app@n1 -setcookie secret"), "{line}");
/// assert!(line.contains("-kernel net_ticktime 4"), "{line}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// The node's name, `name@host`. Where the host has a dot, it is a long name.
    pub name: String,
    /// The cookie, the same on all nodes that are to talk to each other.
    pub cookie: String,
    /// After how many seconds without a sign of life another node is down; `None`: Erlang's
    /// default of 60.
    pub net_ticktime_s: Option<u32>,
    /// The port that other nodes connect to; `None`: any that is free.
    pub dist_port: Option<u16>,
    /// Whether `global` disconnects nodes until what is left is fully connected; `None`: Erlang's
    /// default (yes since OTP 25).
    pub prevent_overlapping_partitions: Option<bool>,
    /// The port of the host's epmd; `None`: 4369.
    pub epmd_port: Option<u16>,
    /// Folders with compiled modules.
    pub code_paths: Vec<PathBuf>,
    /// The file that a dying virtual machine describes itself in.
    pub crash_dump: Option<PathBuf>,
    /// The home folder that the node sees.
    pub home: PathBuf,
    /// Further flags, such as `-mnesia dir "x"` or `+S 1`, one word each; they come after the others.
    pub flags: Vec<String>,
    /// Further variables of the environment.
    pub variables: Vec<(String, String)>,
    /// Erlang expressions that are evaluated in order at the start.
    pub evals: Vec<String>,
}

impl NodeSpec {
    /// A node of this name with this cookie, and with Erlang's defaults.
    pub fn new(name: impl Into<String>, cookie: impl Into<String>) -> Self {
        NodeSpec {
            name: name.into(),
            cookie: cookie.into(),
            net_ticktime_s: None,
            dist_port: None,
            prevent_overlapping_partitions: None,
            epmd_port: None,
            code_paths: Vec::new(),
            crash_dump: None,
            home: "/tmp".into(),
            flags: Vec::new(),
            variables: Vec::new(),
            evals: Vec::new(),
        }
    }

    /// Sets the net tick time, in seconds, and with it [`net_setuptime`]. A flag
    /// `-kernel net_setuptime` overrides the latter.
    pub fn net_ticktime(mut self, seconds: u32) -> Self {
        self.net_ticktime_s = Some(seconds);
        self
    }

    /// Sets the port that other nodes connect to.
    pub fn dist_port(mut self, port: u16) -> Self {
        self.dist_port = Some(port);
        self
    }

    /// Switches the prevention of overlapping partitions.
    pub fn prevent_overlapping_partitions(mut self, on: bool) -> Self {
        self.prevent_overlapping_partitions = Some(on);
        self
    }

    /// Sets the port of the host's epmd.
    pub fn epmd_port(mut self, port: u16) -> Self {
        self.epmd_port = Some(port);
        self
    }

    /// Adds a folder with compiled modules.
    pub fn code_path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.code_paths.push(folder.into());
        self
    }

    /// Adds flags, one word each.
    pub fn flags(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.flags.extend(words.into_iter().map(Into::into));
        self
    }

    /// Adds a variable of the environment.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Adds an Erlang expression that is evaluated at the start, after those before it. When it
    /// fails, the node stops.
    pub fn eval(mut self, expression: impl Into<String>) -> Self {
        self.evals.push(expression.into());
        self
    }

    /// The arguments of the virtual machine.
    pub fn args(&self) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
        add(&[
            if self.is_long_name() { "-name" } else { "-sname" },
            &self.name,
            "-setcookie",
            &self.cookie,
        ]);
        // No terminal, no end at the end of the input; and epmd is started by whoever owns the host.
        add(&["-noinput", "-start_epmd", "false"]);
        // Idle schedulers that spin would take the machine's few cores from the other nodes.
        add(&["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]);
        if let Some(seconds) = self.net_ticktime_s {
            add(&["-kernel", "net_ticktime", &seconds.to_string()]);
            add(&["-kernel", "net_setuptime", &net_setuptime(seconds).to_string()]);
        }
        if let Some(on) = self.prevent_overlapping_partitions {
            add(&["-kernel", "prevent_overlapping_partitions", &on.to_string()]);
        }
        if let Some(port) = self.dist_port {
            let port = port.to_string();
            add(&["-kernel", "inet_dist_listen_min", &port, "inet_dist_listen_max", &port]);
        }
        for path in &self.code_paths {
            add(&["-pa", &path.to_string_lossy()]);
        }
        args.extend(self.flags.iter().cloned());
        for expression in &self.evals {
            args.extend(["-eval".to_owned(), format!("{}.", expression.trim_end_matches('.'))]);
        }
        args
    }

    /// What the node needs in its environment.
    pub fn env(&self) -> Vec<(String, String)> {
        let mut env = vec![("HOME".to_owned(), self.home.to_string_lossy().into_owned())];
        if let Some(port) = self.epmd_port {
            env.push(("ERL_EPMD_PORT".to_owned(), port.to_string()));
        }
        if let Some(path) = &self.crash_dump {
            env.push(("ERL_CRASH_DUMP".to_owned(), path.to_string_lossy().into_owned()));
        }
        env.extend(self.variables.iter().cloned());
        env
    }

    fn is_long_name(&self) -> bool {
        self.name.split_once('@').is_some_and(|(_, host)| host.contains('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_started_by_arguments() {
        let spec = NodeSpec::new("app@10.0.0.1", "c")
            .net_ticktime(4)
            .dist_port(9100)
            .prevent_overlapping_partitions(false)
            .epmd_port(5000)
            .code_path("/code")
            .flags(["-mnesia", "dir", "\"/data\""])
            .variable("A", "b")
            .eval("app:start()")
            .eval("ok.");
        assert_eq!(
            spec.args().join(" "),
            "-name app@10.0.0.1 -setcookie c -noinput -start_epmd false +sbwt none +sbwtdcpu none +sbwtdio none \
             -kernel net_ticktime 4 -kernel net_setuptime 2 -kernel prevent_overlapping_partitions false \
             -kernel inet_dist_listen_min 9100 inet_dist_listen_max 9100 -pa /code -mnesia dir \"/data\" -eval app:start(). -eval ok."
        );
        let env = |name: &str| {
            spec.env().iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        assert_eq!(env("ERL_EPMD_PORT").as_deref(), Some("5000"));
        assert_eq!(env("A").as_deref(), Some("b"));
        assert!(env("HOME").is_some());
        assert_eq!(NodeSpec::new("app@n1", "c").args()[0], "-sname");
    }
}
