//! Programs in simulated time: every wait, every clock, signals, processes and threads. They measure by their own
//! clocks, and what they print is compared.

#[path = "support/mod.rs"]
mod support;

use fuzz_dist_time::{Pace, Simulation, Status};
use libtest_mimic::{Arguments, Failed, Trial};
use std::future::Future as _;
use std::process::ExitCode;
use std::time::Duration;
use support::{LIMIT, Program, erlang, limited, python, python_with, sleep};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> =
        PROGRAMS.iter().map(|(name, code, expected)| python(name, code, expected)).collect();
    trials.extend(ERLANG.iter().map(|(name, code, expected)| erlang(name, code, expected)));
    trials.push(python_with(
        "a_loop_that_waits_for_the_clock_is_guarded",
        SPIN,
        |printed, status| {
            assert_eq!(printed, "True");
            assert!(status.guarded > Duration::ZERO, "{status:#?}");
        },
    ));
    trials.push(python_with(
        "what_is_not_simulated_is_named",
        "import signal; signal.alarm(0); signal.alarm(100); signal.alarm(0)",
        |_, status| {
            assert!(status.refused.iter().any(|what| what.contains("alarm")), "{status:#?}");
        },
    ));
    trials.push(python_with("who_works_is_named", WORK, |printed, _| assert_eq!(printed, "0.0")));
    trials.push(support::paced(
        "time_flows_where_it_shall",
        Pace::Flowing(10_000_000),
        FLOW,
        |printed, status: &Status| {
            assert_eq!(status.leaps, 0);
            let slept: f64 = printed.parse().expect("seconds");
            assert!(slept >= 2.0, "{slept}");
        },
    ));
    trials.push(support::paced(
        "it_leaps_also_where_it_passes",
        Pace::Natural,
        FLOW_LONG,
        |printed, status: &Status| {
            assert!(status.leaps > 0, "{status:#?}");
            let slept: f64 = printed.parse().expect("seconds");
            // A machine that lets the program wait adds to it.
            assert!((3600.0..3660.0).contains(&slept), "{slept}");
        },
    ));
    trials.push(limited("without_a_governor_time_goes_on", without_a_governor));
    trials.push(limited("a_governor_that_panics_is_told_and_time_goes_on", broken));
    trials.push(limited("who_does_not_register_is_named", unregistered));
    trials.push(limited("several_simulations_hold_each_other_up_in_no_way", several));
    trials.push(limited("time_goes_no_further_than_asked_for", no_further));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Nobody waits for ever where the governor has ended: time is the machine's from then on.
fn without_a_governor() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let simulation = Simulation::start(folder.path(), Pace::Still)?;
    let mut child = Program::start(sleep("1").envs(simulation.environment(folder.path(), 0)));
    simulation.registered(child.id(), LIMIT)?;
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!child.has_ended(), "time has passed without being asked for");
    drop(simulation);
    while !child.has_ended() {
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Wakes nobody, but panics: on the thread of whoever moves the clock.
struct Bad;

impl std::task::Wake for Bad {
    fn wake(self: std::sync::Arc<Self>) {
        panic!("a waker of the test");
    }
}

/// A waker of somebody else's runtime may panic on the governor's thread. Processes and this process's waits go on, at the
/// machine's speed.
fn broken() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let simulation = Simulation::start(folder.path(), Pace::Still)?;
    let environment = simulation.environment(folder.path(), 0);
    let mut child = Program::start(sleep("2").envs(environment));
    simulation.registered(child.id(), LIMIT)?;
    assert_eq!(simulation.status().broken, None);
    let clock = simulation.clock();
    let mut sleeping = std::pin::pin!(clock.sleep(Duration::from_secs(1)));
    let waker = std::task::Waker::from(std::sync::Arc::new(Bad));
    assert!(sleeping.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    simulation.run();
    child.ends(&simulation);
    let broken = simulation.status().broken.expect("it says so");
    assert!(broken.contains("broke (a waker of the test); from then on"), "{broken}");
    let before = clock.now();
    clock.block(Duration::from_millis(50));
    assert!(clock.now().0 >= before.0 + 50_000_000);
    // Whoever waits for a time of the clock is told that there is no governor any more.
    simulation.advance(Duration::from_secs(1000));
    Ok(())
}

fn unregistered() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let simulation = Simulation::start(folder.path(), Pace::Still)?;
    let child = Program::start(&mut sleep("100"));
    let id = child.id();
    let why = simulation.registered(id, Duration::from_millis(300)).unwrap_err();
    drop(child);
    for part in ["sleep 100", "has not registered", "statically", "LD_PRELOAD", "time = \"real\""] {
        assert!(why.contains(part), "no {part:?} in {why:?}");
    }
    // One that has ended has nothing to register.
    simulation.registered(id, Duration::from_millis(300))?;
    Ok(())
}

/// Many at a time in one process, each with leaps of its own.
fn several() -> Result<(), Failed> {
    let one = || {
        let folder = tempfile::tempdir().unwrap();
        let simulation = Simulation::start(folder.path(), Pace::Still).unwrap();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000; done"]);
        let mut child = Program::start(shell.envs(simulation.environment(folder.path(), 0)));
        simulation.registered(child.id(), LIMIT).unwrap();
        simulation.advance(Duration::from_secs(9_999));
        assert!(!child.has_ended());
        simulation.advance(Duration::from_secs(1));
        child.ends(&simulation);
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        all.into_iter().for_each(|one| one.join().expect("it goes on"));
    });
    Ok(())
}

/// The clock stops where it shall, and this process is on it.
fn no_further() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let simulation = Simulation::start(folder.path(), Pace::Still)?;
    let mut child = Program::start(sleep("100").envs(simulation.environment(folder.path(), 0)));
    simulation.registered(child.id(), LIMIT)?;
    let clock = simulation.clock();
    simulation.advance(Duration::from_secs(99));
    assert_eq!(clock.now().0, 99_000_000_000);
    assert!(!child.has_ended(), "{:#?}", simulation.status());
    simulation.run();
    clock.block(Duration::from_secs(50));
    assert_eq!(clock.now().0, 149_000_000_000);
    child.ends(&simulation);
    Ok(())
}

const SPIN: &str = "
import time
t = time.monotonic()
while time.monotonic() < t + 0.02: pass
print(time.monotonic() - t >= 0.02)";

const WORK: &str = "
import time
t = time.monotonic()
sum(range(3000000))
print(time.monotonic() - t)";

const FLOW: &str = "import time; t = time.monotonic(); time.sleep(2); print(time.monotonic() - t)";
const FLOW_LONG: &str =
    "import time; t = time.monotonic(); time.sleep(3600); print(time.monotonic() - t)";

/// Programs in Python: name, code, what they print. `since()` gives the nanoseconds of the clock since it was
/// called last.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("sleep", "time.sleep(3600); print(since())", "3600000000000"),
    (
        "who_blocks_all_signals_is_woken",
        "
import signal
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
time.sleep(3600)
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
time.sleep(3600)
print(since(), len(blocked), signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))",
        "7200000000000 0 True",
    ),
    (
        "all_clocks_agree",
        "
clocks = [time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW, time.CLOCK_BOOTTIME, time.CLOCK_REALTIME]
read = lambda: [time.clock_gettime_ns(c) for c in clocks] + [int(time.time()) * 10**9]
a = read(); time.sleep(10); b = read()
print([(y - x) // 10**6 for x, y in zip(a, b)], time.gmtime().tm_year)",
        "[10000, 10000, 10000, 10000, 10000] 2026",
    ),
    (
        "descriptors_are_waited_for",
        "
import select, os
r, w = os.pipe()
out = [len(select.select([r], [], [], 100)[0]), since()]
p = select.poll(); p.register(r, select.POLLIN); out += [len(p.poll(5000)), since()]
e = select.epoll(); e.register(r, select.EPOLLIN); out += [len(e.poll(7)), since()]
os.write(w, b'x')
out += [len(select.select([r], [], [], 100)[0]), len(p.poll(5000)), len(e.poll(7)), len(p.poll(0)), since()]
print(out)",
        "[0, 100000000000, 0, 5000000000, 0, 7000000000, 1, 1, 1, 1, 0]",
    ),
    (
        "who_is_woken_early_does_not_wait",
        "
import select, os, threading
r, w = os.pipe()
threading.Thread(target=lambda: (time.sleep(3), os.write(w, b'x'))).start()
print(len(select.select([r], [], [], 100)[0]), since())",
        "1 3000000000",
    ),
    (
        "locks_and_semaphores",
        "
import threading
l = threading.Lock(); l.acquire()
print(l.acquire(timeout=50), since(), threading.Event().wait(20), since())",
        "False 50000000000 False 20000000000",
    ),
    (
        "waits_of_the_c_library",
        "
import ctypes
c = ctypes.CDLL(None, use_errno=True)
class T(ctypes.Structure): _fields_ = [('s', ctypes.c_long), ('n', ctypes.c_long)]
def at(seconds, clock=time.CLOCK_REALTIME):
    ns = time.clock_gettime_ns(clock) + seconds * 10**9
    return ctypes.byref(T(ns // 10**9, ns % 10**9))
zero = lambda: ctypes.create_string_buffer(128)
out = []
m, v = zero(), zero()
c.pthread_mutex_lock(m)
out += [c.pthread_cond_timedwait(v, m, at(30)), since()]
out += [c.pthread_cond_clockwait(v, m, 1, at(40, time.CLOCK_MONOTONIC)), since()]
out += [c.pthread_mutex_timedlock(m, at(20)), since()]
rw = zero(); c.pthread_rwlock_wrlock(rw)
out += [c.pthread_rwlock_timedrdlock(rw, at(10)) in (35, 110), since() % 10**10]
s = zero(); c.sem_init(s, 0, 0)
out += [c.sem_timedwait(s, at(15)), ctypes.get_errno(), since()]
out += [c.usleep(500000), since(), c.sleep(2), since(), c.nanosleep(ctypes.byref(T(3, 5)), None), since()]
out += [c.clock_nanosleep(1, 1, at(60, time.CLOCK_MONOTONIC), None), since()]
print(out)",
        "[110, 30000000000, 110, 40000000000, 110, 20000000000, True, 0, -1, 110, 15000000000, 0, 500000000, 0, 2000000000, 0, 3000000005, 0, 60000000000]",
    ),
    (
        "timer_descriptors",
        "
import ctypes, select, os
c = ctypes.CDLL(None)
L = ctypes.c_long * 4
fd = c.timerfd_create(1, 0)
c.timerfd_settime(fd, 0, L(5, 0, 2, 0), None)
out = [int.from_bytes(os.read(fd, 8), 'little'), since(), int.from_bytes(os.read(fd, 8), 'little'), since()]
e = select.epoll(); e.register(fd, select.EPOLLIN)
out += [len(e.poll(100)), since()]
c.timerfd_settime(fd, 0, L(0, 0, 0, 0), None)
out += [len(e.poll(100)), since()]
print(out)",
        "[1, 2000000000, 1, 5000000000, 1, 5000000000, 0, 100000000000]",
    ),
    (
        "a_signal_ends_a_sleep",
        "
import signal, threading
class Up(Exception): pass
def up(*a): raise Up
signal.signal(signal.SIGUSR1, up)
main = threading.get_ident()
threading.Thread(target=lambda: (time.sleep(5), signal.pthread_kill(main, signal.SIGUSR1))).start()
try: time.sleep(100)
except Up: print(since())",
        "5000000000",
    ),
    (
        "a_signal_is_seen_by_the_call",
        "
import ctypes, signal, threading
c = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGUSR1, lambda *a: None)
main = threading.get_ident()
threading.Thread(target=lambda: (time.sleep(5), signal.pthread_kill(main, signal.SIGUSR1))).start()
left = (ctypes.c_long * 2)()
print(c.nanosleep((ctypes.c_long * 2)(100, 0), left), ctypes.get_errno(), list(left))",
        "-1 4 [95, 0]",
    ),
    (
        "a_sleeping_thread_is_cancelled",
        "
import ctypes
c = ctypes.CDLL(None)
t, end = ctypes.c_ulong(), ctypes.c_void_p()
c.pthread_create(ctypes.byref(t), None, ctypes.cast(c.sleep, ctypes.c_void_p), ctypes.c_void_p(1000))
time.sleep(10)
c.pthread_cancel(t); c.pthread_join(t, ctypes.byref(end))
print(ctypes.c_long(end.value).value, since())",
        "-1 10000000000",
    ),
    (
        "a_child_lives_in_the_same_time",
        "
import os
r, w = os.pipe()
if os.fork() == 0:
    time.sleep(1000); os.write(w, str(since()).encode()); os._exit(0)
os.wait(); print(os.read(r, 99).decode(), since())",
        "1000000000000 1000000000000",
    ),
    (
        "other_programs_live_in_the_same_time",
        "
import subprocess, os
out = []
subprocess.run(['sleep', '500']); out += [since()]
subprocess.run('sleep 100; sleep 50', shell=True); out += [since()]
os.system('sleep 70'); out += [since()]
out += [subprocess.run(['date', '+%s'], capture_output=True, text=True).stdout.strip() == str(int(time.time())), since()]
print(out)",
        "[500000000000, 150000000000, 70000000000, True, 0]",
    ),
    (
        "a_program_that_is_executed_goes_on",
        "import os; time.sleep(10); os.execvp('sh', ['sh', '-c', 'sleep 100; date +%s'])",
        "1768435311",
    ),
    (
        "threads_come_and_go",
        "
import threading
ts = [threading.Thread(target=time.sleep, args=(10 * i,)) for i in range(1, 21)]
[t.start() for t in ts]; [t.join() for t in ts]
out = [since()]
for i in range(300):
    t = threading.Thread(target=time.sleep, args=(0.01,)); t.start(); t.join()
print(out, since())",
        "[200000000000] 3000000000",
    ),
    ("a_leap_of_years", "time.sleep(10 * 365 * 86400); print(since() // 10**9)", "315360000"),
];

/// Expressions in Erlang: name, code, what is printed.
const ERLANG: &[(&str, &str, &str)] = &[
    (
        "an_hour_of_a_node",
        "S = fun() -> {erlang:monotonic_time(nanosecond), os:system_time(nanosecond)} end, {A, B} = S(),
         timer:sleep(3600000), {C, D} = S(), io:format(\"~p ~p\", [C - A, D - B])",
        "3600000000000 3600000000000",
    ),
    (
        "no_timer_of_a_node_is_late",
        "A = os:perf_counter(nanosecond), [receive after 100 -> ok end || _ <- lists:seq(1, 1000)],
         io:format(\"~p\", [os:perf_counter(nanosecond) - A])",
        "100000000000",
    ),
    (
        "a_command_of_a_node",
        "A = os:perf_counter(nanosecond), os:cmd(\"sleep 10\"), io:format(\"~p\", [os:perf_counter(nanosecond) - A])",
        "10000000000",
    ),
];
