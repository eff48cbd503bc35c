%% A grow-only set behind one `gen_server` on the first node: every other node calls it from afar, and
%% gives up after a second.
%%
%% What a call that timed out leaves behind is its message: on its way, or in the server's queue. It is
%% executed when its turn comes, long after the caller has got `timeout`.
-module(late_set).
-behaviour(gen_server).

-export([start/1, formed/0, add/1, add_or_fail/1, read/0]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(CALL_LIMIT_MS, 1000).

%% Starts the server if this is the first of the nodes.
-spec start([node()]) -> ok.
start([First | _]) ->
    persistent_term:put({?MODULE, server}, {?MODULE, First}),
    case node() of
        First ->
            {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, [], []),
            ok;
        _ ->
            ok
    end.

%% Does this node reach the server?
-spec formed() -> boolean().
formed() ->
    try is_list(read())
    catch exit:_ -> false
    end.

%% Adds an element. A call that is given up raises its exit: whether the element is added nobody knows.
-spec add(integer()) -> ok.
add(Element) ->
    gen_server:call(server(), {add, Element}, ?CALL_LIMIT_MS).

%% The same as many applications have it: what timed out is reported as failed.
-spec add_or_fail(integer()) -> ok | failed.
add_or_fail(Element) ->
    try add(Element)
    catch exit:{timeout, _} -> failed
    end.

-spec read() -> [integer()].
read() ->
    gen_server:call(server(), read, ?CALL_LIMIT_MS).

server() ->
    persistent_term:get({?MODULE, server}).

init([]) ->
    {ok, ordsets:new()}.

handle_call({add, Element}, _From, Set) ->
    {reply, ok, ordsets:add_element(Element, Set)};
handle_call(read, _From, Set) ->
    {reply, Set, Set}.

handle_cast(_, Set) ->
    {noreply, Set}.
