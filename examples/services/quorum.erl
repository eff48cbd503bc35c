%% A service that works where a node sees a majority of the cluster. With `reconnect` a node looks for its
%% peers again and again; without it connects once, at its start, and who was cut off stays alone.
-module(quorum).
-behaviour(gen_server).

-export([start/1, call/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, connect/2]).

-define(INTERVAL_MS, 300).

-type options() :: #{peers := [node()], reconnect := boolean()}.

-spec start(options()) -> ok.
start(#{peers := Peers, reconnect := Reconnect}) ->
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, length(lists:usort([node() | Peers])), []),
    [spawn(?MODULE, connect, [Peer, Reconnect]) || Peer <- Peers -- [node()]],
    ok.

%% Works, or fails for certain.
-spec call() -> boolean().
call() ->
    gen_server:call(?MODULE, call).

init(Size) ->
    ok = net_kernel:monitor_nodes(true),
    {ok, {Size, nodes()}}.

handle_call(call, _From, {Size, Up} = State) ->
    {reply, (length(Up) + 1) * 2 > Size, State}.

handle_cast(_Request, State) ->
    {noreply, State}.

handle_info({nodeup, Node}, {Size, Up}) ->
    {noreply, {Size, lists:usort([Node | Up])}};
handle_info({nodedown, Node}, {Size, Up}) ->
    {noreply, {Size, Up -- [Node]}};
handle_info(_Other, State) ->
    {noreply, State}.

connect(Peer, Reconnect) ->
    Connected = net_kernel:connect_node(Peer) =:= true,
    timer:sleep(?INTERVAL_MS),
    Connected andalso not Reconnect orelse connect(Peer, Reconnect).
