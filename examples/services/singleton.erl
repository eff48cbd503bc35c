%% Singletons under global names. The first node starts them when all are connected; a node that misses
%% some peer starts one for each name that nobody has any more, in its first split only.
%%
%% During a split each side has a process of its own. When the sides meet, `global` asks a resolver which
%% of the two keeps the name. The option `resolve` is the choice: `random_exit` ends one of them, `notify`
%% notifies both of them and keeps neither, which is one of the choices that `global` offers, so that nobody
%% has the name any more.
-module(singleton).

-export([start/1, lookup/1]).
-export([keep_connected/1, guard/3, serve/1]).

-define(PING_INTERVAL_MS, 500).
-define(GUARD_INTERVAL_MS, 200).
-define(ANSWER_MS, 1000).

-type options() :: #{peers := [node()], names := [binary()], resolve := random_exit | notify}.

%% Keeps this node connected, and guards the names. Does not wait for the other nodes.
-spec start(options()) -> ok.
start(#{peers := Peers, names := Names, resolve := Resolve}) ->
    persistent_term:put(?MODULE, Resolve),
    Others = Peers -- [node()],
    lists:foreach(fun(Peer) -> spawn(?MODULE, keep_connected, [Peer]) end, Others),
    spawn(?MODULE, guard, [Names, Others, node() < lists:min(Others)]),
    ok.

%% Waits until all are connected; the first node starts all then.
guard(Names, Others, First) ->
    timer:sleep(?GUARD_INTERVAL_MS),
    case Others -- nodes() of
        [] ->
            First andalso start_free(Names),
            look_after(Others, Names);
        _ ->
            guard(Names, Others, First)
    end.

%% `Open` are the names that had no process on this side of a split so far. A name that has had one is not
%% started again when it goes: sides meet node by node, and `global` may disconnect nodes again meanwhile, so
%% that a node misses some peer while the others have resolved the conflict already.
look_after(Others, Open) ->
    timer:sleep(?GUARD_INTERVAL_MS),
    case Others -- nodes() of
        [] ->
            look_after(Others, Open);
        _ ->
            start_free(Open),
            look_after(Others, [Name || Name <- Open, not is_here(Name)])
    end.

start_free(Names) ->
    [spawn(?MODULE, serve, [Name]) || Name <- Names, is_free(Name)].

%% Does a process on this side have the name?
is_here(Name) ->
    case global:whereis_name({?MODULE, Name}) of
        undefined -> false;
        Pid -> lists:member(node(Pid), [node() | nodes()])
    end.

is_free(Name) ->
    global:whereis_name({?MODULE, Name}) =:= undefined.

%% Ends at once where somebody has the name.
serve(Name) ->
    case global:register_name({?MODULE, Name}, self(), resolver()) of
        yes ->
            Text = io_lib:format("~s ~p ~b", [node(), self(), os:system_time()]),
            answer(list_to_binary(Text));
        no ->
            ok
    end.

resolver() ->
    case persistent_term:get(?MODULE) of
        random_exit -> fun global:random_exit_name/3;
        notify -> fun global:notify_all_name/3
    end.

answer(Who) ->
    receive
        {who, Caller, Ref} -> Caller ! {Ref, Who};
        _Other -> ok
    end,
    answer(Who).

%% Asks the process that this node finds under the name who it is.
-spec lookup(binary()) -> binary() | undefined.
lookup(Name) ->
    case global:whereis_name({?MODULE, Name}) of
        undefined ->
            undefined;
        Pid ->
            Ref = monitor(process, Pid),
            Pid ! {who, self(), Ref},
            receive
                {Ref, Who} -> demonitor(Ref, [flush]), Who;
                {'DOWN', Ref, process, Pid, noproc} -> undefined;
                {'DOWN', Ref, process, Pid, Reason} -> exit(Reason)
            after ?ANSWER_MS -> exit(timeout)
            end
    end.

keep_connected(Peer) ->
    net_kernel:connect_node(Peer),
    timer:sleep(?PING_INTERVAL_MS),
    keep_connected(Peer).
