//! Must not compile: values, arguments and results of wrong types, each reported where it stands.

use fuzz_dist::prelude::*;

struct NotADb;
struct NotANemesis;

#[fuzz_dist::test(db = NotADb)]
async fn wrong_db(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "antidote", nemesis = ["bridge", NotANemesis])]
async fn wrong_nemesis(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "antidote", nodes = "five".len() as u8, time_limit = 60 * 2)]
async fn wrong_options(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "antidote")]
async fn wrong_argument(_test: String) -> Outcome {
    Err(Error::usage("never").into())
}

#[fuzz_dist::test(db = "antidote")]
async fn wrong_result(_test: Test) -> u32 {
    3
}

#[fuzz_dist::test(db = "antidote")]
async fn wrong_error(_test: Test) -> Result<fuzz_dist::run::Judged, u8> {
    Err(3)
}

#[fuzz_dist::test(db = "antidote")]
async fn verdict_by_hand(_test: Test) -> Result<Verdict, Error> {
    Ok(Verdict::valid("by hand"))
}

#[fuzz_dist::test(db = "antidote")]
async fn outcome_by_hand(_test: Test) -> Outcome {
    Ok(Verdict::valid("by hand"))
}

#[fuzz_dist::test(db = "antidote", nemesis = [bridge])]
async fn nemesis_not_called(test: Test) -> Outcome {
    test.nemesis(Nemesis::of(kill())).run().await
}

#[fuzz_dist::checker("no_default")]
struct NoDefault(u8);

fuzz_dist::main!();
