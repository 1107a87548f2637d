set lock_timeout = '4s';

-- Partitions are made ahead of time by the owner, through a function, since the app role owns nothing.
create function ensure_partitions(parent text, step text, present timestamptz) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    lower_bound timestamptz;
    upper_bound timestamptz;
    part text;
begin
    if step not in ('day', 'month') then
        raise exception 'unknown step';
    end if;
    for i in -1 .. 3 loop
        lower_bound := date_trunc(step, present at time zone 'UTC') at time zone 'UTC' + (i || ' ' || step)::interval;
        upper_bound := lower_bound + ('1 ' || step)::interval;
        part := parent || '_p' || to_char(lower_bound at time zone 'UTC', 'YYYYMMDD');
        if to_regclass('public.' || quote_ident(part)) is null then
            begin
                execute format('create table public.%I partition of public.%I for values from (%L) to (%L)',
                               part, parent, lower_bound, upper_bound);
                execute format('alter table %I enable row level security', part);
                execute format('alter table %I force row level security', part);
            exception
                -- The default partition already took rows of this range (the clock was moved), or another process won.
                when check_violation or duplicate_table or invalid_object_definition then null;
            end;
        end if;
    end loop;
end $$;

create function drop_partitions(parent text, before timestamptz) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    part text;
    dropped int := 0;
begin
    if parent not in ('outbox', 'inbox') then
        raise exception 'only delivery tables are ever dropped';
    end if;
    for part in
        select c.relname from pg_class c join pg_inherits i on i.inhrelid = c.oid
        where i.inhparent = ('public.' || quote_ident(parent))::regclass
          and c.relname ~ (parent || '_p[0-9]{8}$')
          and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 < before
    loop
        execute format('drop table %I', part);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

revoke execute on function ensure_partitions(text, text, timestamptz) from public;
revoke execute on function drop_partitions(text, timestamptz) from public;
grant execute on function ensure_partitions(text, text, timestamptz) to ${service}_pump;
grant execute on function drop_partitions(text, timestamptz) to ${service}_pump;

-- What this service tells the others. The record of events: the broker only carries them.
create table outbox (
    tenant_id uuid not null,
    message_id text not null,
    subject text not null,
    payload bytea not null,
    created_at timestamptz not null,
    published_at timestamptz,
    stream_seq bigint,
    replays int not null default 0
) partition by range (created_at);
create table outbox_default partition of outbox default;
create index outbox_unpublished on outbox (created_at) where published_at is null;
create index outbox_created on outbox (created_at);
alter table outbox enable row level security;
alter table outbox force row level security;
alter table outbox_default enable row level security;
alter table outbox_default force row level security;
create policy tenant on outbox to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy pump on outbox to ${service}_pump using (true) with check (true);
grant insert, select on outbox to ${service}_app;
grant select, insert, update on outbox to ${service}_pump;

-- Which messages have taken effect here.
create table inbox (
    tenant_id uuid not null,
    consumer text not null,
    message_id text not null,
    handled_at timestamptz not null,
    primary key (tenant_id, consumer, message_id)
);
alter table inbox enable row level security;
alter table inbox force row level security;
create policy tenant on inbox to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy pump on inbox to ${service}_pump using (true) with check (true);
grant insert, select on inbox to ${service}_app;
grant select, delete on inbox to ${service}_pump;
create index inbox_handled on inbox (handled_at);

-- Items that failed on a healthy database, one row each, until an operator sends them again.
create table dead_letter (
    tenant_id uuid not null,
    dead_letter_id text not null,
    consumer text not null,
    subject text not null,
    message_id text not null,
    event_id text not null,
    event bytea not null,
    error text not null,
    attempts int not null,
    failed_at timestamptz not null,
    redriven_at timestamptz,
    primary key (tenant_id, dead_letter_id)
);
create unique index dead_letter_once on dead_letter (tenant_id, consumer, event_id) where redriven_at is null;
alter table dead_letter enable row level security;
alter table dead_letter force row level security;
create policy tenant on dead_letter to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy pump on dead_letter to ${service}_pump using (true) with check (true);
grant insert, select, update on dead_letter to ${service}_app;
grant select, insert, update on dead_letter to ${service}_pump;

-- Ids that were taken once are taken for ever: the conflict check of every fact and of every fold.
create table seen (
    tenant_id uuid not null,
    kind text not null,
    id text not null,
    fingerprint bytea,
    request_token bytea,
    received_at timestamptz not null,
    primary key (tenant_id, kind, id)
) partition by hash (tenant_id, kind, id);
create table seen_0 partition of seen for values with (modulus 4, remainder 0);
create table seen_1 partition of seen for values with (modulus 4, remainder 1);
create table seen_2 partition of seen for values with (modulus 4, remainder 2);
create table seen_3 partition of seen for values with (modulus 4, remainder 3);
alter table seen enable row level security;
alter table seen force row level security;
do $$ begin
    for i in 0..3 loop
        execute format('alter table seen_%s enable row level security', i);
        execute format('alter table seen_%s force row level security', i);
    end loop;
end $$;
create policy tenant on seen to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant insert, select on seen to ${service}_app;

-- Work that waits for a time.
create table timers (
    tenant_id uuid not null,
    kind text not null,
    id text not null,
    due_at timestamptz not null,
    attempts int not null default 0,
    primary key (tenant_id, kind, id)
);
create index timers_due on timers (due_at);
alter table timers enable row level security;
alter table timers force row level security;
create policy tenant on timers to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create policy pump on timers to ${service}_pump using (true) with check (true);
grant select, insert, update, delete on timers to ${service}_app;
grant select, update on timers to ${service}_pump;

-- Long work in a child process, with its progress.
create table jobs (
    tenant_id uuid not null,
    job_id text not null,
    kind text not null,
    arguments jsonb not null,
    state text not null check (state in ('queued', 'running', 'done', 'failed')),
    progress double precision not null default 0,
    result jsonb,
    problem jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, job_id)
);
alter table jobs enable row level security;
alter table jobs force row level security;
create policy tenant on jobs to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on jobs to ${service}_app;

-- Answers given to requests that carried an idempotency key.
create table idempotency (
    tenant_id uuid not null,
    key text not null,
    method text not null,
    fingerprint bytea not null,
    answer bytea not null,
    answered_at timestamptz not null,
    primary key (tenant_id, method, key)
);
alter table idempotency enable row level security;
alter table idempotency force row level security;
create policy tenant on idempotency to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on idempotency to ${service}_app;

-- Who changed what. Appended in the change's own transaction, never altered.
create table audit (
    tenant_id uuid not null,
    audit_id text not null,
    at timestamptz not null,
    actor text not null,
    request_id text not null,
    action text not null,
    subject_kind text not null,
    subject_id text not null,
    before_hash bytea,
    after_hash bytea,
    primary key (tenant_id, audit_id)
);
alter table audit enable row level security;
alter table audit force row level security;
create policy tenant on audit to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on audit to ${service}_app;

-- The service's own tables that are partitioned by the time of recording, for whoever makes partitions ahead.
create function recorded_partitions() returns table (parent text)
language sql stable security definer set search_path = public, pg_temp as $$
    select c.relname::text from pg_partitioned_table p
    join pg_class c on c.oid = p.partrelid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
    where p.partstrat = 'r' and a.attname = 'recorded_at'
$$;
revoke execute on function recorded_partitions() from public;
grant execute on function recorded_partitions() to ${service}_pump;
