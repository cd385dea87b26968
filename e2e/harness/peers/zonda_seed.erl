%% Writes accounts and rosters into the Mnesia of a running ejabberd, for comparisons. The file has a
%% line "name contact contact ..." for each account; all share the SCRAM keys that are given.
-module(zonda_seed).
-export([load/3, join/1, keep/1, read/3]).

load(File, Domain, {Salt, Iterations, StoredKey, ServerKey}) ->
    %% Not logged one by one to disk: that takes longer than all the rest.
    keep(ram_copies),
    {ok, Text} = file:read_file(File),
    Scram = {scram, StoredKey, ServerKey, Salt, sha, Iterations},
    lists:foreach(
      fun(<<>>) -> ok;
         (Line) ->
              [Name | Contacts] = binary:split(Line, <<" ">>, [global]),
              US = {Name, Domain},
              mnesia:dirty_write({passwd, US, Scram}),
              [mnesia:dirty_write(item(US, Contact)) || Contact <- Contacts]
      end, binary:split(Text, <<"\n">>, [global])),
    keep(disc_copies).

%% Joins a cluster, and keeps accounts and rosters as its first node does: ejabberd's own start would
%% make them disc_only_copies here.
join(Node) ->
    ok = ejabberd_cluster:join(Node),
    keep(disc_copies).

keep(Type) ->
    [case mnesia:table_info(T, storage_type) of
         Type -> ok;
         _ -> {atomic, ok} = mnesia:change_table_copy_type(T, node(), Type)
     end || T <- [passwd, roster]],
    ok.

%% Reads the roster of each user in the file, as a session does; the times go into another, in ns.
read(Users, Domain, Times) ->
    {ok, Text} = file:read_file(Users),
    Lines = [timed(Name, Domain) || Name <- binary:split(Text, <<"\n">>, [global])],
    ok = file:write_file(Times, lists:join($\n, Lines)).

timed(Name, Domain) ->
    Before = erlang:monotonic_time(nanosecond),
    [_ | _] = mod_roster:get_roster(Name, Domain),
    integer_to_list(erlang:monotonic_time(nanosecond) - Before).

item({Name, Domain} = US, Contact) ->
    Jid = {Contact, Domain, <<>>},
    {roster, {Name, Domain, Jid}, US, Jid, Contact, both, none, [<<"friends">>], <<>>, []}.
