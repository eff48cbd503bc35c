%% A pool of elements: one server for all nodes, or a copy on each of them (`mirrored`), which informs the
%% others what was put in and taken out. A copy that hears of that later gives elements a second time.
-module(pool).
-behaviour(gen_server).

-export([start/1, enqueue/1, dequeue/0]).
-export([init/1, handle_call/3, handle_cast/2]).

-type options() :: #{peers := [node()], mirrored := boolean()}.

-spec start(options()) -> ok.
start(#{peers := Peers, mirrored := Mirrored}) ->
    Nodes = lists:usort([node() | Peers]),
    Server = case Mirrored of true -> node(); false -> hd(Nodes) end,
    persistent_term:put(?MODULE, Server),
    Others = case Mirrored of true -> Nodes -- [node()]; false -> [] end,
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, Others, []),
    ok.

-spec enqueue(integer()) -> ok.
enqueue(Element) ->
    gen_server:call({?MODULE, persistent_term:get(?MODULE)}, {enqueue, Element}).

-spec dequeue() -> integer() | undefined.
dequeue() ->
    gen_server:call({?MODULE, persistent_term:get(?MODULE)}, dequeue).

init(Others) ->
    {ok, {Others, #{}, #{}}}.

handle_call({enqueue, Element}, _From, State) ->
    inform({enqueued, Element}, State),
    {reply, ok, insert(Element, State)};
handle_call(dequeue, _From, {_, In, _} = State) ->
    case lists:sort(maps:keys(In)) of
        [] ->
            {reply, undefined, State};
        [Element | _] ->
            inform({dequeued, Element}, State),
            {reply, Element, take(Element, State)}
    end.

handle_cast({enqueued, Element}, State) ->
    {noreply, insert(Element, State)};
handle_cast({dequeued, Element}, State) ->
    {noreply, take(Element, State)}.

%% What was taken out elsewhere may be heard of before it is heard that it was put in.
insert(Element, {Others, In, Out}) ->
    case is_map_key(Element, Out) of
        true -> {Others, In, Out};
        false -> {Others, In#{Element => true}, Out}
    end.

take(Element, {Others, In, Out}) ->
    {Others, maps:remove(Element, In), Out#{Element => true}}.

inform(News, {Others, _, _}) ->
    [gen_server:cast({?MODULE, Other}, News) || Other <- Others],
    ok.
