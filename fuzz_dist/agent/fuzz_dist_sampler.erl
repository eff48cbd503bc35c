%% Sends a process of the harness at regular intervals samples of the node that it is loaded into.
%%
%% Messages to the receiver: {fuzz_dist_sample, Nanoseconds, Map}. Nanoseconds are
%% os:perf_counter(nanosecond), which is CLOCK_MONOTONIC; the map is made of atoms as keys and of
%% integers and binaries. Counters count from the node's start.
%%
%% A sample costs about the same on every node, however many processes there are: mailboxes are looked
%% at in turns, and the longest one known each time. It is a process of its own, of ordinary priority,
%% so that a sample that takes its time delays nobody who observes; and it ends with its receiver.
%%
%% The oldest release that it must load into is OTP 25.
-module(fuzz_dist_sampler).

-export([start/2]).

%% So many mailboxes are looked at for a sample, and so many connections.
-define(MAILBOXES_MAX, 200).
-define(PEERS_MAX, 50).

%% Processes of the harness, in which nobody is interested.
-define(OURS, [fuzz_dist_agent, fuzz_dist_announcer, fuzz_dist_sampler]).

-record(state, {
    receiver :: pid(),
    every :: pos_integer(),
    %% When the next one is due, in milliseconds of erlang:monotonic_time/1.
    due :: integer(),
    %% Samples that the receiver could not take.
    missed = 0 :: non_neg_integer(),
    %% Whose mailboxes are still to be looked at, and whose was the longest.
    turn = [] :: [pid()],
    longest = self() :: pid()
}).

%% Starts sampling every so many milliseconds, in place of what sampled before; the first sample is
%% taken at once.
-spec start(pid(), pos_integer()) -> {ok, pid()} | {error, term()}.
start(Receiver, Every) ->
    stop(),
    Caller = self(),
    {Sampler, Monitor} = spawn_monitor(fun() ->
        register(?MODULE, self()),
        monitor(process, Receiver),
        Caller ! {self(), started},
        sampled(#state{receiver = Receiver, every = Every, due = erlang:monotonic_time(millisecond)})
    end),
    receive
        {Sampler, started} ->
            demonitor(Monitor, [flush]),
            {ok, Sampler};
        {'DOWN', Monitor, process, Sampler, Reason} ->
            {error, Reason}
    after 3000 ->
        exit(Sampler, kill),
        {error, timeout}
    end.

stop() ->
    case whereis(?MODULE) of
        undefined ->
            ok;
        Sampler ->
            Monitor = monitor(process, Sampler),
            exit(Sampler, kill),
            receive {'DOWN', Monitor, process, Sampler, _} -> ok after 1000 -> ok end
    end.

sampled(State) ->
    Time = os:perf_counter(nanosecond),
    {Mailboxes, Looked} = mailboxes(State),
    Sample = lists:foldl(fun maps:merge/2, #{}, [
        #{missed => State#state.missed}, counts(), memory(), connections(), Mailboxes
    ]),
    Sent = erlang:send(State#state.receiver, {fuzz_dist_sample, Time, Sample}, [noconnect, nosuspend]),
    Missed = case Sent of ok -> 0; _ -> State#state.missed + 1 end,
    wait(Looked#state{missed = Missed}).

%% One that is late, as after a pause of the whole node, is not made up for.
wait(#state{every = Every, due = Due, receiver = Receiver} = State) ->
    Now = erlang:monotonic_time(millisecond),
    Next = case Due + Every of InTime when InTime > Now -> InTime; _ -> Now + Every end,
    erlang:send_after(Next, self(), sample, [{abs, true}]),
    receive
        sample -> sampled(State#state{due = Next});
        {'DOWN', _, process, Receiver, _} -> ok
    end.

counts() ->
    %% Its second number, since anybody's last call, is not asked for: nobody can rely on that one.
    {Reductions, _} = erlang:statistics(reductions),
    {Collections, _, _} = erlang:statistics(garbage_collection),
    {{input, In}, {output, Out}} = erlang:statistics(io),
    #{
        run_queue => erlang:statistics(total_run_queue_lengths_all),
        processes => erlang:system_info(process_count),
        ports => erlang:system_info(port_count),
        atoms => erlang:system_info(atom_count),
        ets_tables => erlang:system_info(ets_count),
        reductions => Reductions,
        collections => Collections,
        input_bytes => In,
        output_bytes => Out
    }.

%% A node whose allocators are set not to count has no such numbers.
memory() ->
    try erlang:memory([total, processes, binary, ets]) of
        Bytes -> maps:from_list([{memory_name(Kind), Count} || {Kind, Count} <- Bytes])
    catch
        error:_ -> #{}
    end.

memory_name(total) -> memory_total;
memory_name(processes) -> memory_processes;
memory_name(binary) -> memory_binary;
memory_name(ets) -> memory_ets.

%% The nodes that the application sees, and the bytes that wait for the slowest of them. Connections
%% that a process carries, as over TLS, have no such queue.
connections() ->
    Ports = [{Node, Port} || {Node, Port} <- erlang:system_info(dist_ctrl), is_port(Port)],
    Peers = lists:sublist([Peer || {Node, _} = Peer <- Ports, not is_ours(Node)], ?PEERS_MAX),
    Seen = #{peers => length(nodes())},
    case lists:max([{0, none} | [{waiting(Port), Node} || {Node, Port} <- Peers]]) of
        {0, _} -> Seen#{dist_queue => 0};
        {Bytes, Node} -> Seen#{dist_queue => Bytes, dist_queue_to => atom_to_binary(Node)}
    end.

waiting(Port) ->
    case erlang:port_info(Port, queue_size) of
        {queue_size, Bytes} -> Bytes;
        undefined -> 0
    end.

%% The harness connects as hidden nodes of this prefix.
is_ours(Node) ->
    lists:prefix("remsh_fuzz_dist_", atom_to_list(Node)).

%% Every mailbox has its turn once in a while, and the longest one every time.
mailboxes(#state{turn = [], longest = Longest} = State) ->
    longest(erlang:processes(), Longest, State);
mailboxes(#state{turn = Turn, longest = Longest} = State) ->
    longest(Turn, Longest, State).

longest(Turn, Former, State) ->
    {Next, Later} = first(?MAILBOXES_MAX, Turn, []),
    Now = Next -- [whereis(Name) || Name <- ?OURS],
    {Length, Longest} = lists:foldl(
        fun(Pid, {Most, _} = So) ->
            case length_of(Pid) of
                Length when Length > Most -> {Length, Pid};
                _ -> So
            end
        end,
        {length_of(Former), Former},
        Now
    ),
    Of = case Length of 0 -> #{}; _ -> #{longest_mailbox_of => who(Longest)} end,
    {Of#{longest_mailbox => Length}, State#state{turn = Later, longest = Longest}}.

first(0, Rest, Taken) -> {Taken, Rest};
first(_, [], Taken) -> {Taken, []};
first(Count, [Pid | Rest], Taken) -> first(Count - 1, Rest, [Pid | Taken]).

length_of(Pid) ->
    case process_info(Pid, message_queue_len) of
        {message_queue_len, Length} -> Length;
        undefined -> 0
    end.

%% Its name, or where it stands.
who(Pid) ->
    case process_info(Pid, [registered_name, current_function]) of
        [{registered_name, Name}, _] when is_atom(Name) -> atom_to_binary(Name);
        [_, {current_function, {Module, Function, Arity}}] ->
            Text = io_lib:format("~p in ~tp:~tp/~p", [Pid, Module, Function, Arity]),
            unicode:characters_to_binary(Text);
        _ -> <<"a terminated process">>
    end.
