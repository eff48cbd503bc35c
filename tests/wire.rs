//! Faults placed by what is seen on the wire, between real Erlang nodes.

use fuzz_dist::beam::follow::ControlKind;
use fuzz_dist::env::wire::{before_op, control, cut, hold, message_to, tick};
use fuzz_dist::history::{FaultStatus, History};
use fuzz_dist::node::wait_until;
use fuzz_dist::prelude::*;

/// The set of `examples/late_call/late_set.erl`: one server, on the first node; calls to it time out
/// after a second.
fn late_set(net_ticktime: u32) -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/late_call/late_set.erl");
    ErlangApp::new("late_set", [source])
        .net_ticktime(net_ticktime)
        .start("ok = late_set:start(Peers)")
        .formed("late_set", "formed")
}

fn adds_and_reads() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("late_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("late_set", "read", args![]))
        .into()
}

/// A node was seen to go for want of ticks, during a fault.
struct TickTimeout;

impl Checker for TickTimeout {
    fn check(&self, history: &History) -> Verdict {
        let downs = history.nodedowns();
        let timeout = downs.iter().find(|down| {
            &*down.reason == "net_tick_timeout" && history.node_name(down.seen_by) == "n2"
        });
        match timeout {
            Some(down) if down.fault.is_some() => Verdict::valid("tick_timeout"),
            _ => Verdict::invalid("tick_timeout", format!("nodedowns: {downs:?}")),
        }
    }
}

/// A link is cut exactly at the second tick of a node, and the other one reports its silence.
#[fuzz_dist::test(db = late_set(4), workload = adds_and_reads(), nodes = 2, seed = 1)]
async fn a_cut_at_a_chosen_tick_ends_in_a_tick_timeout(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n2").invoke(Add(1)).await?;
    cluster.client("n2").invoke(Read).await?;
    let fault = cluster.inject(at(tick(2).from("n1").to("n2"), cut())).await?;
    let n2 = cluster.find("n2").expect("there are two nodes").clone();
    let alone = || async {
        let peers: Vec<fuzz_dist::beam::Atom> = n2.call("erlang", "nodes", args![]).await?;
        match peers.is_empty() {
            true => Ok(()),
            false => Err(Error::environment(format!("n2 still sees {peers:?}"))),
        }
    };
    wait_until(cluster.clock(), "n2 alone", secs(20), alone).await?;
    fault.heal().await?;
    cluster.check(TickTimeout).await
}

/// A message that is held arrives when its caller has given up, and is executed.
#[fuzz_dist::test(db = late_set(60), workload = adds_and_reads(), nodes = 3, wire = true, seed = 2)]
async fn a_held_message_arrives_after_its_caller_has_timed_out(test: Test) -> Outcome {
    let cluster = test.start().await?;
    // The server's name has been on this connection before: it is known all the same.
    cluster.client("n2").invoke(Add(1)).await?;
    let held = cluster.arm(at(message_to("late_set").from("n2"), hold())).await?;
    let late = cluster.client("n2").invoke(Add(2)).await.expect_err("nobody answers");
    assert!(late.to_string().contains("indeterminate"), "{late}");
    // Others are not concerned, and see that it has not arrived.
    cluster.client("n3").invoke(Add(3)).await?;
    assert_eq!(cluster.client("n1").invoke(Read).await?, [1, 3]);
    held.acts().await?.heal().await?;
    let arrived = || async {
        let read = cluster.client("n1").invoke(Read).await?;
        match read == [1, 2, 3] {
            true => Ok(()),
            false => Err(Error::environment(format!("read {read:?}"))),
        }
    };
    wait_until(cluster.clock(), "the held add", secs(5), arrived).await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// What was waited for and did not come is reported, with what was seen instead.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 2, seed = 3)]
async fn a_trigger_that_never_fires_is_explained(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(1)).await?;
    let wire = cluster.wire()?;
    let mut armed = wire.arm(&tick(1), &cut()).map_err(Error::environment)?;
    let text = armed.fired(millis(50)).await.expect_err("the store speaks no Erlang").to_string();
    assert!(text.contains("no connection between nodes was seen"), "{text}");
    armed.release();
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// Every fault of the run was seen to act by what it waited for.
struct Evidence(&'static str);

impl Checker for Evidence {
    fn check(&self, history: &History) -> Verdict {
        let faults = history.faults();
        let acted = faults.iter().find(|fault| fault.status == FaultStatus::Installed);
        let text = acted.map(|fault| format!("{:?}", fault.evidence)).unwrap_or_default();
        match text.contains(self.0) {
            true => Verdict::valid("evidence"),
            false => Verdict::invalid("evidence", format!("{faults:?}")),
        }
    }
}

/// A random message is held, and everything that was acknowledged stays.
#[fuzz_dist::test(
    db = late_set(60),
    workload = adds_and_reads(),
    nemesis = hold_message().after(secs(1)).lasting(secs(2)),
    checker = Evidence("held_segments"),
    nodes = 2,
    time_limit = "9s",
    seed = 4
)]
async fn messages_are_held_by_name(test: Test) -> Outcome {
    test.run().await
}

/// A link that carries nothing but ticks is cut at one of them; the server is elsewhere.
#[fuzz_dist::test(
    db = late_set(4),
    workload = adds_and_reads(),
    nemesis = cut_at_tick().after(secs(1)).lasting(secs(3)),
    checker = Evidence("tick"),
    nodes = 3,
    rate = 10,
    time_limit = "10s",
    seed = 5
)]
async fn links_are_cut_at_ticks_by_name(test: Test) -> Outcome {
    test.run().await
}

/// Each fault acted, and on a link between these two nodes.
struct Between(&'static str, &'static str);

impl Checker for Between {
    fn check(&self, history: &History) -> Verdict {
        let faults = history.faults();
        let links = [format!("{} -> {}", self.0, self.1), format!("{} -> {}", self.1, self.0)];
        let fits = |fault: &fuzz_dist::history::FaultSpan| {
            let text = format!("{:?}", fault.evidence);
            fault.status == FaultStatus::Installed && links.iter().any(|link| text.contains(link))
        };
        match faults.len() > 2 && faults.iter().all(fits) {
            true => Verdict::valid("between"),
            false => Verdict::invalid("between", format!("{faults:?}")),
        }
    }
}

/// Of three links two are busy with calls to the server, and tick no more: only the third is drawn.
#[fuzz_dist::test(
    db = late_set(4),
    workload = adds_and_reads(),
    nemesis = cut_at_tick().after(secs(6)).lasting(millis(500)).every(secs(6)),
    checker = Between("n2", "n3"),
    nodes = 3,
    rate = 150,
    time_limit = "24s",
    seed = 6
)]
async fn busy_links_are_not_waited_for(test: Test) -> Outcome {
    test.run().await
}

/// A call over a connection that its own message opens, while everything to the server is held, arrives
/// when it is released.
#[fuzz_dist::test(db = late_set(60), workload = adds_and_reads(), nodes = 2, wire = true, seed = 7)]
async fn a_connection_that_is_opened_while_held_waits(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n2").invoke(Add(1)).await?;
    let n2 = cluster.find("n2").expect("there are two nodes").clone();
    let held = cluster.arm(at(before_op("add").from("n2").to("n1"), hold())).await?;
    // Dropped before the operation: its message has to open another one.
    let n1 = args![fuzz_dist::beam::Atom::from("app@n1")];
    let dropped: fuzz_dist::beam::Atom = n2.call("erlang", "disconnect_node", n1).await?;
    assert_eq!(dropped.as_str(), "true");
    cluster.client("n2").invoke(Add(2)).await.expect_err("nobody answers");
    assert_eq!(cluster.client("n1").invoke(Read).await?, [1]);
    held.acts().await?.heal().await?;
    let arrived = || async {
        let read = cluster.client("n1").invoke(Read).await?;
        match read == [1, 2] {
            true => Ok(()),
            false => Err(Error::environment(format!("read {read:?}"))),
        }
    };
    wait_until(cluster.clock(), "the held add", secs(6), arrived).await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// A message to an alias is seen as one, also where it has priority and a control message of its own,
/// as from OTP 28 on.
#[fuzz_dist::test(
    db = late_set(60),
    workload = adds_and_reads(),
    checker = Evidence("alias_send to an alias"),
    nodes = 2,
    wire = true,
    seed = 8
)]
async fn messages_to_aliases_are_held(test: Test) -> Outcome {
    use fuzz_dist::beam::{Atom, Term, charlist};
    let cluster = test.start().await?;
    cluster.client("n2").invoke(Add(1)).await?;
    let [n1, n2] = ["n1", "n2"].map(|n| cluster.find(n).expect("there are two nodes").clone());
    let release: String =
        n1.call("erlang", "system_info", args![Atom::from("otp_release")]).await?;
    let priority = release.parse::<u32>().is_ok_and(|release| release >= 28);
    let options = || Term::List(Vec::from_iter(priority.then(|| Term::Atom("priority".into()))));
    // Nobody is left who could take it, and it is sent all the same.
    let alias: Term = n1.call("erlang", "alias", args![options()]).await?;
    let of_n2 = control(ControlKind::AliasSend).from("n2").to("n1");
    let held = cluster.arm(at(of_n2, hold())).await?;
    let sent: Term = n2.call("erlang", "send", args![alias, charlist("hello"), options()]).await?;
    assert!(sent.is_atom("ok"), "{sent}");
    held.acts().await?.heal().await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// The way in which the network heals is a fact of the run.
struct Healed(&'static str);

impl Checker for Healed {
    fn check(&self, history: &History) -> Verdict {
        let heal = history.meta("heal").map(ToString::to_string).unwrap_or_default();
        match heal.contains(self.0) {
            true => Verdict::valid("heal"),
            false => Verdict::invalid("heal", format!("the network heals by {heal:?}")),
        }
    }
}

/// Acknowledged adds are on every node when the network heals at once.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = majority_minority().after(millis(500)).lasting(millis(1500)),
    heal = "prompt",
    checker = Healed("prompt"),
    time_limit = "2500ms",
    seed = 5
)]
async fn a_prompt_heal_is_named(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
