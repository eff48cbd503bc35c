//! Names and cells of matrices.

use super::*;
use crate::run::Location;

const HERE: Location = Location { file: "x.rs", line: 1, column: 1 };

const fn cell(label: &'static str, set: fn(&mut Options)) -> Cell {
    Cell { label, setting: Setting::Option(set) }
}

static CASE: TestCase = TestCase {
    name: "converge",
    module: "cluster::counters",
    doc: "Counters converge.",
    location: HERE,
    ignore: None,
    axes: &[
        Axis {
            key: "nodes",
            matrix: true,
            cells: &[
                cell("nodes_3", |options| options.nodes = Some(3)),
                cell("nodes_5", |options| options.nodes = Some(5)),
            ],
        },
        Axis { key: "seed", matrix: false, cells: &[cell("seed_1", |o| o.attempts = Some(9))] },
        Axis {
            key: "rate",
            matrix: true,
            cells: &[
                cell("rate_1", |options| options.rate = Some(1.0)),
                cell("rate_2", |options| options.rate = Some(2.0)),
            ],
        },
    ],
    body: |_| unreachable!(),
};

#[test]
fn a_trial_for_each_cell_of_the_product() {
    let names: Vec<String> = cells(CASE.axes).iter().map(|cell| name(&CASE, cell)).collect();
    assert_eq!(
        names,
        [
            "counters::converge::nodes_3::rate_1",
            "counters::converge::nodes_3::rate_2",
            "counters::converge::nodes_5::rate_1",
            "counters::converge::nodes_5::rate_2",
        ]
    );
}

#[test]
fn a_cell_sets_what_it_says() {
    let cells = cells(CASE.axes);
    let spec = resolve(&CASE, &cells[2], "name".into()).unwrap();
    let expected =
        Options { nodes: Some(5), rate: Some(1.0), attempts: Some(9), ..Options::default() };
    assert_eq!(spec.options, expected);
    assert_eq!(spec.cell.as_deref(), Some("nodes_5-rate_1"));
    assert_eq!(spec.doc, "Counters converge.");
}

#[test]
fn a_test_without_a_matrix_is_one_trial() {
    let cells = cells(&CASE.axes[1..2]);
    assert_eq!(cells.len(), 1);
    assert_eq!(name(&CASE, &cells[0]), "counters::converge");
    assert_eq!(resolve(&CASE, &cells[0], String::new()).unwrap().cell, None);
}

#[test]
fn what_could_not_run_is_counted_by_reason() {
    assert_eq!(ignored_line(), None);
    note_ignored("no Erlang runtime");
    note_ignored("needs a release");
    note_ignored("no Erlang runtime");
    assert_eq!(
        ignored_line().unwrap(),
        "fuzz_dist: 3 trial(s) could not run here:\n  1 × needs a release\n  2 × no Erlang runtime"
    );
}

#[test]
fn a_remedy_is_not_repeated_by_each_trial() {
    assert_eq!(in_short("no release at x; run make"), "no release at x; the last line says more");
    assert_eq!(in_short("no Erlang runtime"), "no Erlang runtime");
}
