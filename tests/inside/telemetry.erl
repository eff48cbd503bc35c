%% Stands in for the application of that name: what is executed is kept.
-module(telemetry).
-behaviour(application).
-behaviour(supervisor).

-export([execute/3, executed/0, run/0]).
-export([start/2, stop/1, init/1]).

%% Starts the application, which has no file of its own.
run() ->
    ok = application:load({application, ?MODULE, [{mod, {?MODULE, []}}]}),
    ok = application:start(?MODULE).

start(_, _) ->
    supervisor:start_link(?MODULE, []).

stop(_) ->
    ok.

init([]) ->
    {ok, {#{}, []}}.

execute(Event, Measurements, Metadata) when is_map(Measurements) ->
    persistent_term:put(?MODULE, [{Event, Metadata} | persistent_term:get(?MODULE, [])]),
    ok.

executed() ->
    lists:reverse(persistent_term:get(?MODULE, [])).
