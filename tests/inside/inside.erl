%% What faults inside of a node can hit: a supervised worker, and a process that lingers in the
%% version of this module in which it was started.
-module(inside).
-behaviour(supervisor).

-export([start/0, init/1, start_worker/0, worker/0, ask/0, block_on/1, carried/0, log/2]).

start() ->
    {ok, Supervisor} = supervisor:start_link({local, inside_sup}, ?MODULE, []),
    unlink(Supervisor),
    spawn(fun() ->
        register(inside_lingers, self()),
        linger()
    end),
    %% Named as a module of Elixir.
    spawn(fun() -> register('Elixir.Inside.Cart', self()), linger() end),
    ok.

init([]) ->
    Worker = #{id => worker, start => {?MODULE, start_worker, []}},
    {ok, {#{strategy => one_for_one, intensity => 10, period => 1}, [Worker]}}.

start_worker() ->
    {ok, proc_lib:spawn_link(fun() ->
        register(inside_worker, self()),
        ?MODULE:worker()
    end)}.

%% Leaves its version of the code at every turn.
worker() ->
    receive {ask, From} -> From ! {self(), answer} end,
    ?MODULE:worker().

%% Never does.
linger() ->
    receive _ -> linger() end.

%% Does the worker answer?
ask() ->
    case whereis(inside_worker) of
        undefined ->
            nobody;
        Worker ->
            Worker ! {ask, self()},
            answered_or_silent(Worker)
    end.

%% How long it takes says nothing on a busy machine: one that cannot answer is suspended, or gone.
answered_or_silent(Worker) ->
    receive
        {Worker, answer} -> answered
    after 20 ->
        case process_info(Worker, status) of
            {status, suspended} -> silent;
            undefined -> silent;
            _ -> answered_or_silent(Worker)
        end
    end.

%% What a log event carries of the harness, as a handler of the application sees it.
carried() ->
    Id = list_to_atom("inside_" ++ integer_to_list(erlang:unique_integer([positive]))),
    ok = logger:add_handler(Id, ?MODULE, #{config => self(), level => error}),
    logger:error("what does it carry?", #{asked => Id}),
    Carried = receive {logged, Id, Meta} -> maps:get(fuzz_dist, Meta, #{}) after 2000 -> nothing end,
    ok = logger:remove_handler(Id),
    Carried.

log(#{meta := #{asked := Id} = Meta}, #{config := Asker}) ->
    Asker ! {logged, Id, Meta};
log(_, _) ->
    ok.

%% A process that sends to nobody on another node, in vain while the buffer is full.
block_on(Node) ->
    {Sender, Monitor} = spawn_monitor(fun() -> {nobody, Node} ! hello end),
    sent_or_blocked(Sender, Monitor).

%% A sender that is blocked is suspended.
sent_or_blocked(Sender, Monitor) ->
    receive
        {'DOWN', Monitor, process, Sender, _} -> sent
    after 20 ->
        case process_info(Sender, status) of
            {status, suspended} -> blocked;
            _ -> sent_or_blocked(Sender, Monitor)
        end
    end.
