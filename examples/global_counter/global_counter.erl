%% A counter with a copy on every node, which a lock of `global` guards: who adds takes the lock on all
%% nodes that are there, takes the largest copy, and writes the sum to all.
%%
%% This is what the lock seems made for, and it holds as long as nobody is taken for dead. Once a
%% partition lasts long enough for that, each side has all locks of those who are there, and both go on
%% from the same value: when they meet, the larger one wins, and what the other side added is gone.
-module(global_counter).
-behaviour(gen_server).

-export([start/1, add/1, read/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, keep_connected/1]).

-define(PING_INTERVAL_MS, 1000).

%% peers: the nodes of the cluster, this one among them or not.
-type options() :: #{peers := [node()]}.

%% Starts this node's copy. Does not wait for the other nodes.
-spec start(options()) -> ok.
start(#{peers := Peers}) ->
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, none, []),
    lists:foreach(fun(Peer) -> spawn(?MODULE, keep_connected, [Peer]) end, Peers -- [node()]),
    ok.

%% Adds to the counter. `ok` is the promise that it counts from now on.
-spec add(integer()) -> ok.
add(Number) ->
    global:trans({?MODULE, self()}, fun() ->
        Nodes = [node() | nodes()],
        {Copies, _Gone} = gen_server:multi_call(Nodes, ?MODULE, read),
        Sum = lists:max([Copy || {_, Copy} <- Copies]) + Number,
        {_, _Gone_too} = gen_server:multi_call(Nodes, ?MODULE, {write, Sum}),
        ok
    end).

%% This node's copy.
-spec read() -> integer().
read() ->
    gen_server:call(?MODULE, read).

init(none) ->
    ok = net_kernel:monitor_nodes(true),
    {ok, 0}.

handle_call(read, _From, Copy) ->
    {reply, Copy, Copy};
handle_call({write, Sum}, _From, Copy) ->
    {reply, ok, max(Sum, Copy)}.

handle_cast({merge, Theirs}, Copy) ->
    {noreply, max(Theirs, Copy)}.

%% Nodes that meet (again) send each other what they have.
handle_info({nodeup, Node}, Copy) ->
    gen_server:cast({?MODULE, Node}, {merge, Copy}),
    {noreply, Copy};
handle_info(_Other, Copy) ->
    {noreply, Copy}.

%% Connects to a peer again and again, as applications do that want to find each other after a
%% failure: Erlang itself connects only when something is sent.
keep_connected(Peer) ->
    net_kernel:connect_node(Peer),
    timer:sleep(?PING_INTERVAL_MS),
    keep_connected(Peer).
