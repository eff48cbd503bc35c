%% Processes under global names: whoever asks for a name that nobody has starts a process for it.
%%
%% During a split each side has a process of its own. When the sides meet, `global` asks a resolver which
%% of the two keeps the name. The option `resolve` is the choice: `random_exit` ends one of them, `notify`
%% tells both of them and keeps neither, which is one of the choices that `global` offers, so that nobody
%% has the name any more.
-module(singleton).

-export([start/1, register/1, lookup/1]).
-export([keep_connected/1, serve/3]).

-define(PING_INTERVAL_MS, 500).
-define(ANSWER_MS, 1000).

-type options() :: #{peers := [node()], resolve := random_exit | notify}.

%% Keeps this node connected. Does not wait for the other nodes.
-spec start(options()) -> ok.
start(#{peers := Peers, resolve := Resolve}) ->
    persistent_term:put(?MODULE, Resolve),
    lists:foreach(fun(Peer) -> spawn(?MODULE, keep_connected, [Peer]) end, Peers -- [node()]),
    ok.

%% Starts a process under the name; false where somebody has it.
-spec register(binary()) -> boolean().
register(Name) ->
    Ref = make_ref(),
    {_, Monitor} = spawn_monitor(?MODULE, serve, [Name, self(), Ref]),
    receive
        {Ref, Registered} -> erlang:demonitor(Monitor, [flush]), Registered;
        {'DOWN', Monitor, process, _, Reason} -> exit(Reason)
    end.

serve(Name, Caller, Ref) ->
    case global:register_name({?MODULE, Name}, self(), resolver()) of
        yes ->
            Caller ! {Ref, true},
            Text = io_lib:format("~s ~p ~b", [node(), self(), os:system_time()]),
            answer(list_to_binary(Text));
        no ->
            Caller ! {Ref, false}
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
