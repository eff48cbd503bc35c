//! A place that is not the lab runs a whole test, and what it cannot do is refused before it starts.

use std::fs;

use crate::checks::{Place, find};

pub(crate) fn a_run_on_plain_processes_is_whole() {
    let place = Place::new();
    place.run("elsewhere::keeps_what_it_acknowledged").ended_with(0);
    let history = place.history().expect("the history was kept");
    let faults = history.faults();
    for name in ["kill", "pause"] {
        let acted = faults.iter().find(|fault| &*fault.name == name).expect("it was asked for");
        assert_eq!(acted.not_undone(), None);
    }
    assert_eq!(history.heal_proved(), Some(true));
    let run = find(&place.store, "history.jsonl").expect("a history");
    let run = run.parent().expect("a file is in a folder").join("hosts");
    for name in ["n1", "n2", "n3"] {
        assert!(run.join(name).join("logs/store.err").is_file(), "the logs of {name} are lost");
    }
    let test = find(&place.store, "test.json").expect("it is kept");
    assert!(fs::read_to_string(test).expect("a file").contains("\"env\": \"processes\""));
}

pub(crate) fn plain_processes_join_and_leave() {
    let place = Place::new();
    place.run("elsewhere::grows_and_shrinks").ended_with(0);
    let history = place.history().expect("the history was kept");
    assert!(history.members().len() == 3 && history.nodes().len() > 3, "{:?}", history.nodes());
    assert!(history.faults().iter().all(|fault| fault.not_undone().is_none()));
    let run = find(&place.store, "history.jsonl").expect("a history");
    let logs = run.parent().expect("a file is in a folder").join("hosts/n4/logs/store.err");
    assert!(logs.is_file(), "the logs of who joined are lost");
}

pub(crate) fn a_loss_on_plain_processes_is_found() {
    let place = Place::new();
    place.run("elsewhere::loses_adds").ended_with(101).says("lost");
}

pub(crate) fn a_scenario_reaches_the_files_of_its_hosts() {
    let place = Place::new();
    let ended = place.run("elsewhere::a_scenario");
    ended.ended_with(0).says("refused: nemesis `bridge` needs `links`");
}

pub(crate) fn what_the_place_cannot_do_is_refused_before_anything_starts() {
    let refused = |test: &str, who: &str, facet: &str| {
        let place = Place::new();
        let ended = place.run(&format!("elsewhere::{test}"));
        ended.ended_with(101).says(&format!("{who} needs `{facet}` ("));
        ended.says("which the environment `processes` does not have").says("use another `env`");
        assert!(!ended.stderr.contains("valid"), "no verdict: {}", ended.stderr);
        assert!(fs::read_dir(&place.store).expect("a folder").next().is_none(), "it started");
    };
    refused("needs_links", "nemesis `majority_ring`", "links");
    refused("chosen_in_code", "nemesis `majority_ring`", "links");
    refused("needs_a_network", "db `bare`", "own_network");
    refused("needs_the_wire", "option `wire = true`", "wire");
    let place = Place::new();
    let ended = place.run("elsewhere::misspelt");
    ended.ended_with(101).says("unknown env \"proceses\"; did you mean \"processes\"?");
    ended.says("registered: local, processes");
}

pub(crate) fn a_killed_harness_leaves_no_plain_process() {
    let place = Place::new();
    let program = place.start("elsewhere::keeps_what_it_acknowledged");
    place.until_fault();
    program.signal("KILL");
    drop(program);
    place.nothing_is_left();
    assert!(place.history().is_some_and(|history| history.len() > 100));
}
