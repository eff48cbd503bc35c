//! What goes wrong while AntidoteDB is set up, played by a release that only looks like one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fuzz_dist::antidote::{Antidote, Topology};
use fuzz_dist::env::{Folder, HostSpec};
use fuzz_dist::node::Cluster;
use fuzz_dist::op::Name;
use fuzz_dist::prelude::*;
use fuzz_dist::provision::Runtime;

use crate::checks::{Place, find};
use crate::program::Ended;

fn fake() -> Antidote {
    Antidote::default().form_limit(secs(1))
}

#[fuzz_dist::test(db = fake(), workload = "g_set", nodes = 2, time_limit = "1s", setup_limit = "20s")]
async fn data_centres(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = fake(), workload = "g_set", nodes = 2, time_limit = "1s", setup_limit = "4s")]
async fn short_of_patience(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = fake().topology(Topology::OneDc),
    workload = "g_set",
    nodes = 2,
    time_limit = "1s",
    setup_limit = "20s"
)]
async fn one_data_centre(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = fake().eval("erlang:error(its_own_fault)"),
    workload = "g_set",
    nodes = 2,
    time_limit = "1s",
    setup_limit = "20s"
)]
async fn eval_raises(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = fake().eval("1 +"),
    workload = "g_set",
    nodes = 2,
    time_limit = "1s",
    setup_limit = "20s"
)]
async fn eval_is_no_erlang(test: Test) -> Outcome {
    test.run().await
}

/// Started twice, so that the second one finds the first at its port.
struct Twice(Antidote);

impl Db for Twice {
    fn name(&self) -> Name {
        "antidote, twice".into()
    }
    async fn prepare(&self) -> Result<(), Error> {
        self.0.prepare().await
    }
    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        self.0.hosts(nodes)
    }
    fn folders(&self, host: &HostSpec) -> Result<Vec<Folder>, Error> {
        self.0.folders(host)
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        self.0.start(node).await?;
        while node.connect(8087).await.is_err() {
            tokio::time::sleep(millis(20)).await;
        }
        self.0.start(node).await
    }
    async fn ready(&self, node: &Node) -> Result<(), Error> {
        self.0.ready(node).await
    }
    async fn form(&self, cluster: &Cluster) -> Result<(), Error> {
        self.0.form(cluster).await
    }
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn fuzz_dist::client::DynClient>> {
        self.0.client(workload, node)
    }
}

#[fuzz_dist::test(db = Twice(fake()), workload = "g_set", nodes = 2, time_limit = "1s", setup_limit = "20s")]
async fn started_twice(test: Test) -> Outcome {
    test.run().await
}

/// Lays out what looks like a release; its `bin/antidote` is this shell script.
fn release(place: &Place, script: &str) -> PathBuf {
    let folder = place.store.join("release");
    for inner in ["bin", "releases/0", "erts-0"] {
        fs::create_dir_all(folder.join(inner)).expect("a folder of the release");
    }
    fs::write(folder.join("releases/0/network.config"), "[].\n").expect("a file");
    let program = folder.join("bin/antidote");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
    folder
}

/// The script of a release that answers, in this mode and with this cookie.
fn answering(mode: &str, cookie: &str) -> String {
    let runtime = Runtime::find_or_fetch().expect("an Erlang runtime");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/fake_antidote.erl");
    let source = source.display();
    let eval = format!(
        "{{ok, M, B}} = compile:file(\\\"{source}\\\", [binary, report]), \
         {{module, M}} = code:load_binary(M, \\\"{source}\\\", B), M:start({mode})."
    );
    let erl = runtime.erl(Vec::<String>::new());
    let variables: Vec<String> = erl.env.iter().map(|(n, v)| format!("{n}='{v}'")).collect();
    format!(
        "export {}\nexec '{}' -noinput -name \"$NODE_NAME\" -setcookie \"{cookie}\" -eval \"{eval}\"",
        variables.join(" "),
        erl.program.display()
    )
}

fn run(place: &Place, test: &str, release: &Path) -> Ended {
    let variables = [
        ("FUZZ_DIST_STORE", &*place.store.to_string_lossy()),
        ("FUZZ_DIST_ANTIDOTE", &*release.to_string_lossy()),
    ];
    let ended = place.runtime.run(&format!("--exact antidote::{test}"), &variables);
    place.nothing_is_left();
    ended
}

/// Runs the test with a release that answers in this mode; it has to fail, and to say so.
#[track_caller]
fn fails(test: &str, mode: &str, texts: &[&str]) -> Ended {
    let place = Place::new();
    let release = release(&place, &answering(mode, "$COOKIE"));
    let ended = run(&place, test, &release);
    ended.ended_with(101).says("no verdict");
    for text in texts {
        ended.says(text);
    }
    ended
}

pub(crate) fn no_release_is_ignored_with_the_remedy() {
    let place = Place::new();
    let nothing = place.store.to_string_lossy().into_owned();
    // Nobody names one, and the package has no neighbour: it lies in an empty folder.
    let variables = [("FUZZ_DIST_STORE", &*nothing), ("CARGO_MANIFEST_DIR", &*nothing)];
    let program = place.runtime.run("--exact antidote::data_centres", &variables);
    program.ended_with(0).says("1 ignored").says("make rel").says("../antidote");
}

pub(crate) fn a_release_that_was_named_and_is_not_there_fails() {
    let place = Place::new();
    let variables = [
        ("FUZZ_DIST_STORE", &*place.store.to_string_lossy()),
        ("FUZZ_DIST_ANTIDOTE", "/nonexistent/antidote"),
        ("FUZZ_DIST_MISSING", "ignore"),
    ];
    let ended = place.runtime.run("--exact antidote::data_centres", &variables);
    ended.ended_with(101).says("make rel").says("/nonexistent/antidote (named by");
}

pub(crate) fn a_folder_of_another_shape_is_reported_with_what_it_lacks() {
    let place = Place::new();
    let folder = release(&place, "exit 1");
    fs::remove_dir(folder.join("erts-0")).expect("the folder is empty");
    let ended = run(&place, "data_centres", &folder);
    ended.ended_with(101).says("no release of AntidoteDB: it has no erts-*");
}

pub(crate) fn a_release_that_exits_at_once_is_reported_at_once() {
    let place = Place::new();
    let release = release(&place, "echo no memory left >&2; exit 3");
    run(&place, "data_centres", &release)
        .ended_with(101)
        .says("exited unexpectedly before it was ready: no memory left; logs: ");
    let said = find(&place.store, "antidote.err").expect("its standard error was captured");
    assert!(fs::read_to_string(said).expect("a file").contains("no memory left"));
}

pub(crate) fn another_cookie_is_reported() {
    let place = Place::new();
    let release = release(&place, &answering("fine", "stale"));
    run(&place, "short_of_patience", &release)
        .ended_with(101)
        .says("cookie is not the one that was given");
}

pub(crate) fn an_application_that_never_runs_is_reported() {
    fails("short_of_patience", "never_runs", &["the application antidote does not run yet"]);
}

pub(crate) fn a_port_that_is_taken_is_reported() {
    fails("started_twice", "fine", &["port 8087 on n", "is taken by another program"]);
}

pub(crate) fn a_node_that_does_not_join_is_reported() {
    let made = "could not make a data centre of antidote@";
    fails("one_data_centre", "refuses_to_join", &[made, "refused"]);
    fails("one_data_centre", "never_joins", &[made, "1000 ms"]);
}

pub(crate) fn a_data_centre_that_cannot_be_reached_is_reported() {
    let texts = ["could not connect to the other data centres", "8085 and 8086", "hosts/n"];
    fails("data_centres", "never_connects", &texts);
}

/// As AntidoteDB does: it reports that it is connected, and is not.
pub(crate) fn a_connection_that_is_none_is_reported() {
    fails("data_centres", "fine", &["reading what was written on every node", "nothing from n"]);
}

pub(crate) fn an_expression_that_fails_is_reported_at_once() {
    let raised = "the expression `erlang:error(its_own_fault).` could not be evaluated on n";
    let ended = fails("eval_raises", "fine", &[raised, "its_own_fault"]);
    assert!(!ended.stdout.contains("was not ready within"), "{}", ended.stdout);
    let parsed = "the expression `1 +.` could not be parsed on n";
    let ended = fails("eval_is_no_erlang", "fine", &[parsed]);
    assert!(!ended.stdout.contains("was not ready within"), "{}", ended.stdout);
}
