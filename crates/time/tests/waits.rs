//! Programs in simulated time: every wait, every clock, signals, processes and threads.

#[path = "support/mod.rs"]
mod support;

use libtest_mimic::Arguments;
use std::process::ExitCode;
use support::{erlang, python};

/// Programs in Python with what they print. They measure by their own clocks.
const PROGRAMS: [(&str, &str, &str); 1] = [(
    "sleep",
    "import time; t = time.monotonic(); u = time.time(); time.sleep(3600); print(time.monotonic() - t, round(time.time() - u, 3))",
    "3600.0 3600.0",
)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<_> =
        PROGRAMS.iter().map(|(name, code, expected)| python(name, code, expected)).collect();
    trials.push(erlang(
        "an_hour",
        "S = fun() -> {erlang:monotonic_time(nanosecond), os:system_time(nanosecond)} end, {A, B} = S(), timer:sleep(3600000), {C, D} = S(), io:format(\"~p ~p\", [C - A, D - B])",
        "3600000000000 3600000000000",
    ));
    libtest_mimic::run(&arguments, trials).exit_code()
}
