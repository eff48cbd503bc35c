%% Singletons as members of process groups (`pg`): who has a name is the one member of its group. The first
%% node starts them when all are connected; the least node of a side that misses some peer starts one for
%% each name whose group is empty.
%%
%% During a split each side has a process of its own. When the sides meet, `pg` merges the groups and ends
%% nobody, unlike `global`: both stay, and each node goes on with the one that is nearer. With the option
%% `resolve` a process ends where its group has another one of a lesser node.
-module(group_singleton).

-export([start/1, lookup/1]).
-export([keep_connected/1, guard/3, serve/2]).

-define(PING_INTERVAL_MS, 500).
-define(GUARD_INTERVAL_MS, 200).
-define(ANSWER_MS, 1000).

-type options() :: #{peers := [node()], names := [binary()], resolve := boolean()}.

%% Keeps this node connected, and guards the names. Does not wait for the other nodes.
-spec start(options()) -> ok.
start(#{peers := Peers, names := Names, resolve := Resolve}) ->
    {ok, _} = pg:start(pg),
    Others = Peers -- [node()],
    lists:foreach(fun(Peer) -> spawn(?MODULE, keep_connected, [Peer]) end, Others),
    spawn(?MODULE, guard, [Names, Others, Resolve]),
    ok.

%% Waits until all are connected; the first node starts all then.
guard(Names, Others, Resolve) ->
    timer:sleep(?GUARD_INTERVAL_MS),
    case Others -- nodes() of
        [] ->
            is_least() andalso start_free(Names, Resolve),
            look_after(Names, Others, Resolve);
        _ ->
            guard(Names, Others, Resolve)
    end.

look_after(Names, Others, Resolve) ->
    timer:sleep(?GUARD_INTERVAL_MS),
    Others -- nodes() =/= [] andalso is_least() andalso start_free(Names, Resolve),
    look_after(Names, Others, Resolve).

is_least() ->
    lists:all(fun(Other) -> node() < Other end, nodes()).

%% Joins before it goes on, so that the next round finds it.
start_free(Names, Resolve) ->
    [ok = pg:join(Name, spawn(?MODULE, serve, [Name, Resolve])) || Name <- Names, members(Name) =:= []].

serve(Name, Resolve) ->
    Text = io_lib:format("~s ~p ~b", [node(), self(), os:system_time()]),
    answer(list_to_binary(Text), Name, Resolve).

answer(Who, Name, Resolve) ->
    receive
        {who, Caller, Ref} -> Caller ! {Ref, Who};
        _Other -> ok
    after ?GUARD_INTERVAL_MS -> ok
    end,
    case Resolve andalso members(Name) of
        [First | _] when First =/= self() -> ok;
        _ -> answer(Who, Name, Resolve)
    end.

%% The members of a name's group, in an order in which all nodes agree.
members(Name) ->
    lists:sort(fun(A, B) -> {node(A), A} =< {node(B), B} end, pg:get_members(Name)).

%% Asks the nearest process of the name's group who it is.
-spec lookup(binary()) -> binary() | undefined.
lookup(Name) ->
    case pg:get_local_members(Name) ++ members(Name) of
        [] -> undefined;
        [Pid | _] -> ask(Pid)
    end.

ask(Pid) ->
    Ref = monitor(process, Pid),
    Pid ! {who, self(), Ref},
    receive
        {Ref, Who} -> demonitor(Ref, [flush]), Who;
        {'DOWN', Ref, process, Pid, noproc} -> undefined;
        {'DOWN', Ref, process, Pid, Reason} -> exit(Reason)
    after ?ANSWER_MS -> exit(timeout)
    end.

keep_connected(Peer) ->
    net_kernel:connect_node(Peer),
    timer:sleep(?PING_INTERVAL_MS),
    keep_connected(Peer).
