%% Observes the node that it is loaded into, and reports to a process of the harness what it sees.
%%
%% Messages to the receiver: {fuzz_dist, Nanoseconds, Kind, Data} and {fuzz_dist_dropped, Count}.
%% Nanoseconds are os:perf_counter(nanosecond), which is CLOCK_MONOTONIC; Kind is a binary; Data is
%% made of maps, lists, binaries and integers, so that the receiver needs to know no terms.
%%
%% It owns nothing that an application could want: system_monitor is left to whoever has it. It ends,
%% and takes everything away that it added, when the receiver or the connection to it goes.
%%
%% The oldest release that it must load into is OTP 25.
-module(fuzz_dist_agent).

-export([start/1, stop/0]).
-export([log/2]).

%% So many messages may wait; what comes beyond that is dropped and counted.
-define(QUEUE_MAX, 2000).
-define(TEXT_CHARS_MAX, 500).
-define(LOOK_EVERY_MS, 500).
-define(LONG_GC_MS, 100).
-define(LONG_SCHEDULE_MS, 200).
-define(LARGE_HEAP_WORDS, 16 * 1024 * 1024).
%% Slots of the counters that log handlers share with the agent.
-define(WAITING, 1).
-define(DROPPED, 2).

-record(state, {
    receiver :: pid(),
    counters :: atomics:atomics_ref(),
    mnesia = undefined :: pid() | undefined,
    subscriber = undefined :: pid() | undefined
}).

%% Starts the agent, or another one in place of the one that is there, and says what it observes.
-spec start(pid()) -> {ok, pid(), map()} | {error, term()}.
start(Receiver) ->
    stop(),
    Caller = self(),
    {Agent, Monitor} = spawn_monitor(fun() -> init(Receiver, Caller) end),
    receive
        {Agent, Facts} ->
            demonitor(Monitor, [flush]),
            {ok, Agent, Facts};
        {'DOWN', Monitor, process, Agent, Reason} ->
            {error, Reason}
    after 3000 ->
        exit(Agent, kill),
        {error, timeout}
    end.

-spec stop() -> ok.
stop() ->
    case whereis(?MODULE) of
        undefined ->
            ok;
        Agent ->
            Monitor = monitor(process, Agent),
            Agent ! stop,
            receive
                {'DOWN', Monitor, process, Agent, _} -> ok
            after 1000 -> exit(Agent, kill)
            end,
            ok
    end.

init(Receiver, Caller) ->
    register(?MODULE, self()),
    process_flag(trap_exit, true),
    process_flag(priority, high),
    process_flag(message_queue_data, off_heap),
    monitor(process, Receiver),
    monitor(time_offset, clock_service),
    ok = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
    Counters = atomics:new(2, []),
    Handler = #{
        level => warning,
        config => #{agent => self(), counters => Counters},
        filter_default => log,
        filters => []
    },
    %% One that an agent left behind that was killed.
    _ = logger:remove_handler(?MODULE),
    Logs = logger:add_handler(?MODULE, ?MODULE, Handler),
    State = look(#state{receiver = Receiver, counters = Counters}),
    Facts = #{
        system_monitor => text(take_system_monitor()),
        logs => text(Logs),
        otp_release => list_to_binary(erlang:system_info(otp_release)),
        time_warp_mode => text(erlang:system_info(time_warp_mode)),
        incarnation => incarnation(),
        net_ticktime => integer_to_binary(net_ticktime()),
        net_tickintensity => number(net_tickintensity, 4),
        net_setuptime => number(net_setuptime, 7),
        prevent_overlapping_partitions =>
            text(application:get_env(kernel, prevent_overlapping_partitions, default))
    },
    Caller ! {self(), Facts},
    erlang:send_after(?LOOK_EVERY_MS, self(), look),
    loop(State).

%% Another one after every start. Port mappers count creations by the second, so that a node that is back
%% within one may have the same; the process is another one.
incarnation() ->
    iolist_to_binary([integer_to_list(erlang:system_info(creation)), "/", os:getpid()]).

%% In seconds, as it is now.
net_ticktime() ->
    case net_kernel:get_net_ticktime() of
        {_Changing, Seconds} -> Seconds;
        Seconds when is_integer(Seconds) -> Seconds;
        ignored -> 0
    end.

number(Key, Default) ->
    case application:get_env(kernel, Key, Default) of
        Number when is_integer(Number) -> integer_to_binary(Number);
        _ -> integer_to_binary(Default)
    end.

%% There is one owner at a time, and an application that is one must stay so.
take_system_monitor() ->
    case erlang:system_monitor() of
        undefined ->
            erlang:system_monitor(self(), [
                {long_gc, ?LONG_GC_MS},
                {long_schedule, ?LONG_SCHEDULE_MS},
                {large_heap, ?LARGE_HEAP_WORDS},
                busy_port,
                busy_dist_port
            ]),
            taken;
        {_Owner, _Options} ->
            owned
    end.

loop(State) ->
    receive
        {'DOWN', _, process, Receiver, _} when Receiver =:= State#state.receiver ->
            clean_up();
        stop ->
            clean_up();
        look ->
            erlang:send_after(?LOOK_EVERY_MS, self(), look),
            loop(look(State));
        {'EXIT', Subscriber, _} when Subscriber =:= State#state.subscriber ->
            loop(State#state{subscriber = undefined, mnesia = undefined});
        Message ->
            case process_info(self(), message_queue_len) of
                {_, Waiting} when Waiting > ?QUEUE_MAX -> dropped(Message, State);
                _ -> report(Message, State)
            end,
            loop(State)
    end.

clean_up() ->
    _ = logger:remove_handler(?MODULE),
    case erlang:system_monitor() of
        {Owner, _} when Owner =:= self() -> erlang:system_monitor(undefined);
        _ -> ok
    end,
    ok.

%% Things that come and go: mnesia is started later, or again; drops are reported when there is room.
look(State) ->
    Dropped = atomics:exchange(State#state.counters, ?DROPPED, 0),
    Dropped > 0 andalso send(State, {fuzz_dist_dropped, Dropped}),
    case whereis(mnesia_subscr) of
        undefined ->
            State#state{mnesia = undefined};
        Mnesia when Mnesia =:= State#state.mnesia ->
            State;
        Mnesia ->
            Agent = self(),
            Subscriber = spawn_link(fun() -> subscribe_to_mnesia(Agent) end),
            State#state{mnesia = Mnesia, subscriber = Subscriber}
    end.

%% In a process of its own, since mnesia may take its time, and links itself to who subscribes.
subscribe_to_mnesia(Agent) ->
    case mnesia:subscribe(system) of
        {ok, _} -> forward_mnesia(Agent);
        _ -> ok
    end.

forward_mnesia(Agent) ->
    receive
        {mnesia_system_event, Event} ->
            Agent ! {mnesia, os:perf_counter(nanosecond), Event},
            forward_mnesia(Agent)
    end.

dropped(Message, State) ->
    is_log(Message) andalso atomics:sub(State#state.counters, ?WAITING, 1),
    atomics:add(State#state.counters, ?DROPPED, 1).

is_log({log, _, _}) -> true;
is_log(_) -> false.

report({log, Time, Line}, State) ->
    atomics:sub(State#state.counters, ?WAITING, 1),
    send(State, {fuzz_dist, Time, <<"log">>, Line});
report({mnesia, Time, Event}, State) ->
    send(State, {fuzz_dist, Time, <<"mnesia">>, mnesia_event(Event)});
report(Message, State) ->
    Time = os:perf_counter(nanosecond),
    case seen(Message) of
        {Kind, Data} -> send(State, {fuzz_dist, Time, Kind, Data});
        ignored -> ok
    end.

%% Never waits, and never connects: a receiver out of reach misses what it cannot take.
send(#state{receiver = Receiver, counters = Counters}, Message) ->
    case erlang:send(Receiver, Message, [noconnect, nosuspend]) of
        ok -> ok;
        _ -> atomics:add(Counters, ?DROPPED, 1)
    end.

seen({nodeup, Node, Info}) ->
    node_event(<<"nodeup">>, Node, Info);
seen({nodedown, Node, Info}) ->
    node_event(<<"nodedown">>, Node, Info);
seen({'CHANGE', _, time_offset, clock_service, Offset}) ->
    {<<"time_offset">>, #{offset_ns => erlang:convert_time_unit(Offset, native, nanosecond)}};
seen({monitor, From, Kind, Details}) ->
    {atom_to_binary(Kind), #{process => who(From), details => text(Details)}};
seen(_) ->
    ignored.

%% The harness connects as hidden nodes of this prefix: nothing that an application could see.
node_event(Kind, Node, Info) ->
    case atom_to_list(Node) of
        "remsh_fuzz_dist_" ++ _ ->
            ignored;
        _ ->
            Reason = proplists:get_value(nodedown_reason, Info, none),
            Hidden = proplists:get_value(node_type, Info) =:= hidden,
            Data = #{peer => atom_to_binary(Node)},
            Details = case Reason of none -> Data; _ -> Data#{reason => text(Reason)} end,
            {Kind, case Hidden of true -> Details#{hidden => <<"true">>}; false -> Details end}
    end.

mnesia_event({inconsistent_database, Context, Node}) ->
    Event = #{event => <<"inconsistent_database">>, reason => text(Context), peer => text(Node)},
    %% A split matters to those whose data is in one of these.
    try [atom_to_binary(Table) || Table <- mnesia:system_info(tables), Table =/= schema] of
        Tables -> Event#{tables => iolist_to_binary(lists:join(<<" ">>, Tables))}
    catch
        _:_ -> Event
    end;
mnesia_event({Event, Node}) when Event =:= mnesia_up; Event =:= mnesia_down ->
    #{event => atom_to_binary(Event), peer => text(Node)};
mnesia_event({Event, Format, Arguments}) when Event =:= mnesia_info; Event =:= mnesia_error ->
    #{event => atom_to_binary(Event), text => formatted(Format, Arguments)};
mnesia_event(Event) when is_tuple(Event), is_atom(element(1, Event)) ->
    #{event => atom_to_binary(element(1, Event)), text => text(Event)};
mnesia_event(Event) ->
    #{event => <<"other">>, text => text(Event)}.

who(Process) when is_pid(Process), node(Process) =:= node() ->
    case process_info(Process, [registered_name, initial_call]) of
        [{registered_name, Name}, _] when is_atom(Name) -> atom_to_binary(Name);
        [_, {initial_call, {Module, Function, Arity}}] ->
            formatted("~p (~p:~p/~p)", [Process, Module, Function, Arity]);
        _ -> text(Process)
    end;
who(Other) ->
    text(Other).

%% Called by logger in whichever process logs, so it must neither fail nor wait.
log(Event, #{config := #{agent := Agent, counters := Counters}}) ->
    case atomics:add_get(Counters, ?WAITING, 1) of
        Waiting when Waiting > ?QUEUE_MAX ->
            atomics:sub(Counters, ?WAITING, 1),
            atomics:add(Counters, ?DROPPED, 1);
        _ ->
            Agent ! {log, os:perf_counter(nanosecond), line(Event)}
    end,
    ok.

%% `error supervisor child_terminated: ...`, on one line.
line(#{level := Level, msg := Message, meta := Meta}) ->
    try
        Parts = [atom_to_list(Level), label(Message), ": ", message(Message, Meta)],
        Line = re:replace(unicode:characters_to_binary(Parts), "\\s+", " ", [global, unicode]),
        unicode:characters_to_binary(Line)
    catch
        _:_ -> <<"a log event that could not be formatted">>
    end.

label({report, #{label := Label}}) -> [" ", label_text(Label)];
label({report, [{_, _} | _] = Report}) ->
    case lists:keyfind(label, 1, Report) of
        {_, Label} -> [" ", label_text(Label)];
        false -> ""
    end;
label(_) -> "".

label_text({First, Second}) -> io_lib:format("~0tp ~0tp", [First, Second]);
label_text(Label) -> io_lib:format("~0tp", [Label]).

message({string, String}, _) ->
    string:slice(unicode:characters_to_list(String), 0, ?TEXT_CHARS_MAX);
message({report, Report}, #{report_cb := Callback}) when is_function(Callback, 1) ->
    {Format, Arguments} = Callback(Report),
    io_lib:format(Format, Arguments, [{chars_limit, ?TEXT_CHARS_MAX}]);
message({report, Report}, _) ->
    io_lib:format("~0tp", [Report], [{chars_limit, ?TEXT_CHARS_MAX}]);
message({Format, Arguments}, _) ->
    io_lib:format(Format, Arguments, [{chars_limit, ?TEXT_CHARS_MAX}]).

text(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
text(Term) -> formatted("~0tp", [Term]).

formatted(Format, Arguments) ->
    try
        Text = io_lib:format(Format, Arguments, [{chars_limit, ?TEXT_CHARS_MAX}]),
        unicode:characters_to_binary(Text)
    catch
        _:_ -> <<"?">>
    end.
