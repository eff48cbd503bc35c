%% Something to see in the state of a node: a named table, and a process that reads no messages.
-module(observed_state).

-export([prepare/0]).

-spec prepare() -> ok.
prepare() ->
    Caller = self(),
    Busy = spawn(fun() ->
        true = register(busy_shop, self()),
        shop_table = ets:new(shop_table, [named_table, public]),
        true = ets:insert(shop_table, [{{item, N}, N} || N <- lists:seq(1, 3)]),
        Caller ! {self(), ready},
        receive stop -> ok end
    end),
    receive {Busy, ready} -> ok end,
    [Busy ! {order, N} || N <- [7, 8, 9]],
    ok.
