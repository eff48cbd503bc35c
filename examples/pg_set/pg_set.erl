%% A grow-only set that is broadcast to a process group (`pg`): one server per node, and whoever
%% takes an element sends it to all the others.
%%
%% Broadcasts reach those who are in the group at that moment. A server that is cut off misses
%% them for ever, unless the servers exchange what they have whenever they meet (again): that is
%% the option `exchange`.
-module(pg_set).
-behaviour(gen_server).

-export([start/1, add/1, read/0, members/0, leave/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, keep_connected/1]).

-define(GROUP, pg_set).
-define(PING_INTERVAL_MS, 1000).

%% peers:    the nodes of the cluster, this one among them or not.
%% exchange: whether servers send each other all they have when they meet.
-type options() :: #{peers := [node()], exchange => boolean()}.

%% Starts this node's server. Does not wait for the other nodes.
-spec start(options()) -> ok.
start(Options) ->
    {ok, _} = pg:start(pg),
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, maps:get(exchange, Options, false), []),
    Peers = maps:get(peers, Options) -- [node()],
    lists:foreach(fun(Peer) -> spawn(?MODULE, keep_connected, [Peer]) end, Peers),
    ok.

%% Adds an element: it is in this node's set, and on its way to those that are known.
-spec add(term()) -> ok.
add(Element) ->
    gen_server:call(?MODULE, {add, Element}).

%% All elements that have come to this node.
-spec read() -> [term()].
read() ->
    lists:sort(gen_server:call(?MODULE, read)).

%% How many servers this node knows of, its own included.
-spec members() -> non_neg_integer().
members() ->
    length(pg:get_members(?GROUP)).

%% Before this node leaves for good: one of the others has all that it has.
-spec leave([node()]) -> ok | {error, nobody_answers}.
leave([]) ->
    {error, nobody_answers};
leave([Peer | Peers]) ->
    try gen_server:call({?MODULE, Peer}, {merge, gen_server:call(?MODULE, set)})
    catch exit:_ -> leave(Peers)
    end.

init(Exchange) ->
    %% The monitor first: whoever joins after this is seen by us, or sees us join.
    Exchange andalso pg:monitor(?GROUP),
    ok = pg:join(?GROUP, self()),
    {ok, #{}}.

handle_call({add, Element}, _From, Set) ->
    [Server ! {added, Element} || Server <- others(pg:get_members(?GROUP))],
    {reply, ok, Set#{Element => true}};
handle_call(set, _From, Set) ->
    {reply, Set, Set};
handle_call({merge, Theirs}, _From, Set) ->
    [Server ! {all, Theirs} || Server <- others(pg:get_members(?GROUP))],
    {reply, ok, maps:merge(Set, Theirs)};
handle_call(read, _From, Set) ->
    {reply, maps:keys(Set), Set}.

handle_cast(_Request, Set) ->
    {noreply, Set}.

handle_info({added, Element}, Set) ->
    {noreply, Set#{Element => true}};
%% Comes only where the group is monitored: servers that were not there before, or were cut off.
handle_info({_Monitor, join, ?GROUP, Servers}, Set) ->
    [Server ! {all, Set} || Server <- others(Servers)],
    {noreply, Set};
handle_info({all, Theirs}, Set) ->
    {noreply, maps:merge(Set, Theirs)};
handle_info(_Other, Set) ->
    {noreply, Set}.

others(Servers) ->
    [Server || Server <- Servers, node(Server) =/= node()].

%% Connects to a peer again and again, as applications do that want to find each other after a
%% failure: Erlang itself connects only when something is sent.
keep_connected(Peer) ->
    net_kernel:connect_node(Peer),
    timer:sleep(?PING_INTERVAL_MS),
    keep_connected(Peer).
