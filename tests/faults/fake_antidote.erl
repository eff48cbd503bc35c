%% Stands in for AntidoteDB where only the way up is tried: a node of the release's name, an
%% application of the right name, and the frames of port 8087 that set data centres up. It keeps
%% what is assigned to registers, for itself: nothing of it ever arrives at another node.
-module(fake_antidote).
-export([start/1]).

-define(PORT, 8087).

%% The mode says what goes wrong.
start(Mode) ->
    ets:new(?MODULE, [named_table, public]),
    {ok, Listening} = gen_tcp:listen(?PORT, [binary, {packet, 4}, {active, false}, {reuseaddr, true}]),
    Mode =:= never_runs orelse run_application(),
    accept(Mode, Listening).

run_application() ->
    Keys = [{vsn, "0"}, {modules, []}, {registered, []}, {applications, [kernel, stdlib]}],
    ok = application:load({application, antidote, Keys}),
    ok = application:start(antidote).

accept(Mode, Listening) ->
    {ok, Socket} = gen_tcp:accept(Listening),
    Serving = spawn(fun() -> receive go -> serve(Mode, Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Serving),
    Serving ! go,
    accept(Mode, Listening).

serve(Mode, Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, <<Code, Body/binary>>} ->
            answer(Mode, Code, fields(Body), Socket) =:= hang andalso timer:sleep(infinity),
            serve(Mode, Socket);
        {error, _} ->
            ok
    end.

%% CreateDC, GetConnectionDescriptor, ConnectToDCs, StaticUpdateObjects, StaticReadObjects.
answer(refuses_to_join, 129, _, Socket) -> gen_tcp:send(Socket, <<130, 1:5, 0:3, 0, 2:5, 0:3, 0>>);
answer(never_joins, 129, _, _) -> hang;
answer(_, 129, _, Socket) -> gen_tcp:send(Socket, <<130, (success())/binary>>);
answer(_, 133, _, Socket) ->
    gen_tcp:send(Socket, <<134, (success())/binary, (field(2, <<"here">>))/binary>>);
answer(never_connects, 131, _, _) -> hang;
answer(_, 131, _, Socket) -> gen_tcp:send(Socket, <<132, (success())/binary>>);
answer(_, 122, Fields, Socket) ->
    [assign(fields(Update)) || {2, Update} <- Fields],
    gen_tcp:send(Socket, <<127, (commit())/binary>>);
answer(_, 123, Fields, Socket) ->
    Values = [field(2, field(3, field(1, value(fields(Object))))) || {2, Object} <- Fields],
    Read = field(1, <<(success())/binary, (iolist_to_binary(Values))/binary>>),
    gen_tcp:send(Socket, <<128, Read/binary, (field(2, commit()))/binary>>).

assign(Update) ->
    {2, Operation} = lists:keyfind(2, 1, Update),
    {3, Register} = lists:keyfind(3, 1, fields(Operation)),
    {1, Value} = lists:keyfind(1, 1, fields(Register)),
    ets:insert(?MODULE, {key(fields(proplists:get_value(1, Update))), Value}).

value(Object) -> proplists:get_value(key(Object), ets:tab2list(?MODULE), <<>>).

key(Object) -> proplists:get_value(1, Object).

success() -> <<1:5, 0:3, 1>>.

commit() -> <<(success())/binary, (field(2, <<"time">>))/binary>>.

%% One field of bytes, shorter than 128.
field(Number, Bytes) -> <<Number:5, 2:3, (byte_size(Bytes)), Bytes/binary>>.

%% The fields of a message, as numbers and bytes.
fields(<<>>) -> [];
fields(<<Number:5, 2:3, 0:1, Size:7, Bytes:Size/binary, Rest/binary>>) -> [{Number, Bytes} | fields(Rest)];
fields(<<Number:5, 0:3, Value, Rest/binary>>) -> [{Number, Value} | fields(Rest)].
