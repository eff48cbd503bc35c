%% Faults that act inside of the node that this is loaded into, each with a look at its effect.
%%
%% A fault that lasts has a keeper: a process that begins it, holds it, and undoes it on request,
%% when the harness is gone, or after ten minutes without a request. One guardian knows the
%% keepers by their numbers (no atom is made for a fault), and undoes what a keeper has begun that did
%% not live to undo it. It leaves when the harness is gone and nothing acts. Other faults are over when
%% their function returns.
%%
%% Every answer is {Seen, Evidence}: whether the fault was seen to act (or, at its end, to be undone),
%% and a map of what was seen; or {unsupported, Text}. Evidence is made of binaries, integers, lists.
%%
%% The oldest release that it must load into is OTP 25.
-module(fuzz_dist_fault).

-export([start/4, stop/3]).
-export([kill_child/1, purge_module/1, is_busy/1]).

-define(KEEP_MAX_MS, 600000).
%% For so long after the harness has gone the guardian can still say how a fault ended.
-define(LINGER_MS, 10000).
%% So many faults that ended by themselves are remembered.
-define(ENDED_MAX, 100).
-define(ANSWER_LIMIT_MS, 10000).
-define(SEE_LIMIT_MS, 5000).
-define(CHILDREN_LIMIT_MS, 1000).
%% Schedulers are blocked so long, and then free so long, again and again: well above the 200 ms from
%% which on our agent receives a long schedule.
-define(BLOCKED_MS, 250).
-define(LOOKS, 8).
-define(FREE_MS, 25).
-define(CHUNK_BYTES, 65536).
%% Each sends a chunk and stands still until there is room again: so many chunks beyond the buffer's
%% limit have to be read before anybody goes on.
-define(FILLERS, 64).
%% Nobody has that name: what is sent there is dropped where it arrives.
-define(NOBODY, fuzz_dist_nobody).
-define(WRONG_COOKIE, fuzz_dist_wrong_cookie).

-type evidence() :: #{atom() => binary() | integer() | boolean() | [binary()]}.
-type answer() :: {boolean(), evidence()} | {unsupported, binary()}.

%% Begins a fault that lasts, under a number of its own. The harness is a process of it: the fault ends
%% when that does, or when the connection to it is lost.
-spec start(integer(), atom(), [term()], pid()) -> answer().
start(Id, Fault, Arguments, Harness) ->
    Caller = self(),
    Guardian = guardian(),
    Keep = fun() -> keep(Id, Fault, Arguments, {Caller, Guardian, Harness}) end,
    {Keeper, Monitor} = spawn_monitor(Keep),
    answer(Keeper, Monitor).

%% Undoes it. One that nobody knows has gone with its node, or with everybody who could undo it: then
%% it is looked for.
-spec stop(integer(), atom(), [term()]) -> answer().
stop(Id, Fault, Arguments) ->
    case whereis(?MODULE) of
        undefined ->
            left(Fault, Arguments);
        Guardian ->
            case ask(Guardian, {find, Id}) of
                {ended, Answer} ->
                    Answer;
                Keeper when is_pid(Keeper) ->
                    Monitor = monitor(process, Keeper),
                    Keeper ! {stop, self()},
                    case answer(Keeper, Monitor) of
                        %% It ended between the two: the guardian knows how, in the end.
                        {false, #{keeper := _}} = Lost ->
                            case ask(Guardian, {find, Id}) of
                                {ended, Answer} -> Answer;
                                _ -> Lost
                            end;
                        Answer ->
                            Answer
                    end;
                unknown ->
                    left(Fault, Arguments)
            end
    end.

answer(Keeper, Monitor) ->
    receive
        {Keeper, Answer} ->
            demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, process, Keeper, Reason} ->
            {false, #{keeper => text(Reason)}}
    after ?ANSWER_LIMIT_MS ->
        demonitor(Monitor, [flush]),
        {false, #{keeper => <<"no answer">>}}
    end.

%% What is left of a fault that nobody keeps.
left(Fault, Arguments) ->
    try is_left(Fault, Arguments) of
        Left -> {not Left, #{keeper => <<"gone">>, left => Left}}
    catch
        _:Reason -> {false, #{keeper => <<"gone">>, looking => text(Reason)}}
    end.

is_left(wrong_cookie, [Peer]) ->
    erlang:get_cookie(Peer) =:= ?WRONG_COOKIE;
is_left(disallow, [_]) ->
    {ok, Allowed} = net_kernel:allowed(),
    lists:member(?NOBODY, Allowed);
is_left(deaf, [Peer]) ->
    case lists:keyfind(Peer, 1, erlang:system_info(dist_ctrl)) of
        {_, Port} when is_port(Port) -> inet:getopts(Port, [active]) =:= {ok, [{active, false}]};
        _ -> false
    end;
is_left(_, _) ->
    %% It went with its processes.
    false.

%% The guardian, there for the whole module. What a keeper has begun stands in it as {Fault, State}.

-record(guardian, {
    harness = none :: none | {pid(), reference()},
    keepers = #{} :: #{integer() => {pid(), reference(), none | {atom(), term()}}},
    ended = [] :: [{integer(), answer()}]
}).

guardian() ->
    case whereis(?MODULE) of
        undefined ->
            Caller = self(),
            %% Of two that begin at once one takes the name, and the other one ends.
            {Guardian, Monitor} = spawn_monitor(fun() -> guard(Caller) end),
            receive
                {Guardian, ready} -> demonitor(Monitor, [flush]), Guardian;
                {'DOWN', Monitor, process, Guardian, _} -> guardian()
            end;
        Guardian ->
            Guardian
    end.

guard(Caller) ->
    try register(?MODULE, self()) of
        true ->
            process_flag(priority, high),
            Caller ! {self(), ready},
            guarding(#guardian{})
    catch
        error:badarg -> taken
    end.

ask(Guardian, Question) ->
    Monitor = monitor(process, Guardian),
    Guardian ! {Monitor, self(), Question},
    receive
        {Monitor, Answer} ->
            demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, process, Guardian, _} ->
            unknown
    after ?ANSWER_LIMIT_MS ->
        demonitor(Monitor, [flush]),
        unknown
    end.

guarding(#guardian{harness = Harness, keepers = Keepers} = State) ->
    receive
        {Tag, From, Question} ->
            {Answer, Next} = asked(Question, From, State),
            From ! {Tag, Answer},
            guarding(Next);
        {'DOWN', Monitor, process, _, Reason} ->
            guarding(down(Monitor, Reason, State))
    after linger(Harness, Keepers) ->
        left
    end.

linger(none, Keepers) when map_size(Keepers) =:= 0 -> ?LINGER_MS;
linger(_, _) -> infinity.

asked({keep, Id, Harness}, Keeper, #guardian{keepers = Keepers} = State) ->
    case Keepers of
        #{Id := _} ->
            {known, State};
        _ ->
            Watched = {Keeper, monitor(process, Keeper), none},
            Ended = lists:keydelete(Id, 1, State#guardian.ended),
            {ok, watch(Harness, State#guardian{keepers = Keepers#{Id => Watched}, ended = Ended})}
    end;
asked({begins, Id, Begun}, Keeper, #guardian{keepers = Keepers} = State) ->
    #{Id := {Keeper, Monitor, _}} = Keepers,
    {ok, State#guardian{keepers = Keepers#{Id := {Keeper, Monitor, Begun}}}};
asked({ended, Id, Answer}, _, State) ->
    {ok, ended(Id, Answer, State)};
asked({find, Id}, _, #guardian{keepers = Keepers, ended = Ended} = State) ->
    case {lists:keyfind(Id, 1, Ended), Keepers} of
        {{Id, Answer}, _} -> {{ended, Answer}, State};
        {false, #{Id := {Keeper, _, _}}} -> {Keeper, State};
        _ -> {unknown, State}
    end.

%% The harness may come back under another name.
watch(Harness, #guardian{harness = {Harness, _}} = State) ->
    State;
watch(Harness, #guardian{harness = Former} = State) ->
    case Former of
        {_, Monitor} -> demonitor(Monitor, [flush]);
        none -> ok
    end,
    State#guardian{harness = {Harness, monitor(process, Harness)}}.

ended(Id, Answer, #guardian{keepers = Keepers, ended = Ended} = State) ->
    case Keepers of
        #{Id := {_, Monitor, _}} -> demonitor(Monitor, [flush]);
        _ -> ok
    end,
    Kept = lists:sublist([{Id, Answer} | lists:keydelete(Id, 1, Ended)], ?ENDED_MAX),
    State#guardian{keepers = maps:remove(Id, Keepers), ended = Kept}.

down(Monitor, _, #guardian{harness = {_, Monitor}} = State) ->
    State#guardian{harness = none};
down(Monitor, Reason, #guardian{keepers = Keepers} = State) ->
    case [{Id, Begun} || {Id, {_, M, Begun}} <- maps:to_list(Keepers), M =:= Monitor] of
        [{Id, {Fault, Begun}}] -> ended(Id, undone_for(Fault, Begun, Reason), State);
        [{Id, none}] -> ended(Id, {true, #{keeper => text(Reason)}}, State);
        [] -> State
    end.

%% Undoes what a keeper began that has ended.
undone_for(Fault, Begun, Reason) ->
    try undone(Fault, Begun) of
        {Undone, Evidence} -> {Undone, Evidence#{keeper => text(Reason)}}
    catch
        _:Why -> {false, #{keeper => text(Reason), undoing => text(Why)}}
    end.

keep(Id, Fault, Arguments, {Caller, Guardian, Harness}) ->
    Watched = [monitor(process, Guardian), monitor(process, Harness)],
    case ask(Guardian, {keep, Id, Harness}) of
        ok ->
            %% Called with what `undone` has to know, before anything is done.
            Begins = fun(State) -> ok = ask(Guardian, {begins, Id, {Fault, State}}) end,
            case begun(Fault, Arguments, Begins) of
                {Seen, Evidence, State} ->
                    Begins(State),
                    Caller ! {self(), {Seen, Evidence}},
                    End = erlang:monotonic_time(millisecond) + ?KEEP_MAX_MS,
                    Answer = hold(Fault, State, End, Watched),
                    ask(Guardian, {ended, Id, Answer});
                {unsupported, Text} ->
                    Caller ! {self(), {unsupported, Text}}
            end;
        _ ->
            Caller ! {self(), {false, #{keeper => <<"there is one already, or no guardian">>}}}
    end.

hold(Fault, State, End, Watched) ->
    {Wait, Next} = held(Fault, State),
    Rest = max(0, End - erlang:monotonic_time(millisecond)),
    receive
        {stop, From} ->
            Answer = undone(Fault, Next),
            From ! {self(), Answer},
            Answer;
        {'DOWN', Monitor, process, Gone, Reason} ->
            case lists:member(Monitor, Watched) of
                true -> early(undone(Fault, Next), formatted("~0tp: ~0tp", [Gone, Reason]));
                false -> hold(Fault, Next, End, Watched)
            end
    after min(Wait, Rest) ->
        case Rest of
            0 -> early(undone(Fault, Next), <<"nobody undid it for ten minutes">>);
            _ -> hold(Fault, Next, End, Watched)
        end
    end.

%% Undone before the harness asked for it: `stop` reports that later.
early({Undone, Evidence}, Why) ->
    {Undone, Evidence#{ended_early => Why}}.

%% What begins a fault, what holds it (and when that has to be done again), and what undoes it. What
%% leaves something behind when its process ends says so before it does.

begun(suspend_process, [Name], _) ->
    case whereis(Name) of
        Pid when is_pid(Pid) ->
            true = erlang:suspend_process(Pid),
            {status(Pid) =:= suspended, #{process => text(Pid), status => text(status(Pid))}, Pid};
        _ ->
            {false, #{not_registered => text(Name)}, nobody}
    end;
begun(wrong_cookie, [Peer], Begins) ->
    Cookie = erlang:get_cookie(Peer),
    Begins({Peer, Cookie}),
    true = erlang:set_cookie(Peer, ?WRONG_COOKIE),
    {Apart, Evidence} = refused(Peer),
    {Apart, Evidence, {Peer, Cookie}};
begun(disallow, [Peer], Begins) ->
    {ok, Before} = net_kernel:allowed(),
    Begins(Before),
    %% Everybody else who is there or may come, under a name that distinguishes the list from others.
    Known = [Node || Node <- [node() | nodes(known)], Node =/= Peer],
    ok = net_kernel:allow([?NOBODY | Known]),
    {ok, Now} = net_kernel:allowed(),
    {Apart, Evidence} = refused(Peer),
    {Apart, Evidence#{allowed => length(Now)}, Before};
begun(deaf, [Peer], Begins) ->
    case lists:keyfind(Peer, 1, erlang:system_info(dist_ctrl)) of
        {_, Port} when is_port(Port) ->
            Begins(Port),
            ok = inet:setopts(Port, [{active, false}]),
            {ok, [{active, Active}]} = inet:getopts(Port, [active]),
            {Active =:= false, #{reads => text(Active)}, Port};
        {_, _} ->
            {unsupported, <<"the connection is carried by a process, as over TLS, not by a port">>};
        false ->
            {false, #{connected => false}, none}
    end;
begun(fill, [Peer], _) ->
    Keeper = self(),
    Fillers = [spawn(fun() -> fill(Peer, Keeper) end) || _ <- lists:seq(1, ?FILLERS)],
    Busy = wait_until(fun() -> is_busy(Peer) end),
    {Busy, #{busy => Busy, senders => length(Fillers)}, {Peer, Fillers}};
begun(block_schedulers, [], Begins) ->
    try erts_debug:set_internal_state(available_internal_state, true) of
        Available ->
            Begins(Available),
            process_flag(priority, max),
            Probe = gaps(),
            block(),
            receive after ?FREE_MS -> ok end,
            block(),
            Gap = longest_gap(Probe),
            {Gap >= ?BLOCKED_MS div 2, #{longest_gap_ms => Gap}, Available}
    catch
        _:_ -> {unsupported, <<"this virtual machine does not let its schedulers be blocked">>}
    end;
begun(memory_pressure, [Mebibytes], _) ->
    Before = erlang:memory(total),
    Keeper = self(),
    Holder = spawn_link(fun() ->
        Held = [binary:copy(<<N>>, 1024 * 1024) || N <- lists:seq(1, Mebibytes)],
        Keeper ! {self(), length(Held)},
        receive let_go -> Held end
    end),
    receive {Holder, Mebibytes} -> ok end,
    Grown = (erlang:memory(total) - Before) div (1024 * 1024),
    {Grown >= Mebibytes div 2, #{grown_mebibytes => Grown}, {Holder, Mebibytes}};
begun(gc_pressure, [], _) ->
    Usual = collections(),
    Keeper = self(),
    Collectors = [spawn(fun() -> collect(Keeper) end)
                  || _ <- lists:seq(1, erlang:system_info(schedulers_online))],
    Enough = 10 * Usual + 100,
    Now = collections(Enough, ?SEE_LIMIT_MS div 100),
    {Now > Enough, #{collections_before => Usual, collections_during => Now}, Collectors}.

held(deaf, Port) ->
    %% One message now and then, or the peer would be taken for dead.
    {quarter_of_a_tick(), begin _ = inet:setopts(Port, [{active, once}]), Port end};
held(block_schedulers, State) ->
    block(),
    {?FREE_MS, State};
held(_, State) ->
    {?KEEP_MAX_MS, State}.

undone(suspend_process, Pid) when is_pid(Pid) ->
    try erlang:resume_process(Pid)
    catch error:badarg -> ended
    end,
    {status(Pid) =/= suspended, #{status => text(status(Pid))}};
undone(suspend_process, nobody) ->
    {true, #{}};
undone(wrong_cookie, {Peer, Cookie}) ->
    true = erlang:set_cookie(Peer, Cookie),
    Right = erlang:get_cookie(Peer) =:= Cookie,
    {Right, #{cookie => case Right of true -> <<"the former">>; false -> <<"another">> end}};
undone(disallow, Before) ->
    %% There is a function that allows more, and none that takes the restriction back. The list is the
    %% field of the state that holds a name of ours.
    Ours = fun(Field) -> is_list(Field) andalso lists:member(?NOBODY, Field) end,
    Restored = fun(State) ->
        list_to_tuple([case Ours(F) of true -> Before; false -> F end || F <- tuple_to_list(State)])
    end,
    _ = sys:replace_state(net_kernel, Restored),
    {ok, Allowed} = net_kernel:allowed(),
    {Allowed =:= Before, #{allowed => length(Allowed)}};
undone(deaf, none) ->
    {true, #{}};
undone(deaf, Port) ->
    case inet:setopts(Port, [{active, true}]) of
        ok -> {true, #{reads => <<"true">>}};
        {error, Reason} -> {true, #{connection => text(Reason)}}
    end;
undone(fill, {Peer, Fillers}) ->
    [exit(Filler, kill) || Filler <- Fillers],
    {true, #{busy => is_busy(Peer)}};
undone(block_schedulers, Available) ->
    process_flag(priority, normal),
    Gap = freed(?LOOKS),
    _ = erts_debug:set_internal_state(available_internal_state, Available),
    {Gap < ?BLOCKED_MS div 2, #{longest_gap_ms => Gap}};
undone(memory_pressure, {Holder, Mebibytes}) ->
    Before = erlang:memory(total),
    Holder ! let_go,
    Freed = fun() -> (Before - erlang:memory(total)) div (1024 * 1024) end,
    Seen = wait_until(fun() -> Freed() >= Mebibytes div 2 end),
    {Seen, #{freed_mebibytes => Freed()}};
undone(gc_pressure, Collectors) ->
    [exit(Collector, kill) || Collector <- Collectors],
    Alive = wait_until(fun() -> not lists:any(fun is_process_alive/1, Collectors) end),
    {Alive, #{collections_after => collections()}}.

%% Drops the connection and tries to make it again: is that refused?
refused(Peer) ->
    _ = erlang:disconnect_node(Peer),
    Connects = [net_kernel:connect_node(Peer) || _ <- [1, 2]],
    Apart = not lists:keymember(Peer, 1, erlang:system_info(dist_ctrl)),
    {Apart, #{connects => [text(Connected) || Connected <- Connects], connected => not Apart}}.

status(Pid) ->
    case process_info(Pid, status) of
        {status, Status} -> Status;
        undefined -> ended
    end.

%% Sends for as long as the keeper lives, and stands still while the buffer is full.
fill(Peer, Keeper) ->
    _ = erlang:send({?NOBODY, Peer}, binary:copy(<<0>>, ?CHUNK_BYTES), [noconnect]),
    is_process_alive(Keeper) andalso lists:member(Peer, nodes(connected)) andalso fill(Peer, Keeper).

%% Would somebody who sends there be suspended now?
-spec is_busy(node()) -> boolean().
is_busy(Peer) ->
    erlang:send({?NOBODY, Peer}, hello, [nosuspend, noconnect]) =:= nosuspend.

quarter_of_a_tick() ->
    NetTicktime = case net_kernel:get_net_ticktime() of
        Seconds when is_integer(Seconds) -> Seconds;
        {_, Seconds} -> Seconds;
        ignored -> 60
    end,
    Intensity = application:get_env(kernel, net_tickintensity, 4),
    max(50, NetTicktime * 1000 div Intensity div 4).

block() ->
    erts_debug:set_internal_state(block, ?BLOCKED_MS).

%% The longest gap of a while in which nothing is blocked. A busy machine makes gaps of its own, so that one of
%% several whiles is enough.
freed(Looks) ->
    Probe = gaps(),
    receive after ?BLOCKED_MS -> ok end,
    case longest_gap(Probe) of
        Long when Long >= ?BLOCKED_MS div 2, Looks > 1 -> freed(Looks - 1);
        Gap -> Gap
    end.

%% The longest time in milliseconds for which a process that wants to run did not.
gaps() ->
    spawn(fun() -> gaps(os:perf_counter(millisecond), 0) end).

gaps(Last, Longest) ->
    receive
        {report, From} ->
            Now = os:perf_counter(millisecond),
            From ! {self(), max(Longest, Now - Last)}
    after 1 ->
        Now = os:perf_counter(millisecond),
        gaps(Now, max(Longest, Now - Last))
    end.

longest_gap(Probe) ->
    Probe ! {report, self()},
    receive {Probe, Gap} -> Gap after ?SEE_LIMIT_MS -> 0 end.

%% So many garbage collections in a tenth of a second.
collections() ->
    {Before, _, _} = statistics(garbage_collection),
    receive after 100 -> ok end,
    {After, _, _} = statistics(garbage_collection),
    After - Before.

%% The same, once there are more than so many: on a busy machine it takes the collectors a while to begin.
collections(Enough, Looks) ->
    case collections() of
        Few when Few =< Enough, Looks > 1 -> collections(Enough, Looks - 1);
        Count -> Count
    end.

%% Collects all processes again and again, for as long as the keeper lives.
collect(Keeper) ->
    [garbage_collect(Pid) || Pid <- processes(), Pid =/= self()],
    receive after 1 -> ok end,
    is_process_alive(Keeper) andalso collect(Keeper).

%% Kills a worker of some supervisor outside of `kernel`: the one that the number chooses.
-spec kill_child(non_neg_integer()) -> answer().
kill_child(Number) ->
    case lists:sort(children()) of
        [] ->
            {false, #{children => 0}};
        Children ->
            {Supervisor, Id, Pid} = lists:nth(1 + Number rem length(Children), Children),
            Monitor = monitor(process, Pid),
            exit(Pid, kill),
            Evidence = #{children => length(Children), supervisor => Supervisor, child => Id,
                process => text(Pid)},
            receive
                {'DOWN', Monitor, process, Pid, Reason} ->
                    {true, Evidence#{reason => text(Reason)}}
            after ?SEE_LIMIT_MS ->
                {false, Evidence}
            end
    end.

children() ->
    [{name_of(Supervisor), text(Id), Pid}
     || Supervisor <- processes(),
        is_supervisor(Supervisor),
        {Id, Pid, worker, _} <- children_of(Supervisor),
        is_pid(Pid)].

is_supervisor(Pid) ->
    case proc_lib:translate_initial_call(Pid) of
        {supervisor, _, _} -> application:get_application(Pid) =/= {ok, kernel};
        _ -> false
    end.

children_of(Supervisor) ->
    try gen_server:call(Supervisor, which_children, ?CHILDREN_LIMIT_MS)
    catch _:_ -> []
    end.

name_of(Pid) ->
    case process_info(Pid, registered_name) of
        {registered_name, Name} -> text(Name);
        _ -> text(proc_lib:translate_initial_call(Pid))
    end.

%% Loads a module anew and purges its former code, as two upgrades in a row do.
-spec purge_module(module()) -> answer().
purge_module(Module) ->
    case code:is_loaded(Module) =/= false andalso code:get_object_code(Module) of
        {Module, Binary, File} ->
            _ = code:purge(Module),
            case code:load_binary(Module, File, Binary) of
                {module, Module} ->
                    Old = erlang:check_old_code(Module),
                    Lingering = [text(Pid) || Pid <- processes(), lingers(Pid, Module)],
                    Killed = code:purge(Module),
                    Gone = not erlang:check_old_code(Module),
                    {Old andalso Gone, #{lingering => Lingering, killed => Killed}};
                {error, Reason} ->
                    {false, #{loading => text(Reason)}}
            end;
        false ->
            {false, #{loaded => false}};
        error ->
            {unsupported, <<"the node does not find the compiled file of that module">>}
    end.

lingers(Pid, Module) ->
    %% Of the caller itself it cannot be asked while it runs.
    Pid =/= self() andalso erlang:check_process_code(Pid, Module) =:= true.

wait_until(Done) ->
    wait_until(Done, erlang:monotonic_time(millisecond) + ?SEE_LIMIT_MS).

wait_until(Done, End) ->
    case Done() of
        true -> true;
        false ->
            receive after 10 -> ok end,
            erlang:monotonic_time(millisecond) < End andalso wait_until(Done, End)
    end.

text(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
text(Term) -> formatted("~0tp", [Term]).

formatted(Format, Arguments) ->
    unicode:characters_to_binary(io_lib:format(Format, Arguments, [{chars_limit, 500}])).
