%% A shopping cart that is replicated to every node. An add is acknowledged once the local copy has
%% it; the nodes exchange their copies every 500 ms.
-module(cart).
-behaviour(gen_server).

-export([start/1, add/2, items/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

start(Nodes) ->
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, Nodes -- [node()], []),
    ok.

add(Cart, Item) -> gen_server:call(?MODULE, {add, Cart, Item}).
items(Cart) -> gen_server:call(?MODULE, {items, Cart}).

init(Peers) ->
    {ok, _} = timer:send_interval(500, exchange),
    {ok, {Peers, #{}}}.

handle_call({add, Cart, Item}, _From, {Peers, Carts}) ->
    {reply, ok, {Peers, merge(#{Cart => [Item]}, Carts)}};
handle_call({items, Cart}, _From, {_, Carts} = State) ->
    {reply, maps:get(Cart, Carts, []), State}.

handle_cast({merge, Others}, {Peers, Carts}) ->
    {noreply, {Peers, merge(Others, Carts)}}.

handle_info(exchange, {Peers, Carts} = State) ->
    [gen_server:cast({?MODULE, Peer}, {merge, Carts}) || Peer <- Peers],
    {noreply, State}.

merge(Some, Others) ->
    maps:merge_with(fun(_, A, B) -> ordsets:union(A, B) end, Some, Others).
