%% A grow-only set that is replicated by mnesia: a table with one row per element and a copy on
%% every node.
%%
%% This is what a careful application looks like that trusts mnesia to keep its copies equal. It
%% does not: nodes that lost sight of each other and meet again stay apart ("inconsistent
%% database"), both sides having accepted writes, until one of them is restarted. The restarted
%% node then takes the table from the others, and what only it had acknowledged is gone.
%% With {majority, true} a node that sees no majority accepts no writes. That alone is not enough:
%% mnesia looks for the majority before the commit and acknowledges before the others have heard of
%% it, so an add that was under way when the network broke was lost now and then. Here, `majority`
%% also has every add confirmed by more than half of the copies, and nothing that was acknowledged
%% is lost. What a node shows before it is confirmed can be lost nevertheless, unless `reads` need a
%% majority, too.
%%
%% Life of a cluster:
%%   1. start/1 on every node when it boots;
%%   2. form/1 once, on any node, when all of them are up;
%%   3. a node that is restarted needs start/1 only: it joins its peers again by itself.
-module(mnesia_set).

-export([start/1, form/1, formed/0, add/1, read/0]).
-export([keep_connected/1, rejoin/1, has/1, copy/0]).

-define(TABLE, mnesia_set).
-define(PING_INTERVAL_MS, 1000).
-define(REJOIN_INTERVAL_MS, 200).
-define(TABLE_LIMIT_MS, 10000).
-define(CONFIRM_LIMIT_MS, 1000).

%% peers:    the nodes of the cluster, this one among them or not.
%% copies:   where each node keeps its copy. Disc copies survive a restart in the folder that the
%%           flag `-mnesia dir '"..."'` names.
%% majority: whether an add needs more than half of the copies, before it is written and to be
%%           acknowledged.
%% reads:    what a read shows: this node's copy, or what more than half of the copies have.
-type options() :: #{
    peers := [node()],
    copies => ram_copies | disc_copies,
    majority => boolean(),
    reads => copy | majority
}.

%% Starts this node's part. Does not wait for the other nodes.
-spec start(options()) -> ok.
start(Options) ->
    Peers = maps:get(peers, Options) -- [node()],
    persistent_term:put(?MODULE, Options#{peers := Peers}),
    lists:foreach(fun(Peer) -> spawn(?MODULE, keep_connected, [Peer]) end, Peers),
    case has_disc_schema() of
        %% The tables are known from the disc; mnesia finds the other nodes by itself.
        true -> ok = mnesia:start();
        false -> spawn(?MODULE, rejoin, [Peers])
    end,
    ok.

%% Creates the cluster of these nodes, all of which have been started. Where it exists already,
%% nothing is done.
-spec form([node()]) -> ok | {error, term()}.
form(Nodes) ->
    case formed() of
        true -> ok;
        false -> create(Nodes, maps:get(copies, options(), ram_copies))
    end.

%% Does this node have its copy of the set, ready to be used?
-spec formed() -> boolean().
formed() ->
    mnesia:system_info(is_running) =:= yes andalso
        lists:member(?TABLE, mnesia:system_info(tables)) andalso
        lists:member(node(), mnesia:table_info(?TABLE, active_replicas)).

%% Adds an element. `ok` is the promise that it will be read from now on.
%%
%% `{error, {no_majority, _}}` comes before anything is written; after `{error, unconfirmed}` the
%% element may be there or not. Of other errors mnesia says that the transaction was undone.
-spec add(term()) -> ok | {error, term()}.
add(Element) ->
    Write = fun() -> mnesia:write({?TABLE, Element, true}) end,
    Majority = maps:get(majority, options(), false),
    %% The synchronous kind waits for the other copies, so that they can be asked at once.
    case if Majority -> mnesia:sync_transaction(Write); true -> mnesia:transaction(Write) end of
        {atomic, ok} when Majority -> confirm(Element);
        {atomic, ok} -> ok;
        {aborted, Reason} -> {error, Reason}
    end.

%% Has more than half of all copies the element? Only peers that are connected are asked.
confirm(Element) ->
    case is_majority(1 + length([true || true <- ask_peers(has, [Element])])) of
        true -> ok;
        false -> {error, unconfirmed}
    end.

%% For confirm/1 of other nodes.
has(Element) ->
    mnesia:dirty_read(?TABLE, Element) =/= [].

%% All elements that this node's copy has, or those that more than half of the copies have. Exits
%% where there is no copy (yet), or too few copies to decide.
-spec read() -> [term()].
read() ->
    case maps:get(reads, options(), copy) of
        copy -> copy();
        majority -> confirmed()
    end.

%% What this node's copy has; for confirmed/0 of other nodes, too.
copy() ->
    lists:sort(mnesia:dirty_all_keys(?TABLE)).

confirmed() ->
    Copies = [copy() | ask_peers(copy, [])],
    is_majority(length(Copies)) orelse error(no_majority),
    Silent = length(maps:get(peers, options())) + 1 - length(Copies),
    Count = fun(Element, Counts) -> maps:update_with(Element, fun(N) -> N + 1 end, 1, Counts) end,
    Counts = lists:foldl(Count, #{}, lists:append(Copies)),
    %% With the copies that did not answer, it may have a majority or not.
    Open = [Element || {Element, N} <- maps:to_list(Counts), is_majority(N + Silent), not is_majority(N)],
    Open =:= [] orelse error({undecided, Open}),
    lists:sort([Element || {Element, N} <- maps:to_list(Counts), is_majority(N)]).

%% What a function of this module returns on the connected peers, as far as they answer.
ask_peers(Function, Arguments) ->
    Asked = [Peer || Peer <- maps:get(peers, options()), lists:member(Peer, nodes())],
    Answers = erpc:multicall(Asked, ?MODULE, Function, Arguments, ?CONFIRM_LIMIT_MS),
    [Answer || {ok, Answer} <- Answers].

is_majority(Count) ->
    2 * Count > length(maps:get(peers, options())) + 1.

create(Nodes, ram_copies) ->
    on_every(Nodes, mnesia, start, []),
    {ok, _} = mnesia:change_config(extra_db_nodes, Nodes -- [node()]),
    create_table(Nodes, ram_copies);
create(Nodes, disc_copies) ->
    on_every(Nodes, mnesia, stop, []),
    case mnesia:create_schema(Nodes) of
        ok ->
            on_every(Nodes, mnesia, start, []),
            create_table(Nodes, disc_copies);
        {error, Reason} ->
            {error, Reason}
    end.

create_table(Nodes, Copies) ->
    Definition = [
        {Copies, Nodes},
        {attributes, [element, present]},
        {majority, maps:get(majority, options(), false)}
    ],
    case mnesia:create_table(?TABLE, Definition) of
        {atomic, ok} -> wait_for_table();
        {aborted, {already_exists, ?TABLE}} -> wait_for_table();
        {aborted, Reason} -> {error, Reason}
    end.

wait_for_table() ->
    case mnesia:wait_for_tables([?TABLE], ?TABLE_LIMIT_MS) of
        ok -> ok;
        Other -> {error, Other}
    end.

on_every(Nodes, Module, Function, Arguments) ->
    [{ok, _} = {ok, erpc:call(Node, Module, Function, Arguments)} || Node <- Nodes],
    ok.

%% Looks for a peer that has the set, and joins it; ends when this node has the set, be it that
%% form/1 was faster. Other nodes find nothing to join before the cluster is formed.
rejoin(Peers) ->
    case formed() of
        true ->
            ok;
        false ->
            lists:any(fun(Peer) -> try_join(Peer) end, Peers),
            timer:sleep(?REJOIN_INTERVAL_MS),
            rejoin(Peers)
    end.

try_join(Peer) ->
    %% Only peers that are connected are asked: connecting is another process's work.
    lists:member(Peer, nodes()) andalso
        try erpc:call(Peer, ?MODULE, formed, [], 1000) of
            true -> join(Peer);
            false -> false
        catch
            _:_ -> false
        end.

%% Fetches the tables' definitions from a peer; that this node has a copy is written in them, so
%% mnesia loads it. (The copy of a node that was never part of the cluster is added.)
join(Peer) ->
    ok = mnesia:start(),
    case mnesia:change_config(extra_db_nodes, [Peer]) of
        {ok, [_ | _]} ->
            mnesia:add_table_copy(?TABLE, node(), maps:get(copies, options(), ram_copies)),
            wait_for_table() =:= ok;
        _ ->
            false
    end.

%% Connects to a peer again and again, as applications do that want to find each other after a
%% failure: Erlang itself connects only when something is sent.
keep_connected(Peer) ->
    net_kernel:connect_node(Peer),
    timer:sleep(?PING_INTERVAL_MS),
    keep_connected(Peer).

has_disc_schema() ->
    filelib:is_file(filename:join(mnesia:system_info(directory), "schema.DAT")).

options() ->
    persistent_term:get(?MODULE, #{}).
