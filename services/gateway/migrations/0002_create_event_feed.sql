set lock_timeout = '4s';

-- The last sequence number of a tenant's feed. Its row's lock makes the order of numbers the order of commits.
create table feed_heads (
    tenant_id uuid not null,
    seq bigint not null,
    primary key (tenant_id)
);
alter table feed_heads enable row level security;
alter table feed_heads force row level security;
create policy tenant on feed_heads to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on feed_heads to ${service}_app;

-- What GET /v1/events shows: ids, keys, numbers, never what a person typed.
create table event_feed (
    tenant_id uuid not null,
    seq bigint not null,
    recorded_at timestamptz not null,
    event_id text not null,
    type text not null,
    occurred_at timestamptz not null,
    data jsonb not null,
    primary key (tenant_id, seq, recorded_at)
) partition by range (recorded_at);
create table event_feed_default partition of event_feed default;
alter table event_feed enable row level security;
alter table event_feed force row level security;
alter table event_feed_default enable row level security;
alter table event_feed_default force row level security;
create policy tenant on event_feed to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on event_feed to ${service}_app;
