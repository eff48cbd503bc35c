%% The state of a node at one moment, for people who look for the cause of an anomaly.
%%
%% Everything is bounded: how many processes and tables, how much of each, and the time. It reads and
%% changes nothing; a part that takes too long, or that fails, is left out, and its name says so.
%%
%% The oldest release that it must load into is OTP 25.
-module(fuzz_dist_state).

-export([collect/1]).

-define(PROCESSES_MAX, 200).
-define(MAILBOXES_MAX, 10).
%% So many processes are asked for the length of their mailbox.
-define(ASKED_MAX, 50000).
-define(TABLES_MAX, 100).
-define(OBJECTS_MAX, 10).
-define(MESSAGES_MAX, 5).
%% The messages of a longer mailbox are not looked at: asking for them copies all of them.
-define(COPIED_MAX, 100).
-define(TEXT_MAX, 400).
-define(DEPTH, 30).

%% Processes of the harness, in which nobody is interested.
-define(OURS, [fuzz_dist_agent, fuzz_dist_announcer, fuzz_dist_sampler, fuzz_dist_fault]).

%% Gives every part that was there after so many milliseconds.
-spec collect(pos_integer()) -> #{atom() => term()}.
collect(Limit) ->
    Collector = self(),
    Parts = [
        {connections, fun connections/0},
        {processes, fun all_processes/0},
        {longest_mailboxes, fun() -> mailboxes(Collector) end},
        {mnesia, fun mnesia/0},
        {ets, fun tables/0}
    ],
    Timer = erlang:start_timer(Limit, self(), over),
    Workers = [{Name, spawn_monitor(fun() -> exit({part, Part()}) end)} || {Name, Part} <- Parts],
    State = maps:from_list([{Name, part(Worker, Timer)} || {Name, Worker} <- Workers]),
    erlang:cancel_timer(Timer),
    receive {timeout, Timer, over} -> ok after 0 -> ok end,
    State.

part({Pid, Monitor}, Timer) ->
    receive
        {'DOWN', Monitor, process, Pid, {part, Part}} -> Part;
        {'DOWN', Monitor, process, Pid, Reason} -> text({failed, Reason})
    after left(Timer) ->
        exit(Pid, kill),
        receive {'DOWN', Monitor, process, Pid, _} -> <<"it took too long">> end
    end.

left(Timer) ->
    case erlang:read_timer(Timer) of
        false -> 0;
        Left -> Left
    end.

connections() ->
    Queues = [{Node, Port} || {Node, Port} <- erlang:system_info(dist_ctrl), is_port(Port), is_theirs(Node)],
    Known = [Node || Node <- nodes(known), Node =/= node(), is_theirs(Node)],
    #{
        node => node(),
        nodes => lists:sublist(lists:sort(nodes()), ?PROCESSES_MAX),
        known => lists:sublist(lists:sort(Known), ?PROCESSES_MAX),
        send_queue_bytes => maps:from_list([{Node, queue(Port)} || {Node, Port} <- Queues])
    }.

%% The harness connects as hidden nodes of this prefix.
is_theirs(Node) ->
    not lists:prefix("remsh_fuzz_dist_", atom_to_list(Node)).

queue(Port) ->
    case erlang:port_info(Port, queue_size) of
        {queue_size, Bytes} -> Bytes;
        undefined -> 0
    end.

%% The application's own names first: those that a node has from its start are the least of interest.
all_processes() ->
    Names = lists:sort(registered() -- ?OURS),
    {Own, Others} = lists:partition(fun is_own/1, Names),
    Shown = lists:sublist(Own ++ Others, ?PROCESSES_MAX),
    #{count => erlang:system_info(process_count),
      registered => [process(Name, whereis(Name)) || Name <- Shown]}.

process(Name, Pid) when is_pid(Pid) ->
    (process(Pid))#{name => Name};
process(Name, _) ->
    #{name => Name}.

process(Pid) ->
    Items = [status, current_function, message_queue_len, memory, reductions, links, monitors],
    case process_info(Pid, Items) of
        undefined ->
            #{pid => text(Pid), status => ended};
        [{_, Status}, {_, Function}, {_, Length}, {_, Memory}, {_, Reductions}, {_, Links}, {_, Monitors}] ->
            #{pid => text(Pid), status => Status, current_function => text(Function),
              mailbox => Length, first_messages => messages(Pid, Length), memory => Memory,
              reductions => Reductions, links => length(Links), monitors => length(Monitors)}
    end.

messages(_, 0) ->
    [];
messages(_, Length) when Length > ?COPIED_MAX ->
    <<"too many to be looked at">>;
messages(Pid, _) ->
    case process_info(Pid, messages) of
        {messages, Messages} -> [text(M) || M <- lists:sublist(Messages, ?MESSAGES_MAX)];
        undefined -> []
    end.

mailboxes(Collector) ->
    Ours = [self(), Collector | [whereis(Name) || Name <- ?OURS]],
    Asked = lists:sublist(erlang:processes() -- Ours, ?ASKED_MAX),
    Lengths = [{Length, Pid} || Pid <- Asked,
        {message_queue_len, Length} <- [process_info(Pid, message_queue_len)], Length > 0],
    Longest = lists:sublist(lists:reverse(lists:sort(Lengths)), ?MAILBOXES_MAX),
    [named(Pid) || {_, Pid} <- Longest].

named(Pid) ->
    case process_info(Pid, registered_name) of
        {registered_name, Name} when is_atom(Name) -> (process(Pid))#{name => Name};
        _ -> process(Pid)
    end.

tables() ->
    Named = [Table || Table <- ets:all(), is_atom(Table)],
    {Own, Others} = lists:partition(fun is_own/1, lists:sort(Named)),
    [table(Table) || Table <- lists:sublist(Own ++ Others, ?TABLES_MAX)].

table(Table) ->
    Info = case ets:info(Table) of undefined -> []; Found -> Found end,
    Of = fun(Item) -> proplists:get_value(Item, Info, ended) end,
    Base = #{name => Table, size => Of(size), words => Of(memory), type => Of(type),
             owner => owner(Of(owner))},
    case is_own(Table) andalso Of(protection) of
        Readable when Readable =:= public; Readable =:= protected ->
            Base#{first_objects => objects(Table)};
        _ ->
            Base
    end.

objects(Table) ->
    try ets:match_object(Table, '_', ?OBJECTS_MAX) of
        {Objects, _} -> [text(Object) || Object <- Objects];
        '$end_of_table' -> []
    catch
        error:_ -> []
    end.

owner(Pid) when is_pid(Pid) ->
    case process_info(Pid, registered_name) of
        {registered_name, Name} when is_atom(Name) -> Name;
        _ -> text(Pid)
    end;
owner(_) ->
    ended.

mnesia() ->
    case whereis(mnesia_sup) of
        undefined ->
            <<"it does not run">>;
        _ ->
            Tables = lists:sublist(lists:sort(mnesia:system_info(tables)), ?TABLES_MAX),
            #{
                db_nodes => mnesia:system_info(db_nodes),
                running_db_nodes => mnesia:system_info(running_db_nodes),
                tables => [mnesia_table(Table) || Table <- Tables]
            }
    end.

mnesia_table(Table) ->
    Items = [size, ram_copies, disc_copies, disc_only_copies, where_to_read, where_to_write, master_nodes],
    maps:from_list([{name, Table} | [{Item, item(Table, Item)} || Item <- Items]]).

item(Table, Item) ->
    try mnesia:table_info(Table, Item) of
        Size when is_integer(Size) -> Size;
        Nodes when is_list(Nodes) -> [N || N <- Nodes, is_atom(N)];
        Other -> text(Other)
    catch
        exit:_ -> <<"not known">>
    end.

%% Is it none of those that every node has?
is_own(Name) ->
    Text = atom_to_list(Name),
    Theirs = ["kernel", "erl_", "erts_", "code", "ac_tab", "application", "auth", "error_", "file_",
              "global_", "inet", "init", "logger", "net_", "rex", "standard_", "user", "sys_", "ssl",
              "socket", "pg_local", "timer", "dist_", "literal_", "ram_file", "mnesia_", "cover",
              "erpc", "disk_log", "dets", "eval", "shell"],
    not lists:any(fun(Prefix) -> lists:prefix(Prefix, Text) end, Theirs).

%% A term as text, cut off: deep ones in their depth, long ones at their end.
text(Term) ->
    Text = unicode:characters_to_list(io_lib:format("~0tP", [Term, ?DEPTH])),
    unicode:characters_to_binary(lists:sublist(Text, ?TEXT_MAX)).
