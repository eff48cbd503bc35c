%% Says inside of the node that it is loaded into what the harness does: operations and faults, for the
%% application's own telemetry, or its logs.
%%
%% While the application `telemetry` runs, each is an event: [fuzz_dist, operation, start | stop] and
%% [fuzz_dist, trouble, start | stop]. That its code can be loaded is not enough: it logs a warning for
%% every event then. Otherwise a filter puts what is in flight, or acts, into the metadata of log
%% events (fuzz_dist): the metadata of logger's own configuration are a persistent term, and changing one
%% of these makes every process of the node look for the former value.
%%
%% What is to be said comes in batches, {announce, Lines}; each is answered by {fuzz_dist_announced,
%% Count, Where}, and the harness sends the next one after that, so that nothing piles up here. It ends with its
%% receiver.
%%
%% The oldest release that it must load into is OTP 25.
-module(fuzz_dist_announcer).

-export([start/2]).
-export([filter/2]).

%% So many operations may stand in the metadata of a log event.
-define(OPERATIONS_MAX, 100).

-record(state, {
    receiver :: pid(),
    trace :: binary(),
    %% As it was for the last batch.
    where = <<>> :: binary(),
    %% What log events are to carry: {{operation | trouble, Id}, Text}.
    active :: ets:table()
}).

%% Starts it, in place of the one that was there, and says where it speaks: <<"telemetry">>,
%% <<"logger">>, or <<"nowhere">> where the application stops all log events that no filter lets pass.
-spec start(pid(), binary()) -> {ok, pid(), binary()} | {error, term()}.
start(Receiver, Trace) ->
    stop(),
    Caller = self(),
    {Announcer, Monitor} = spawn_monitor(fun() -> init(Receiver, Trace, Caller) end),
    receive
        {Announcer, Where} ->
            demonitor(Monitor, [flush]),
            {ok, Announcer, Where};
        {'DOWN', Monitor, process, Announcer, Reason} ->
            {error, Reason}
    after 3000 ->
        exit(Announcer, kill),
        {error, timeout}
    end.

stop() ->
    case whereis(?MODULE) of
        undefined ->
            ok;
        Announcer ->
            Monitor = monitor(process, Announcer),
            exit(Announcer, kill),
            receive {'DOWN', Monitor, process, Announcer, _} -> ok after 1000 -> ok end
    end.

init(Receiver, Trace, Caller) ->
    register(?MODULE, self()),
    monitor(process, Receiver),
    Active = ets:new(?MODULE, [protected, {read_concurrency, true}]),
    State = turned(where(), #state{receiver = Receiver, trace = Trace, active = Active}),
    Caller ! {self(), State#state.where},
    loop(State).

where() ->
    case {has_telemetry(), maps:get(filter_default, logger:get_primary_config(), log)} of
        {true, _} -> <<"telemetry">>;
        {false, log} -> <<"logger">>;
        {false, _} -> <<"nowhere">>
    end.

%% Applications start and stop while a test runs: the filter is installed only while events go to the logs.
turned(Where, #state{where = Where} = State) ->
    State;
turned(Where, #state{active = Active} = State) ->
    ets:delete_all_objects(Active),
    %% Ours, or one that was left behind by an announcer that was killed.
    _ = logger:remove_primary_filter(?MODULE),
    Where =:= <<"logger">> andalso
        (ok = logger:add_primary_filter(?MODULE, {fun ?MODULE:filter/2, Active})),
    State#state{where = Where}.

has_telemetry() ->
    is_running(telemetry) andalso
        {module, telemetry} =:= code:ensure_loaded(telemetry) andalso
        erlang:function_exported(telemetry, execute, 3).

%% Asks a table: which_applications/0 waits for applications that are being started, and
%% get_supervisor/1 came with OTP 26.
is_running(Application) ->
    try is_pid(application_controller:get_master(Application))
    catch _:_ -> false
    end.

loop(#state{receiver = Receiver} = Former) ->
    receive
        {announce, Lines} ->
            State = #state{where = Where} = turned(where(), Former),
            %% What os:perf_counter/1 says of now, against the clock of the node.
            Now = {erlang:monotonic_time(), os:perf_counter(nanosecond)},
            Telemetry = Where =:= <<"telemetry">>,
            lists:foreach(fun(Line) -> said(Telemetry, Line, Now, State) end, Lines),
            erlang:send(Receiver, {fuzz_dist_announced, length(Lines), Where}, [noconnect]),
            loop(State);
        {'DOWN', _, process, Receiver, _} ->
            _ = logger:remove_primary_filter(?MODULE),
            ok
    end.

said(true, {Kind, Edge, Id, Span, Nanoseconds, Details}, Now, State) ->
    Monotonic = monotonic(Nanoseconds, Now),
    Measured = case Details of
        #{duration_ns := Duration} ->
            #{duration => erlang:convert_time_unit(Duration, nanosecond, native)};
        _ ->
            #{system_time => Monotonic + erlang:time_offset()}
    end,
    Ids = #{id => Id, trace_id => State#state.trace, span_id => Span},
    Metadata = maps:merge(maps:remove(duration_ns, Details), Ids),
    %% Telemetry deals with handlers that fail; whatever else stands in for it does not have to.
    try
        telemetry:execute([fuzz_dist, Kind, Edge], Measured#{monotonic_time => Monotonic}, Metadata)
    catch
        _:_ -> ok
    end;
said(false, {Kind, stop, Id, _, _, _}, _, State) ->
    ets:delete(State#state.active, {Kind, Id});
said(false, {Kind, start, Id, _, _, Details}, _, #state{active = Active}) ->
    case ets:info(Active, size) of
        Size when Kind =:= operation, Size >= ?OPERATIONS_MAX -> ok;
        _ -> ets:insert(Active, {{Kind, Id}, text(Kind, Details)})
    end.

text(operation, #{function := Function}) -> Function;
text(trouble, #{trouble := Trouble}) -> Trouble.

monotonic(Nanoseconds, {Monotonic, Perf}) ->
    Monotonic - erlang:convert_time_unit(Perf - Nanoseconds, nanosecond, native).

%% Called by logger in whichever process logs, so it must neither fail nor wait: the table goes with the
%% announcer.
filter(#{meta := Meta} = Event, Active) ->
    try ets:tab2list(Active) of
        [] -> ignore;
        All -> Event#{meta := Meta#{fuzz_dist => lists:foldl(fun carried/2, #{}, All)}}
    catch
        error:badarg -> ignore
    end.

carried({{Kind, Id}, Text}, Carried) ->
    OfKind = maps:get(Kind, Carried, #{}),
    Carried#{Kind => OfKind#{Id => Text}}.
