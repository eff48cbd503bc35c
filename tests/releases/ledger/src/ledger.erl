%% An application that notes entries on all connected nodes, and says what it was started with.
-module(ledger).
-behaviour(application).
-behaviour(gen_server).

-export([add/1, entries/0, note/1, noted/0, connected/0, never/0, env/1, flag/1, started/0]).
-export([start/2, stop/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).

start(_Type, _Arguments) ->
    case os:getenv("LEDGER_BREAKS_ON", "nowhere") =:= os:getenv("LEDGER_HOST") of
        true -> error({no_ledger_on, os:getenv("LEDGER_HOST")});
        false -> ok
    end,
    io:format("the ledger is open~n"),
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

stop(_State) -> ok.

%% Notes an entry here and on every connected node.
add(Entry) -> gen_server:call(?MODULE, {add, Entry}).

entries() -> gen_server:call(?MODULE, entries).

%% The last note of this node, or of one that is connected.
note(Note) -> gen_server:call(?MODULE, {note, Note}).

noted() -> gen_server:call(?MODULE, noted).

%% Are all nodes connected that LEDGER_PEERS names? They are connected to here.
connected() ->
    Peers = [list_to_atom(Name) || Name <- string:lexemes(os:getenv("LEDGER_PEERS", ""), ",")],
    lists:all(fun(Peer) -> Peer =:= node() orelse net_kernel:connect_node(Peer) end, Peers).

never() -> false.

env(Name) -> unicode:characters_to_binary(os:getenv(binary_to_list(Name), "")).

flag(Name) -> [unicode:characters_to_binary(Word) || Word <- proplists:get_value(Name, init:get_arguments(), [])].

%% The node's name, cookie and net_ticktime.
started() ->
    {atom_to_binary(node()), atom_to_binary(erlang:get_cookie()), net_kernel:get_net_ticktime()}.

init([]) -> {ok, #{entries => [], note => undefined}}.

handle_call({add, Entry}, _From, #{entries := Entries} = State) ->
    gen_server:abcast(nodes(), ?MODULE, {add, Entry}),
    {reply, ok, State#{entries := lists:usort([Entry | Entries])}};
handle_call(entries, _From, #{entries := Entries} = State) ->
    {reply, Entries, State};
handle_call({note, Note}, _From, State) ->
    gen_server:abcast(nodes(), ?MODULE, {note, Note}),
    {reply, ok, State#{note := Note}};
handle_call(noted, _From, #{note := Note} = State) ->
    {reply, Note, State}.

handle_cast({note, Note}, State) ->
    {noreply, State#{note := Note}};
handle_cast({add, Entry}, #{entries := Entries} = State) ->
    {noreply, State#{entries := lists:usort([Entry | Entries])}}.

handle_info(_Other, State) -> {noreply, State}.
