//! What is announced inside of real nodes: with telemetry, with logs alone, and with neither.

use std::time::Duration;

use super::support::{call, compiled, evaluate, eventually, lone_node};
use fuzz_dist::args;
use fuzz_dist::beam::{
    ANNOUNCER_MODULE, ANNOUNCER_SOURCE, Announced, Announcement, Announcer, CallError, Connection,
    atom,
};

/// Long enough for an answer of a busy node.
const LIMIT: Duration = Duration::from_secs(30);

/// Stands in for the application of that name; keeps what is executed, and fails on request.
const TELEMETRY: &str = "-module(telemetry). -export([execute/3, executed/0, run/0, start/2, init/1]).\n\
    run() -> _ = application:load({application, ?MODULE, [{mod, {?MODULE, []}}]}),\n\
        ok = application:start(?MODULE).\n\
    start(_, _) -> supervisor:start_link(?MODULE, []).\n\
    init([]) -> {ok, {#{}, []}}.\n\
    execute(_, _, #{function := <<\"crash\">>}) -> error(handler);\n\
    execute(_, _, #{function := <<\"sleep\">>}) -> timer:sleep(700);\n\
    execute(E, M, D) -> persistent_term:put(?MODULE, [{E, M, D} | persistent_term:get(?MODULE, [])]).\n\
    executed() -> lists:reverse(persistent_term:get(?MODULE, [])).\n";

/// A log handler that keeps what of the harness events carry, beside their text.
const KEEPER: &str = "-module(keeper). -export([start/0, log/2, kept/0]).\n\
    start() -> logger:add_handler(keeper, keeper, #{}).\n\
    log(#{msg := {string, Text}, meta := Meta}, _) ->\n\
        Kept = {list_to_atom(Text), maps:get(fuzz_dist, Meta, none)},\n\
        persistent_term:put(?MODULE, [Kept | persistent_term:get(?MODULE, [])]);\n\
    log(_, _) -> ok.\n\
    kept() -> lists:reverse(persistent_term:get(?MODULE, [])).\n";

async fn loaded(node: &Connection, module: &str, source: &str) {
    node.load_binary(module, &compiled(module, source)).await.unwrap();
}

async fn announcer(node: &Connection) -> Announcer {
    Announcer::start(node, &compiled(ANNOUNCER_MODULE, ANNOUNCER_SOURCE), "0a0b").await.unwrap()
}

fn start(id: i64, function: &str) -> Announcement {
    let what = Announced::OperationStart { function: function.into(), client: 3, value: Some(7) };
    Announcement { id, span: id as u64 + 1, monotonic_ns: monotonic_ns(), what }
}

fn stop(id: i64, function: &str) -> Announcement {
    let (function, outcome, duration_ns) = (function.into(), "ok", 2_000_000);
    let what = Announced::OperationStop { function, client: 3, outcome, duration_ns };
    Announcement { id, span: id as u64 + 1, monotonic_ns: monotonic_ns(), what }
}

fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[tokio::test]
async fn telemetry_hears_of_operations_as_they_were() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node, "telemetry", TELEMETRY).await;
    call(&node, "telemetry", "run", args![]).await;
    let mut announcer = announcer(&node).await;
    assert_eq!(announcer.speaks_to(), "telemetry");
    let fault = Announcement {
        id: 0,
        span: 1 << 60,
        monotonic_ns: monotonic_ns(),
        what: Announced::FaultStart("bridge {n1} - n2".into()),
    };
    // A handler that fails keeps nobody from what comes after it.
    let batch = [start(17, "add"), start(19, "crash"), stop(17, "add"), fault];
    announcer.announce(&batch).await.unwrap();
    let executed = call(&node, "telemetry", "executed", args![]).await;
    let shown = executed.to_string();
    assert_eq!(executed.as_list().map(<[_]>::len), Some(3), "{shown}");
    for part in [
        "[fuzz_dist,operation,start]",
        "[fuzz_dist,operation,stop]",
        "[fuzz_dist,trouble,start]",
        "span_id => <<\"0000000000000012\">>",
        "trace_id => <<\"0a0b\">>",
        "outcome => ok",
        "value => 7",
        "trouble => <<\"bridge {n1} - n2\">>",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    // The times are those of the operation, by the node's own clock.
    let close = evaluate(
        &node,
        "[{_, #{monotonic_time := T, system_time := S}, _} | _] = telemetry:executed(), \
         [{_, _, _}, {_, #{duration := D}, _} | _] = telemetry:executed(), \
         Ms = fun(N) -> erlang:convert_time_unit(N, native, millisecond) end, \
         {Ms(D), abs(Ms(erlang:monotonic_time() - T)) < 20000, \
          abs(Ms(erlang:system_time() - S)) < 20000}.",
    )
    .await;
    assert_eq!(close.to_string(), "{2,true,true}");
    // Nothing was put into the metadata of logs.
    let primary = call(&node, "logger", "get_primary_config", args![]).await.to_string();
    assert!(!primary.contains(ANNOUNCER_MODULE), "{primary}");
}

/// A batch is answered when it was said: one at a time waits in the node, however slow its handlers are.
#[tokio::test]
async fn slow_handlers_are_waited_for() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node, "telemetry", TELEMETRY).await;
    call(&node, "telemetry", "run", args![]).await;
    let mut announcer = announcer(&node).await;
    let begin = std::time::Instant::now();
    announcer.announce(&[start(1, "sleep"), start(3, "add")]).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(700));
    let executed = call(&node, "telemetry", "executed", args![]).await;
    assert_eq!(executed.as_list().map(<[_]>::len), Some(1), "{executed}");
}

/// Telemetry whose application does not run warns of every event: it gets nothing, and what was
/// announced to one side is not left there when the other one gets the rest.
#[tokio::test]
async fn telemetry_gets_events_while_its_application_runs() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node, "telemetry", TELEMETRY).await;
    let executed = async || {
        let executed = call(&node, "telemetry", "executed", args![]).await;
        executed.as_list().map(<[_]>::len)
    };
    let filtered = async || {
        let primary = call(&node, "logger", "get_primary_config", args![]).await.to_string();
        primary.contains(ANNOUNCER_MODULE)
    };
    let mut announcer = announcer(&node).await;
    assert_eq!(announcer.speaks_to(), "logger");
    announcer.announce(&[start(1, "add")]).await.unwrap();
    assert_eq!((executed().await, filtered().await), (Some(0), true));
    call(&node, "telemetry", "run", args![]).await;
    announcer.announce(&[stop(1, "add"), start(3, "add")]).await.unwrap();
    assert_eq!(announcer.speaks_to(), "telemetry");
    assert_eq!((executed().await, filtered().await), (Some(2), false));
    call(&node, "application", "stop", args![atom("telemetry")]).await;
    announcer.announce(&[stop(3, "add"), start(5, "add")]).await.unwrap();
    assert_eq!(announcer.speaks_to(), "logger");
    assert_eq!((executed().await, filtered().await), (Some(2), true));
}

#[tokio::test]
async fn logs_carry_what_is_in_flight_and_no_longer() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node, "keeper", KEEPER).await;
    let log = async |text: &str| {
        evaluate(&node, &format!("logger:error(\"{text}\").")).await;
    };
    call(&node, "keeper", "start", args![]).await;
    let mut announcer = announcer(&node).await;
    assert_eq!(announcer.speaks_to(), "logger");
    log("before").await;
    announcer.announce(&[start(17, "add"), start(19, "read")]).await.unwrap();
    log("both").await;
    announcer.announce(&[stop(17, "add")]).await.unwrap();
    log("one").await;
    announcer.announce(&[stop(19, "read")]).await.unwrap();
    log("none_again").await;
    // One that is over when it is announced is not carried by anything, and takes nothing away.
    announcer.announce(&[start(21, "add"), start(23, "read"), stop(23, "read")]).await.unwrap();
    log("last").await;
    drop(announcer);
    eventually("it goes with us", async || {
        let who = call(&node, "erlang", "whereis", args![atom(ANNOUNCER_MODULE)]).await;
        who.is_atom("undefined").then_some(())
    })
    .await;
    log("gone").await;
    let kept = call(&node, "keeper", "kept", args![]).await.to_string();
    let expected = "[{before,none},\
        {both,#{operation => #{17 => <<\"add\">>,19 => <<\"read\">>}}},\
        {one,#{operation => #{19 => <<\"read\">>}}},\
        {none_again,none},{last,#{operation => #{21 => <<\"add\">>}}},{gone,none}]";
    assert_eq!(kept.replace(" => ", "=>"), expected.replace(" => ", "=>"));
    let primary = call(&node, "logger", "get_primary_config", args![]).await.to_string();
    assert!(!primary.contains(ANNOUNCER_MODULE), "{primary}");
}

/// One that is killed says so; its filter, whose table is gone, harms nobody, and the next one takes its
/// place.
#[tokio::test]
async fn one_that_is_killed_is_noticed_and_replaced() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node, "keeper", KEEPER).await;
    call(&node, "keeper", "start", args![]).await;
    let mut first = announcer(&node).await;
    first.announce(&[start(1, "add")]).await.unwrap();
    evaluate(&node, &format!("exit(whereis({ANNOUNCER_MODULE}), kill).")).await;
    let ended = tokio::time::timeout(LIMIT, first.announce(&[stop(1, "add")])).await.unwrap();
    assert!(matches!(ended, Err(CallError::ServerDown { .. })), "{ended:?}");
    evaluate(&node, "logger:error(\"dead\").").await;
    let mut second = announcer(&node).await;
    second.announce(&[start(5, "read")]).await.unwrap();
    evaluate(&node, "logger:error(\"again\").").await;
    let kept = call(&node, "keeper", "kept", args![]).await.to_string().replace(" => ", "=>");
    assert_eq!(kept, "[{dead,none},{again,#{operation=>#{5=><<\"read\">>}}}]");
    let primary = call(&node, "logger", "get_primary_config", args![]).await.to_string();
    assert_eq!(primary.matches("filter/2").count(), 1, "{primary}");
}

/// An application that stops log events unless a filter lets them pass keeps them stopped.
#[tokio::test]
async fn an_applications_own_filters_keep_their_word() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node, "keeper", KEEPER).await;
    call(&node, "keeper", "start", args![]).await;
    evaluate(&node, "logger:set_primary_config(filter_default, stop).").await;
    let mut announcer = announcer(&node).await;
    assert_eq!(announcer.speaks_to(), "nowhere");
    announcer.announce(&[start(1, "add")]).await.unwrap();
    evaluate(&node, "logger:error(\"stopped\").").await;
    assert_eq!(call(&node, "keeper", "kept", args![]).await.to_string(), "[]");
}
