//! This program, started again as a target with fixture tests; watched and never waited for too long.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything takes that works.
const LIMIT: Duration = Duration::from_secs(120);

/// A folder of locks, so that a check waits for nobody but itself; removed with it.
pub(crate) struct Runtime(PathBuf);

impl Runtime {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("harness-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder for locks");
        Runtime(path)
    }

    /// Starts the fixture with these arguments and variables.
    pub(crate) fn start(&self, arguments: &str, variables: &[(&str, &str)]) -> Program {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            // Which Erlang runtime there is was said for these checks as well.
            let kept = name == "FUZZ_DIST_ERLANG";
            if name.starts_with("FUZZ_DIST_") && !kept || name == "RUST_TEST_THREADS" {
                command.env_remove(&*name);
            }
        }
        let mut child = command
            .args(arguments.split_whitespace())
            .env("FUZZ_DIST_FIXTURE", "1")
            .env("XDG_RUNTIME_DIR", &self.0)
            .env("INSTA_UPDATE", "no")
            .env("INSTA_WORKSPACE_ROOT", env!("CARGO_MANIFEST_DIR"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the fixture starts");
        let stdout = Text::follow(child.stdout.take().expect("a pipe"));
        let stderr = Text::follow(child.stderr.take().expect("a pipe"));
        Program { child, stdout, stderr }
    }

    /// What stands in the environment of all that was started with it, and of nothing else.
    pub(crate) fn text(&self) -> String {
        format!("XDG_RUNTIME_DIR={}", self.0.display())
    }

    /// Runs the fixture to its end.
    pub(crate) fn run(&self, arguments: &str, variables: &[(&str, &str)]) -> Ended {
        self.start(arguments, variables).end()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the fixture with a runtime folder of its own.
pub(crate) fn run(arguments: &str) -> Ended {
    Runtime::new().run(arguments, &[])
}

/// A running fixture; killed when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdout: Text,
    pub(crate) stderr: Text,
}

impl Program {
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(status.expect("kill starts").success());
    }

    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                let (stdout, stderr) = (self.stdout.all(), self.stderr.all());
                return Ended { code: status.code(), stdout, stderr };
            }
            assert!(Instant::now() < deadline, "it did not end: {}", self.stderr.now());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was left of a program.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(found, "no {text:?} in\n{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn ended_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The names of the trials with that result, sorted: they end in any order.
    pub(crate) fn trials(&self, result: &str) -> Vec<String> {
        let lines = self.stdout.lines().filter_map(|line| line.strip_prefix("test "));
        let split = lines.filter_map(|line| line.split_once(" ... "));
        let with_it = split.filter(|(_, r)| r.starts_with(result));
        let mut names: Vec<_> = with_it.map(|(name, _)| name.trim().to_string()).collect();
        names.sort();
        names
    }
}

/// What a program has written so far.
pub(crate) struct Text(Arc<(Mutex<(String, bool)>, Condvar)>);

impl Text {
    fn follow(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new((String::new(), false)), Condvar::new()));
        let text = Text(shared.clone());
        std::thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            loop {
                let mut line = String::new();
                let ended = matches!(lines.read_line(&mut line), Ok(0) | Err(_));
                let mut state = shared.0.lock().expect("a reader");
                state.0.push_str(&line);
                state.1 = ended;
                shared.1.notify_all();
                if ended {
                    return;
                }
            }
        });
        text
    }

    /// Waits until the program has written this.
    #[track_caller]
    pub(crate) fn until(&self, wanted: &str) {
        let text = self.when(|text, ended| ended || text.contains(wanted));
        assert!(text.contains(wanted), "no {wanted:?} in {text:?}");
    }

    pub(crate) fn now(&self) -> String {
        self.0.0.lock().expect("a reader").0.clone()
    }

    fn all(&self) -> String {
        self.when(|_, ended| ended)
    }

    fn when(&self, reached: impl Fn(&str, bool) -> bool) -> String {
        let state = self.0.0.lock().expect("a reader");
        let wait = self.0.1.wait_timeout_while(state, LIMIT, |(text, end)| !reached(text, *end));
        wait.expect("a reader").0.0.clone()
    }
}
