%% A queue of jobs on each node, which executes each job a moment after it was submitted, and writes every
%% execution to a file.
%%
%% `durable` says when a job is acknowledged: when it is in a file, from which a node that starts again takes
%% what it has not executed; or at once, so that a crash loses what is still in memory.
-module(job_queue).
-behaviour(gen_server).

-export([start/1, submit/1, executed/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(DELAY_MS, 400).
-define(ANSWER_MS, 1000).

-type options() :: #{peers := [node()], durable := boolean()}.

-spec start(options()) -> ok.
start(Options) ->
    persistent_term:put(?MODULE, maps:get(peers, Options)),
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, maps:get(durable, Options), []),
    ok.

%% `ok` is the promise that the job will be executed.
-spec submit(integer()) -> ok.
submit(Job) ->
    gen_server:call(?MODULE, {submit, Job}).

%% All executions in the cluster, each with a name of its own.
-spec executed() -> [{integer(), binary()}].
executed() ->
    Nodes = lists:usort([node() | persistent_term:get(?MODULE)]),
    {Answers, []} = gen_server:multi_call(Nodes, ?MODULE, executed, ?ANSWER_MS),
    lists:append([Executions || {_, Executions} <- Answers]).

init(Durable) ->
    Done = [Job || {Job, _} <- lines("executed")],
    [later(Job) || Durable, {Job, _} <- lines("submitted"), not lists:member(Job, Done)],
    {ok, Durable}.

handle_call({submit, Job}, _From, Durable) ->
    Durable andalso append("submitted", Job, <<"submitted">>),
    later(Job),
    {reply, ok, Durable};
handle_call(executed, _From, Durable) ->
    {reply, lines("executed"), Durable}.

handle_cast(_Request, Durable) ->
    {noreply, Durable}.

handle_info({execute, Job}, Durable) ->
    Name = io_lib:format("~s-~b-~b", [node(), os:system_time(), erlang:unique_integer([positive])]),
    append("executed", Job, list_to_binary(Name)),
    {noreply, Durable};
handle_info(_Other, Durable) ->
    {noreply, Durable}.

later(Job) ->
    erlang:send_after(?DELAY_MS, self(), {execute, Job}).

file(Name) ->
    filename:join(os:getenv("HOME"), Name).

%% One write, which is there whole or not at all when the process is killed.
append(File, Job, Name) ->
    Line = [integer_to_binary(Job), " ", Name, "\n"],
    ok = file:write_file(file(File), Line, [append, raw]).

lines(File) ->
    case file:read_file(file(File)) of
        {ok, Text} ->
            Lines = lists:droplast(binary:split(Text, <<"\n">>, [global])),
            [{binary_to_integer(Job), Name} || Line <- Lines, [Job, Name] <- [binary:split(Line, <<" ">>)]];
        {error, enoent} ->
            []
    end.
