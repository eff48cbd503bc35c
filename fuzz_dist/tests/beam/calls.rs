//! Calls, messages, monitors and links, with a node that nothing happens to.

use std::time::Duration;

use fuzz_dist::args;
use fuzz_dist::beam::{Atom, CallError, Class, Down, Event, Pid, Term, atom, charlist};

use super::support::{Folder, lone_node, runtime};

#[tokio::test]
async fn functions_are_called_and_we_are_hidden() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    assert_eq!(node.peer(), "probe@localhost");
    let name: Atom = node.call("erlang", "node", args![]).await.unwrap();
    assert_eq!(name.as_str(), "probe@localhost");
    let name: Atom = node.call_rex("erlang", "node", args![]).await.unwrap();
    assert_eq!(name.as_str(), "probe@localhost");
    let sum: i64 = node.call("lists", "sum", args![vec![1, 2, 300]]).await.unwrap();
    assert_eq!(sum, 303);
    let nodes: Vec<Atom> = node.call("erlang", "nodes", args![]).await.unwrap();
    assert!(nodes.is_empty());
    let hidden: Vec<Atom> = node.call("erlang", "nodes", args![atom("hidden")]).await.unwrap();
    assert_eq!(hidden, [Atom::from(node.name())]);
    // Applications that ask for all connections, as Swarm does, ignore remote shells by default: of
    // their rules (`^remsh.*$`, `^.+_upgrader_.+$`, `^.+_maint_.+$`) one must fit us.
    let connected: Vec<Atom> =
        node.call("erlang", "nodes", args![atom("connected")]).await.unwrap();
    assert_eq!(connected, hidden);
    let rule =
        args![charlist(node.name()), charlist("^remsh.*$"), vec![(atom("capture"), atom("none"))]];
    assert_eq!(node.call::<Term>("re", "run", rule).await.unwrap(), atom("match"));
    assert_eq!(node.pending(), 0);
}

#[tokio::test]
async fn exceptions_have_their_class() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let class_and_reason = |result: Result<Term, CallError>| match result.unwrap_err() {
        CallError::Exception { class, reason, .. } => (class, reason),
        other => panic!("{other}"),
    };
    for (function, class) in
        [("error", Class::Error), ("exit", Class::Exit), ("throw", Class::Throw)]
    {
        let raised = node.call("erlang", function, args![atom("boom")]).await;
        assert_eq!(class_and_reason(raised), (class, atom("boom")));
    }
    let killed = node
        .call("erlang", "apply", args![atom("no_such"), atom("thing"), Vec::<Term>::new()])
        .await;
    assert_eq!(class_and_reason(killed), (Class::Error, atom("undef")));
    let rex = node.call_rex("erlang", "error", args![atom("boom")]).await;
    assert_eq!(class_and_reason(rex), (Class::Error, atom("boom")));
    let message =
        node.call::<Term>("erlang", "error", args![atom("boom")]).await.unwrap_err().to_string();
    assert_eq!(message, "exception on probe@localhost: error: boom");
}

#[tokio::test]
async fn an_undefined_function_is_named_with_the_line_of_its_call() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    for (module, name) in [("no_such", "no_such:thing/1"), ("Shop.Cart", "Shop.Cart.thing/1")] {
        let (through_rex, call) =
            (node.call_rex(module, "thing", args![1]), node.call(module, "thing", args![1]));
        let line = line!() - 1;
        for result in [through_rex.await, call.await] {
            let error: CallError = Result::<Term, _>::unwrap_err(result);
            assert!(
                matches!(&error, CallError::Undefined { function, .. } if function == name),
                "{error:?}"
            );
            let expected = format!(
                "{name} is undefined on probe@localhost (called at fuzz_dist/tests/beam/calls.rs:{line})"
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert!(error.certainly_not_executed());
        }
    }
}

#[tokio::test]
async fn sets_of_the_node_are_read_in_both_versions() {
    use std::collections::HashSet;
    let lone = lone_node();
    let node = lone.node.connect().await;
    let (list, all): (Vec<i64>, HashSet<i64>) = ((0..500).collect(), (0..500).collect());
    for version in [1, 2] {
        let options = vec![(atom("version"), version)];
        let set: HashSet<i64> =
            node.call("sets", "from_list", args![list.clone(), options]).await.unwrap();
        assert_eq!(set, all);
    }
}

#[tokio::test]
async fn results_of_another_kind_are_errors() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let error = node.call::<u8>("erlang", "node", args![]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "unexpected result from probe@localhost: expected an integer that fits u8, got probe@localhost"
    );
    let error = node.call::<()>("file", "delete", args![charlist("/no/such")]).await.unwrap_err();
    assert!(matches!(error, CallError::UnexpectedResult { .. }), "{error}");
    node.call::<()>("erlang", "display", args![atom("shown")]).await.unwrap();
}

#[tokio::test]
async fn output_of_a_call_goes_to_the_node() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    // It would wait for ever if it were sent to us.
    node.call::<()>("io", "format", args![charlist("hello~n")]).await.unwrap();
    node.call_rex::<()>("io", "format", args![charlist("hello~n")]).await.unwrap();
    // Without a process `user` it is swallowed.
    let user: Pid = node.call("erlang", "whereis", args![atom("user")]).await.unwrap();
    node.call::<()>("erlang", "unregister", args![atom("user")]).await.unwrap();
    let other = lone.node.connect().await;
    other.call::<()>("io", "format", args![charlist("hello~n")]).await.unwrap();
    node.call::<()>("erlang", "register", args![atom("user"), user]).await.unwrap();
}

#[tokio::test]
async fn servers_are_called_by_name_and_pid() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    // The code server is no gen_server; its reader of files is.
    let request = Term::from((atom("get_cwd"),));
    let _: Term = node.gen_call("file_server_2", atom("get_cwd")).await.unwrap_or(request);
    let counters = node.gen_call::<Term>("no_such_server", atom("hello")).await.unwrap_err();
    assert!(matches!(counters, CallError::NoProcess { .. }), "{counters}");
    assert!(!counters.certainly_not_executed());
    // A supervisor is a gen_server, too.
    let pid: Pid = node.call("erlang", "whereis", args![atom("kernel_sup")]).await.unwrap();
    let by_pid: Vec<Term> = node.gen_call(&pid, atom("which_children")).await.unwrap();
    let by_name: Vec<Term> = node.gen_call("kernel_sup", atom("which_children")).await.unwrap();
    assert_eq!(by_pid, by_name);
    assert!(!by_pid.is_empty());
    // A watch is left of none of these calls.
    let watched: (Atom, Vec<Term>) =
        node.call("erlang", "process_info", args![pid, atom("monitored_by")]).await.unwrap();
    assert_eq!(watched.1, []);
}

#[tokio::test]
async fn a_server_that_ends_before_it_answers_is_reported() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let sleeper = sleeping_process(&node).await;
    let call = tokio::spawn(node.gen_call::<Term>(&sleeper, atom("hello")).into_future());
    while node.pending() == 0 {
        tokio::task::yield_now().await;
    }
    node.call::<Term>("erlang", "exit", args![&sleeper, atom("kill")]).await.unwrap();
    match call.await.unwrap().unwrap_err() {
        CallError::ServerDown { reason, .. } => assert_eq!(reason, atom("killed")),
        // The kill may have come first.
        CallError::NoProcess { .. } => {}
        other => panic!("{other}"),
    }
}

/// A process that waits for ever.
async fn sleeping_process(node: &fuzz_dist::beam::Connection) -> Pid {
    let forever = vec![atom("infinity")];
    node.call("erlang", "spawn", args![atom("timer"), atom("sleep"), forever]).await.unwrap()
}

#[tokio::test]
async fn late_answers_are_not_given_to_later_calls() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let slow =
        node.call::<Term>("timer", "sleep", args![300]).within(Duration::from_millis(50)).await;
    assert!(matches!(slow, Err(CallError::TimedOut { .. })), "{slow:?}");
    assert_eq!(node.pending(), 0);
    for number in 0..50 {
        let same: i64 = node.call("erlang", "abs", args![number]).await.unwrap();
        assert_eq!(same, number);
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(node.call::<i64>("erlang", "abs", args![-7]).await.unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_get_their_own_answers() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let calls: Vec<_> = (0..500)
        .map(|n| tokio::spawn(node.call::<i64>("erlang", "abs", args![-n]).into_future()))
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), number as i64);
    }
    assert_eq!(node.pending(), 0);
}

#[tokio::test]
async fn monitors_report_how_a_process_ended() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let mut nobody = node.monitor("no_such_name").await.unwrap();
    assert_eq!(nobody.down().await, Down::Ended(atom("noproc")));
    let pid = sleeping_process(&node).await;
    let mut watched = node.monitor(&pid).await.unwrap();
    let unused = node.monitor(&pid).await.unwrap();
    drop(unused);
    node.call::<Term>("erlang", "exit", args![&pid, (atom("shutdown"), 7)]).await.unwrap();
    assert_eq!(watched.down().await, Down::Ended(Term::from((atom("shutdown"), 7))));
    assert_eq!(node.pending(), 0);
}

#[tokio::test]
async fn mailboxes_receive_messages_and_exits() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let mut mailbox = node.mailbox(100);
    node.call::<Term>("erlang", "send", args![mailbox.pid(), (atom("hello"), vec![1, 2])])
        .await
        .unwrap();
    let expected = Term::from((atom("hello"), vec![1, 2]));
    assert_eq!(mailbox.receive().await, Some(Event::Message(expected)));
    let pid = sleeping_process(&node).await;
    mailbox.link(&pid).await.unwrap();
    mailbox.exit(&pid, atom("enough")).await.unwrap();
    assert_eq!(mailbox.receive().await, Some(Event::Exit { from: pid, reason: atom("enough") }));
    // By a registered name, and back.
    let registered = node.mailbox(100);
    let shell = sleeping_process(&node).await;
    node.call::<Term>("erlang", "register", args![atom("sink"), shell.clone()]).await.unwrap();
    registered.send("sink", &atom("for_the_sink")).await.unwrap();
    let got: (Atom, Vec<Term>) =
        node.call("erlang", "process_info", args![shell, atom("messages")]).await.unwrap();
    assert_eq!(got.1, [atom("for_the_sink")]);
}

#[tokio::test]
async fn whoever_watches_a_mailbox_sees_it_end() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let runtime = runtime();
    let folder = Folder::new("watcher");
    let source = folder.path().join("watcher.erl");
    std::fs::write(
        &source,
        "-module(watcher). -export([start/2, wait/2]).\n\
         start(Watched, Reply) -> spawn(?MODULE, wait, [Watched, Reply]).\n\
         wait(Watched, Reply) -> R = monitor(process, Watched), Reply ! watching,\n\
             receive {'DOWN', R, process, Watched, Why} -> Reply ! {gone, Why} end.\n",
    )
    .unwrap();
    let compiled = runtime.compile(&[&source], folder.path()).unwrap();
    node.load_binary("watcher", &std::fs::read(&compiled[0]).unwrap()).await.unwrap();
    let watched = node.mailbox(10);
    let mut replies = node.mailbox(10);
    node.call::<Pid>("watcher", "start", args![watched.pid(), replies.pid()]).await.unwrap();
    assert_eq!(replies.receive().await, Some(Event::Message(atom("watching"))));
    drop(watched);
    let gone = Term::from((atom("gone"), atom("normal")));
    assert_eq!(replies.receive().await, Some(Event::Message(gone)));
    // Of one that is gone already, the same node learns at once.
    let gone_before = node.mailbox(1).pid().clone();
    node.call::<Pid>("watcher", "start", args![&gone_before, replies.pid()]).await.unwrap();
    assert_eq!(replies.receive().await, Some(Event::Message(atom("watching"))));
    let gone = Term::from((atom("gone"), atom("noproc")));
    assert_eq!(replies.receive().await, Some(Event::Message(gone)));
}

#[tokio::test]
async fn a_full_mailbox_drops_messages_and_no_exits() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let mut mailbox = node.mailbox(2);
    let pid = sleeping_process(&node).await;
    mailbox.link(&pid).await.unwrap();
    for number in 0..5 {
        node.call::<Term>("erlang", "send", args![mailbox.pid(), number]).await.unwrap();
    }
    node.call::<Term>("erlang", "exit", args![&pid, atom("enough")]).await.unwrap();
    assert_eq!(mailbox.receive().await, Some(Event::Message(Term::Int(0))));
    assert_eq!(mailbox.receive().await, Some(Event::Message(Term::Int(1))));
    assert_eq!(mailbox.receive().await, Some(Event::Dropped(3)));
    assert_eq!(mailbox.receive().await, Some(Event::Exit { from: pid, reason: atom("enough") }));
    assert_eq!(node.events_dropped(), 3);
}
