set lock_timeout = '4s';

-- What customers, devices and accounts did and underwent. A ledger: appended, by the month in which a row was written.
-- Which ids are taken is known by `seen`, so that no unique key is needed across partitions.
create table activities (
    tenant_id uuid not null,
    activity_id text collate "C" not null,
    recorded_at timestamptz not null,
    received_at timestamptz not null,
    occurred_at timestamptz not null,
    history boolean not null,
    customer_id text collate "C",
    device_id text collate "C",
    account_id text collate "C",
    type text not null,
    channel text,
    source text,
    staff_id text,
    team text,
    site text,
    moment text,
    value double precision,
    amount_minor bigint,
    currency text,
    solicited boolean,
    incentivised boolean,
    verified boolean,
    ask_id text,
    incentive text,
    evidence_url text,
    has_act boolean not null,
    properties jsonb,
    primary key (tenant_id, activity_id, recorded_at)
) partition by range (recorded_at);
create table activities_default partition of activities default;
alter table activities enable row level security;
alter table activities force row level security;
alter table activities_default enable row level security;
alter table activities_default force row level security;
create policy tenant on activities to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create index activities_occurred on activities (tenant_id, occurred_at, activity_id);
create index activities_customer on activities (tenant_id, customer_id, occurred_at, activity_id)
    where customer_id is not null;
grant select, insert on activities to ${service}_app;

-- Which activities were taken back: they count for nothing, and stay where they are.
create table voids (
    tenant_id uuid not null,
    activity_id text collate "C" not null,
    reason text not null,
    voided_at timestamptz not null,
    primary key (tenant_id, activity_id)
);
alter table voids enable row level security;
alter table voids force row level security;
create policy tenant on voids to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on voids to ${service}_app;
